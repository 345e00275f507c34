// SPDX-License-Identifier: Apache-2.0

//! What lies in the image: the program, and what it cannot do without.

use std::fmt::Write as _;

use crate::archive::{Entry, file, folder, program as executable};

/// The licence of everything here.
pub(crate) const LICENSE: &str = include_str!("../../LICENSE");

/// Certificate authorities and the names of two users; the same on every platform.
pub(crate) fn base() -> Vec<Entry> {
    vec![
        folder("etc"),
        file("etc/group", "root:x:0:\nnonroot:x:65532:\n"),
        // Where names are looked up: a C library without this file asks DNS alone.
        file("etc/nsswitch.conf", "hosts: files dns\n"),
        file("etc/passwd", "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"),
        folder("etc/ssl"),
        folder("etc/ssl/certs"),
        file("etc/ssl/certs/ca-certificates.crt", certificate_authorities()),
        folder("usr"),
        folder("usr/share"),
        folder("usr/share/licenses"),
        folder("usr/share/licenses/sealwatch"),
        file("usr/share/licenses/sealwatch/LICENSE", LICENSE),
    ]
}

pub(crate) fn program(bytes: &[u8]) -> Vec<Entry> {
    vec![executable("sealwatch", bytes)]
}

/// The public certificate authorities, in PEM (RFC 7468).
fn certificate_authorities() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        let encoded = base64(certificate);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(64) {
            // Writing to a String cannot fail; base64 is ASCII.
            let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding as _};
    Base64::encode_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_certificate_authority_is_there_in_lines_of_64() {
        let text = certificate_authorities();
        let count = text.matches("-----BEGIN CERTIFICATE-----\n").count();
        assert_eq!(count, webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(count > 100, "{count}");
        assert!(text.lines().all(|line| line.len() <= 64 && !line.is_empty()));
    }
}
