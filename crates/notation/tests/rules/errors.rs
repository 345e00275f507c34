// SPDX-License-Identifier: Apache-2.0
//! What errors say to people. Each carries what it is about in its fields; the sentences are lower-case, without a full
//! stop, and on one line.

use std::fmt::Display;

use sealwatch_notation::{
    CertificateError, ChainError, ChainProblem, DistinguishedNameError, EnvelopeError, PolicyError, RevocationError,
    SigningScheme, TrustStoreError, TrustStoreRefError,
};

use crate::support::time;

/// Holds every sentence against what is expected, and sees that no variant of the source was left out.
#[track_caller]
fn assert_sentences(source: &str, table: &[(impl Display, &str)]) {
    for (error, expected) in table {
        let sentence = error.to_string();
        assert_eq!(sentence, *expected);
        assert!(!sentence.ends_with('.') && !sentence.contains('\n'), "{sentence}");
    }
    assert_eq!(source.matches("#[error(").count(), table.len(), "a variant has no sentence here");
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// The part of a source file that is about one type.
fn enum_of<'a>(source: &'a str, name: &str) -> &'a str {
    let after = source.split_once(&format!("pub enum {name} {{")).expect(name).1;
    after.split_once("\n}\n").expect(name).0
}

fn chain_error() -> ChainError {
    ChainError { index: 1, subject: text("CN=a"), problem: ChainProblem::NotACa }
}

