// SPDX-License-Identifier: Apache-2.0
//! Reading the manifest of a signature or of an image needs memory in proportion to it: at most 16 times its size and a mebibyte.

use std::collections::BTreeMap;

use peak_alloc::PeakAlloc;
use sealwatch_fixtures::worst::{Format, families};
use sealwatch_registry::{Algorithm, Descriptor, Digest, ImageDocument, SignatureManifest};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How much more memory than now there was while `work` ran.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    drop(work());
    ALLOCATOR.peak_usage().saturating_sub(before)
}

fn check_document(bytes: &[u8], name: &str) {
    let peak = peak(|| ImageDocument::parse(bytes, "application/vnd.oci.image.index.v1+json"));
    assert!(peak <= 16 * bytes.len() + MIB, "{name}: {} bytes need {peak}", bytes.len());
}

/// One test, because there is one allocator.
#[test]
fn no_manifest_needs_more_than_sixteen_times_its_size_and_a_mebibyte() {
    let subject = Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        digest: Digest::of_bytes(Algorithm::Sha256, b"image"),
        size: 5,
        artifact_type: None,
        annotations: BTreeMap::new(),
    };
    let manifests: Vec<_> = families().into_iter().filter(|family| family.format == Format::Manifest).collect();
    assert!(!manifests.is_empty());
    for family in manifests {
        for size in [2 * KIB, 60 * KIB, MIB, 4 * MIB - 64 * KIB] {
            let bytes = (family.make)(size);
            let peak = peak(|| SignatureManifest::parse(&bytes, &subject, "application/vnd.cncf.notary.signature"));
            assert!(peak <= 16 * bytes.len() + MIB, "{}: {} bytes need {peak}", family.name, bytes.len());
            check_document(&bytes, family.name);
        }
    }
    for (name, child) in [
        ("empty children", "{}".to_owned()),
        ("children with long members", format!(r#"{{"{}":7,"digest":"{}"}}"#, "m".repeat(30_000), "d".repeat(8_000))),
        ("children with annotations", format!(r#"{{"annotations":{{{}"z":""}}}}"#, r#""a":"b","#.repeat(9_000))),
    ] {
        let many = vec![child.as_str(); (4 * MIB - 100) / (child.len() + 1)].join(",");
        let index = format!(r#"{{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{many}]}}"#);
        check_document(index.as_bytes(), name);
    }
}
