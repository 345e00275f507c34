// SPDX-License-Identifier: Apache-2.0
//! kill -9 at many moments.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    time::Duration,
};

use super::*;

const DEATHS: u32 = 120;

/// Writes without end; nothing that a test runs by itself, but in a child that is killed.
#[tokio::test]
#[allow(clippy::print_stdout, reason = "whoever kills it waits for that")]
async fn child_that_writes_without_end() {
    let Ok(path) = std::env::var("SEALWATCH_TEST_CACHE_OF_VICTIM") else { return };
    let cache = EvidenceCache::open(Path::new(&path), LEAST_MAX_BYTES);
    assert!(cache.state().is_open);
    println!("it begins");
    for number in 0_u64.. {
        let size = usize::try_from(number * 7_919 % 60_000).unwrap();
        keep_signature(&cache, number % 40, size);
        keep_list(&cache, number % 20, &vec![7; size]);
        keep_answer(&cache, number % 20, NOW, vec![7; size]);
        cache.flush().await;
    }
}

/// F02.
#[tokio::test]
async fn killed_at_any_moment_every_entry_is_whole_or_absent_and_the_layout_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut entries = 0;
    for death in 0..DEATHS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cache::tests::death::child_that_writes_without_end", "--nocapture"])
            .env("SEALWATCH_TEST_CACHE_OF_VICTIM", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Every third dies while it still puts things in order; the others at moments spread over what it writes.
        if death % 3 > 0 {
            let mut stdout = child.stdout.take().unwrap();
            let (mut heard, mut byte) = (String::new(), [0; 1]);
            while !heard.ends_with("it begins") && stdout.read(&mut byte).unwrap() > 0 {
                heard.push(char::from(byte[0]));
            }
        }
        std::thread::sleep(Duration::from_micros(u64::from(death) * 997 % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        check_layout(&below(&folder, "layout"));
        let Ok(key) = fs::read(below(&folder, "key")) else { continue };
        let seal = seal::Seal::new(&key.try_into().unwrap());
        for kind in ["lists", "answers"] {
            for (path, _) in files_below(&below(&folder, kind)) {
                let name = path.file_name().unwrap().to_str().unwrap();
                assert!(seal.open(name, &fs::read(&path).unwrap()).is_some(), "{}", path.display());
                entries += 1;
            }
        }
    }
    assert!(entries > DEATHS, "it has written something: {entries}");
    let cache = EvidenceCache::open(folder.path(), LEAST_MAX_BYTES);
    cache.flush().await;
    assert!((0..20).any(|number| list(&cache, number).is_some()));
    assert!(files_below(&below(&folder, "tmp")).is_empty());
    assert_eq!(count(&cache, Event::Damaged), 0);
}
