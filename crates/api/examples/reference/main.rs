// SPDX-License-Identifier: Apache-2.0

//! Writes the parts of the documentation that follow from the types, `reasons.md` and `api.md`, to the folder given:
//! `cargo run -p sealwatch-api --example reference docs`.

mod api;
mod markdown;
mod reasons;
mod remedies;
mod shown;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).map(PathBuf::from).ok_or("usage: reference FOLDER")?;
    fs::create_dir_all(&folder)?;
    for (name, text) in pages()? {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// Each page's file name and text, which depends on nothing but the crate.
fn pages() -> Result<[(&'static str, String); 2], Box<dyn Error>> {
    Ok([("reasons.md", reasons::page()?), ("api.md", api::page()?)])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_pages_are_those_of_the_types() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for (name, text) in pages().unwrap() {
            let committed = fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert!(committed == text, "docs/{name} is not up to date: run `just generate`");
        }
    }
}
