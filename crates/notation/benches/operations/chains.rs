// SPDX-License-Identifier: Apache-2.0
//! Chains of three certificates in which every key is of one kind. One key makes all three: the work is the same.

use crate::support::key::Kind;
use crate::support::pki::{self, Signer, Template};
use crate::support::tsa;

/// Each kind of key that may sign, and its name in the table.
pub(super) const KINDS: [(&str, Kind); 6] = [
    ("rsa2048", Kind::Rsa2048),
    ("rsa3072", Kind::Rsa3072),
    ("rsa4096", Kind::Rsa4096),
    ("p256", Kind::P256),
    ("p384", Kind::P384),
    ("p521", Kind::P521),
];

/// Root, intermediate and leaf; `extensions` are added to the leaf.
pub(super) fn signer(kind: Kind, extensions: &[Vec<u8>]) -> Signer {
    let made_by = |template: Template| Template { key: kind, issuer_key: kind, ..template };
    let usage = pki::key_usage(pki::KEY_CERT_SIGN | pki::CRL_SIGN);
    let intermediate = Template {
        serial: serial(2),
        extensions: vec![pki::basic_constraints(true, Some(0)), usage],
        ..made_by(Template::intermediate())
    };
    let leaf = Template { serial: serial(3), ..made_by(Template::leaf().below_intermediate()) };
    let leaf = extensions.iter().fold(leaf, |leaf, extension| leaf.with_extension(extension.clone()));
    Signer::with_chain(&[&leaf, &intermediate, &made_by(Template::root())])
}

/// A serial number of sixteen bytes, as real ones are.
pub(super) fn serial(number: u32) -> Vec<u8> {
    let mut serial = tsa::hash(tsa::SHA256, &number.to_be_bytes());
    serial.truncate(16);
    serial[0] = 0x40 | (serial[0] & 0x3f);
    serial
}

/// A token about `message`, by an authority below an intermediate below [`authority_root`].
pub(super) fn token(kind: Kind, message: &[u8]) -> Vec<u8> {
    let made_by = |template: Template| Template { key: kind, issuer_key: kind, ..template };
    let intermediate = made_by(tsa::intermediate());
    let authority = made_by(Template { issuer: intermediate.subject.clone(), ..tsa::authority() });
    let mut token = tsa::Token::by(&authority, message);
    token.certificates.push(intermediate.issue());
    token.issue()
}

/// What a store of type `tsa` has to hold for such a token.
pub(super) fn authority_root(kind: Kind) -> Vec<u8> {
    Template { key: kind, issuer_key: kind, ..tsa::root() }.issue()
}
