// SPDX-License-Identifier: Apache-2.0

//! A mirror that keeps everything under another path, as K3s' `rewrite` says, before the registry itself.

use sealwatch_e2e::cli::{self, Ran};
use sealwatch_e2e::scene;
use sealwatch_e2e::stage::{ACCOUNT as OPERATOR, Launch, Seen};
use sealwatch_e2e::testenv::{ACCOUNT, Door, OperatorProcess, PushedImage, Registry, Request, Result, Software};
use serde_json::{Value, json};

use crate::{Company, WRONG, authority, entry, message, ours};

/// What stands before the path of every repository at the mirror.
const PREFIX: &str = "aio-mirror/1.4.112";

/// A registry in whose place a mirror is asked first. Both have the same image, and so the same digest.
struct Mirrored {
    company: Company,
    origin: Registry,
    mirror: Registry,
}

impl Mirrored {
    async fn set(name: &str, software: Software, door: Door) -> Result<Self> {
        let company = Company::found(name).await?;
        let authority = authority("Private CA of the origin")?;
        let origin = Registry::behind(software, Door::Tls, &authority).await?;
        let mirror = Registry::behind(software, door, &authority).await?;
        Ok(Self { company, origin, mirror })
    }

    /// Pushes an image to both, signs it where it is said to be signed, and runs it under the registry's name.
    async fn image(&self, name: &str, [at_origin, at_mirror]: [bool; 2]) -> Result<PushedImage> {
        let path = format!("azureiotoperations/{name}");
        let image = self.origin.push_image(&path, "1", name).await?;
        let copy = self.mirror.push_image(&format!("{PREFIX}/{path}"), "1", name).await?;
        assert_eq!(image.digest, copy.digest);
        if at_origin {
            self.company.sign(&self.origin, &image).await?;
        }
        if at_mirror {
            self.company.sign(&self.mirror, &copy).await?;
        }
        self.company.stage.run_pod(name, &image).await?;
        self.origin.clear_access_log();
        self.mirror.clear_access_log();
        Ok(image)
    }

    /// A registries.yaml as K3s has it; the mirror's password, if it asks for one, is the operator's.
    fn contents(&self) -> Value {
        let mut contents = scene::registries(&[&self.origin]);
        if self.mirror.door() != Door::Plain {
            contents = scene::registries(&[&self.origin, &self.mirror]);
        }
        if self.mirror.door().is_locked() {
            let auth = json!({"username": ACCOUNT.0, "password": ACCOUNT.1});
            contents["configs"][self.mirror.host()]["auth"] = auth;
        }
        contents["mirrors"][self.origin.host()] = json!({
            "endpoint": [self.mirror.url()],
            "rewrite": {"^(.*)$": format!("{PREFIX}/${{1}}")},
        });
        contents
    }

    /// Starts an operator, with K3s' `--disable-default-registry-endpoint` if `is_origin_disabled`.
    async fn operator(&self, contents: Value, is_origin_disabled: bool) -> Result<OperatorProcess> {
        let (stage, registries) = (&self.company.stage, [&self.origin, &self.mirror]);
        let flags: &[&str] = if is_origin_disabled { &["--disable-default-registry-endpoint"] } else { &[] };
        let watched = Some(stage.namespace.as_str());
        let launch = Launch { watched, account: OPERATOR, contents, registries: &registries, more: flags, log: None };
        stage.launch(&launch).await
    }

    /// `sealwatch verify` under the same policy and with that flag.
    async fn by_hand(&self, contents: &Value, image: &PushedImage) -> Result<Ran> {
        let file = scene::write_registries(self.company.stage.folder.path(), contents, &[&self.origin, &self.mirror])?;
        let (policy, file, image) = (self.company.policy_file()?, file.display().to_string(), image.by_digest());
        let flag = "--disable-default-registry-endpoint";
        cli::run(["verify", &image, "--policy", &policy, "--registries", &file, flag]).await
    }

    fn asked_at_origin(&self) -> Vec<Request> {
        ours(&self.origin.access_log(), "")
    }
}

