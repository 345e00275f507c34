// SPDX-License-Identifier: Apache-2.0
//! Writes the seeds of every target into a folder: `seeds FOLDER` makes `FOLDER/TARGET/…`, each named by its digest.

use std::path::PathBuf;

use sealwatch_fuzz::seeds::{Target, seeds};
use sha2::{Digest, Sha256};

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or_else(|| std::io::Error::other("usage: seeds FOLDER"))?);
    for (name, target) in Target::ALL {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        for seed in seeds(target) {
            let digest: String = Sha256::digest(&seed).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            std::fs::write(folder.join(format!("seed-{digest}")), seed)?;
        }
    }
    Ok(())
}
