// SPDX-License-Identifier: Apache-2.0

use std::{fs, path::Path};

use bytes::Bytes;
use sealwatch_registry::Algorithm;
use sealwatch_verifier::notation::ARTIFACT_TYPE;
use serde_json::{Value, json};

use super::{layout::LayoutWriter, place::End, *};

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn image() -> Digest {
    DIGEST.parse().unwrap()
}

fn refusal(source: &str, target: &str) -> String {
    Names::parse(source, target).unwrap_err()
}

#[test]
fn both_ends_are_a_repository_or_a_layout() {
    let registry = |text: &str| End::Registry(text.parse().unwrap());
    let names = Names::parse(&format!("a.test/b:1@{DIGEST}"), "oci-layout:/x@y/z").unwrap();
    assert_eq!(
        (names.source, names.target, names.digest),
        (registry("a.test/b"), End::Layout("/x@y/z".into()), image())
    );
    let names = Names::parse(&format!("oci-layout:x@y/z@{DIGEST}"), "a.test:5000/b").unwrap();
    assert_eq!((names.source, names.target), (End::Layout("x@y/z".into()), registry("a.test:5000/b")));
}

#[test]
fn an_end_that_is_none_is_named_with_its_rule() {
    assert!(refusal("a.test/b:1", "a.test/c").contains("needs a digest"));
    assert!(refusal("oci-layout:x", "a.test/c").contains("needs a digest"));
    assert!(refusal("oci-layout:x@sha256:1", "a.test/c").starts_with("SRC \"oci-layout:x@sha256:1\": "));
    let source = format!("a.test/b@{DIGEST}");
    assert!(refusal(&source, "a.test/c:1").contains("repository has a tag or digest"));
    assert!(refusal(&source, "a.test/C").starts_with("DST \"a.test/C\": "));
    assert!(refusal(&source, "oci-layout:").contains("names no folder"));
    assert_eq!(refusal(&source, "a.test/b"), "SRC and DST are the same");
}

fn manifest(change: impl FnOnce(&mut Value)) -> Result<Signature, String> {
    let blob = json!({"mediaType": "application/cose", "digest": DIGEST, "size": 1});
    let mut manifest = json!({"config": blob, "layers": [blob], "subject": blob, "annotations": {"a": "b"}});
    change(&mut manifest);
    let bytes = Bytes::from(manifest.to_string());
    let listed = Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        digest: Digest::of_bytes(Algorithm::Sha256, &bytes),
        size: bytes.len().try_into().unwrap(),
        artifact_type: None,
        annotations: std::collections::BTreeMap::new(),
    };
    Signature::parse(&image(), &listed, bytes)
}

#[test]
fn a_signature_is_listed_as_its_manifest_says_and_bounded() {
    let signature = manifest(|_| {}).unwrap();
    assert_eq!((signature.blobs.len(), signature.descriptor.artifact_type.as_deref()), (2, Some(ARTIFACT_TYPE)));
    assert_eq!(signature.descriptor.annotations["a"], "b");
    let other = json!({"mediaType": "x/y", "digest": DIGEST.replace('a', "b"), "size": 1});
    let error = |change: &dyn Fn(&mut Value)| manifest(change).err().unwrap();
    assert_eq!(error(&|m| m["subject"] = other.clone()), "its manifest has another subject");
    assert_eq!(error(&|m| m["subject"] = Value::Null), "its manifest has no subject");
    assert!(error(&|m| m["layers"] = vec![other.clone(); 16].into()).contains("more than 16 blobs"));
    assert!(error(&|m| m["layers"][0]["digest"] = "../../x".into()).contains("by no digest"));
    assert!(error(&|m| m["config"] = 7.into()).contains("malformed"));
}

fn listed(folder: &Path) -> Vec<String> {
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    let digests =
        index["manifests"].as_array().unwrap().iter().map(|entry| entry["digest"].as_str().unwrap().to_owned());
    digests.collect()
}

