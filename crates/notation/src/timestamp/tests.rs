// SPDX-License-Identifier: Apache-2.0
//! Real tokens, of which the outside sees only the judgement: their authorities name revocation endpoints.

#[allow(clippy::arithmetic_side_effects)] // it makes bytes, and meets none
#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/support/vectors.rs"]
mod vectors;

use super::*;
use crate::{Envelope, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, parse_certificates};
use support::key::Kind;
use support::{pki::Template, tsa};
use vectors::Vectors;

const SIGNED: &str = "notation-go/verifier/testdata/timestamp/sigEnv";
const TOKENS: &str = "notation-go/verifier/testdata/timestamp/countersignature";
const BLOBS: &str = "notation/test/e2e/testdata/signatures";
const LAYOUT: &str = "notation/test/e2e/testdata/registry/oci_layout/e2e-with-timestamped-signature/blobs/sha256/\
                      603ff134e97a79cd7a15560b76137c2c4a10451daab11327a7c6f86dac250fee";
const ENDORSEMENT: &str = "microsoft-cose/uvm-endorsement-2024-11-14";

const GLOBALSIGN: &str = "notation-go/verifier/testdata/truststore/x509/tsa/test-timestamp/globalsignRoot.cer";
const DIGICERT: &str = "notation-core-go/x509/testdata/timestamp_root.crt";
const MICROSOFT_2010: &str = "roots/MicrosoftRootCertificateAuthority2010.pem";
const MICROSOFT_2020: &str = "roots/MicrosoftIdentityVerificationRoot2020.pem";

fn certificates(vectors: &Vectors, files: &[&str]) -> Vec<Certificate> {
    files.iter().flat_map(|file| parse_certificates(&vectors.read(file)).expect(file)).collect()
}

/// Token and message.
fn of_envelope(vectors: &Vectors, file: &str, media_type: &str) -> (Vec<u8>, Vec<u8>) {
    let envelope = Envelope::parse(media_type, &vectors.read(file)).expect(file);
    (envelope.timestamp_token().expect(file).to_vec(), envelope.signature().to_vec())
}

fn trust(token: &[u8], message: &[u8], roots: &[Certificate]) -> Result<TrustedToken, TimestampError> {
    Token::open(token, message)?.trust(&roots.iter().collect::<Vec<_>>())
}

