// SPDX-License-Identifier: Apache-2.0
//! How much there is, on disk and on its way there.

use super::*;

/// What a cache has beside its entries: key, mark, empty configuration, and the frame of an index.
const FRAME: u64 = 4096;

fn on_disk(folder: &TempDir) -> u64 {
    files_below(&below(folder, "")).iter().map(|(_, length)| length).sum()
}

#[tokio::test]
async fn whatever_is_kept_the_folder_stays_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let cache = EvidenceCache::open(folder.path(), LEAST_MAX_BYTES);
    let sizes = [0, 1, 4_000, 4_096, 70_000, 200_000, 262_000, 300_000, 2_000_000];
    for number in 0..60 {
        let size = sizes[usize::try_from(number).unwrap() % sizes.len()];
        keep_list(&cache, number, &vec![7; size]);
        keep_answer(&cache, number, NOW, vec![7; size]);
        keep_signature(&cache, number, size);
        cache.flush().await;
        let state = cache.state();
        assert!(state.bytes <= LEAST_MAX_BYTES, "{number}: {}", state.bytes);
        assert!(on_disk(&folder) <= LEAST_MAX_BYTES + FRAME, "{number}: {}", on_disk(&folder));
    }
    assert!(count(&cache, Event::Evicted) > 0 && count(&cache, Event::Dropped) > 0);
    assert_eq!(count(&cache, Event::Failed), 0);
    check_layout(&below(&folder, "layout"));
    // What is there is what is counted, and nothing is lost at a restart.
    let before = cache.state().bytes;
    cache.close().await;
    let cache = EvidenceCache::open(folder.path(), LEAST_MAX_BYTES);
    cache.flush().await;
    assert_eq!(cache.state().bytes, before);
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes_first_in_the_next_process_too() {
    let folder = tempfile::tempdir().unwrap();
    let cache = EvidenceCache::open(folder.path(), LEAST_MAX_BYTES);
    for number in 0..5 {
        keep_list(&cache, number, &vec![7; 200_000]);
    }
    cache.flush().await;
    // The times that a file system gives to new files are coarse; those of uses are not.
    assert!([1, 2, 3, 4, 0].iter().all(|number| list(&cache, *number).is_some()));
    cache.close().await;
    let cache = EvidenceCache::open(folder.path(), LEAST_MAX_BYTES);
    cache.flush().await;
    keep_list(&cache, 5, &vec![7; 200_000]);
    cache.flush().await;
    assert!(list(&cache, 1).is_none(), "it was used before all others");
    assert!([0, 3, 4, 5].iter().all(|number| list(&cache, *number).is_some()));
}

#[tokio::test]
async fn a_smaller_bound_than_before_holds_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    for number in 0..30 {
        keep_signature(&cache, number, 100_000);
    }
    cache.close().await;
    assert!(on_disk(&folder) > 2 * LEAST_MAX_BYTES);
    let cache = EvidenceCache::open(folder.path(), LEAST_MAX_BYTES);
    cache.flush().await;
    assert!(on_disk(&folder) <= LEAST_MAX_BYTES + FRAME);
    check_layout(&below(&folder, "layout"));
}

#[tokio::test]
async fn an_envelope_that_two_signatures_share_stays_until_both_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    let (one, manifest, raw) = signature(1, 10);
    let other_manifest = Bytes::from([&manifest[..], b" "].concat());
    let other = digest(&other_manifest);
    cache.keep_signature(&one, &manifest, &raw);
    cache.keep_signature(&other, &other_manifest, &raw);
    cache.flush().await;
    let envelope = below(&folder, "").join(layout::blob(&raw.envelope.digest));
    for (gone, is_left) in [(&one, true), (&other, false)] {
        cache.send(Job::Remove(Name::Signature(gone.clone())));
        cache.flush().await;
        assert_eq!(envelope.exists(), is_left);
        check_layout(&below(&folder, "layout"));
    }
}

#[tokio::test]
async fn what_waits_for_a_slow_disk_is_bounded_and_nobody_waits_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    cache.flush().await;
    {
        // The thread that writes stops at the account, as it would at a disk.
        let _slow = cache.shared.shelf();
        for number in 0..200 {
            keep_answer(&cache, number, NOW, vec![7; 1024 * 1024]);
        }
        let (jobs, bytes) = *lock(&cache.shared.waiting);
        assert!(jobs < 40 && bytes <= WAITING_BYTES, "{jobs} {bytes}");
        for number in 0..20_000 {
            keep_list(&cache, number, b"");
        }
        assert!(lock(&cache.shared.waiting).0 <= WAITING);
        let dropped = lock(&cache.shared.counts).get(&Event::Dropped).copied();
        assert!(dropped > Some(12_000), "{dropped:?}");
        // What must not be lost still is not.
        cache.send(Job::Remove(Name::List(String::new())));
        for _ in 0..10 {
            *lock(&cache.shared.waiting) = (0, 0);
        }
    }
}
