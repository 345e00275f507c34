// SPDX-License-Identifier: Apache-2.0

use std::fs;
use std::path::{Path, PathBuf};

use sealwatch_registry::limits::MAX_MANIFEST_BYTES;
use sealwatch_registry::{Descriptor, Error, LayoutRegistry, Registry, Repository, SignatureManifest, Target};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{ENVELOPE, MANIFEST, NOTATION, Signed, anonymous, descriptor, digest};

fn repository() -> Repository {
    "local.test/app".parse().unwrap()
}

fn blob_path(root: &Path, bytes: &[u8]) -> PathBuf {
    root.join("blobs/sha256").join(digest(bytes).hex())
}

/// A layout of the signed image, whose `index.json` lists these entries.
fn layout(entries: &[Value]) -> (TempDir, Signed) {
    let (folder, signed) = (TempDir::new().unwrap(), Signed::new());
    fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
    fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    write_index(folder.path(), entries);
    for bytes in [signed.image.as_slice(), signed.signature.as_slice(), ENVELOPE] {
        fs::write(blob_path(folder.path(), bytes), bytes).unwrap();
    }
    (folder, signed)
}

fn write_index(root: &Path, entries: &[Value]) {
    fs::write(root.join("index.json"), json!({"schemaVersion": 2, "manifests": entries}).to_string()).unwrap();
}

fn entry(bytes: &[u8], tag: &str) -> Value {
    json!({"mediaType": MANIFEST, "digest": digest(bytes), "size": bytes.len(),
           "annotations": {"org.opencontainers.image.ref.name": tag}})
}

async fn referrers(root: &Path, subject: &[u8]) -> Result<Vec<Descriptor>, Error> {
    let layout = LayoutRegistry::open(root).unwrap();
    layout.referrers(&repository(), &digest(subject), NOTATION, &anonymous()).await
}

#[tokio::test]
async fn a_folder_that_is_no_layout_is_unusable() {
    let folder = TempDir::new().unwrap();
    let open = || LayoutRegistry::open(folder.path());
    assert!(matches!(open(), Err(Error::Unusable { .. })));
    for content in ["", "[]", "{}", r#"{"imageLayoutVersion":"2.0.0"}"#, &" ".repeat(5_000)] {
        fs::write(folder.path().join("oci-layout"), content).unwrap();
        assert!(matches!(open(), Err(Error::Unusable { .. })), "{content:.20}");
    }
    assert!(matches!(LayoutRegistry::open(&folder.path().join("none")), Err(Error::Unusable { .. })));
}

