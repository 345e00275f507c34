// SPDX-License-Identifier: Apache-2.0

//! What is written, read again.

use std::collections::BTreeMap;
use std::fs;

use sealwatch_image::{BILL, Recipe, Result, write};
use serde_json::Value;

use crate::{hash, read, recipe};

/// A layout in memory.
struct Layout(BTreeMap<String, Vec<u8>>);

impl Layout {
    fn new(recipe: &Recipe) -> Result<(Self, String)> {
        let folder = tempfile::tempdir()?;
        let written = write(recipe, folder.path())?;
        Ok((Self(read(folder.path())?), written.digest))
    }

    fn blob(&self, descriptor: &Value) -> Result<&[u8]> {
        let digest = descriptor["digest"].as_str().ok_or("a digest")?;
        let bytes = self.0.get(&format!("blobs/{}", digest.replace(':', "/"))).ok_or("the blob is there")?;
        assert_eq!(descriptor["size"], bytes.len(), "{descriptor}");
        Ok(bytes)
    }

    fn json(&self, descriptor: &Value) -> Result<Value> {
        Ok(serde_json::from_slice(self.blob(descriptor)?)?)
    }

    fn index(&self) -> Result<Vec<Value>> {
        let index: Value = serde_json::from_slice(&self.0["index.json"])?;
        Ok(index["manifests"].as_array().ok_or("manifests")?.clone())
    }

    fn tagged(&self, tag: &str) -> Result<Value> {
        let named = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == tag;
        Ok(self.index()?.iter().find(named).ok_or_else(|| format!("no {tag}"))?.clone())
    }
}

#[test]
fn the_same_recipe_gives_the_same_bytes_and_another_time_another_digest() -> Result<()> {
    let (one, digest) = Layout::new(&recipe()?)?;
    let (other, again) = Layout::new(&recipe()?)?;
    assert_eq!(digest, again);
    assert!(one.0 == other.0, "the files differ");
    let (_, later) = Layout::new(&Recipe { epoch: 1_790_000_001, ..recipe()? })?;
    assert_ne!(digest, later);
    Ok(())
}

#[test]
fn every_blob_is_what_its_name_says_and_the_tag_names_the_index_of_both_platforms() -> Result<()> {
    let (layout, digest) = Layout::new(&recipe()?)?;
    for (name, bytes) in layout.0.iter().filter(|(name, _)| name.starts_with("blobs/")) {
        assert_eq!(*name, format!("blobs/sha256/{}", hash(bytes)));
    }
    let image = layout.tagged("1.2.3")?;
    assert_eq!(image["digest"], digest);
    let index = layout.json(&image)?;
    let manifests = index["manifests"].as_array().ok_or("manifests")?;
    let architectures: Vec<&Value> = manifests.iter().map(|entry| &entry["platform"]["architecture"]).collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    for entry in manifests {
        let manifest = layout.json(entry)?;
        let config = layout.json(&manifest["config"])?;
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/sealwatch"]));
        assert_eq!(config["architecture"], entry["platform"]["architecture"]);
        assert_eq!(config["created"], "2026-09-21T14:13:20Z");
        assert_eq!(manifest["annotations"]["org.opencontainers.image.revision"], "0123abc");
    }
    Ok(())
}

#[test]
fn layers_hold_the_program_and_what_it_needs_all_of_root_and_of_one_time() -> Result<()> {
    let (layout, _) = Layout::new(&recipe()?)?;
    let index = layout.json(&layout.tagged("1.2.3")?)?;
    let manifest = layout.json(&index["manifests"][1])?;
    let config = layout.json(&manifest["config"])?;
    let mut found = BTreeMap::new();
    for (layer, diff) in
        manifest["layers"].as_array().ok_or("layers")?.iter().zip(config["rootfs"]["diff_ids"].as_array().ok_or("ids")?)
    {
        let mut archive = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(layout.blob(layer)?), &mut archive)?;
        assert_eq!(*diff, format!("sha256:{}", hash(&archive)));
        for entry in tar::Archive::new(&archive[..]).entries()? {
            let mut entry = entry?;
            let header = entry.header();
            assert_eq!((header.uid()?, header.gid()?, header.mtime()?), (0, 0, 1_790_000_000));
            let (path, mode) = (entry.path()?.display().to_string(), header.mode()?);
            let mut contents = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut contents)?;
            found.insert(path, (mode, contents));
        }
    }
    assert_eq!(found["sealwatch"], (0o755, b"for arm64".to_vec()));
    assert!(found["etc/ssl/certs/ca-certificates.crt"].1.starts_with(b"-----BEGIN CERTIFICATE-----"));
    assert!(found["etc/passwd"].1.windows(6).any(|bytes| bytes == b":65532"));
    assert!(found.values().all(|(mode, _)| mode & 0o022 == 0), "somebody else may write");
    Ok(())
}

#[test]
fn the_index_and_each_platform_have_a_bill_of_materials_that_refers_to_them() -> Result<()> {
    let (layout, digest) = Layout::new(&recipe()?)?;
    let index = layout.json(&layout.tagged("1.2.3")?)?;
    let mut subjects = vec![digest];
    for entry in index["manifests"].as_array().ok_or("manifests")? {
        subjects.push(entry["digest"].as_str().ok_or("a digest")?.to_owned());
    }
    for subject in subjects {
        // By the tag schema, and as an entry of the layout's index.
        let list = layout.json(&layout.tagged(&subject.replace(':', "-"))?)?;
        let entry = &list["manifests"][0];
        assert_eq!(entry["artifactType"], BILL);
        assert!(layout.index()?.contains(entry), "{subject}");
        let manifest = layout.json(entry)?;
        assert_eq!(manifest["subject"]["digest"], *subject);
        assert_eq!(manifest["artifactType"], BILL);
        layout.json(&manifest["subject"])?;
        let bill = layout.json(&manifest["layers"][0])?;
        assert_eq!(bill["bomFormat"], "CycloneDX");
        assert!(bill["components"].as_array().is_some_and(|components| components.len() > 100));
    }
    Ok(())
}

#[test]
fn a_folder_that_holds_something_and_an_image_of_nothing_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("precious"), "")?;
    let error = write(&recipe()?, folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("is not empty"), "{error}");
    let none = Recipe { platforms: Vec::new(), ..recipe()? };
    assert!(write(&none, &folder.path().join("new")).is_err());
    Ok(())
}

#[test]
fn an_image_above_the_limit_is_noticed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut written = write(&recipe()?, &folder.path().join("image"))?;
    assert_eq!(written.too_large(), None);
    written.platforms[1].2 = sealwatch_image::LAYERS_MOST + 1;
    assert_eq!(written.too_large(), Some("arm64"));
    Ok(())
}
