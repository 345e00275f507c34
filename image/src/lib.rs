// SPDX-License-Identifier: Apache-2.0

//! The operator's container image, made of programs that are built already: an OCI image layout with one manifest for
//! each platform, an index over them, and their bills of material as referrers. And the archives of a release, of the
//! same programs.
//!
//! The same input gives the same bytes: times are those of the recipe, archives are sorted, and nothing of the machine
//! is asked.

mod archive;
mod bill;
mod elf;
mod files;
mod layer;
mod layout;
mod release;

use std::path::Path;

pub use bill::Bill;
pub use elf::is_static;
use layout::{Blobs, Descriptor};
pub use release::{Release, write_archives};
use serde_json::{Value, json};

/// What went wrong, in words.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The most that the layers of one platform may take, compressed, in bytes: an edge site's line is thin.
pub const LAYERS_MOST: u64 = 20 * 1024 * 1024;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The type of a bill of materials, as artifact and as layer.
pub const BILL: &str = "application/vnd.cyclonedx+json";

/// Who the program runs as: nobody in particular, as in distroless images and in the chart.
const USER: &str = "65532:65532";

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The version, which becomes the tag.
    pub version: String,
    /// The commit; empty if it is not known.
    pub revision: String,
    /// When it was made, for every time in it: seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub epoch: u64,
    /// The platforms, one at least.
    pub platforms: Vec<Platform>,
}

/// The program for one platform.
#[derive(Clone, Debug)]
pub struct Platform {
    /// `amd64` or `arm64`, as OCI calls it.
    pub architecture: String,
    /// The program.
    pub program: Vec<u8>,
    /// What it is made of.
    pub bill: Bill,
}

impl Platform {
    /// Reads programs of this workspace, as [`Platform::read`] does.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn read_all(given: &[String]) -> Result<Vec<Self>> {
        let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        given.iter().map(|given| Self::read(given, workspace)).collect()
    }

    /// Reads `ARCHITECTURE:TARGET:FILE`, as `dev/programs` prints it, and asks cargo about the workspace in `folder` for
    /// what the program is made of.
    ///
    /// # Errors
    /// The text has another form, the file cannot be read or is no static program, or cargo refuses.
    pub fn read(given: &str, folder: &Path) -> Result<Self> {
        let mut words = given.splitn(3, ':');
        let (Some(architecture), Some(target), Some(file)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("--program {given}: expected ARCHITECTURE:TARGET:FILE").into());
        };
        let program = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        if !is_static(&program) {
            return Err(format!("{file} needs a loader and libraries, which the image does not have").into());
        }
        Ok(Self { architecture: architecture.to_owned(), program, bill: Bill::of_workspace(folder, target)? })
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The digest of the index, which is the image's.
    pub digest: String,
    /// For each platform its architecture, the digest of its manifest, and what its layers take, in bytes.
    pub platforms: Vec<(String, String, u64)>,
}

impl Written {
    /// The platform whose layers take more than [`LAYERS_MOST`], if there is one.
    pub fn too_large(&self) -> Option<&str> {
        let found = self.platforms.iter().find(|(_, _, size)| *size > LAYERS_MOST);
        found.map(|(architecture, _, _)| architecture.as_str())
    }
}

/// Writes the layout into `folder`, which must not exist or be empty.
///
/// # Errors
/// There is no platform, or something cannot be written.
pub fn write(recipe: &Recipe, folder: &Path) -> Result<Written> {
    if recipe.platforms.is_empty() {
        return Err("an image needs a platform at least".into());
    }
    let mut blobs = Blobs::new(folder)?;
    let created = jiff::Timestamp::from_second(i64::try_from(recipe.epoch)?)?.to_string();
    let annotations = annotations(recipe, &created);
    let base = layer::pack(&files::base(), recipe.epoch)?;
    let (mut manifests, mut written, mut bills) = (Vec::new(), Vec::new(), Vec::new());
    for platform in &recipe.platforms {
        let program = layer::pack(&files::program(&platform.program), recipe.epoch)?;
        let size = base.compressed.len() as u64 + program.compressed.len() as u64;
        let config = json!({
            "created": created,
            "architecture": platform.architecture,
            "os": "linux",
            "config": {"User": USER, "WorkingDir": "/", "Entrypoint": ["/sealwatch"], "Labels": annotations},
            "rootfs": {"type": "layers", "diff_ids": [base.diff_id, program.diff_id]},
            "history": [
                {"created": created, "created_by": "certificate authorities, user 65532"},
                {"created": created, "created_by": format!("sealwatch {}", recipe.version)},
            ],
        });
        let config = blobs.add_json(CONFIG, &config)?;
        let layers =
            [blobs.add(layer::MEDIA_TYPE, &base.compressed)?, blobs.add(layer::MEDIA_TYPE, &program.compressed)?];
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers, "annotations": annotations,
        });
        let manifest = blobs.add_json(MANIFEST, &manifest)?;
        bills.push(attach(&mut blobs, &manifest, &platform.bill.document(recipe.epoch)?, &created)?);
        written.push((platform.architecture.clone(), manifest.digest.clone(), size));
        manifests.push(json!({
            "mediaType": MANIFEST, "digest": manifest.digest, "size": manifest.size,
            "platform": {"architecture": platform.architecture, "os": "linux"},
        }));
    }
    let index = json!({
        "schemaVersion": 2, "mediaType": layout::INDEX, "manifests": manifests, "annotations": annotations,
    });
    let index = blobs.add_json(layout::INDEX, &index)?;
    let all = Bill::union(recipe.platforms.iter().map(|platform| &platform.bill)).document(recipe.epoch)?;
    bills.push(attach(&mut blobs, &index, &all, &created)?);
    blobs.finish(&index, &recipe.version, &bills)?;
    Ok(Written { digest: index.digest, platforms: written })
}

/// What the image says about itself (OCI image specification, annotations.md).
fn annotations(recipe: &Recipe, created: &str) -> Value {
    let mut annotations = json!({
        "org.opencontainers.image.title": "sealwatch",
        "org.opencontainers.image.description": "Verifies the Notary Project signatures of the images that a cluster runs",
        "org.opencontainers.image.version": recipe.version,
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
        "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
    });
    if !recipe.revision.is_empty() {
        annotations["org.opencontainers.image.revision"] = recipe.revision.as_str().into();
    }
    annotations
}

/// A bill of materials as an artifact that refers to `subject`, and its entry in a list of referrers.
fn attach(blobs: &mut Blobs, subject: &Descriptor, bill: &[u8], created: &str) -> Result<(String, Value)> {
    let config = blobs.add(EMPTY, b"{}")?;
    let mut layer = serde_json::to_value(blobs.add(BILL, bill)?)?;
    layer["annotations"] = json!({"org.opencontainers.image.title": "sealwatch.cdx.json"});
    let annotations = json!({"org.opencontainers.image.created": created});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BILL, "config": config, "layers": [layer],
        "subject": subject, "annotations": annotations,
    });
    let manifest = blobs.add_json(MANIFEST, &manifest)?;
    let mut entry = serde_json::to_value(&manifest)?;
    entry["artifactType"] = BILL.into();
    entry["annotations"] = annotations;
    Ok((subject.digest.clone(), entry))
}