/// The mirror has everything, behind a door; the registry is there and is not asked.
async fn a_mirror_is_enough(software: Software, door: Door) -> Result<()> {
    let mirrored = Mirrored::set("mirror", software, door).await?;
    let image = mirrored.image("complete", [false, true]).await?;
    // A password for the registry is not for its mirror.
    let stage = &mirrored.company.stage;
    stage.pull_secret("registrys", &json!({mirrored.origin.host(): entry(WRONG)})).await?;
    stage.run_pod_with("with-secret", &image, &["registrys"]).await?;
    let _operator = mirrored.operator(mirrored.contents(), false).await?;
    let seen = stage.until("the verdict", |seen| seen.reason("complete") == "SignatureValid").await?;
    assert_eq!(mirrored.asked_at_origin(), []);
    let asked = ours(&mirrored.mirror.access_log(), "");
    let tokens = |request: &&Request| request.path.starts_with("/token");
    let (tokens, asked): (Vec<_>, Vec<_>) = asked.iter().partition(tokens);
    assert_eq!(tokens.is_empty(), door != Door::Bearer);
    assert!(!asked.is_empty() && asked.iter().all(|request| request.path.contains(PREFIX)), "{asked:#?}");
    let of_nobody = entry(WRONG)["auth"].as_str().unwrap_or_default().to_owned();
    assert!(!tokens.iter().chain(&asked).any(|request| request.authorization.contains(&of_nobody)));
    // K3s tells a mirror which registry it stands for.
    let namespace = format!("ns={}", mirrored.origin.host().replace(':', "%3A"));
    assert!(asked.iter().all(|request| request.path.contains(&namespace)), "{namespace}: {asked:#?}");
    // The name is that in the pod: policies are about it, and nobody is told of the mirror.
    let image = seen.image("complete").ok_or("an image verification")?;
    assert!(image.spec.image.starts_with(&mirrored.origin.host()), "{}", image.spec.image);
    Ok(())
}

#[tokio::test]
async fn an_image_is_verified_at_its_mirror_alone_with_the_referrers_api() -> Result<()> {
    a_mirror_is_enough(Software::Olareg, Door::Bearer).await
}

#[tokio::test]
async fn an_image_is_verified_at_its_mirror_alone_with_the_tag_schema() -> Result<()> {
    a_mirror_is_enough(Software::Distribution, Door::Basic).await
}

