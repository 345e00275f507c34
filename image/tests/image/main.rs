// SPDX-License-Identifier: Apache-2.0

//! The image, the archives of a release, and what makes and publishes both.

mod changelog;
mod dockerfile;
mod layout;
mod release;
mod scripts;
mod workflows;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sealwatch_image::{Bill, Platform, Recipe, Result};
use sha2::{Digest, Sha256};

/// A path below the repository's root.
fn in_repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// The text of a file of the repository.
fn text(path: &str) -> Result<String> {
    Ok(fs::read_to_string(in_repository(path)).map_err(|error| format!("{path}: {error}"))?)
}

fn recipe() -> Result<Recipe> {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let platform = |architecture: &str, target: &str| -> Result<Platform> {
        let bill = Bill::of_workspace(workspace, target)?;
        Ok(Platform { architecture: architecture.into(), program: format!("for {architecture}").into_bytes(), bill })
    };
    let platforms =
        vec![platform("amd64", "x86_64-unknown-linux-gnu")?, platform("arm64", "aarch64-unknown-linux-gnu")?];
    Ok(Recipe { version: "1.2.3".into(), revision: "0123abc".into(), epoch: 1_790_000_000, platforms })
}

fn hash(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Every file of the folder with its bytes.
fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder)?.display().to_string();
                files.insert(name, fs::read(path)?);
            }
        }
    }
    Ok(files)
}
