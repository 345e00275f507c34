// SPDX-License-Identifier: Apache-2.0

//! What a release is downloaded as, besides what Helm and kubectl read: an archive of the program for each platform,
//! its bill of materials, and the image's layout in one file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::archive::{Entry, compress, file, folder, program, tar};
use crate::files::LICENSE;
use crate::{Platform, Result};

/// What a release is made of.
#[derive(Clone, Debug)]
pub struct Release {
    /// The version, which is part of every name.
    pub version: String,
    /// When it was made, for every time in it: seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub epoch: u64,
    /// The platforms, one at least.
    pub platforms: Vec<Platform>,
    /// A folder of completions, of which every file is packed.
    pub completions: PathBuf,
    /// The layout of the image, as [`crate::write`] wrote it.
    pub layout: PathBuf,
}

/// Writes the files into `folder`, which must be there, and returns their names.
///
/// # Errors
/// There is no platform, no completion or no layout, or something cannot be read or written.
pub fn write_archives(release: &Release, folder: &Path) -> Result<Vec<String>> {
    if release.platforms.is_empty() {
        return Err("a release needs a platform at least".into());
    }
    let completions = below(&release.completions)?;
    if completions.is_empty() {
        return Err(format!("{} has no completions", release.completions.display()).into());
    }
    let version = &release.version;
    let mut written = Vec::new();
    let mut put = |name: String, bytes: &[u8]| -> Result<()> {
        fs::write(folder.join(&name), bytes).map_err(|error| format!("{name}: {error}"))?;
        written.push(name);
        Ok(())
    };
    for platform in &release.platforms {
        let name = format!("sealwatch-{version}-linux-{}", platform.architecture);
        put(format!("{name}.tar.gz"), &compress(&tar(&entries(&name, platform, &completions), release.epoch)?)?)?;
        put(format!("{name}.cdx.json"), &platform.bill.document(release.epoch)?)?;
    }
    if !release.layout.join("oci-layout").is_file() {
        return Err(format!("{} is no OCI layout", release.layout.display()).into());
    }
    let layout: Vec<Entry> = below(&release.layout)?.into_iter().map(|(path, bytes)| file(path, bytes)).collect();
    put(format!("sealwatch-{version}-image.tar"), &tar(&layout, release.epoch)?)?;
    Ok(written)
}

/// One folder, named as the archive, as archives of programs have it.
fn entries(name: &str, platform: &Platform, completions: &[(String, Vec<u8>)]) -> Vec<Entry> {
    let mut entries = vec![
        folder(name),
        file(format!("{name}/LICENSE"), LICENSE),
        folder(format!("{name}/completions")),
        program(format!("{name}/sealwatch"), &platform.program),
    ];
    entries
        .extend(completions.iter().map(|(path, bytes)| file(format!("{name}/completions/{path}"), bytes.as_slice())));
    entries
}

/// Every file below a folder with its bytes; folders of their own are not told.
fn below(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).map_err(|error| format!("{}: {error}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_str().ok_or("a name that is not UTF-8")?.to_owned();
                found.push((name, fs::read(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}
