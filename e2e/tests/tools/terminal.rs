// SPDX-License-Identifier: Apache-2.0

//! How the commands behave at a terminal: what they draw there, and what Ctrl-C does.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use sealwatch_e2e::cli::Desk;
use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::pki::{KeyKind, Root};
use sealwatch_e2e::testenv::{self, OperatorProcess, Registry, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The longest that a command may take.
const PATIENCE: Duration = Duration::from_secs(30);
const ESCAPE: char = '\u{1b}';

/// A command that was started at a terminal of its own.
struct AtTerminal {
    child: tokio::process::Child,
    pty: pty_process::Pty,
}

impl AtTerminal {
    /// Starts `sealwatch` with these variables. If `piped`, the terminal has standard error only, as in `sealwatch … | less`.
    fn start(args: &[&str], variables: &[(&str, &str)], piped: bool) -> Result<Self> {
        let (pty, pts) = pty_process::open()?;
        let variables = variables.iter().copied();
        let command = pty_process::Command::new(OperatorProcess::binary()?).args(args).env_clear().envs(variables);
        let command = command.kill_on_drop(true);
        let command = if piped { command.stdout(Stdio::piped()) } else { command };
        Ok(Self { child: command.spawn(pts)?, pty })
    }

    /// What the terminal shows until nobody writes to it any more, the exit code, and what went down the pipe.
    async fn end(self) -> Result<(String, Option<i32>, String)> {
        let Self { child, mut pty } = self;
        let shown = async {
            let (mut shown, mut part) = (Vec::new(), [0; 4096]);
            // A terminal that nobody holds any more is an error to read, not an end.
            while let Ok(count @ 1..) = pty.read(&mut part).await {
                shown.extend_from_slice(part.get(..count).unwrap_or_default());
            }
            shown
        };
        let both = async { tokio::join!(shown, child.wait_with_output()) };
        let (shown, output) = tokio::time::timeout(PATIENCE, both).await?;
        let output = output?;
        Ok((String::from_utf8(shown)?, output.status.code(), String::from_utf8(output.stdout)?))
    }
}

async fn shown(args: &[&str], variables: &[(&str, &str)]) -> Result<String> {
    Ok(AtTerminal::start(args, variables, false)?.end().await?.0)
}

const COLOURFUL: (&str, &str) = ("TERM", "xterm-256color");

#[tokio::test]
async fn help_and_errors_are_coloured_at_a_terminal_and_not_where_no_color_is_set() -> Result<()> {
    for args in [&["inspect", "--help"][..], &["inspect"], &["crl", "fetch", "--help"], &["nonsense"]] {
        let coloured = shown(args, &[COLOURFUL]).await?;
        assert!(coloured.contains(ESCAPE), "{args:?}: {coloured}");
        for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let text = shown(args, &[COLOURFUL, plain]).await?;
            assert!(!text.is_empty() && !text.contains(ESCAPE), "{args:?} {plain:?}: {text}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn progress_is_drawn_at_a_terminal_and_the_answer_goes_where_it_was_sent() -> Result<()> {
    let (from, to) = (Registry::olareg().await?, Registry::distribution().await?);
    let desk = Desk::set(&from, true, &[Signed::Cose, Signed::Jws]).await?;
    let image = desk.images.of(Signed::Cose)?;
    for (number, piped) in [false, true].into_iter().enumerate() {
        let target = format!("{}/copy/{number}", to.host());
        let args = ["mirror", "--insecure-registry", &image.by_digest(), &target];
        let (shown, code, answer) = AtTerminal::start(&args, &[COLOURFUL], piped)?.end().await?;
        assert_eq!(code, Some(0), "{shown}");
        let drawn = "\r\u{1b}[Kcopying signature 1 of 1";
        let said = format!("Copied 1 signature of {} to {target}", image.by_digest());
        assert!(shown.contains(drawn), "{shown:?}");
        if piped {
            assert_eq!(answer, format!("{said}\n"), "nothing but the answer");
            assert!(!shown.contains("Copied"), "{shown:?}");
        } else {
            // The line goes before the answer comes.
            assert!(shown.contains(&format!("\r\u{1b}[K{said}\r\n")), "{shown:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_scan_shows_how_far_it_is_and_then_only_the_answer() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "terminal").await?;
    stage.play("microsoft", &registry, true, &[Signed::Cose, Signed::Jws]).await?;
    let registries = scene::registries(&[&registry]);
    let registries = scene::write_registries(stage.folder.path(), &registries, &[&registry])?.display().to_string();
    let kubeconfig = stage.cluster.kubeconfig().display().to_string();
    let args = ["scan", "--kubeconfig", &kubeconfig, "-n", &stage.namespace, "--registries", &registries];
    let (shown, code, answer) = AtTerminal::start(&args, &[COLOURFUL], true)?.end().await?;
    assert_eq!(code, Some(0), "{shown}");
    for step in ["\r\u{1b}[Kverified image 1 of 2", "\r\u{1b}[Kverified image 2 of 2"] {
        assert!(shown.contains(step), "{shown:?}");
    }
    assert!(shown.ends_with("\r\u{1b}[K"), "the line goes: {shown:?}");
    assert!(answer.starts_with("VERDICT") && !answer.contains(ESCAPE), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn ctrl_c_ends_a_command_at_once_and_takes_away_what_it_was_writing() -> Result<()> {
    // A port that takes connections and never answers.
    let silence = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let folder = tempfile::tempdir()?;
    let policy = folder.path().join("policy.json");
    fs::write(&policy, scene::seed_document().to_string())?;
    let store = folder.path().join("x509/ca/supplychain");
    fs::create_dir_all(&store)?;
    let root = Root::new(&scene::name("Root"), KeyKind::EcP256)?;
    fs::write(store.join("root.crt"), root.certificate_pem())?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let image = format!("{}/azureiotoperations/a@sha256:{}", silence.local_addr()?, "a".repeat(64));
    let layout = format!("oci-layout:{}", path("new"));
    let (policy, stores, to) = (path("policy.json"), path("x509"), path("new"));
    let mirror = vec!["mirror", "--insecure-registry", &image, &layout];
    let mut fetch = vec!["crl", "fetch", "--insecure-registry", "--policy", &policy, "--trust-store", &stores];
    fetch.extend(["--image", &image, "-o", "files", "--to", &to]);
    for args in [mirror, fetch] {
        let before = fs::read_dir(folder.path())?.count();
        let mut running = AtTerminal::start(&args, &[COLOURFUL], false)?;
        let _connection = tokio::time::timeout(PATIENCE, silence.accept()).await??;
        assert_eq!(fs::read_dir(folder.path())?.count(), before + 1, "{args:?} has begun");
        running.pty.write_all(b"\x03").await?;
        let (shown, code, _) = running.end().await?;
        assert_eq!((code, shown.trim_end_matches(['\r', '\n'])), (Some(130), "^C"), "{args:?}");
        assert_eq!(fs::read_dir(folder.path())?.count(), before, "{args:?}");
    }
    Ok(())
}
