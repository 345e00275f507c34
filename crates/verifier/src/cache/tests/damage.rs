// SPDX-License-Identifier: Apache-2.0
//! What others, or a bad disk, put there.

use std::os::unix::fs::symlink;

use super::*;

/// Every cut, and every byte with each of its bits turned over in turn.
fn variants(bytes: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let cut = (0..bytes.len()).map(|length| (format!("cut to {length}"), bytes[..length].to_vec()));
    let flipped = (0..bytes.len()).map(|place| {
        let mut flipped = bytes.to_vec();
        flipped[place] ^= 1 << (place % 8);
        (format!("byte {place} flipped"), flipped)
    });
    let longer = [("longer".to_owned(), [bytes, b"x"].concat()), ("double".to_owned(), [bytes, bytes].concat())];
    cut.chain(flipped).chain(longer)
}

fn only_file(folder: &Path) -> PathBuf {
    let files = files_below(folder);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].0.clone()
}

#[tokio::test]
async fn an_entry_that_is_cut_anywhere_or_changed_anywhere_is_none_and_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    keep_list(&cache, 1, b"a list of signatures");
    keep_answer(&cache, 1, NOW, b"an answer".to_vec());
    cache.flush().await;
    let paths = ["lists", "answers"].map(|kind| only_file(&below(&folder, kind)));
    let mut damaged = 0;
    for path in &paths {
        let whole = fs::read(path).unwrap();
        for (what, bytes) in variants(&whole) {
            fs::write(path, &bytes).unwrap();
            let is_list = path.to_str().unwrap().contains("lists");
            let found = if is_list { list(&cache, 1) } else { answer(&cache, 1).map(|(body, _)| body.to_vec()) };
            assert_eq!(found, None, "{what}");
            cache.flush().await;
            assert!(!path.exists(), "{what}");
            damaged += 1;
        }
        fs::write(path, &whole).unwrap();
    }
    assert_eq!(count(&cache, Event::Damaged), damaged);
    assert!(list(&cache, 1).is_some() && answer(&cache, 1).is_some());
}

#[tokio::test]
async fn a_blob_that_is_cut_anywhere_or_changed_anywhere_is_none_and_goes_with_its_signature() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    let (manifest, envelope) = keep_signature(&cache, 1, 100);
    cache.flush().await;
    let blob = |digest: &Digest| below(&folder, "").join(layout::blob(digest));
    for digest in [&manifest, &envelope] {
        let whole = fs::read(blob(digest)).unwrap();
        for (number, (what, bytes)) in variants(&whole).enumerate() {
            fs::write(blob(digest), &bytes).unwrap();
            assert_eq!(cache.blob(&manifest, digest), None, "{what}");
            if number == 0 {
                cache.flush().await;
                assert!(!blob(&manifest).exists() && !blob(&envelope).exists());
            }
        }
        fs::remove_file(blob(digest)).unwrap();
        check_layout(&below(&folder, "layout"));
        // What the registry says again takes its place.
        keep_signature(&cache, 1, 100);
        cache.flush().await;
        assert!(cache.blob(&manifest, digest).is_some());
    }
}

#[tokio::test]
async fn an_entry_of_another_name_or_another_key_is_none() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = open(&folder);
    keep_list(&cache, 1, b"of the first");
    cache.flush().await;
    let first = only_file(&below(&folder, "lists"));
    keep_list(&cache, 2, b"of the second");
    cache.flush().await;
    let second = files_below(&below(&folder, "lists")).into_iter().map(|(path, _)| path).find(|path| *path != first);
    fs::copy(&first, second.unwrap()).unwrap();
    assert_eq!(list(&cache, 2), None, "what is true of one is not true of another");
    let theirs = open(&other);
    keep_list(&theirs, 1, b"of the first");
    theirs.flush().await;
    fs::copy(only_file(&below(&other, "lists")), &first).unwrap();
    assert_eq!(list(&cache, 1), None);
    // An answer is no list.
    keep_answer(&cache, 3, NOW, b"an answer".to_vec());
    cache.flush().await;
    assert_eq!(list(&cache, 3), None);
}

