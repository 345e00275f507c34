// SPDX-License-Identifier: Apache-2.0
//! No target: writes the seeds of all targets into the folder that `SEALWATCH_SEEDS` names, each named by its digest.
//! It is a program of libFuzzer like the others (`seeds -runs=0`), so that nothing has to be built a second time.

#![no_main]

use std::path::PathBuf;

use sealwatch_fuzz::seeds::{Target, seeds};
use sha2::{Digest, Sha256};

libfuzzer_sys::fuzz_target!(init: write().expect("a folder to write into"), |_bytes: &[u8]| ());

fn write() -> std::io::Result<()> {
    let Some(folder) = std::env::var_os("SEALWATCH_SEEDS").map(PathBuf::from) else { return Ok(()) };
    for (name, target) in Target::ALL {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        for seed in seeds(target) {
            let digest = Sha256::digest(&seed).first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
            std::fs::write(folder.join(format!("seed-{digest:016x}")), seed)?;
        }
    }
    Ok(())
}
