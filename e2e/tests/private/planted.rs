// SPDX-License-Identifier: Apache-2.0

//! Passwords and tokens are searched for in everything that Sealwatch says.

use std::fmt::Write as _;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use sealwatch_e2e::cli;
use sealwatch_e2e::scene;
use sealwatch_e2e::stage::{ACCOUNT as OPERATOR, Launch, Seen, Stage};
use sealwatch_e2e::testenv::{ACCOUNT, IDENTITY_TOKEN, OperatorOptions, OperatorProcess, Registry, Result};
use serde_json::{Value, json};

use crate::{Company, POLICY, WRONG, auths, entry, locked, name_of};

/// A password in registries.yaml that opens nothing.
const CONFIGURED: &str = "C0nfigured+wrong/password=Qx3";
/// A password in a pull secret that is broken off in the middle.
const BROKEN: &str = "Br0ken+off/password=Vt5";
/// How much of the beginning and the end of a token is searched for: messages quote, and cut what they quote.
const PIECE: usize = 24;

/// A secret in all the forms in which it might be written.
fn forms(secret: &str) -> Vec<String> {
    let percent = |hex: fn(u8) -> String| {
        secret.bytes().fold(String::new(), |mut text, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&hex(byte));
            }
            text
        })
    };
    let mut forms = vec![secret.to_owned(), secret.replace('/', "\\/")];
    forms.extend([percent(|byte| format!("%{byte:02X}")), percent(|byte| format!("%{byte:02x}"))]);
    forms.push(secret.bytes().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }));
    // Inside of a longer text, base64 has three forms, by where the secret begins; what depends on its neighbours is left
    // out.
    for before in 0..3 {
        let encoded = Base64::encode_string(format!("{}{secret}", "x".repeat(before)).as_bytes());
        let whole = (before + secret.len()) / 3 * 4;
        forms.push(encoded[before.min(1) * 4..whole].to_owned());
    }
    let url_safe: Vec<String> = forms
        .iter()
        .map(|form| form.replace('+', "-").replace('/', "_"))
        .filter(|form| !forms.contains(form))
        .collect();
    forms.extend(url_safe);
    forms
}

/// All that must not be said, with a name for each: the planted passwords, and what was really shown to registries.
fn secrets(registries: &[Registry]) -> Vec<(String, String)> {
    let planted = [ACCOUNT.1, IDENTITY_TOKEN, WRONG, CONFIGURED, BROKEN];
    let mut secrets: Vec<(String, String)> =
        planted.iter().flat_map(|secret| forms(secret).into_iter().map(|form| ((*secret).to_owned(), form))).collect();
    for request in registries.iter().flat_map(Registry::access_log) {
        let Some((scheme, shown)) = request.authorization.split_once(' ') else { continue };
        let shown = shown.trim_end_matches('=');
        let pieces = [shown.get(..PIECE), shown.len().checked_sub(PIECE).and_then(|from| shown.get(from..))];
        secrets.extend(pieces.into_iter().flatten().map(|piece| (format!("{scheme} {shown}"), piece.to_owned())));
    }
    secrets.sort();
    secrets.dedup();
    secrets
}

/// What of the secrets is in a text.
fn found<'a>(text: &str, secrets: &'a [(String, String)]) -> Vec<&'a (String, String)> {
    secrets.iter().filter(|(_, form)| text.contains(form)).collect()
}

/// Everything that an operator says, by where.
async fn said(stage: &Stage, operator: &OperatorProcess) -> Result<Vec<(String, String)>> {
    let address = *operator.listening_on()?.first().ok_or("the operator listens")?;
    let mut said = Vec::new();
    for path in ["metrics", "readyz", "healthz"] {
        said.push((path.to_owned(), reqwest::get(format!("http://{address}/{path}")).await?.text().await?));
    }
    for kind in ["tp", "iv", "events"] {
        said.push((kind.to_owned(), stage.kubectl(&["get", kind, "-o", "yaml"]).await?));
    }
    said.push(("log".to_owned(), operator.log()));
    Ok(said)
}

/// What holds the secrets, and what the images there come to.
struct Planted {
    company: Company,
    registries: Vec<Registry>,
    contents: Value,
    /// Images, and the reasons of their verdicts.
    expected: Vec<(String, &'static str)>,
}

impl Planted {
    async fn plant() -> Result<Self> {
        let company = Company::found("planted").await?;
        let registries = locked("Private CA of the planted").await?;
        let stage = &company.stage;
        stage.pull_secret("right", &auths(&registries, &entry(ACCOUNT.1))).await?;
        stage.pull_secret("a-wrong", &auths(&registries, &entry(WRONG))).await?;
        let refresh = json!({"auth": entry("")["auth"], "identitytoken": IDENTITY_TOKEN});
        stage.pull_secret("refresh", &auths(&registries, &refresh)).await?;
        let broken = format!("{{\"auths\": {{\"{}\": {{\"password\": \"{BROKEN}\"", registries[0].host());
        stage.secret("broken", "Opaque", ".dockerconfigjson", &broken).await?;
        let contents = scene::registries(&registries.iter().collect::<Vec<_>>());
        let mut planted = Self { company, registries, contents, expected: Vec::new() };
        for number in 0..planted.registries.len() {
            planted.run_images(number).await?;
        }
        // And one that is not signed, so that there is a bad verdict beside the unknown ones.
        let unsigned = planted.registries[0].push_image("team/unsigned-x", "1", "unsigned").await?;
        planted.company.stage.run_pod_with("unsigned", &unsigned, &["right"]).await?;
        planted.expected.push(("unsigned-x".to_owned(), "NoSignature"));
        Ok(planted)
    }

