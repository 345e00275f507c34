// SPDX-License-Identifier: Apache-2.0

//! Small images, made and pushed.

use oci_client::client::{Certificate, CertificateEncoding, Client, ClientConfig, ClientProtocol};
use oci_client::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ACCOUNT, PushedImage, Registry};
use crate::testenv::Result;

/// The size of a block in a tar archive (POSIX.1-1988, ustar).
const BLOCK: usize = 512;

/// The media type of an index (OCI image specification 1.1).
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image with one layer that holds one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallImage {
    layer: Vec<u8>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl SmallImage {
    /// One that holds a text and runs nothing: different contents, different digest.
    pub fn of_text(contents: &str) -> Self {
        Self::new(&tar(&[("contents", 0o444, contents.as_bytes())]), "amd64", &json!({}))
    }

    /// One that runs this static program, for an architecture of Linux. Images of one program differ by their name.
    pub fn of_program(name: &str, architecture: &str, program: &[u8]) -> Self {
        let config = json!({"Entrypoint": ["/program"], "Labels": {"name": name}});
        Self::new(&tar(&[("program", 0o555, program)]), architecture, &config)
    }

    fn new(layer: &[u8], architecture: &str, config: &Value) -> Self {
        let layer_digest = digest_of(layer);
        let config = json!({
            "architecture": architecture, "os": "linux", "config": config,
            "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE_MEDIA_TYPE,
            "config": { "mediaType": IMAGE_CONFIG_MEDIA_TYPE, "digest": digest_of(&config), "size": config.len() },
            "layers": [{ "mediaType": IMAGE_LAYER_MEDIA_TYPE, "digest": layer_digest, "size": layer.len() }],
        });
        Self { layer: layer.to_owned(), config, manifest: manifest.to_string().into_bytes() }
    }

    /// The digest of its manifest.
    pub fn digest(&self) -> String {
        digest_of(&self.manifest)
    }

    /// The digest of its configuration.
    pub fn config_digest(&self) -> String {
        digest_of(&self.config)
    }

    /// An OCI layout in a tar archive, as `ctr images import` takes it: the image comes in under `name`.
    pub fn archive(&self, name: &str) -> Vec<u8> {
        let path = |bytes: &[u8]| format!("blobs/{}", digest_of(bytes).replace(':', "/"));
        let index = json!({
            "schemaVersion": 2, "mediaType": INDEX,
            "manifests": [{
                "mediaType": OCI_IMAGE_MEDIA_TYPE, "digest": self.digest(), "size": self.manifest.len(),
                "annotations": {"io.containerd.image.name": name},
            }],
        });
        tar(&[
            ("oci-layout", 0o444, br#"{"imageLayoutVersion":"1.0.0"}"#),
            ("index.json", 0o444, index.to_string().as_bytes()),
            (&path(&self.layer), 0o444, &self.layer),
            (&path(&self.config), 0o444, &self.config),
            (&path(&self.manifest), 0o444, &self.manifest),
        ])
    }

    /// A tar archive as `docker save` made it for years: without the manifest, so that its digest is lost.
    pub fn docker_archive(&self, name: &str) -> Vec<u8> {
        let config = format!("{}.json", self.config_digest().trim_start_matches("sha256:"));
        let manifest = json!([{"Config": config, "RepoTags": [name], "Layers": ["layer.tar"]}]).to_string();
        tar(&[
            ("manifest.json", 0o444, manifest.as_bytes()),
            (&config, 0o444, &self.config),
            ("layer.tar", 0o444, &self.layer),
        ])
    }
}

pub(super) async fn push(registry: &Registry, repository: &str, tag: &str, image: &SmallImage) -> Result<PushedImage> {
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

    for blob in [&image.layer, &image.config] {
        client.push_blob(&reference, blob.clone(), &digest_of(blob)).await?;
    }
    let pushed = PushedImage {
        repository: format!("{host}/{repository}"),
        reference: format!("{host}/{repository}:{tag}"),
        digest: image.digest(),
        size: u64::try_from(image.manifest.len())?,
        media_type: OCI_IMAGE_MEDIA_TYPE.to_owned(),
    };
    client.push_manifest_raw(&reference, image.manifest.clone(), OCI_IMAGE_MEDIA_TYPE.parse()?).await?;
    Ok(pushed)
}

/// Pushes an index of these images, each for an architecture of Linux, to a registry that is entered by plain HTTP.
///
/// # Errors
/// The registry refuses it.
pub async fn push_index(
    repository: &str,
    tag: &str,
    media_type: &str,
    children: &[(&PushedImage, &str)],
) -> Result<PushedImage> {
    let child = |(image, architecture): &(&PushedImage, &str)| {
        json!({
            "mediaType": image.media_type, "digest": image.digest, "size": image.size,
            "platform": {"os": "linux", "architecture": architecture},
        })
    };
    let children: Vec<Value> = children.iter().map(child).collect();
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": children}).to_string();
    let reference: Reference = format!("{repository}:{tag}").parse()?;
    let client = plain_client(&reference, RegistryOperation::Push).await?;
    let digest = digest_of(index.as_bytes());
    let size = u64::try_from(index.len())?;
    client.push_manifest_raw(&reference, index.into_bytes(), media_type.parse()?).await?;
    Ok(PushedImage {
        repository: repository.to_owned(),
        reference: reference.to_string(),
        digest,
        size,
        media_type: media_type.to_owned(),
    })
}

/// The digest of the configuration of an image, in a registry that is entered by plain HTTP.
///
/// # Errors
/// The registry does not have it.
pub async fn config_digest(image: &PushedImage) -> Result<String> {
    let reference: Reference = image.by_digest().parse()?;
    let client = plain_client(&reference, RegistryOperation::Pull).await?;
    let (bytes, _) = client.pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &[&image.media_type]).await?;
    let manifest: Value = serde_json::from_slice(&bytes)?;
    Ok(manifest["config"]["digest"].as_str().ok_or("a configuration")?.to_owned())
}

async fn plain_client(reference: &Reference, operation: RegistryOperation) -> Result<Client> {
    let client = Client::try_from(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() })?;
    client.auth(reference, &RegistryAuth::Anonymous, operation).await?;
    Ok(client)
}

/// A tar archive of these files (path, mode, contents), that is the same for the same files.
fn tar(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (path, mode, contents) in files {
        let mut header = [0_u8; BLOCK];
        let mut field = |offset: usize, value: &[u8]| header[offset..offset + value.len()].copy_from_slice(value);
        field(0, path.as_bytes());
        field(100, format!("{mode:07o}\0").as_bytes());
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
        archive.extend_from_slice(&header);
        archive.extend_from_slice(contents);
        // Each file is padded to whole blocks.
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks are the end.
    archive.resize(archive.len() + 2 * BLOCK, 0);
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