/// AT-5 to AT-13: GlobalSign's tokens have whole seconds and an accuracy of one; Microsoft's have fractions, an
/// accuracy in milliseconds, no root, and in the endorsement two `ESSCertIDv2`, of which the second is about a
/// certificate that is not there. The root of 2010 has a key usage that is not critical (TC-1).
#[test]
fn real_tokens_are_trusted_by_the_root_of_their_authority_alone() {
    let Some(vectors) = Vectors::find("real_tokens_are_trusted_by_the_root_of_their_authority_alone") else { return };
    let all = [GLOBALSIGN, DIGICERT, MICROSOFT_2010, MICROSOFT_2020];
    let globalsign = |name: &str| format!("{SIGNED}/{name}.sig");
    let cose = |file: &str| of_envelope(&vectors, file, MEDIA_TYPE_COSE);
    let jws = |file: &str| of_envelope(&vectors, file, MEDIA_TYPE_JWS);
    let endorsement = {
        let read = |ending: &str| vectors.read(&format!("{ENDORSEMENT}.{ending}"));
        (read("timestamp.der"), read("signature.bin"))
    };
    let bare = (vectors.read(&format!("{TOKENS}/TimeStampToken.p7s")), b"notation".to_vec());
    let table = [
        (jws(&globalsign("jwsWithTimestamp")), GLOBALSIGN, "2024-06-18T06:29:37Z", 1000),
        (cose(&globalsign("coseWithTimestamp")), GLOBALSIGN, "2024-06-18T06:27:16Z", 1000),
        (jws(&globalsign("jwsExpiredWithTimestamp")), GLOBALSIGN, "2024-06-18T07:21:42Z", 1000),
        (cose(&globalsign("coseExpiredWithTimestamp")), GLOBALSIGN, "2024-06-18T07:21:12Z", 1000),
        (cose(&globalsign("timestampAfterNotAfter")), GLOBALSIGN, "2024-06-19T09:35:58Z", 1000),
        (jws(&globalsign("timestampBeforeNotBefore")), GLOBALSIGN, "2024-06-19T09:30:14Z", 1000),
        (bare, GLOBALSIGN, "2021-09-17T14:09:10Z", 1000),
        (jws(&format!("{BLOBS}/blob.jws.sig")), MICROSOFT_2020, "2024-12-31T08:05:30.009Z", 500),
        (cose(&format!("{BLOBS}/blob.cose.sig")), MICROSOFT_2020, "2025-01-07T08:42:44.082Z", 500),
        (jws(LAYOUT), MICROSOFT_2020, "2025-01-21T09:17:46.641Z", 500),
        (endorsement, MICROSOFT_2010, "2024-11-14T05:20:59.474Z", 500),
    ];
    for ((token, message), root, time, accuracy) in table {
        let trusted = trust(&token, &message, &certificates(&vectors, &all)).expect(time);
        assert_eq!(trusted.timestamp.time.to_string(), time);
        assert_eq!(trusted.timestamp.accuracy, Duration::from_millis(accuracy), "{time}");
        assert_eq!(trusted.chain.len(), 3, "{time}");
        assert_eq!(trusted.chain.first(), Some(&trusted.timestamp.authority), "{time}");
        assert_eq!(trusted.chain.last(), certificates(&vectors, &[root]).first(), "{time}");
        // TC-2 in the flesh, and what makes strict end in RevocationUnknown.
        let endpoints = &trusted.timestamp.authority.extensions().revocation;
        assert!(!endpoints.ocsp.is_empty() || endpoints.distribution_points.is_some(), "{time}");

        let others: Vec<&str> = all.into_iter().filter(|other| *other != root).collect();
        let error = trust(&token, &message, &certificates(&vectors, &others)).expect_err(time);
        assert!(matches!(error, TimestampError::NoPath { .. }), "{time}: {error}");
        let error = Token::open(&token, b"another message").expect_err(time);
        assert_eq!(error, TimestampError::ImprintMismatch, "{time}");
        let error = Token::open(&[token.as_slice(), &[0]].concat(), &message).expect_err(time);
        assert_eq!(error, TimestampError::Encoding { problem: "has trailing bytes" }, "{time}");
    }
}

/// AT-5, AT-8, AT-9, AT-11.
#[test]
fn notations_own_broken_tokens_are_refused_for_the_right_reason() {
    let Some(vectors) = Vectors::find("notations_own_broken_tokens_are_refused_for_the_right_reason") else { return };
    let tampered = "notation-core-go/internal/timestamp/testdata/TimeStampTokenWithInvalidSignature.p7s".to_owned();
    let of_go = |name: &str| format!("{TOKENS}/TimeStampTokenWith{name}.p7s");
    for (file, expected) in [
        (of_go("outCertificate"), "the certificate of the timestamp authority is not in the token"),
        (of_go("InvalideContentType"), "eContentType of the token is not id-ct-TSTInfo"),
        (of_go("InvalidTSTInfo"), "malformed genTime of the token"),
        (tampered, "the signature of the token is invalid"),
    ] {
        let error = Token::open(&vectors.read(&file), b"notation").expect_err(&file).to_string();
        assert!(error.contains(expected), "{file}: {error}");
    }
}

