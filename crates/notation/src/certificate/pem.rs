// SPDX-License-Identifier: Apache-2.0
//! PEM (RFC 7468), of one label only.

use base64ct::{Base64, Encoding};

use super::{CertificateError, text};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Why bytes are no blocks of the label that is wanted.
#[derive(Debug)]
pub(crate) enum PemError {
    OtherLabel(String),
    TooMany { max: usize },
    Block { number: usize, problem: &'static str },
}

impl From<PemError> for CertificateError {
    fn from(error: PemError) -> Self {
        match error {
            PemError::OtherLabel(label) => Self::NotACertificate { label },
            PemError::TooMany { max } => Self::TooMany { max },
            PemError::Block { number, problem } => Self::Pem { number, problem },
        }
    }
}

/// Whether a line of these bytes begins a PEM block.
pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    lines(bytes).any(|line| line.starts_with(BEGIN.as_bytes()))
}

/// The contents of all blocks, which must have this label. Text between them is ignored (RFC 7468 section 2).
pub(crate) fn parse(bytes: &[u8], wanted: &str, max: usize) -> Result<Vec<Vec<u8>>, PemError> {
    let mut blocks = Vec::new();
    let mut lines = lines(bytes);
    while let Some(line) = lines.next() {
        let Some(label) = label(line, BEGIN) else { continue };
        if label != wanted {
            return Err(PemError::OtherLabel(text(&label)));
        }
        if blocks.len() == max {
            return Err(PemError::TooMany { max });
        }
        let number = blocks.len().saturating_add(1);
        blocks.push(parse_block(&mut lines, wanted).map_err(|problem| PemError::Block { number, problem })?);
    }
    Ok(blocks)
}

fn parse_block<'a>(lines: &mut impl Iterator<Item = &'a [u8]>, wanted: &str) -> Result<Vec<u8>, &'static str> {
    let mut base64 = String::new();
    for line in lines {
        if let Some(label) = label(line, END) {
            if label != wanted {
                return Err("the end has another label than the beginning");
            }
            return Base64::decode_vec(&base64).map_err(|_| "the content is not base64");
        }
        base64.push_str(std::str::from_utf8(line).map_err(|_| "the content is not base64")?);
    }
    Err("the end is missing")
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii)
}

fn label(line: &[u8], prefix: &str) -> Option<String> {
    let label = line.strip_prefix(prefix.as_bytes())?.strip_suffix(DASHES.as_bytes())?;
    Some(String::from_utf8_lossy(label).into_owned())
}