/// The mirror has the image alone, as after `az acr import`.
async fn signatures_left_behind(software: Software) -> Result<()> {
    let mut mirrored = Mirrored::set("left-behind", software, Door::Plain).await?;
    let image = mirrored.image("imported", [true, false]).await?;
    let stage = &mirrored.company.stage;
    let remedy = "copy the signatures to the mirror (sealwatch mirror, oras cp -r), let the origin be asked, or name the \
                  place under signatures in the file given by --registries";
    let (origin, mirror) = (mirrored.origin.host(), mirrored.mirror.host());
    let blames = |text: &str| {
        let begin = format!("{origin}: could not list referrers: {mirror} has no signatures of the image, and ");
        text.starts_with(&begin) && text.ends_with(remedy)
    };

    // The registry may not be asked.
    let operator = mirrored.operator(mirrored.contents(), true).await?;
    let seen = stage.until("the reason", |seen| seen.reason("imported") == "SignaturesNotMirrored").await?;
    let status = seen.status("imported");
    assert_eq!(status.verdict.map(|verdict| verdict.to_string()).as_deref(), Some("Unknown"));
    assert_eq!(seen.image_condition("imported", "Ready"), "False/SignaturesNotMirrored");
    let text = message(&seen, "imported");
    assert!(blames(&text) && text.contains("--disable-default-registry-endpoint"), "{text}");
    let ran = mirrored.by_hand(&mirrored.contents(), &image).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{ran:?}");
    assert_eq!(ran.stdout, format!("Unknown: {}: SignaturesNotMirrored: {text}\n", image.by_digest()));
    assert_eq!(mirrored.asked_at_origin(), []);
    drop(operator);

    // It may be asked for signatures.
    stage.kubectl(&["delete", "iv", "--all"]).await?;
    let mut contents = mirrored.contents();
    contents["signatures"] = json!({mirrored.origin.host(): ["origin"]});
    let ran = mirrored.by_hand(&contents, &image).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    mirrored.origin.clear_access_log();
    let operator = mirrored.operator(contents, true).await?;
    stage.until("the signature at the origin", |seen| seen.reason("imported") == "SignatureValid").await?;
    let asked = mirrored.asked_at_origin();
    assert!(asked.iter().all(|request| !request.path.contains(PREFIX)), "{asked:#?}");
    assert!(!asked.iter().any(|request| request.method == "HEAD"), "the image itself is the mirror's: {asked:#?}");
    drop(operator);

    // Nowhere else is there any: then it is unsigned.
    stage.kubectl(&["delete", "iv", "--all"]).await?;
    let mut contents = mirrored.contents();
    contents["signatures"] = json!({mirrored.origin.host(): []});
    let operator = mirrored.operator(contents, true).await?;
    stage.until("the last word", |seen| seen.reason("imported") == "NoSignature").await?;
    drop(operator);

    // It may be asked, and is out of reach.
    stage.kubectl(&["delete", "iv", "--all"]).await?;
    mirrored.origin.stop();
    let _operator = mirrored.operator(mirrored.contents(), false).await?;
    let stage = &mirrored.company.stage;
    let seen = stage.until("the reason", |seen| seen.reason("imported") == "SignaturesNotMirrored").await?;
    let text = message(&seen, "imported");
    assert!(blames(&text) && text.contains("connection failed"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_mirror_without_signatures_is_unknown_until_the_place_is_named_with_the_referrers_api() -> Result<()> {
    signatures_left_behind(Software::Olareg).await
}

#[tokio::test]
async fn a_mirror_without_signatures_is_unknown_until_the_place_is_named_with_the_tag_schema() -> Result<()> {
    signatures_left_behind(Software::Distribution).await
}

#[tokio::test]
async fn a_mirror_that_is_down_or_lacks_the_image_leaves_it_to_the_registry() -> Result<()> {
    let mut mirrored = Mirrored::set("mirror-down", Software::Olareg, Door::Tls).await?;
    mirrored.image("copied", [true, true]).await?;
    // This one was never copied.
    let newer = mirrored.company.signed(&mirrored.origin, "azureiotoperations/newer").await?;
    let stage = &mirrored.company.stage;
    stage.run_pod("newer", &newer).await?;
    mirrored.origin.clear_access_log();
    let operator = mirrored.operator(mirrored.contents(), false).await?;
    let both = |seen: &Seen| ["copied", "newer"].iter().all(|name| seen.reason(name) == "SignatureValid");
    stage.until("both verdicts", both).await?;
    assert!(mirrored.asked_at_origin().iter().all(|request| request.path.contains("newer")), "one is at the mirror");
    drop(operator);

    stage.kubectl(&["delete", "iv", "--all"]).await?;
    mirrored.mirror.stop();
    let _operator = mirrored.operator(mirrored.contents(), false).await?;
    let stage = &mirrored.company.stage;
    stage.until("both verdicts from the origin", both).await?;
    assert!(mirrored.asked_at_origin().iter().any(|request| request.path.contains("copied")));
    Ok(())
}

#[tokio::test]
async fn signatures_are_found_in_a_repository_of_their_own() -> Result<()> {
    let mirrored = Mirrored::set("elsewhere", Software::Distribution, Door::Plain).await?;
    let image = mirrored.image("apart", [false, false]).await?;
    // At the mirror, but not where the mirror is asked for the image.
    let copy = mirrored.mirror.push_image("signatures/azureiotoperations/apart", "1", "apart").await?;
    assert_eq!(copy.digest, image.digest);
    mirrored.company.sign(&mirrored.mirror, &copy).await?;
    let mut contents = mirrored.contents();
    let plain = scene::registries(&[&mirrored.mirror]);
    contents["mirrors"][mirrored.mirror.host()] = plain["mirrors"][mirrored.mirror.host()].clone();
    contents["signatures"] = json!({mirrored.origin.host(): [format!("{}/signatures/*", mirrored.mirror.host())]});
    let _operator = mirrored.operator(contents, true).await?;
    mirrored.company.stage.until("the verdict", |seen| seen.reason("apart") == "SignatureValid").await?;
    assert_eq!(mirrored.asked_at_origin(), []);
    Ok(())
}
