// SPDX-License-Identifier: Apache-2.0
//! Docker's credential helpers: `docker-credential-NAME get` is told a registry on standard input and answers in JSON.

use std::{process::Stdio, time::Duration};

use sealwatch_registry::Credentials;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use super::names;

/// How long a helper may take: it may have to ask a cloud.
const TIME: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const ANSWER_MOST: u64 = 64 * 1024;
/// The user name by which a helper says that the secret is an identity token.
const TOKEN: &str = "<token>";
/// What a helper says of a registry that it does not know.
const UNKNOWN: &str = "credentials not found";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    secret: String,
}

/// The credential that a helper keeps for a registry; none if it knows of none. No message quotes what it answered.
pub(super) async fn ask(name: &str, host: &str) -> Result<Option<Credentials>, String> {
    ask_within(name, host, TIME).await
}

async fn ask_within(name: &str, host: &str, time: Duration) -> Result<Option<Credentials>, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.chars().all(is_name) || name.starts_with('.') {
        return Err("the name of a credential helper is none: letters, digits, '-', '_' and '.' are allowed".to_owned());
    }
    let program = format!("docker-credential-{name}");
    let server = names(host).first().copied().unwrap_or(host).to_owned();
    match tokio::time::timeout(time, exchange(&program, &server)).await {
        Ok(answer) => read(&program, host, answer.map_err(|why| format!("{program}: {why}"))?),
        Err(_) => Err(format!("{program} did not answer within {} s", time.as_secs())),
    }
}

/// What the helper printed, and whether it ended well. It is ended when nobody waits for it any more.
async fn exchange(program: &str, server: &str) -> Result<(Vec<u8>, bool), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut command = Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(text)?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read what it is asked may still answer.
        let _ = input.write_all(format!("{server}\n").as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(ANSWER_MOST.saturating_add(1)).read_to_end(&mut answer).await.map_err(text)?;
    }
    if u64::try_from(answer.len()).unwrap_or(u64::MAX) > ANSWER_MOST {
        return Err(format!("the answer is larger than {ANSWER_MOST} bytes"));
    }
    let status = child.wait().await.map_err(text)?;
    Ok((answer, status.success()))
}

fn read(program: &str, host: &str, (answer, is_good): (Vec<u8>, bool)) -> Result<Option<Credentials>, String> {
    if !is_good {
        let is_unknown = String::from_utf8_lossy(&answer).contains(UNKNOWN);
        return if is_unknown { Ok(None) } else { Err(format!("{program} failed for {host}")) };
    }
    let answer: Answer =
        serde_json::from_slice(&answer).map_err(|_| format!("{program} did not answer with a credential in JSON"))?;
    let entry = if answer.username == TOKEN {
        json!({ "identitytoken": answer.secret })
    } else {
        json!({ "username": answer.username, "password": answer.secret })
    };
    // Docker Hub is found under its own location.
    let location = names(host).first().copied().unwrap_or(host).to_owned();
    let config = json!({ "auths": { location: entry } }).to_string();
    Credentials::from_docker_config_json(config.as_bytes())
        .map(Some)
        .map_err(|_| format!("{program} did not answer with a usable credential"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;

    /// A helper that runs this script; its path stands for its name.
    fn helper(folder: &Path, script: &str) -> String {
        let path = folder.join("helper");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path.display().to_string()
    }

    async fn asked(script: &str, host: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let program = helper(folder.path(), script);
        let answer = tokio::time::timeout(Duration::from_secs(20), exchange(&program, host)).await.unwrap();
        read("helper", host, answer?).map(|found| format!("{found:?}"))
    }

    #[tokio::test]
    async fn a_password_and_a_token_are_told_apart_and_neither_is_shown() {
        let basic =
            asked(r#"read s; echo "{\"ServerURL\":\"$s\",\"Username\":\"joe\",\"Secret\":\"hunter2\"}""#, "r.test");
        assert_eq!(basic.await.unwrap(), r#"Some([("r.test", Basic(…))])"#);
        let token = asked(r#"echo '{"Username":"<token>","Secret":"hunter2"}'"#, "r.test:5000").await.unwrap();
        assert_eq!(token, r#"Some([("r.test:5000", IdentityToken(…))])"#);
    }

    #[tokio::test]
    async fn a_helper_that_knows_nothing_is_no_error_and_one_that_fails_is_one() {
        let unknown = asked("echo credentials not found in native keychain; exit 1", "r.test").await;
        assert_eq!(unknown.unwrap(), "None");
        assert_eq!(asked("echo hunter2; exit 1", "r.test").await.unwrap_err(), "helper failed for r.test");
        let error = asked("echo hunter2", "r.test").await.unwrap_err();
        assert_eq!(error, "helper did not answer with a credential in JSON");
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        assert!(asked("exec yes", "r.test").await.unwrap_err().contains("larger than"));
    }

    #[tokio::test]
    async fn a_helper_is_a_name_and_no_path() {
        for name in ["../evil", "a/b", "a b", ".hidden", "a;b"] {
            assert!(ask(name, "r.test").await.unwrap_err().contains("name of a credential helper"), "{name}");
        }
        let error = ask("sealwatch-absent", "r.test").await.unwrap_err();
        assert!(error.starts_with("docker-credential-sealwatch-absent: "), "{error}");
    }
}
