// SPDX-License-Identifier: Apache-2.0
//! OCI image layouts on disk.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::credentials::Credentials;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{At, Error, Operation};
use crate::reference::Repository;
use crate::{Registry, Target};

/// An OCI image layout in a folder.
#[derive(Clone, Debug)]
pub struct LayoutRegistry {
    root: PathBuf,
}

impl LayoutRegistry {
    /// Opens the layout in `path`.
    ///
    /// # Errors
    /// [`Error::Unusable`] if the folder is not an OCI image layout.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { root: path.to_owned() })
    }

    fn unbuilt(&self, operation: Operation) -> Error {
        Error::unavailable(&At { registry: self.root.display().to_string(), operation }, "not built yet")
    }
}

impl Registry for LayoutRegistry {
    async fn resolve(&self, _: &Repository, _: &Target, _: &Credentials) -> Result<Descriptor, Error> {
        Err(self.unbuilt(Operation::Resolve))
    }

    async fn referrers(&self, _: &Repository, _: &Digest, _: &str, _: &Credentials) -> Result<Vec<Descriptor>, Error> {
        Err(self.unbuilt(Operation::Referrers))
    }

    async fn manifest(&self, _: &Repository, _: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        Err(self.unbuilt(Operation::Manifest))
    }

    async fn blob(&self, _: &Repository, _: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        Err(self.unbuilt(Operation::Blob))
    }
}
