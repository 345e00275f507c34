// SPDX-License-Identifier: Apache-2.0
//! PEM (RFC 7468), certificates only.

use base64ct::{Base64, Encoding};

use super::{CertificateError, MAX_CERTIFICATES_PER_FILE, text};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Whether a line of these bytes begins a PEM block.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    lines(bytes).any(|line| line.starts_with(BEGIN.as_bytes()))
}

/// The contents of all blocks. Text between them is ignored (RFC 7468 section 2).
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    let mut blocks = Vec::new();
    let mut lines = lines(bytes);
    while let Some(line) = lines.next() {
        let Some(label) = label(line, BEGIN) else { continue };
        if label != "CERTIFICATE" {
            return Err(CertificateError::NotACertificate { label: text(&label) });
        }
        if blocks.len() == MAX_CERTIFICATES_PER_FILE {
            return Err(CertificateError::TooMany { max: MAX_CERTIFICATES_PER_FILE });
        }
        let number = blocks.len().saturating_add(1);
        blocks.push(parse_block(&mut lines).map_err(|problem| CertificateError::Pem { number, problem })?);
    }
    Ok(blocks)
}

fn parse_block<'a>(lines: &mut impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, &'static str> {
    let mut base64 = String::new();
    for line in lines {
        if let Some(label) = label(line, END) {
            return match label.as_str() {
                "CERTIFICATE" => Base64::decode_vec(&base64).map_err(|_| "the content is not base64"),
                _ => Err("the end has another label than the beginning"),
            };
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
