// SPDX-License-Identifier: Apache-2.0
//! Published test vectors of the Notary Project, read from the folder that `SEALWATCH_VECTORS` names. They are not part
//! of this repository.

use std::path::PathBuf;

/// The folder of vectors.
pub(crate) struct Vectors {
    root: PathBuf,
}

impl Vectors {
    /// The vectors, or none with a loud line if nobody says where they are.
    #[allow(clippy::disallowed_methods, clippy::print_stderr)] // the one place where tests touch the environment
    pub(crate) fn find(test: &str) -> Option<Self> {
        let root = std::env::var_os("SEALWATCH_VECTORS").map(PathBuf::from).filter(|root| root.is_dir());
        if root.is_none() {
            eprintln!("SKIPPED: {test}: SEALWATCH_VECTORS does not name the folder of test vectors");
        }
        root.map(|root| Self { root })
    }

    /// The bytes of one file.
    #[allow(clippy::disallowed_methods)] // the one place where tests read files
    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.root.join(path)).unwrap_or_else(|error| panic!("vector {path}: {error}"))
    }
}
