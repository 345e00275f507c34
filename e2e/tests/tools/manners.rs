// SPDX-License-Identifier: Apache-2.0

//! How the commands behave towards whoever types them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Stdio;
use std::time::Duration;

use sealwatch_e2e::cli::{self, Desk, run};
use sealwatch_e2e::scene::Signed;
use sealwatch_e2e::testenv::{OperatorProcess, Registry, Result};

#[tokio::test]
async fn started_by_kubectl_it_calls_itself_kubectl_sealwatch() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let plugin = folder.path().join("kubectl-sealwatch");
    symlink(OperatorProcess::binary()?, &plugin)?;
    let output = tokio::process::Command::new(&plugin).args(["inspect", "--help"]).output().await?;
    let help = String::from_utf8(output.stdout)?;
    assert!(help.contains("Usage: kubectl sealwatch inspect ["), "{help}");
    assert!(help.contains("\n  kubectl sealwatch inspect "), "{help}");
    let script = tokio::process::Command::new(&plugin).args(["completions", "bash"]).output().await?;
    assert!(String::from_utf8(script.stdout)?.contains("kubectl-sealwatch"));
    Ok(())
}

#[tokio::test]
async fn completions_are_scripts_that_the_shell_can_read() -> Result<()> {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let ran = run(["completions", shell]).await?;
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(ran.stdout.contains("inspect") && ran.stdout.contains("sealwatch"), "{shell}");
        if shell == "bash" {
            let folder = tempfile::tempdir()?;
            let script = folder.path().join("script");
            fs::write(&script, &ran.stdout)?;
            assert!(std::process::Command::new("bash").arg("-n").arg(&script).status()?.success());
        }
    }
    assert_eq!(run(["completions", "csh"]).await?.code, Some(2));
    Ok(())
}

#[tokio::test]
async fn colour_is_for_terminals_only() -> Result<()> {
    for args in [vec!["--help"], vec!["inspect", "--help"], vec!["inspect"], vec!["inspect", "r.test/A"]] {
        let ran = run(&args).await?;
        assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{args:?}: {ran:?}");
    }
    Ok(())
}

/// A port that takes connections and never answers.
async fn silence() -> Result<(tokio::net::TcpListener, String)> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let host = listener.local_addr()?.to_string();
    Ok((listener, host))
}

#[tokio::test]
async fn an_interrupted_command_ends_at_once_with_its_number() -> Result<()> {
    let (listener, host) = silence().await?;
    for (signal, code) in [(rustix::process::Signal::INT, 130), (rustix::process::Signal::TERM, 143)] {
        let image = format!("{host}/a@sha256:{}", "a".repeat(64));
        let mut command = cli::command(["inspect", "--insecure-registry", &image])?;
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let pid =
            child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.try_into().ok()?)).ok_or("no process")?;
        // It waits for an answer that never comes.
        let _connection = listener.accept().await?;
        rustix::process::kill_process(pid, signal)?;
        let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await??;
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_an_interrupted_command_was_writing_is_taken_away() -> Result<()> {
    let (listener, host) = silence().await?;
    let folder = tempfile::tempdir()?;
    let image = format!("{host}/a@sha256:{}", "a".repeat(64));
    let layout = format!("oci-layout:{}", folder.path().join("new").display());
    let mut command = cli::command(["mirror", "--insecure-registry", &image, &layout])?;
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.try_into().ok()?)).ok_or("no process")?;
    let _connection = listener.accept().await?;
    assert_eq!(fs::read_dir(folder.path())?.count(), 1, "it has begun");
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await??;
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(130), &b""[..]), "{output:?}");
    assert_eq!(fs::read_dir(folder.path())?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn a_credential_helper_runs_only_where_it_is_allowed() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose]).await?;
    let image = desk.images.of(Signed::Cose)?.by_digest();
    let mark = desk.folder().join("helper-ran");
    let helper = desk.write(
        "bin/docker-credential-test",
        &format!(
            "#!/bin/sh\nread -r server\necho \"$server\" > {}\necho '{{\"Username\":\"u\",\"Secret\":\"p\"}}'\n",
            mark.display()
        ),
    )?;
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o700))?;
    let config = serde_json::json!({"credHelpers": {registry.host(): "test"}}).to_string();
    desk.write("docker/config.json", &config)?;
    let inspect = async |more: &[&str]| {
        let mut command = cli::command(["inspect", "--insecure-registry", &image].iter().chain(more))?;
        let path = format!("{}:/usr/bin:/bin", desk.folder().join("bin").display());
        Ok::<_, sealwatch_e2e::testenv::Error>(
            command.env("PATH", path).env("DOCKER_CONFIG", desk.folder().join("docker")).output().await?,
        )
    };
    assert!(inspect(&[]).await?.status.success());
    assert!(!mark.exists(), "nobody allowed it");
    assert!(inspect(&["--allow-credential-helpers"]).await?.status.success());
    assert_eq!(fs::read_to_string(&mark)?.trim(), registry.host());
    Ok(())
}

#[tokio::test]
async fn what_is_odd_in_a_file_is_said_once() -> Result<()> {
    let (from, to) = (Registry::olareg().await?, Registry::distribution().await?);
    let desk = Desk::set(&from, true, &[Signed::Cose]).await?;
    let image = desk.images.of(Signed::Cose)?.by_digest();
    let registries = desk.write("registries.yaml", "mirorrs: {}\n")?;
    desk.write("docker/config.json", "{\"auths\": [")?;
    let (target, policy) =
        (format!("{}/copy/app", to.host()), desk.notation_policy(&sealwatch_e2e::scene::seed_document())?);
    let mut verify: Vec<&str> = policy.iter().map(String::as_str).collect();
    verify.extend(["verify", &image]);
    verify.rotate_right(2);
    for args in [vec!["mirror", &image, &target], vec!["inspect", &image], verify] {
        let mut command = cli::command(args.iter().chain(&["--insecure-registry", "--registries", &registries]))?;
        let output = command.env("DOCKER_CONFIG", desk.folder().join("docker")).output().await?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        for odd in ["mirorrs is not known", "config.json: "] {
            assert_eq!(said.matches(odd).count(), 1, "{args:?}: {odd}: {said}");
        }
    }
    Ok(())
}
