// SPDX-License-Identifier: Apache-2.0

//! The image that is tested.

use std::fs;
use std::path::{Path, PathBuf};

use sealwatch_e2e::testenv::{Result, digest_of, node};
use sealwatch_image::{Bill, Platform, Recipe, is_static, write};

/// When the image was made, as it says itself.
const EPOCH: u64 = 1_790_000_000;

/// An OCI layout: the given one, or one that is made of the given program, in `folder`. Packing takes its time; the same
/// program is packed once.
pub(crate) fn layout(given: &Path, folder: &Path) -> Result<PathBuf> {
    if given.is_dir() {
        println!("image: the OCI layout {}", given.display());
        return Ok(given.canonicalize()?);
    }
    let program = fs::read(given).map_err(|error| format!("{}: {error}", given.display()))?;
    if !is_static(&program) {
        return Err(format!("{} needs a loader and libraries, which the image does not have", given.display()).into());
    }
    let (layout, of) = (folder.join("layout"), folder.join("layout.of"));
    let digest = digest_of(&program);
    println!("image: made of the program {} (a debug build, unless it is one of yours)", given.display());
    if fs::read_to_string(&of).is_ok_and(|known| known == digest) {
        return Ok(layout);
    }
    println!("image: packing it, a minute or so");
    let _ = fs::remove_file(&of);
    let _ = fs::remove_dir_all(&layout);
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let bill = Bill::of_workspace(workspace, &target)?;
    let platforms = vec![Platform { architecture: node::architecture().to_owned(), program, bill }];
    let version = env!("CARGO_PKG_VERSION").to_owned();
    write(&Recipe { version, revision: String::new(), epoch: EPOCH, platforms }, &layout)?;
    fs::write(of, digest)?;
    Ok(layout)
}