    /// Every other registry has a wrong password of the operator's own.
    async fn run_images(&mut self, number: usize) -> Result<()> {
        let registry = &self.registries[number];
        let is_right = number.is_multiple_of(2);
        let password = if is_right { ACCOUNT.1 } else { CONFIGURED };
        let by_own = if is_right { "SignatureValid" } else { "RegistryUnauthorized" };
        self.contents["configs"][registry.host()]["auth"] = json!({"username": ACCOUNT.0, "password": password});
        let cases: [(&str, &[&str], &str); 5] = [
            ("right", &["right"], "SignatureValid"),
            ("second", &["a-wrong", "right"], "SignatureValid"),
            ("wrong", &["a-wrong"], by_own),
            ("own", &[], by_own),
            ("broken", &["broken"], by_own),
        ];
        let refresh = ("refresh", &["refresh"][..], "SignatureValid");
        for (case, secrets, reason) in cases.into_iter().chain(registry.token_host().map(|_| refresh)) {
            let name = format!("{}-{case}-x", name_of(registry));
            let image = self.company.signed(registry, &format!("team/{name}")).await?;
            self.company.stage.run_pod_with(&name, &image, secrets).await?;
            self.expected.push((name, reason));
        }
        Ok(())
    }

    /// What an operator says that logs as much as it can, after verdicts of all kinds.
    async fn operated(&self) -> Result<Vec<(String, String)>> {
        let stage = &self.company.stage;
        let registries: Vec<&Registry> = self.registries.iter().collect();
        let launch = Launch {
            watched: Some(&stage.namespace),
            account: OPERATOR,
            contents: self.contents.clone(),
            registries: &registries,
            more: &[],
            log: Some("trace"),
        };
        let operator = stage.launch(&launch).await?;
        let are_judged = |seen: &Seen| self.expected.iter().all(|(name, reason)| seen.reason(name) == *reason);
        stage.until("all verdicts", are_judged).await?;
        stage.request(POLICY).await?;
        let said = said(stage, &operator).await?;
        let traced = said.iter().find(|(place, _)| place == "log").is_some_and(|(_, log)| log.contains("TRACE"));
        assert!(traced, "the log is as detailed as it gets");
        Ok(said)
    }

    /// What is said by hand: verified, refused, and with a registries.yaml that is broken off after the password.
    async fn by_hand(&self, file: &str) -> Result<Vec<(String, String)>> {
        let policy = self.company.policy_file()?;
        let cut = self.company.stage.folder.path().join("cut.yaml");
        std::fs::write(&cut, format!("configs:\n  a.test:\n    auth: {{username: joe, password: [\"{CONFIGURED}\"\n"))?;
        let cut = cut.display().to_string();
        let (mut said, mut codes) = (Vec::new(), Vec::new());
        for (file, number) in [(file, 0), (file, 1), (cut.as_str(), 0)] {
            let registry = &self.registries[number];
            let image = format!("{}/team/{}-own-x:1", registry.host(), name_of(registry));
            let args = ["verify", &image, "--policy", &policy, "--registries", file, "-o", "json"];
            let ran = cli::command(args)?.env("RUST_LOG", "trace").output().await?;
            codes.push(ran.status.code());
            let text = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            said.push((format!("verify {image}"), text));
        }
        assert_eq!(codes, [Some(0), Some(3), Some(2)], "{said:#?}");
        let args = ["operator", "--registries", &cut].map(str::to_owned).into();
        let mut ended = OperatorProcess::start(&OperatorOptions { args, ..OperatorOptions::default() })?;
        assert_eq!(ended.wait(Duration::from_secs(20)).await?.code(), Some(2), "{}", ended.log());
        said.push(("operator with a broken file".to_owned(), ended.log()));
        Ok(said)
    }
}

#[tokio::test]
async fn no_password_and_no_token_is_in_anything_that_is_said() -> Result<()> {
    let planted = Planted::plant().await?;
    let stage = &planted.company.stage;
    let file = stage.folder.path().join("registries.yaml");
    let mut said = planted.operated().await?;
    said.extend(planted.by_hand(&file.display().to_string()).await?);
    let secrets = secrets(&planted.registries);
    for (place, text) in &said {
        let found = found(text, &secrets);
        assert!(!text.is_empty() && found.is_empty(), "{place} has {found:?}");
    }

    // The check can fail: all of it is found where it is.
    let kept = stage.kubectl(&["get", "secrets", "-o", "yaml"]).await?;
    let file = std::fs::read_to_string(&file)?;
    for (secret, place) in [
        (ACCOUNT.1, &kept),
        (IDENTITY_TOKEN, &kept),
        (WRONG, &kept),
        (BROKEN, &kept),
        (ACCOUNT.1, &file),
        (CONFIGURED, &file),
    ] {
        assert!(found(place, &secrets).iter().any(|(of, _)| of == secret), "{secret} is found in {place}");
    }
    let logged = planted.registries.iter().flat_map(Registry::access_log).map(|request| request.authorization);
    let logged: Vec<String> = logged.filter(|shown| !shown.is_empty()).collect();
    assert!(logged.iter().any(|shown| shown.starts_with("Bearer ")));
    for shown in &logged {
        assert!(!found(shown, &secrets).is_empty(), "{shown}");
    }
    Ok(())
}

#[test]
fn a_secret_is_found_in_base64_wherever_it_begins() {
    let secret = "S3cret+planted/here=1";
    for before in ["", "a", "ab", "abc", "user:"] {
        for after in ["", "z", "zy", "zyx"] {
            let text = Base64::encode_string(format!("{before}{secret}{after}").as_bytes());
            assert!(forms(secret).iter().any(|form| text.contains(form.as_str())), "{before} {after}");
        }
    }
    assert!(forms(secret).iter().all(|form| form.len() > 16), "{:?}", forms(secret));
}