#[tokio::test]
async fn a_key_that_is_lost_or_damaged_is_made_anew_and_what_it_opened_is_removed() {
    for damage in [None, Some(vec![]), Some(vec![7; 31]), Some(vec![7; 33])] {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(&folder);
        keep_list(&cache, 1, b"a list");
        let (manifest, _) = keep_signature(&cache, 1, 10);
        cache.close().await;
        match &damage {
            None => fs::remove_file(below(&folder, "key")).unwrap(),
            Some(bytes) => fs::write(below(&folder, "key"), bytes).unwrap(),
        }
        let cache = open(&folder);
        cache.flush().await;
        assert_eq!(list(&cache, 1), None);
        assert!(files_below(&below(&folder, "lists")).is_empty());
        assert!(cache.blob(&manifest, &manifest).is_some(), "a digest needs no key");
    }
}

#[tokio::test]
async fn pipes_links_and_folders_in_place_of_entries_are_not_followed_and_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    keep_list(&cache, 1, b"a list");
    cache.flush().await;
    let path = only_file(&below(&folder, "lists"));
    let elsewhere = folder.path().join("elsewhere");
    fs::copy(&path, &elsewhere).unwrap();
    let make: [&dyn Fn(); 3] = [
        &|| {
            let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
            assert!(made.success());
        },
        &|| symlink(&elsewhere, &path).unwrap(),
        &|| fs::create_dir(&path).unwrap(),
    ];
    for make in make {
        fs::remove_file(&path).unwrap();
        make();
        assert_eq!(list(&cache, 1), None);
        cache.flush().await;
        let _ = fs::remove_dir(&path);
        fs::write(&path, b"").unwrap();
    }
    assert!(elsewhere.exists());
}

#[tokio::test]
async fn files_that_are_larger_than_any_entry_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    keep_list(&cache, 1, b"a list");
    let (manifest, _) = keep_signature(&cache, 1, 10);
    cache.flush().await;
    for path in [only_file(&below(&folder, "lists")), below(&folder, "").join(layout::blob(&manifest))] {
        // Sparse: nobody has so much, and nobody needs it.
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    }
    assert_eq!((list(&cache, 1), cache.blob(&manifest, &manifest)), (None, None));
    assert_eq!(count(&cache, Event::Damaged), 2);
    // And in the next process.
    cache.close().await;
    let cache = open(&folder);
    cache.flush().await;
    check_layout(&below(&folder, "layout"));
}

#[tokio::test]
async fn leftovers_strays_and_a_damaged_index_are_put_right_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    let (whole, _) = keep_signature(&cache, 1, 10);
    let (headless, _) = keep_signature(&cache, 2, 10);
    let (_, envelope) = keep_signature(&cache, 3, 10);
    cache.close().await;
    let root = below(&folder, "");
    fs::write(root.join("tmp/17"), b"half of it").unwrap();
    fs::write(root.join("lists/README"), b"").unwrap();
    fs::write(root.join("layout/blobs/sha256/stray"), b"").unwrap();
    fs::write(root.join(layout::blob(&digest(b"unreferenced"))), b"unreferenced").unwrap();
    fs::write(root.join("layout/index.json"), b"{\"manifests\":").unwrap();
    fs::write(root.join("layout/oci-layout"), b"").unwrap();
    fs::remove_file(root.join(layout::blob(&envelope))).unwrap();
    fs::write(root.join(layout::blob(&headless)), b"{}").unwrap();
    let cache = open(&folder);
    cache.flush().await;
    check_layout(&root.join("layout"));
    let index: Value = serde_json::from_slice(&fs::read(root.join("layout/index.json")).unwrap()).unwrap();
    let listed: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|one| one["digest"].clone()).collect();
    assert_eq!(listed, [json!(whole)]);
    let blobs = files_below(&root.join("layout/blobs"));
    assert_eq!(blobs.len(), 3, "manifest, envelope, empty configuration: {blobs:?}");
    assert!(files_below(&root.join("tmp")).is_empty() && files_below(&root.join("lists")).is_empty());
}
