// SPDX-License-Identifier: Apache-2.0

//! The page of `-o html`, as a browser shows it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{env, fs};

use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{self, Registry, Result};
use tokio::process::Command;

use crate::desk::{policy_file, registries, scan};

const TEST: &str = "a_browser_shows_the_page_light_and_dark_and_prints_it_and_runs_nothing_in_it";
/// What a pod's author may write into it.
const HOSTILE: &str = "evil.test/\"><img/src=x/onerror=document.title='owned'><script>document.title='owned'</script>";

/// Chromium, if the machine has it.
fn chromium() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|program| program.is_file())
}

/// Runs the browser on a page, and gives what it prints.
async fn browse(program: &Path, page: &Path, dark: bool, more: &[String]) -> Result<String> {
    let profile = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)))
        .args(more)
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await?;
    if !output.status.success() {
        return Err(format!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Where what the browser made stays, to be looked at.
fn folder() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/scan-report");
    fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}

#[tokio::test]
async fn a_browser_shows_the_page_light_and_dark_and_prints_it_and_runs_nothing_in_it() -> Result<()> {
    let Some(browser) = chromium() else {
        testenv::skipped(TEST, "there is no chromium in PATH");
        return Ok(());
    };
    let stage = Stage::set(testenv::cluster().await?, "azure-iot-operations").await?;
    let registry = Registry::olareg().await?;
    let (pki, images) = stage.play("microsoft", &registry, true, &Signed::ALL).await?;
    stage.run_pod("aio-operator-1", images.of(Signed::Cose)?).await?;
    let id = format!("evil.test/a@sha256:{}", "e".repeat(64));
    pods::run(&stage.client(), &stage.namespace, "hostile", &[ContainerSpec::new("main", HOSTILE, id)]).await?;
    let policy = policy_file(&stage, "microsoft", &scene::seed_document(), &pki)?;
    let registries = registries(&stage, &[&registry])?;
    let flags = ["-n", &stage.namespace, "--policy", &policy, "--registries", &registries, "-o", "html"];
    let ran = scan(stage.cluster.kubeconfig(), &flags).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
    let folder = folder()?;
    let page = folder.join("report.html");
    fs::write(&page, &ran.stdout)?;

    let shown = browse(&browser, &page, false, &["--dump-dom".to_owned()]).await?;
    let title = format!("<title>Sealwatch scan: Namespace {}, ", stage.namespace);
    assert!(shown.contains(&title), "{shown}");
    for element in ["<script", "<img", "<link", "<iframe", " onerror"] {
        assert!(!shown.contains(element), "{element} in {shown}");
    }
    assert_eq!(shown.matches("<article class=\"card failed\">").count(), 5, "{shown}");
    assert_eq!(shown.matches("<article class=\"card unknown\">").count(), 1, "{shown}");
    assert!(shown.contains("&lt;script&gt;document.title='owned'&lt;/script&gt;"), "{shown}");

    let mut pictures = Vec::new();
    for (name, dark, size) in
        [("light", false, "1280,3600"), ("dark", true, "1280,3600"), ("narrow", false, "500,5600")]
    {
        let file = folder.join(format!("{name}.png"));
        let arguments = [format!("--screenshot={}", file.display()), format!("--window-size={size}")];
        browse(&browser, &page, dark, &arguments).await?;
        let picture = fs::read(&file)?;
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 50_000, "{name}: {} bytes", picture.len());
        pictures.push(picture);
    }
    assert_ne!(pictures[0], pictures[1], "dark is another picture");
    let print = folder.join("print.pdf");
    browse(&browser, &page, false, &[format!("--print-to-pdf={}", print.display()), "--no-pdf-header-footer".into()])
        .await?;
    assert!(fs::read(&print)?.starts_with(b"%PDF-"));
    Ok(())
}
