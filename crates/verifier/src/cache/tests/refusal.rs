// SPDX-License-Identifier: Apache-2.0
//! Folders that cannot be used, disks that are full, and folders that go away.

use std::process::{Command, Output};

use super::*;

/// Uses a cache, and says what came of it; nothing that a test runs by itself, but in a child that
/// [`in_a_world_of_its_own`] starts.
#[tokio::test]
async fn child_that_uses_a_cache() {
    let Ok(path) = std::env::var("SEALWATCH_TEST_CACHE_OF_CHILD") else { return };
    let cache = EvidenceCache::open(Path::new(&path), ROOM);
    for number in 0..20 {
        keep_list(&cache, number, &vec![7; 10_000]);
        keep_answer(&cache, number, NOW, vec![7; 10_000]);
        keep_signature(&cache, number, 10_000);
    }
    cache.flush().await;
    let found = (0..20).filter(|number| list(&cache, *number).is_some()).count();
    let (state, failed) = (cache.state(), count(&cache, Event::Failed));
    check_layout(&Path::new(&path).join(files::VERSION).join("layout"));
    let left = files_below(&Path::new(&path).join(files::VERSION).join("tmp")).len();
    let report = format!("open={} found={found} failed={} left={left}", state.is_open, failed > 0);
    fs::write(std::env::var("SEALWATCH_TEST_REPORT_OF_CHILD").unwrap(), report).unwrap();
}

/// Runs the child where only it sees what `prepare` (of sh) mounts on `$DIR`. None where the system does not let us.
fn in_a_world_of_its_own(prepare: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let (mount, report) = (folder.path().join("mount"), folder.path().join("report"));
    fs::create_dir(&mount).unwrap();
    let script = format!("{prepare} && exec \"$0\" --exact cache::tests::refusal::child_that_uses_a_cache");
    let run = |script: &str| -> Output {
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-ec", script])
            .arg(std::env::current_exe().unwrap());
        command.env("DIR", &mount).env("SEALWATCH_TEST_CACHE_OF_CHILD", mount.join("cache"));
        command.env("SEALWATCH_TEST_REPORT_OF_CHILD", &report).output().unwrap()
    };
    let possible = run("mount -t tmpfs tmpfs \"$DIR\"");
    if !possible.status.success() {
        use std::io::Write as _;
        let why = String::from_utf8_lossy(&possible.stderr).into_owned();
        // Not captured, and on a line of its own.
        let _ = writeln!(io::stderr(), "\nSKIPPED: {prepare}: no mounts without rights: {}", why.trim());
        return None;
    }
    let output = run(&script);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Some(fs::read_to_string(report).unwrap())
}

#[test]
fn a_full_disk_is_no_error_and_leaves_a_valid_layout_and_no_halves() {
    let Some(report) = in_a_world_of_its_own("mount -t tmpfs -o size=200k tmpfs \"$DIR\"") else { return };
    assert!(report.starts_with("open=true ") && report.ends_with(" failed=true left=0"), "{report}");
    assert!(!report.contains("found=20") && !report.contains("found=0 "), "some have found room: {report}");
}

#[test]
fn a_disk_without_room_for_anything_is_no_error() {
    let full = "mount -t tmpfs -o size=4k tmpfs \"$DIR\" && dd if=/dev/zero of=\"$DIR/x\" bs=4k count=1 2>/dev/null";
    let Some(report) = in_a_world_of_its_own(full) else { return };
    assert_eq!(report, "open=false found=0 failed=true left=0");
}

#[test]
fn a_folder_that_may_only_be_read_is_no_error() {
    let prepare = "mount -t tmpfs tmpfs \"$DIR\" && mount -o remount,ro \"$DIR\"";
    let Some(report) = in_a_world_of_its_own(prepare) else { return };
    assert_eq!(report, "open=false found=0 failed=true left=0");
}

#[test]
fn with_room_the_same_child_keeps_everything() {
    let Some(report) = in_a_world_of_its_own("mount -t tmpfs -o size=20m tmpfs \"$DIR\"") else { return };
    assert_eq!(report, "open=true found=20 failed=false left=0");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_no_error_and_said_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), b"").unwrap();
    let cache = EvidenceCache::open(&folder.path().join("file/cache"), ROOM);
    keep_list(&cache, 1, b"a list");
    keep_signature(&cache, 1, 10);
    cache.flush().await;
    assert_eq!(list(&cache, 1), None);
    assert_eq!((cache.state().is_open, count(&cache, Event::Failed)), (false, 1));
    cache.shared.open();
    assert_eq!((lock(&cache.shared.warned).len(), count(&cache, Event::Failed)), (1, 2));
}

#[tokio::test]
async fn what_should_be_a_folder_and_is_a_link_is_not_used() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join(files::VERSION)).unwrap();
    let cache = open(&folder);
    keep_list(&cache, 1, b"a list");
    cache.flush().await;
    assert!(!cache.state().is_open);
    assert!(files_below(elsewhere.path()).is_empty());
}

#[tokio::test]
async fn of_two_processes_the_second_goes_without_until_the_first_ends() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder);
    keep_list(&first, 1, b"a list");
    first.flush().await;
    let second = open(&folder);
    assert!(!second.state().is_open);
    let warned = lock(&second.shared.warned).clone();
    assert!(warned.iter().any(|what| what.contains("another process uses it")), "{warned:?}");
    keep_list(&second, 1, b"of the second");
    second.flush().await;
    assert_eq!((list(&first, 1).unwrap(), list(&second, 1)), (b"a list".to_vec(), None));
    first.close().await;
    second.shared.open();
    assert_eq!(list(&second, 1).unwrap(), b"a list");
}

#[tokio::test]
async fn a_folder_that_is_deleted_meanwhile_is_made_again_and_found_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    keep_list(&cache, 1, b"a list");
    cache.flush().await;
    for gone in ["", "lists", "tmp", "layout", "layout/blobs", "layout/blobs/sha256", "lock"] {
        let path = below(&folder, gone);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(list(&cache, 1).is_none(), ["", "lists"].contains(&gone), "{gone}");
        let (manifest, envelope) = keep_signature(&cache, 1, 10);
        keep_list(&cache, 1, b"a list");
        cache.flush().await;
        assert_eq!(list(&cache, 1).as_deref(), Some(b"a list".as_slice()), "{gone} {:?}", lock(&cache.shared.warned));
        assert!(cache.blob(&manifest, &manifest).is_some() && cache.blob(&manifest, &envelope).is_some(), "{gone}");
        check_layout(&below(&folder, "layout"));
    }
    cache.close().await;
    let next = open(&folder);
    assert_eq!(list(&next, 1).unwrap(), b"a list");
}