/// TC-1 to TC-3: the authority of DigiCert, of which there are certificates and no token. Their extensions hold
/// nothing that is not processed.
#[test]
fn the_chain_of_digicerts_authority_keeps_the_rules() {
    let Some(vectors) = Vectors::find("the_chain_of_digicerts_authority_keeps_the_rules") else { return };
    let file = |name: &str| format!("notation-core-go/x509/testdata/timestamp_{name}.crt");
    let (leaf, middle) = (file("leaf"), file("intermediate"));
    let chain = certificates(&vectors, &[&leaf, &middle, DIGICERT]);
    let roots: Vec<&Certificate> = chain.iter().skip(2).collect();
    let time = "2024-01-01T00:00:00Z".parse().expect("a time");
    let paths = find_paths(&chain[0], &chain[1..2], &roots, time).expect("a path");
    assert_eq!(paths, std::slice::from_ref(&chain));
    let late = "2100-01-01T00:00:00Z".parse().expect("a time");
    let error = find_paths(&chain[0], &chain[1..2], &roots, late).expect_err("all have expired");
    assert!(error.to_string().contains("is valid from"), "{error}");
}

/// TC-3: whatever key may sign certificates, an authority's is one of the six. (Ed25519, as an example: of all others
/// no signature of a token could be verified anyway.)
#[test]
fn the_key_of_an_authority_is_of_a_kind_that_signs_artifacts() {
    let parse = |template: &Template| Certificate::from_der(&template.issue()).expect("a certificate");
    let root = parse(&tsa::root());
    let time = tsa::STAMPED_AT.parse().expect("a time");
    for kind in [Kind::Rsa2048, Kind::P256, Kind::P384, Kind::P521] {
        let authority = parse(&Template { key: kind, ..tsa::authority() });
        assert!(find_paths(&authority, &[], &[&root], time).is_ok(), "{kind:?}");
    }
    let authority = parse(&Template { key: Kind::Ed25519, ..tsa::authority() });
    let error = find_paths(&authority, &[], &[&root], time).expect_err("another key").to_string();
    assert!(error.contains("has a key that is none of RSA 2048"), "{error}");
}

/// AT-12: the length of chains is bounded as for signatures, root included.
#[test]
fn a_path_has_ten_certificates_at_most() {
    let parse = |template: &Template| Certificate::from_der(&template.issue()).expect("a certificate");
    let name = |number: usize| support::der::simple_name(&format!("CN=entity {number}"));
    let time = tsa::STAMPED_AT.parse().expect("a time");
    // Entity 0 is the root. Neighbours have different keys, and a name is never used again.
    let keys = [Kind::P256, Kind::P384];
    let chain_of = |length: usize| {
        let of = |number: usize| Template {
            subject: name(number),
            issuer: name(number.saturating_sub(1)),
            key: keys[number % 2],
            issuer_key: keys[number.saturating_sub(1) % 2],
            ..tsa::intermediate()
        };
        let mut chain: Vec<Certificate> = (0..length - 1).map(|number| parse(&of(number))).collect();
        let leaf = Template { extensions: tsa::authority().extensions, ..of(length - 1) };
        chain.push(parse(&leaf));
        chain
    };
    for (length, is_good) in [(10, true), (11, false)] {
        let chain = chain_of(length);
        let found = find_paths(&chain[length - 1], &chain[1..length - 1], &[&chain[0]], time);
        assert_eq!(found.is_ok(), is_good, "{length}: {found:?}");
    }
}

/// AT-5, AT-9: bits anywhere in a real token make it fail, but for those that nobody signs: the identifier of the
/// signer, and certificates that are not needed.
#[test]
fn a_changed_token_is_never_taken_for_another_time() {
    let Some(vectors) = Vectors::find("a_changed_token_is_never_taken_for_another_time") else { return };
    let (token, message) = of_envelope(&vectors, &format!("{SIGNED}/coseWithTimestamp.sig"), MEDIA_TYPE_COSE);
    let roots = certificates(&vectors, &[GLOBALSIGN]);
    let expected = trust(&token, &message, &roots).expect("a good token").timestamp;
    for at in (0..token.len()).step_by(3) {
        let mut changed = token.clone();
        changed[at] ^= 1 << (at % 8);
        if let Ok(trusted) = trust(&changed, &message, &roots) {
            assert_eq!(trusted.timestamp, expected, "bit {} of byte {at}", at % 8);
        }
        // And no part of it makes anything panic.
        let _ = trust(&token[..at], &message, &roots);
    }
}
