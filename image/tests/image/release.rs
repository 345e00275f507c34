// SPDX-License-Identifier: Apache-2.0

//! The archives of a release.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use sealwatch_image::{Release, Result, write, write_archives};
use serde_json::Value;

use crate::{read, recipe, text};

/// A release whose parts lie in `folder`.
fn release(folder: &Path) -> Result<Release> {
    let recipe = recipe()?;
    let (completions, layout) = (folder.join("completions"), folder.join("layout"));
    fs::create_dir_all(&completions)?;
    for name in ["sealwatch.bash", "_sealwatch", "sealwatch.fish", "sealwatch.ps1"] {
        fs::write(completions.join(name), format!("completions {name}"))?;
    }
    write(&recipe, &layout)?;
    Ok(Release { version: recipe.version, epoch: recipe.epoch, platforms: recipe.platforms, completions, layout })
}

fn written(release: &Release) -> Result<BTreeMap<String, Vec<u8>>> {
    let folder = tempfile::tempdir()?;
    let names = write_archives(release, folder.path())?;
    let files = read(folder.path())?;
    assert_eq!(names.len(), files.len(), "{names:?}");
    assert!(names.iter().all(|name| files.contains_key(name)), "{names:?}");
    Ok(files)
}

/// Every entry of an archive: its mode and contents.
fn entries(archive: &[u8]) -> Result<BTreeMap<String, (u32, Vec<u8>)>> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let header = entry.header();
        assert_eq!((header.uid()?, header.gid()?, header.mtime()?), (0, 0, 1_790_000_000));
        let (path, mode) = (entry.path()?.display().to_string(), header.mode()?);
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents)?;
        found.insert(path, (mode, contents));
    }
    Ok(found)
}

#[test]
fn the_same_parts_give_the_same_archives_wherever_they_lie() -> Result<()> {
    let (one, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (one, other) = (written(&release(one.path())?)?, written(&release(other.path())?)?);
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    assert!(one == other, "the bytes differ");
    Ok(())
}

#[test]
fn an_archive_has_one_folder_with_the_program_its_licence_and_completions() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let files = written(&release(folder.path())?)?;
    for architecture in ["amd64", "arm64"] {
        let name = format!("sealwatch-1.2.3-linux-{architecture}");
        let mut archive = Vec::new();
        flate2::read::GzDecoder::new(&files[&format!("{name}.tar.gz")][..]).read_to_end(&mut archive)?;
        let found = entries(&archive)?;
        let paths: Vec<&str> = found.keys().map(|path| path.trim_start_matches(&name)).collect();
        let completions = ["_sealwatch", "sealwatch.bash", "sealwatch.fish", "sealwatch.ps1"];
        let completions = completions.map(|completion| format!("/completions/{completion}"));
        assert_eq!(paths[..3], ["", "/LICENSE", "/completions"], "{paths:?}");
        assert_eq!(paths[3..7], completions, "{paths:?}");
        assert_eq!(paths[7..], ["/sealwatch"], "{paths:?}");
        assert_eq!(found[&format!("{name}/sealwatch")], (0o755, format!("for {architecture}").into_bytes()));
        assert_eq!(found[&format!("{name}/LICENSE")], (0o644, text("LICENSE")?.into_bytes()));
        let bill: Value = serde_json::from_slice(&files[&format!("{name}.cdx.json")])?;
        assert_eq!(bill["bomFormat"], "CycloneDX");
        assert_eq!(bill["metadata"]["timestamp"], "2026-09-21T14:13:20Z");
    }
    Ok(())
}

#[test]
fn the_image_in_one_file_is_the_layout_whole() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let release = release(folder.path())?;
    let files = written(&release)?;
    let packed = entries(&files["sealwatch-1.2.3-image.tar"])?;
    let packed: BTreeMap<String, Vec<u8>> = packed.into_iter().map(|(path, (_, bytes))| (path, bytes)).collect();
    assert!(packed == read(&release.layout)?, "{:?}", packed.keys());
    Ok(())
}

#[test]
fn a_release_without_program_completions_or_image_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let whole = release(folder.path())?;
    let refused = |release: &Release| -> Result<String> {
        let into = tempfile::tempdir()?;
        Ok(write_archives(release, into.path()).err().ok_or("it was accepted")?.to_string())
    };
    assert_eq!(refused(&Release { platforms: Vec::new(), ..whole.clone() })?, "a release needs a platform at least");
    let nothing = folder.path().join("nothing");
    fs::create_dir(&nothing)?;
    assert!(
        refused(&Release { completions: nothing.clone(), ..whole.clone() })?.ends_with("nothing has no completions")
    );
    assert!(refused(&Release { layout: nothing, ..whole.clone() })?.ends_with("nothing is no OCI layout"));
    let absent = folder.path().join("absent");
    assert!(refused(&Release { completions: absent, ..whole })?.contains("absent: No such file"));
    Ok(())
}