#[tokio::test]
async fn what_is_missing_is_not_found_and_what_is_broken_is_malformed() {
    let (folder, signed) = layout(&[]);
    let layout = LayoutRegistry::open(folder.path()).unwrap();
    let resolve = async |target: Target| layout.resolve(&repository(), &target, &anonymous()).await;
    for target in [Target::Tag("v1".to_owned()), Target::Digest(digest(b"none"))] {
        let error = resolve(target).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    let image = Target::Digest(signed.subject());
    assert_eq!(resolve(image).await.unwrap(), descriptor(MANIFEST, &signed.image));
    fs::write(folder.path().join("index.json"), "{").unwrap();
    let error = resolve(Target::Tag("v1".to_owned())).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    fs::remove_file(folder.path().join("index.json")).unwrap();
    assert!(referrers(folder.path(), &signed.image).await.is_err(), "no list is not an empty list");
}

#[tokio::test]
async fn content_that_was_changed_or_grew_is_refused() {
    let (folder, signed) = layout(&[]);
    let layout = LayoutRegistry::open(folder.path()).unwrap();
    let path = blob_path(folder.path(), ENVELOPE);
    let wanted = descriptor("application/jose+json", ENVELOPE);
    fs::write(&path, ENVELOPE.to_ascii_uppercase()).unwrap();
    let error = layout.blob(&repository(), &wanted, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    fs::write(&path, [ENVELOPE, b" "].concat()).unwrap();
    let error = layout.blob(&repository(), &wanted, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let large = Descriptor { size: MAX_MANIFEST_BYTES + 1, ..descriptor(MANIFEST, &signed.image) };
    let error = layout.manifest(&repository(), &large, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn symbolic_links_below_the_folder_are_refused() {
    use std::os::unix::fs::symlink;
    let (folder, signed) = layout(&[]);
    let outside = TempDir::new().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, ENVELOPE).unwrap();
    let path = blob_path(folder.path(), ENVELOPE);
    fs::remove_file(&path).unwrap();
    symlink(&secret, &path).unwrap();
    let layout = LayoutRegistry::open(folder.path()).unwrap();
    let wanted = descriptor("application/jose+json", ENVELOPE);
    let error = layout.blob(&repository(), &wanted, &anonymous()).await.unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    // Likewise a folder on the way.
    fs::rename(folder.path().join("blobs"), outside.path().join("blobs")).unwrap();
    symlink(outside.path().join("blobs"), folder.path().join("blobs")).unwrap();
    let target = Target::Digest(signed.subject());
    let error = layout.resolve(&repository(), &target, &anonymous()).await.unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    // The folder itself may be a link: it is what the user named.
    let link = outside.path().join("layout");
    symlink(folder.path(), &link).unwrap();
    assert!(LayoutRegistry::open(&link).is_ok());
}

#[tokio::test]
async fn one_tag_for_two_digests_is_a_contradiction() {
    let signed = Signed::new();
    let (folder, _) = layout(&[entry(&signed.image, "v1"), entry(&signed.signature, "v1")]);
    let layout = LayoutRegistry::open(folder.path()).unwrap();
    let error = layout.resolve(&repository(), &Target::Tag("v1".to_owned()), &anonymous()).await.unwrap_err();
    assert!(error.to_string().contains("one tag for two digests"), "{error}");
}

#[tokio::test]
async fn referrers_come_from_subjects_and_from_the_tag_schema_and_none_twice() {
    let signed = Signed::new();
    let (folder, _) = layout(&[entry(&signed.image, "v1"), entry(&signed.signature, "s")]);
    assert_eq!(referrers(folder.path(), &signed.image).await.unwrap().len(), 1);
    let index = json!({"schemaVersion": 2, "manifests": [signed.referrer()]}).to_string();
    fs::write(blob_path(folder.path(), index.as_bytes()), &index).unwrap();
    let mut tagged = entry(index.as_bytes(), &signed.subject().referrers_tag());
    tagged["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
    write_index(folder.path(), &[tagged.clone()]);
    assert_eq!(referrers(folder.path(), &signed.image).await.unwrap().len(), 1);
    write_index(folder.path(), &[tagged, entry(&signed.signature, "s")]);
    assert_eq!(referrers(folder.path(), &signed.image).await.unwrap().len(), 1);
    assert_eq!(referrers(folder.path(), &signed.signature).await.unwrap(), []);
}

#[tokio::test]
async fn an_unreadable_manifest_hides_no_signature_and_alone_is_an_error() {
    let signed = Signed::new();
    let (folder, _) = layout(&[entry(b"missing", "x"), entry(&signed.signature, "s")]);
    assert_eq!(referrers(folder.path(), &signed.image).await.unwrap().len(), 1);
    write_index(folder.path(), &[entry(b"missing", "x")]);
    let error = referrers(folder.path(), &signed.image).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

/// Where Notation's own layouts are, or a loud line.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn vectors() -> Option<PathBuf> {
    let root = std::env::var_os("SEALWATCH_VECTORS").map(PathBuf::from);
    let layouts = root.map(|root| root.join("notation/test/e2e/testdata/registry/oci_layout"));
    let found = layouts.filter(|layouts| layouts.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED: Notation's OCI layouts: SEALWATCH_VECTORS does not name a folder that has them");
    }
    found
}

#[tokio::test]
async fn notations_own_layouts_list_and_fetch() {
    let Some(layouts) = vectors() else { return };
    for (name, signatures) in [
        ("e2e", 0),
        ("e2e-valid-signature", 1),
        ("e2e-valid-multiple-signatures", 2),
        ("e2e-expired-signature", 1),
        ("e2e-with-expired-cert", 1),
        ("e2e-with-timestamped-signature", 1),
        ("e2e-with-invalid-timestamped-signature", 1),
    ] {
        let layout = LayoutRegistry::open(&layouts.join(name)).unwrap();
        let tag = Target::Tag("v1".to_owned());
        let subject = layout.resolve(&repository(), &tag, &anonymous()).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        let found = layout.referrers(&repository(), &subject.digest, NOTATION, &anonymous()).await.unwrap();
        assert_eq!(found.len(), signatures, "{name}");
        for referrer in found {
            let manifest = layout.manifest(&repository(), &referrer, &anonymous()).await.unwrap();
            let signature = SignatureManifest::parse(&manifest, &subject, NOTATION).unwrap();
            let envelope = layout.blob(&repository(), &signature.envelope, &anonymous()).await.unwrap();
            assert_eq!(envelope.len() as u64, signature.envelope.size, "{name}");
        }
    }
}
