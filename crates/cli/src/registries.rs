// SPDX-License-Identifier: Apache-2.0
//! From the registry flags to the options of the registry client.

use std::path::Path;

use sealwatch_registry::{RegistriesConfig, RegistryOptions};

use crate::args::RegistryArguments;

/// The largest registries.yaml that is read, in bytes.
const FILE_MOST: u64 = 1024 * 1024;

/// The options that the flags ask for.
pub(crate) fn options(arguments: &RegistryArguments) -> Result<RegistryOptions, String> {
    let registries = match &arguments.registries {
        Some(path) => {
            let bytes =
                read_bounded(path, FILE_MOST).map_err(|why| format!("--registries {}: {why}", path.display()))?;
            RegistriesConfig::parse(&bytes).map_err(|error| format!("--registries {}: {error}", path.display()))?
        }
        None => RegistriesConfig::default(),
    };
    Ok(RegistryOptions {
        registries,
        allow_egress: arguments.allow_egress.clone(),
        user_agent: concat!("sealwatch/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..RegistryOptions::default()
    })
}

/// Reads a file of at most `most` bytes.
pub(crate) fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(format!("is larger than {most} bytes"));
    }
    Ok(bytes)
}
