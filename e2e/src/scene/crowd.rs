// SPDX-License-Identifier: Apache-2.0

//! More images than `notation` could sign in a test's time.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::pki::Signer;
use serde_json::json;

use super::remote::{MANIFEST_TYPE, Remote};
use super::tamper::attach;
use crate::testenv::{PushedImage, Registry, Result, digest_of};

/// How many images a repository has.
const IN_A_REPOSITORY: usize = 100;
/// How many images are pushed at once.
const AT_ONCE: usize = 8;
const JWS_TYPE: &str = "application/jose+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";

/// Pushes so many distinct images, which differ in an annotation alone, to a registry with the Referrers API, each with
/// a signature of this signer.
///
/// # Errors
/// The registry refuses something.
pub async fn crowd(registry: &Registry, signer: &Signer, count: usize) -> Result<Vec<PushedImage>> {
    for number in 0..count.div_ceil(IN_A_REPOSITORY) {
        let config = config();
        Remote::new(registry, &repository(number * IN_A_REPOSITORY)).push_blob(&digest_of(&config), config).await?;
    }
    let pushes: Vec<_> = (0..count).map(|number| push(registry, signer, number)).collect();
    stream::iter(pushes).buffered(AT_ONCE).try_collect().await
}

fn repository(number: usize) -> String {
    format!("crowd/component-{}", number / IN_A_REPOSITORY)
}

fn config() -> Vec<u8> {
    json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}})
        .to_string()
        .into_bytes()
}

async fn push(registry: &Registry, signer: &Signer, number: usize) -> Result<PushedImage> {
    let (repository, config) = (repository(number), config());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [], "annotations": {"number": number.to_string()},
        "config": {"mediaType": CONFIG_TYPE, "digest": digest_of(&config), "size": config.len()},
    });
    let manifest = manifest.to_string().into_bytes();
    let named = format!("{}/{repository}", registry.host());
    let image = PushedImage {
        reference: format!("{named}:{number}"),
        repository: named,
        digest: digest_of(&manifest),
        size: u64::try_from(manifest.len())?,
        media_type: MANIFEST_TYPE.to_owned(),
    };
    let remote = Remote::new(registry, &repository);
    remote.send(Method::PUT, &format!("manifests/{number}"), Some((MANIFEST_TYPE, manifest))).await?;
    let target = json!({"mediaType": image.media_type, "digest": image.digest, "size": image.size});
    let payload = json!({"targetArtifact": target}).to_string().into_bytes();
    attach(registry, &image, JWS_TYPE, Jws { payload, ..Jws::new(signer) }.sign(), "").await?;
    Ok(image)
}
