// SPDX-License-Identifier: Apache-2.0
//! The folder under everything that can happen to it.

mod bounds;
mod damage;
mod death;
mod refusal;

use std::{fs, path::PathBuf};

use sealwatch_registry::{Algorithm, Credentials, LayoutRegistry, Registry as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// Room for whatever a test keeps.
const ROOM: u64 = 64 * 1024 * 1024;
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn open(folder: &TempDir) -> EvidenceCache {
    EvidenceCache::open(folder.path(), ROOM)
}

fn below(folder: &TempDir, path: &str) -> PathBuf {
    folder.path().join(files::VERSION).join(path)
}

/// A list or answer is about these.
fn about(number: u64) -> [Vec<u8>; 2] {
    [b"registry.test".to_vec(), number.to_string().into_bytes()]
}

fn keep_list(cache: &EvidenceCache, number: u64, content: &[u8]) {
    let about = about(number);
    cache.keep_list(&about.each_ref().map(Vec::as_slice), content.to_vec());
}

fn list_at(cache: &EvidenceCache, number: u64, at: Timestamp) -> Option<Vec<u8>> {
    let about = about(number);
    cache.list(&about.each_ref().map(Vec::as_slice), NOW, |bytes| Some((bytes.to_vec(), at)))
}

fn list(cache: &EvidenceCache, number: u64) -> Option<Vec<u8>> {
    list_at(cache, number, NOW)
}

fn keep_answer(cache: &EvidenceCache, number: u64, fetched: Timestamp, body: Vec<u8>) {
    let about = about(number);
    cache.keep_answer(&about.each_ref().map(Vec::as_slice), fetched, body.into());
}

fn answer(cache: &EvidenceCache, number: u64) -> Option<(Bytes, Timestamp)> {
    let about = about(number);
    cache.answer(&about.each_ref().map(Vec::as_slice), NOW)
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::of_bytes(Algorithm::Sha256, bytes)
}

/// A signature manifest and its envelope, of about this size.
fn signature(number: u64, size: usize) -> (Digest, Bytes, Raw) {
    let envelope = format!("{number}{}", "e".repeat(size));
    let described =
        |bytes: &[u8]| json!({"mediaType": "application/cose", "digest": digest(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": sealwatch_notation::ARTIFACT_TYPE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2},
        "layers": [described(envelope.as_bytes())],
        "subject": {"mediaType": MANIFEST, "digest": digest(b"image"), "size": 5},
    });
    let manifest = Bytes::from(manifest.to_string());
    let descriptor = sealwatch_registry::Descriptor {
        media_type: "application/cose".to_owned(),
        digest: digest(envelope.as_bytes()),
        size: u64::try_from(envelope.len()).unwrap(),
        artifact_type: None,
        annotations: BTreeMap::new(),
    };
    let raw = Raw { manifest_type: MANIFEST.to_owned(), envelope: descriptor, bytes: envelope.into() };
    (digest(&manifest), manifest, raw)
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn keep_signature(cache: &EvidenceCache, number: u64, size: usize) -> (Digest, Digest) {
    let (digest, manifest, raw) = signature(number, size);
    cache.keep_signature(&digest, &manifest, &raw);
    (digest, raw.envelope.digest)
}

fn count(cache: &EvidenceCache, event: Event) -> u64 {
    cache.state().events.get(&event).copied().unwrap_or_default()
}

/// Every file below a folder, with its length.
fn files_below(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push((entry.path(), metadata.len()));
        }
    }
    files
}

/// Checks a layout by the letter of image-layout.md, and that what its index lists is all there.
fn check_layout(layout: &Path) {
    if !layout.join("oci-layout").exists() {
        // It is not called a layout before it is one.
        return;
    }
    let read = |path: &str| -> Value { serde_json::from_slice(&fs::read(layout.join(path)).unwrap()).unwrap() };
    assert_eq!(read("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}));
    let index = read("index.json");
    assert_eq!(
        (&index["schemaVersion"], &index["mediaType"]),
        (&json!(2), &json!("application/vnd.oci.image.index.v1+json"))
    );
    let check = |descriptor: &Value| -> Vec<u8> {
        let digest: Digest = descriptor["digest"].as_str().unwrap().parse().unwrap();
        let bytes = fs::read(layout.join("blobs").join(digest.algorithm().name()).join(digest.hex())).unwrap();
        assert!(digest.matches(&bytes), "{digest}");
        assert_eq!(descriptor["size"], json!(bytes.len()));
        assert!(descriptor["mediaType"].is_string());
        bytes
    };
    for descriptor in index["manifests"].as_array().unwrap() {
        let manifest: Value = serde_json::from_slice(&check(descriptor)).unwrap();
        check(&manifest["config"]);
        manifest["layers"].as_array().unwrap().iter().for_each(|layer| drop(check(layer)));
    }
    for (path, _) in files_below(&layout.join("blobs")) {
        let names: Vec<_> = path.iter().rev().take(2).map(|name| name.to_str().unwrap()).collect();
        let digest: Digest = format!("{}:{}", names[1], names[0]).parse().unwrap();
        assert!(digest.matches(&fs::read(&path).unwrap()), "{}", path.display());
    }
}

#[tokio::test]
async fn what_was_kept_is_found_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder);
    keep_list(&first, 1, b"a list");
    keep_list(&first, 1, b"a newer list");
    keep_answer(&first, 1, NOW, b"an answer".to_vec());
    let (manifest, envelope) = keep_signature(&first, 1, 100);
    first.flush().await;
    assert_eq!(list(&first, 1).unwrap(), b"a newer list");
    let bytes = first.state().bytes;
    first.close().await;
    assert_eq!(list(&first, 1), None, "whoever let go of it does not use it");
    let second = open(&folder);
    assert_eq!(list(&second, 1).unwrap(), b"a newer list");
    assert_eq!(answer(&second, 1).unwrap(), (Bytes::from_static(b"an answer"), NOW));
    assert!(manifest.matches(&second.blob(&manifest, &manifest).unwrap()));
    assert!(envelope.matches(&second.blob(&manifest, &envelope).unwrap()));
    assert_eq!((list(&second, 2), answer(&second, 2)), (None, None));
    second.flush().await;
    assert_eq!(second.state().bytes, bytes, "it is counted anew as it was before");
    assert_eq!((count(&second, Event::Hit), count(&second, Event::Miss)), (2, 2));
    check_layout(&below(&folder, "layout"));
}

#[tokio::test]
async fn the_signatures_are_a_layout_that_the_layout_adapter_reads() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    let kept: Vec<_> = (0..5).map(|number| keep_signature(&cache, number, 100)).collect();
    cache.flush().await;
    let layout = LayoutRegistry::open(&below(&folder, "layout")).unwrap();
    let (repository, nobody) = ("registry.test/app".parse().unwrap(), Credentials::default());
    let artifact_type = sealwatch_notation::ARTIFACT_TYPE;
    let found = layout.referrers(&repository, &digest(b"image"), artifact_type, &nobody).await.unwrap();
    let mut digests: Vec<_> = found.iter().map(|descriptor| &descriptor.digest).collect();
    let mut expected: Vec<_> = kept.iter().map(|(manifest, _)| manifest).collect();
    digests.sort();
    expected.sort();
    assert_eq!(digests, expected);
    for descriptor in &found {
        let manifest = layout.manifest(&repository, descriptor, &nobody).await.unwrap();
        let parsed: Value = serde_json::from_slice(&manifest).unwrap();
        let (_, envelope) = kept.iter().find(|(manifest, _)| *manifest == descriptor.digest).unwrap();
        assert_eq!(parsed["layers"][0]["digest"], json!(envelope));
    }
    assert!(layout.referrers(&repository, &digest(b"other"), artifact_type, &nobody).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_of_a_time_to_come_is_not_believed_and_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder);
    let later = "1970-01-01T00:00:01Z".parse().unwrap();
    keep_list(&cache, 1, b"a list");
    keep_answer(&cache, 1, later, b"an answer".to_vec());
    cache.flush().await;
    assert_eq!((list_at(&cache, 1, later), answer(&cache, 1)), (None, None));
    assert_eq!((count(&cache, Event::Future), count(&cache, Event::Damaged)), (2, 0));
    cache.flush().await;
    assert!(list(&cache, 1).is_some(), "the clock may have been what was wrong");
}

#[tokio::test]
async fn only_the_owner_gets_at_it_and_the_key_is_random() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // As a volume that Kubernetes mounts, and as an earlier process with a generous umask left it.
    fs::set_permissions(one.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::create_dir_all(below(&one, "lists")).unwrap();
    fs::set_permissions(below(&one, "lists"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(below(&one, "key"), [7; 32]).unwrap();
    for folder in [&one, &other] {
        let cache = open(folder);
        keep_list(&cache, 1, b"a list");
        keep_signature(&cache, 1, 10);
        cache.flush().await;
        let root = below(folder, "");
        for path in ["", "lists", "answers", "tmp", "layout", "layout/blobs", "layout/blobs/sha256"] {
            assert_eq!(mode(&root.join(path)), 0o700, "{path}");
        }
        let files = files_below(&root);
        assert!(files.len() >= 7, "{files:?}");
        for (path, _) in &files {
            assert_eq!(mode(path), 0o600, "{}", path.display());
        }
        cache.close().await;
    }
    let key = |folder| fs::read(below(folder, "key")).unwrap();
    assert_eq!(key(&one), [7; 32]);
    assert_ne!(key(&one), key(&other));
    assert_eq!(key(&other).len(), 32);
}
