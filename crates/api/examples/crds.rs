// SPDX-License-Identifier: Apache-2.0

//! Writes the definitions of both kinds to the folder given, one file each: `cargo run -p sealwatch-api --example crds
//! config/crd`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).map(PathBuf::from).ok_or("usage: crds FOLDER")?;
    fs::create_dir_all(&folder)?;
    for (name, text) in sealwatch_api::crds::files()? {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
