// SPDX-License-Identifier: Apache-2.0

//! The real `helm` command, with nothing of the user's own configuration.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::process::Command;

use super::{Cluster, Result, tools};

/// The `helm` command.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    home: TempDir,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    /// The command, for what needs no cluster (`template`, `lint`).
    ///
    /// # Errors
    /// It cannot be built.
    pub async fn without_cluster() -> Result<Self> {
        let home = tempfile::Builder::new().prefix("sealwatch-helm-").tempdir()?;
        Ok(Self { program: tools::folder("helm").await?.join("helm"), home, kubeconfig: None })
    }

    /// The command, with all rights on `cluster`.
    ///
    /// # Errors
    /// It cannot be built.
    pub async fn on(cluster: &Cluster) -> Result<Self> {
        Ok(Self { kubeconfig: Some(cluster.kubeconfig().to_owned()), ..Self::without_cluster().await? })
    }

    /// Runs it and waits for its end, whatever its exit code.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn run(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(args).env_clear().env("HOME", self.home.path()).stdin(Stdio::null()).kill_on_drop(true);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        Ok(command.output().await?)
    }

    /// A folder that goes with this value.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }
}

/// Copies a folder with everything below it, such as a chart that a test changes.
///
/// # Errors
/// Something cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let into = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &into)?;
        } else {
            std::fs::copy(entry.path(), into)?;
        }
    }
    Ok(())
}
