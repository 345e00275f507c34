// SPDX-License-Identifier: Apache-2.0

//! What a test sees of the operator's process, shown on programs whose behaviour is known.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sealwatch_e2e::testenv::{OperatorOptions, OperatorProcess, Result};

const SOON: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Result<OperatorProcess> {
    OperatorProcess::start(&OperatorOptions {
        binary: Some(PathBuf::from("/bin/sh")),
        args: vec!["-c".into(), script.into()],
        ..OperatorOptions::default()
    })
}

#[test]
fn a_program_that_does_not_exist_is_an_error_that_names_it() {
    let options = OperatorOptions { binary: Some("/nonexistent/sealwatch".into()), ..OperatorOptions::default() };
    let error = OperatorProcess::start(&options).expect_err("nothing to start").to_string();
    assert!(error.contains("/nonexistent/sealwatch"), "{error}");
}

#[tokio::test]
async fn the_log_holds_both_outputs_and_can_be_waited_for() -> Result<()> {
    let mut process = shell("echo ready; echo failing >&2; sleep 600; true")?;
    process.wait_for_log("failing", SOON).await?;
    assert!(process.log().contains("ready"));
    let never = process.wait_for_log("never said", Duration::from_millis(100)).await;
    assert!(never.is_err_and(|error| error.to_string().contains("ready")), "the error shows the log");
    Ok(())
}

#[tokio::test]
async fn waiting_for_the_log_of_a_program_that_has_ended_fails_at_once() -> Result<()> {
    let mut process = shell("echo giving up; exit 3")?;
    let waited = process.wait_for_log("ready", Duration::from_mins(10)).await;
    let error = waited.expect_err("it never says so").to_string();
    assert!(error.contains("exit status: 3") && error.contains("giving up"), "{error}");
    Ok(())
}

#[tokio::test]
async fn sigterm_reaches_the_program_and_its_exit_code_comes_back() -> Result<()> {
    let mut process = shell("trap 'exit 7' TERM; echo ready; while true; do sleep 0.05; done")?;
    process.wait_for_log("ready", SOON).await?;
    assert_eq!(process.terminate(SOON).await?.code(), Some(7));
    Ok(())
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_reported_and_can_be_killed() -> Result<()> {
    let mut process = shell("trap '' TERM; echo ready; while true; do sleep 0.05; done")?;
    process.wait_for_log("ready", SOON).await?;
    assert!(process.terminate(Duration::from_millis(300)).await.is_err());
    process.kill();
    assert_eq!(process.status()?.and_then(|status| status.code()), Some(128 + 9));
    Ok(())
}

#[test]
fn a_dropped_process_is_gone() -> Result<()> {
    let process = shell("sleep 600; true")?;
    let folder = format!("/proc/{}", process.pid());
    assert!(Path::new(&folder).exists());
    drop(process);
    assert!(!Path::new(&folder).exists());
    Ok(())
}

#[tokio::test]
async fn a_program_listens_where_the_kernel_says_and_has_a_size() -> Result<()> {
    let idle = shell("sleep 600; true")?;
    assert_eq!(idle.listening_on()?, [], "it has no sockets");
    assert!(idle.consumption()?.resident > 0);

    let script = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); \
                  print('port', s.getsockname()[1], flush=True); time.sleep(600)";
    let mut server = OperatorProcess::start(&OperatorOptions {
        binary: Some(PathBuf::from("/usr/bin/env")),
        args: vec!["python3".into(), "-c".into(), script.into()],
        ..OperatorOptions::default()
    })?;
    server.wait_for_log("port", SOON).await?;
    let port: u16 = server.log().trim().trim_start_matches("port ").parse()?;
    assert_eq!(server.listening_on()?, [([127, 0, 0, 1], port).into()]);
    assert!(server.consumption()?.resident > idle.consumption()?.resident, "an interpreter is larger than a shell");
    Ok(())
}