#[test]
fn every_error_of_an_envelope_is_a_sentence() {
    use EnvelopeError as E;
    let table = [
        (E::UnsupportedMediaType { media_type: text("a/b") }, r#"signature envelope format "a/b" is not supported"#),
        (E::TooLarge { size: 3, max: 2 }, "signature envelope has 3 bytes; at most 2 are allowed"),
        (E::PartTooLarge { part: "payload", max: 2 }, "payload of the signature envelope has more than 2 bytes"),
        (E::Malformed { part: "JSON", problem: text("ends") }, "malformed JSON of the signature envelope: ends"),
        (E::HeaderMissing { header: "alg" }, r#"header "alg" is missing"#),
        (E::HeaderInvalid { header: "alg", problem: text("is no text") }, r#"header "alg" is invalid: is no text"#),
        (
            E::HeaderNotAllowed { header: "a", scheme: SigningScheme::X509 },
            r#"header "a" is not allowed in signing scheme notary.x509"#,
        ),
        (E::HeaderTwice { header: text("a") }, r#"header "a" is both protected and unprotected"#),
        (E::HeaderNotCritical { header: "a" }, r#"header "a" is not marked critical"#),
        (E::CriticalAbsent { header: text("a") }, r#"header "a" is marked critical but not present"#),
        (E::CriticalForbidden { header: text("a") }, r#"header "a" must not be marked critical"#),
        (E::CriticalRepeated { header: text("a") }, r#"header "a" is marked critical twice"#),
        (E::ContentTypeUnsupported { found: text("a") }, r#"payload content type "a" is not supported"#),
        (E::SchemeUnsupported { found: text("a") }, r#"signing scheme "a" is not supported"#),
        (
            E::AlgorithmUnsupported { found: text("none") },
            r#"signature algorithm "none" is not the one that the signing certificate's key implies"#,
        ),
        (E::ExpiryBeforeSigning, "expiry cannot be equal or before the signing time"),
        (E::ChainMissing, "certificate chain is not present"),
        (E::ChainTooLong { max: 10 }, "certificate chain has more than 10 certificates"),
        (
            E::Certificate { index: 1, error: CertificateError::None },
            "certificate 1 of the chain: there is no certificate",
        ),
        (E::Chain(chain_error()), r#"certificate 1 of the chain ("CN=a") is not a CA"#),
        (E::SignatureMissing, "signature is missing in the envelope"),
        (E::SignatureInvalid, "signature is invalid"),
    ];
    assert_sentences(include_str!("../../src/envelope/error.rs"), &table);
}

#[test]
fn every_problem_of_a_chain_is_a_sentence() {
    use ChainProblem as P;
    let table = [
        (P::Empty, "is missing: there must be at least one"),
        (P::SingleNotSelfSigned, "is alone and not self-signed with SHA-2"),
        (P::SelfSignedBeforeRoot, "is self-signed and not the last"),
        (P::NotIssuedByNext, "is not issued by the next one with a supported algorithm"),
        (P::RootNotSelfSigned, "is the last and not a self-signed root"),
        (P::BasicConstraintsMissing, "has no basicConstraints extension, as a CA needs"),
        (P::BasicConstraintsNotCritical, "has a basicConstraints extension that is not critical"),
        (P::NotACa, "is not a CA"),
        (P::PathTooLong { allowed: 0, actual: 1 }, "has a pathLenConstraint of 0 and 1 intermediates below it"),
        (P::LeafIsCa, "is a CA and may not sign anything but certificates"),
        (P::KeyUsageMissing, "has no keyUsage extension"),
        (P::KeyUsageNotCritical, "has a keyUsage extension that is not critical"),
        (P::KeyUsageLacks { usage: "a" }, "lacks the key usage a"),
        (P::KeyUsageForbidden { usage: "a" }, "has the key usage a, which a signer must not have"),
        (P::ExtendedKeyUsageForbidden { usage: "a" }, "has the extended key usage a, which a signer must not have"),
        (P::ExtendedKeyUsageNotTimestampingAlone, "does not have timeStamping as its only extended key usage"),
        (P::ExtendedKeyUsageNotCritical, "has an extendedKeyUsage extension that is not critical"),
        (P::KeyUnsupported, "has a key that is none of RSA 2048, 3072, 4096, EC P-256, P-384, P-521"),
    ];
    for (problem, sentence) in &table {
        let error = ChainError { problem: *problem, ..chain_error() };
        assert_eq!(error.to_string(), format!(r#"certificate 1 of the chain ("CN=a") {sentence}"#));
    }
    let variants = enum_of(include_str!("../../src/chain.rs"), "ChainProblem").lines().filter(|line| !line.is_empty());
    assert_eq!(variants.count(), table.len(), "a variant has no sentence here");
}

#[test]
fn every_error_of_a_certificate_is_a_sentence() {
    use CertificateError as C;
    let certificate = [
        (C::None, "there is no certificate"),
        (C::TooLarge { size: 3, max: 2 }, "3 bytes are too many for certificates; at most 2 are allowed"),
        (C::TooMany { max: 2 }, "there are more than 2 certificates"),
        (C::Malformed { field: "issuer", problem: text("a") }, "certificate field issuer: a"),
        (C::Extension { extension: text("1.2.3"), problem: text("a") }, "certificate extension 1.2.3: a"),
        (C::AlgorithmsDiffer, "certificate field signatureAlgorithm differs from the one that is signed"),
        (C::NotACertificate { label: text("PRIVATE KEY") }, r#"PEM block "PRIVATE KEY" is not a CERTIFICATE"#),
        (C::Pem { number: 1, problem: "the end is missing" }, "PEM block 1: the end is missing"),
    ];
    assert_sentences(enum_of(include_str!("../../src/certificate.rs"), "CertificateError"), &certificate);
}

#[test]
fn every_error_of_a_trust_store_is_a_sentence() {
    use TrustStoreError as S;
    let store = [
        (S::Empty, "the trust store has no certificate"),
        (S::TooMany { count: 3, max: 2 }, "the trust store has 3 certificates; at most 2 are allowed"),
        (
            S::NotAnAnchor { subject: text("CN=a") },
            r#"the certificate with subject "CN=a" is not a CA certificate or self-signed signing certificate"#,
        ),
        (
            S::NotRootCa { subject: text("CN=a") },
            r#"the certificate with subject "CN=a" is not a root CA certificate, as a tsa trust store needs"#,
        ),
    ];
    assert_sentences(enum_of(include_str!("../../src/trust_store.rs"), "TrustStoreError"), &store);
}

#[test]
fn every_error_of_the_name_of_a_trust_store_is_a_sentence() {
    use TrustStoreRefError as R;
    let reference = [
        (R::Malformed { value: text("a") }, r#"malformed trust store value "a": the required format is <type>:<name>"#),
        (
            R::UnsupportedType { store_type: text("a") },
            r#"unsupported trust store type "a": it must be ca, signingAuthority or tsa"#,
        ),
        (R::UnsupportedName { name: text("/") }, r#"unsupported trust store name "/": it must match [a-zA-Z0-9_.-]+"#),
    ];
    assert_sentences(enum_of(include_str!("../../src/trust_store.rs"), "TrustStoreRefError"), &reference);
}

#[test]
fn every_error_of_a_distinguished_name_is_a_sentence() {
    use DistinguishedNameError as D;
    let table = [
        (D::EncodedValue, r#"unsupported distinguished name: identities containing "=#" are not supported"#),
        (D::MultiValued, "distinguished name has multi-valued RDN attributes, which are not supported"),
        (D::Malformed { part: text("a") }, r#"distinguished name has the malformed part "a""#),
        (D::Repeated { attribute: text("O") }, r#"distinguished name has duplicate RDN attribute for "O""#),
        (
            D::MandatoryMissing { attribute: "O" },
            r#"distinguished name has no mandatory RDN attribute for "O", it must contain C, ST (or S) and O at a minimum"#,
        ),
        (D::EmptyValue { attribute: text("CN") }, r#"distinguished name has an empty value for "CN""#),
    ];
    assert_sentences(enum_of(include_str!("../../src/identity.rs"), "DistinguishedNameError"), &table);
}

/// The rule beside each is what API and command line sort them by.
#[test]
#[allow(clippy::too_many_lines)] // a table
fn every_error_of_a_policy_is_a_sentence_with_its_rule() {
    use PolicyError as P;
    let (statement, identity) = (|| text("s"), || text("i"));
    let in_s = |rest: &str| format!(r#"trust policy statement "s"{rest}"#);
    let table = [
        (P::TooLarge { size: 3, max: 2 }, "TP-1", text("malformed trust policy: 3 bytes; at most 2 are allowed")),
        (P::Malformed { problem: text("a") }, "TP-1", text("malformed trust policy: a")),
        (
            P::TooMany { field: "trustStores", max: 2 },
            "TP-1",
            text("trustStores has too many entries; at most 2 are allowed"),
        ),
        (P::VersionEmpty, "TP-2", text("oci trust policy document has empty version, version must be specified")),
        (
            P::VersionUnsupported { version: text("2") },
            "TP-2",
            text(r#"oci trust policy document uses unsupported version "2", only "1.0" is supported"#),
        ),
        (P::NoStatements, "TP-3", text("oci trust policy document can not have zero trust policy statements")),
        (
            P::NameRepeated { name: statement() },
            "TP-4",
            text(r#"multiple oci trust policy statements use the same name "s", statement names must be unique"#),
        ),
        (P::NameMissing, "TP-5", text("a trust policy statement is missing a name, every statement requires a name")),
        (
            P::LevelMissing { statement: statement() },
            "TP-6",
            in_s(": signature verification level is empty or missing"),
        ),
        (
            P::LevelInvalid { statement: statement(), level: text("l") },
            "TP-6",
            in_s(r#": invalid signature verification level "l""#),
        ),
        (
            P::OverrideOfSkip { statement: statement() },
            "TP-7",
            in_s(r#": level "skip" can't be used to customize signature verification"#),
        ),
        (
            P::OverrideCheckUnknown { statement: statement(), check: text("c") },
            "TP-8",
            in_s(r#": verification type "c" in override is not supported"#),
        ),
        (
            P::OverrideActionUnknown { statement: statement(), action: text("a") },
            "TP-8",
            in_s(r#": verification action "a" in override is not supported"#),
        ),
        (
            P::OverrideOfIntegrity { statement: statement() },
            "TP-8",
            in_s(r#": "integrity" verification can not be overridden"#),
        ),
        (
            P::OverrideSkips { statement: statement(), check: text("c") },
            "TP-8",
            in_s(r#": "c" verification can not be skipped"#),
        ),
        (
            P::VerifyTimestampInvalid { statement: statement(), value: text("v") },
            "TP-10",
            in_s(r#": verifyTimestamp must be "always" or "afterCertExpiry", got "v""#),
        ),
        (
            P::SkipWithTrust { statement: statement() },
            "TP-11",
            in_s(
                " is set to skip signature verification but configured with trust stores and/or trusted identities, remove them if signature verification needs to be skipped",
            ),
        ),
        (
            P::TrustMissing { statement: statement() },
            "TP-12",
            in_s(" is either missing trust stores or trusted identities, both must be specified"),
        ),
        (
            P::TrustStore { statement: statement(), error: TrustStoreRefError::Malformed { value: text("v") } },
            "TP-13",
            in_s(r#" has malformed trust store value "v", the required format is <type>:<name>"#),
        ),
        (
            P::NoScopes { statement: statement() },
            "TP-17",
            in_s(" has zero registry scopes, it must specify at least one"),
        ),
        (
            P::WildcardScopeWithOthers { statement: statement() },
            "TP-18",
            in_s(
                " uses wildcard registry scope '*', a wildcard scope cannot be used in conjunction with other scope values within the same statement",
            ),
        ),
        (
            P::ScopeWithWildcard { statement: statement(), scope: text("a*") },
            "TP-19",
            in_s(r#": registry scope "a*" with wild card(s) is not valid"#),
        ),
        (
            P::ScopeInvalid { statement: statement(), scope: text("a") },
            "TP-20",
            in_s(
                r#": registry scope "a" is not valid, it must be a repository host[:port]/path without scheme, tag or digest"#,
            ),
        ),
        (
            P::ScopeRepeated { scope: text("a") },
            "TP-21",
            text(
                r#"registry scope "a" is present in multiple oci trust policy statements, one registry scope value can only be associated with one statement"#,
            ),
        ),
        (
            P::WildcardIdentityWithOthers { statement: statement() },
            "TP-25",
            in_s(
                " uses a wildcard trusted identity '*', a wildcard identity cannot be used in conjunction with other values",
            ),
        ),
        (P::IdentityEmpty { statement: statement() }, "TP-26", in_s(" has an empty trusted identity")),
        (
            P::IdentityWithoutSeparator { statement: statement(), identity: identity() },
            "TP-26",
            in_s(r#" has trusted identity "i" missing separator"#),
        ),
        (
            P::IdentityWithoutValue { statement: statement(), identity: identity() },
            "TP-26",
            in_s(r#" has trusted identity "i" without an identity value"#),
        ),
        (
            P::IdentityName {
                statement: statement(),
                identity: identity(),
                error: DistinguishedNameError::MultiValued,
            },
            "DN-2",
            in_s(
                r#" has trusted identity "i": distinguished name has multi-valued RDN attributes, which are not supported"#,
            ),
        ),
        (
            P::IdentitiesOverlap { statement: statement(), first: text("a"), second: text("b") },
            "TP-28",
            in_s(r#" has overlapping x509 trustedIdentities, "a" overlaps with "b""#),
        ),
    ];
    let sentences: Vec<(&PolicyError, &str)> = table.iter().map(|(error, _, text)| (error, text.as_str())).collect();
    assert_sentences(include_str!("../../src/policy/error.rs"), &sentences);
    for (error, rule, _) in &table {
        assert_eq!(error.rule(), *rule, "{error}");
    }
}

#[test]
fn every_error_of_a_revocation_answer_is_a_sentence() {
    use RevocationError as R;
    let at = || time("2026-01-01T00:00:00Z");
    let inner = || Box::new(R::StatusUnknown);
    let table = [
        (
            R::Neither { ocsp: inner(), lists: Box::new(R::NoSource) },
            "by OCSP, the OCSP responder does not know the certificate; by revocation lists, the distribution point has no URL, and no revocation list was brought for it",
        ),
        (R::NotAsked { url: text("u") }, "nobody has been asked: there is no answer from u"),
        (R::NotAskable { url: text("u") }, "u is not an http URL that may be asked"),
        (R::NotFetched { url: text("u"), why: text("w") }, "u could not be asked: w"),
        (R::NoSource, "the distribution point has no URL, and no revocation list was brought for it"),
        (
            R::BroughtUnread { why: text("w") },
            "it names no source, and a revocation list that was brought cannot be read: w",
        ),
        (R::FreshestInCertificate, "the certificate names a freshest CRL, which is supported in revocation lists only"),
        (R::TooLarge { what: "list", size: 3, max: 2 }, "the list has 3 bytes; at most 2 are allowed"),
        (R::TooMany { what: "lists", max: 2 }, "there are more than 2 lists"),
        (R::Malformed { field: "certID", problem: text("p") }, "malformed certID: p"),
        (R::ExtensionRepeated { what: "list", oid: text("1.2") }, "the extension 1.2 of the list is there twice"),
        (
            R::CriticalExtension { what: "list", oid: text("1.2") },
            "the list has the critical extension 1.2, which is not processed",
        ),
        (R::NextUpdateMissing { what: "list" }, "the list has no nextUpdate"),
        (R::Expired { what: "list", next_update: at() }, "the list expired at 2026-01-01T00:00:00Z"),
        (
            R::Future { what: "list", this_update: at() },
            "the list is from the future: thisUpdate is 2026-01-01T00:00:00Z",
        ),
        (
            R::SignatureInvalid { what: "list" },
            "the signature of the list is invalid, or of an algorithm that is not supported",
        ),
        (R::ResponseStatus { status: "tryLater" }, "the OCSP response is an error: responseStatus is tryLater"),
        (R::ResponseType, "the OCSP response is not of the type id-pkix-ocsp-basic"),
        (
            R::NoSingleResponse,
            "the OCSP response says nothing about the certificate: no certID has its issuer and serial number",
        ),
        (R::SeveralSingleResponses, "the OCSP response has several answers about the certificate"),
        (R::StatusUnknown, "the OCSP responder does not know the certificate"),
        (
            R::Responder { problem: text("p") },
            "the OCSP response is signed neither by the issuer nor by a responder that the issuer appointed: p",
        ),
        (R::ResponderRevoked { responder: text("CN=r") }, "the OCSP responder CN=r is revoked"),
        (
            R::ResponderUnknown { responder: text("CN=r"), error: inner() },
            "the OCSP responder CN=r has no ocsp-nocheck, and its own revocation is unknown: the OCSP responder does not know the certificate",
        ),
        (R::OtherIssuer, "the revocation list is of another issuer"),
        (R::IssuerLacksCrlSign { issuer: text("CN=i") }, "the issuer CN=i lacks the key usage cRLSign"),
        (R::AlgorithmsDiffer, "the two algorithm identifiers of the revocation list differ"),
        (
            R::Scope { problem: "says that it is indirect" },
            "issuingDistributionPoint of the revocation list says that it is indirect",
        ),
        (R::DeltaAsBase, "the revocation list is a delta, not a complete list"),
        (
            R::Delta { error: inner() },
            "no delta of the revocation list can be used: the OCSP responder does not know the certificate",
        ),
        (
            R::DeltaUnfit { problem: "is not newer than the list" },
            "the delta of the revocation list is not newer than the list",
        ),
    ];
    assert_sentences(include_str!("../../src/revocation/error.rs"), &table);
}
