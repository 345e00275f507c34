// SPDX-License-Identifier: Apache-2.0
//! Which addresses may be asked.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::str::FromStr;

/// A range of addresses, `address/prefix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not `address/prefix`.
    #[error("address range is not address/prefix")]
    Malformed,
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = text.split_once('/').ok_or(CidrError::Malformed)?;
        Ok(Self {
            address: address.parse().map_err(|_| CidrError::Malformed)?,
            prefix: prefix.parse().map_err(|_| CidrError::Malformed)?,
        })
    }
}

/// The future of a name lookup.
pub type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How names become addresses; the default is the system's resolver.
pub trait NameLookup: Send + Sync + 'static {
    /// The addresses of `name`.
    fn lookup(&self, name: &str) -> Lookup;
}