#[test]
fn a_new_layout_is_there_whole_or_not_at_all() {
    let around = tempfile::tempdir().unwrap();
    let folder = around.path().join("new");
    let signature = manifest(|_| {}).unwrap();
    let writer = LayoutWriter::open(&folder).unwrap();
    writer.blob(&signature.descriptor.digest, &signature.bytes).unwrap();
    assert!(!folder.exists());
    drop(writer);
    assert_eq!(fs::read_dir(around.path()).unwrap().count(), 0, "what was given up is gone");

    let writer = LayoutWriter::open(&folder).unwrap();
    writer.blob(&signature.descriptor.digest, &signature.bytes).unwrap();
    writer.finish(std::slice::from_ref(&signature.descriptor)).unwrap();
    assert_eq!(listed(&folder), [signature.descriptor.digest.to_string()]);
    assert!(sealwatch_registry::LayoutRegistry::open(&folder).is_ok());
}

#[test]
fn what_a_layout_has_stays_and_nothing_is_listed_twice() {
    let around = tempfile::tempdir().unwrap();
    let folder = around.path().join("layout");
    LayoutWriter::open(&folder).unwrap().finish(&[]).unwrap();
    let index =
        json!({"schemaVersion": 2, "manifests": [{"digest": "sha256:x", "annotations": {"k": "v"}}], "more": 1});
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    let signature = manifest(|_| {}).unwrap();
    for _ in 0..2 {
        let writer = LayoutWriter::open(&folder).unwrap();
        assert!(writer.reader().is_some());
        writer.finish(std::slice::from_ref(&signature.descriptor)).unwrap();
    }
    assert_eq!(listed(&folder), ["sha256:x".to_owned(), signature.descriptor.digest.to_string()]);
    let after: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    assert_eq!((&after["more"], &after["manifests"][0]["annotations"]["k"]), (&json!(1), &json!("v")));
}

#[test]
fn a_folder_that_is_no_layout_is_left_alone() {
    let around = tempfile::tempdir().unwrap();
    fs::write(around.path().join("mine"), "x").unwrap();
    assert!(LayoutWriter::open(around.path()).err().unwrap().contains("is not empty"));
    fs::write(around.path().join("oci-layout"), "{}").unwrap();
    assert!(LayoutWriter::open(around.path()).err().unwrap().contains("imageLayoutVersion"));
}

#[test]
fn a_blob_that_is_not_what_its_name_says_is_written_again() {
    let around = tempfile::tempdir().unwrap();
    let folder = around.path().join("layout");
    LayoutWriter::open(&folder).unwrap().finish(&[]).unwrap();
    let writer = LayoutWriter::open(&folder).unwrap();
    let digest = Digest::of_bytes(Algorithm::Sha256, b"content");
    assert!(!writer.has(&digest));
    writer.blob(&digest, b"damaged").unwrap();
    assert!(!writer.has(&digest));
    writer.blob(&digest, b"content").unwrap();
    assert!(writer.has(&digest));
}

#[test]
fn the_answer_says_what_happened() {
    let answer = |states: &[State], dry_run| {
        let signatures = states.iter().map(|state| Copied { digest: DIGEST.to_owned(), state: *state }).collect();
        let (source, target) = (format!("a.test/b@{DIGEST}"), "m.test/b".to_owned());
        Answer { source, target, digest: DIGEST.to_owned(), dry_run, signatures }.draw()
    };
    let image = format!("a.test/b@{DIGEST}");
    assert_eq!(answer(&[], false), format!("{image} has no signature\n"));
    assert_eq!(answer(&[State::Copied], false), format!("Copied 1 signature of {image} to m.test/b\n"));
    let mixed = answer(&[State::Copied, State::Copied, State::Present], false);
    assert_eq!(mixed, format!("Copied 2 signatures of {image} to m.test/b, which has 1 already\n"));
    assert_eq!(answer(&[State::Present; 2], true), format!("m.test/b has the 2 signatures of {image} already\n"));
    assert_eq!(answer(&[State::WouldBeCopied], true), format!("Would copy 1 signature of {image} to m.test/b\n"));
}

#[test]
fn only_the_command_line_is_built_with_what_writes_to_registries() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut writers = Vec::new();
    for entry in fs::read_dir(crates).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        if manifest.lines().any(|line| line.starts_with("sealwatch-registry") && line.contains("\"push\"")) {
            writers.push(folder.file_name().unwrap().to_owned());
        }
    }
    assert_eq!(writers, ["cli"]);
}
