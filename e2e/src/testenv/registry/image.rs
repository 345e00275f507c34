// SPDX-License-Identifier: Apache-2.0

//! A small image, made and pushed.

use oci_client::client::{Certificate, CertificateEncoding, Client, ClientConfig, ClientProtocol};
use oci_client::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{ACCOUNT, PushedImage, Registry};
use crate::testenv::Result;

/// The size of a block in a tar archive (POSIX.1-1988, ustar).
const BLOCK: usize = 512;

pub(super) async fn push(registry: &Registry, repository: &str, tag: &str, contents: &str) -> Result<PushedImage> {
    let host = registry.host();
    let reference = Reference::with_tag(host.clone(), repository.to_owned(), tag.to_owned());
    let mut config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
    if let Some(tls) = &registry.tls {
        config.protocol = ClientProtocol::Https;
        let data = tls.authority_pem.clone().into_bytes();
        config.tls_certs_only = vec![Certificate { encoding: CertificateEncoding::Pem, data }];
    }
    let client = Client::try_from(config)?;
    let login = if registry.door.is_locked() {
        RegistryAuth::Basic(ACCOUNT.0.to_owned(), ACCOUNT.1.to_owned())
    } else {
        RegistryAuth::Anonymous
    };
    client.auth(&reference, &login, RegistryOperation::Push).await?;

    let layer = layer(contents);
    let layer_digest = digest_of(&layer);
    let layer_size = layer.len();
    client.push_blob(&reference, layer, &layer_digest).await?;

    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
    });
    let config = config.to_string().into_bytes();
    let config_digest = digest_of(&config);
    let config_size = config.len();
    client.push_blob(&reference, config, &config_digest).await?;

    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MEDIA_TYPE,
        "config": { "mediaType": IMAGE_CONFIG_MEDIA_TYPE, "digest": config_digest, "size": config_size },
        "layers": [{ "mediaType": IMAGE_LAYER_MEDIA_TYPE, "digest": layer_digest, "size": layer_size }],
    });
    let manifest = manifest.to_string().into_bytes();
    let pushed = PushedImage {
        repository: format!("{host}/{repository}"),
        reference: format!("{host}/{repository}:{tag}"),
        digest: digest_of(&manifest),
        size: u64::try_from(manifest.len())?,
        media_type: OCI_IMAGE_MEDIA_TYPE.to_owned(),
    };
    client.push_manifest_raw(&reference, manifest, OCI_IMAGE_MEDIA_TYPE.parse()?).await?;
    Ok(pushed)
}

/// A tar archive with one file, `contents`, that is the same for the same contents.
fn layer(contents: &str) -> Vec<u8> {
    let mut header = [0_u8; BLOCK];
    let mut field = |offset: usize, value: &[u8]| header[offset..offset + value.len()].copy_from_slice(value);
    field(0, b"contents");
    field(100, b"0000444\0");
    field(108, b"0000000\0");
    field(116, b"0000000\0");
    field(124, format!("{:011o}\0", contents.len()).as_bytes());
    field(136, b"00000000000\0");
    // The checksum counts its own field as blanks.
    field(148, b"        ");
    field(156, b"0");
    field(257, b"ustar\x0000");
    let checksum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());

    let mut archive = header.to_vec();
    archive.extend_from_slice(contents.as_bytes());
    // The file is padded to whole blocks; two empty blocks are the end.
    let padded = archive.len().next_multiple_of(BLOCK) + 2 * BLOCK;
    archive.resize(padded, 0);
    archive
}

/// `sha256:…` of these bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::from("sha256:"), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
