// SPDX-License-Identifier: Apache-2.0
//! Certificates as PEM (RFC 7468).

use base64ct::{Base64, Encoding as _};
use sealwatch_verifier::notation::Certificate;

/// Characters of a line.
const LINE: usize = 64;

/// The certificates, one after the other, and nothing else.
pub(super) fn encode(certificates: &[Certificate]) -> String {
    certificates.iter().map(block).collect()
}

fn block(certificate: &Certificate) -> String {
    let text = Base64::encode_string(certificate.der());
    let mut block = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so every place is a character's border.
        let (line, after) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        block.push_str(line);
        block.push('\n');
        rest = after;
    }
    block.push_str("-----END CERTIFICATE-----\n");
    block
}
