// SPDX-License-Identifier: Apache-2.0
//! The published vectors of the Notary Project against this implementation.

#[path = "support/vectors.rs"]
mod vectors;

use sealwatch_notation::{
    Envelope, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, Outcome, Reason, RevocationAnswers, SignatureAlgorithm, SigningScheme,
    Statement, TargetArtifact, Timestamp, TrustPolicyDocument, TrustStore, TrustStores, Verdict, judge,
    parse_certificates,
};
use vectors::Vectors;

const MOCK: &str = "notation-go/internal/mock/testdata";
const STORES: &str = "notation-go/verifier/testdata/truststore/x509";
const TIMESTAMPED: &str = "notation-go/verifier/testdata/timestamp/sigEnv";
const POLICIES: &str = "notation/test/e2e/testdata/config/trustpolicies";
const LAYOUTS: &str = "notation/test/e2e/testdata/registry/oci_layout";
const DIGICERT: &str = "notation-go/verifier/testdata/truststore/x509/tsa/test-mismatch/DigiCertTSARootSHA384.cer";
const POLICIES_OF_USERS: [&str; 4] = [
    "roots/mcr-azurelinux.trustpolicy.json",
    "policies/seed-trustpolicy.json",
    "policies/seed-plus-tsa-trustpolicy.json",
    "policies/seed-plus-tsa-aftercertexpiry-trustpolicy.json",
];

/// A time at which the long-lived certificates of the vectors are valid.
const NOW: &str = "2026-11-22T12:00:00Z";

macro_rules! vectors_or_skip {
    ($test:literal) => {
        match Vectors::find($test) {
            Some(vectors) => vectors,
            None => return,
        }
    };
}

/// A trust policy with these stores and any identity.
fn policy(level: &str, stores: &[&str]) -> TrustPolicyDocument {
    let stores = stores.iter().map(|store| format!("{store:?}")).collect::<Vec<_>>().join(",");
    let json = format!(
        r#"{{"version":"1.0","trustPolicies":[{{"name":"test","registryScopes":["*"],
            "signatureVerification":{{"level":"{level}"}},"trustStores":[{stores}],"trustedIdentities":["*"]}}]}}"#
    );
    TrustPolicyDocument::from_json(json.as_bytes()).expect("the test's policy is valid")
}

fn stores(vectors: &Vectors, stores: &[(&str, &str)]) -> TrustStores {
    let mut all = TrustStores::new();
    for (reference, file) in stores {
        let certificates = parse_certificates(&vectors.read(file)).expect("certificates of a vector");
        let reference = reference.parse().expect("a reference of the test");
        all.insert(TrustStore::new(reference, certificates).expect("a trust store of a vector"));
    }
    all
}

/// Judges an envelope about its own target.
fn judge_at(envelope: &Envelope, statement: &Statement, stores: &TrustStores, now: &str) -> Outcome {
    let now: Timestamp = now.parse().expect("a time of the test");
    judge(envelope, &envelope.target().clone(), statement, stores, &RevocationAnswers::default(), now)
}

/// TP-2 to TP-28: every policy of notation's end-to-end tests, with the text that its own test expects.
#[test]
fn every_published_policy_is_accepted_or_refused_as_notation_does() {
    let vectors = vectors_or_skip!("every_published_policy_is_accepted_or_refused_as_notation_does");
    let table: &[(&str, Option<(&str, &str)>)] = &[
        ("any_registry_scope_trust_policy", None),
        ("audit_trustpolicy", None),
        ("empty_registry_scope_trustpolicy", Some(("TP-17", "has zero registry scopes"))),
        ("empty_trusted_identity_trustpolicy", Some(("TP-26", "has an empty trusted identity"))),
        ("generate_test_trustpolicy", None),
        ("invalid_format_trustpolicy", Some(("TP-1", "malformed trust policy"))),
        ("invalid_registry_scope_trustpolicy", None),
        ("invalid_trust_store_trustpolicy", None),
        ("invalid_trusted_identity_trustpolicy", None),
        ("malformed_registry_scope_trustpolicy", Some(("TP-20", "is not valid"))),
        ("malformed_trust_store_trustpolicy", Some(("TP-15", "uses an unsupported trust store name \"\""))),
        ("malformed_trusted_identity_trustpolicy", Some(("TP-26", "missing separator"))),
        ("missing_country_trusted_identity_trustpolicy", Some(("DN-7", "has no mandatory RDN attribute for \"C\""))),
        (
            "missing_organization_trusted_identity_trustpolicy",
            Some(("DN-7", "has no mandatory RDN attribute for \"O\"")),
        ),
        ("missing_state_trusted_identity_trustpolicy", Some(("DN-7", "has no mandatory RDN attribute for \"ST\""))),
        (
            "multi_statements_with_multi_wildcard_registry_scope_trustpolicy",
            Some(("TP-21", "registry scope \"*\" is present in multiple oci trust policy statements")),
        ),
        (
            "multi_statements_with_the_same_name_trustpolicy",
            Some(("TP-4", "multiple oci trust policy statements use the same name \"e2e\"")),
        ),
        (
            "multi_statements_with_the_same_registry_scope_trustpolicy",
            Some(("TP-21", "is present in multiple oci trust policy statements")),
        ),
        ("multi_statements_with_wildcard_registry_scope_trustpolicy", None),
        ("multiple_registry_scope_trustpolicy", None),
        ("multiple_trust_store_trustpolicy", None),
        ("multiple_trusted_identity_trustpolicy", None),
        ("overlapped_registry_scope_trustpolicy", Some(("TP-21", "present in multiple"))),
        ("overlapped_trust_store_trustpolicy", None),
        ("overlapped_trusted_identity_trustpolicy", Some(("TP-28", "has overlapping x509 trustedIdentities"))),
        ("override_audit_trustpolicy", None),
        (
            "override_integrity_for_permissive_trustpolicy",
            Some(("TP-8", "\"integrity\" verification can not be overridden")),
        ),
        ("override_permissive_trustpolicy", None),
        ("override_strict_trustpolicy", None),
        ("permissive_trustpolicy", None),
        ("quickstart_trustpolicy", None),
        ("registry_scope_trustpolicy", None),
        ("skip_trustpolicy", None),
        ("timestamp_after_cert_expiry_trustpolicy", None),
        ("timestamp_trustpolicy", None),
        ("trustpolicy", None),
        ("unset_trust_store_trustpolicy", Some(("TP-12", "is either missing trust stores or trusted identities"))),
        ("unset_trusted_identity_trustpolicy", Some(("TP-12", "is either missing trust stores or trusted identities"))),
        ("valid_trusted_identity_trustpolicy", None),
        ("wildcard_plus_other_registry_scope_trustpolicy", Some(("TP-18", "uses wildcard registry scope '*'"))),
        ("wildcard_plus_other_trusted_identity_trustpolicy", Some(("TP-25", "uses a wildcard trusted identity '*'"))),
        ("wildcard_trust_store_trustpolicy", Some(("TP-13", "has malformed trust store value \"*\""))),
    ];
    for (name, expected) in table {
        let parsed = TrustPolicyDocument::from_json(&vectors.read(&format!("{POLICIES}/{name}.json")));
        match (parsed, expected) {
            (Ok(_), None) => {}
            (Err(error), Some((rule, message))) => {
                assert_eq!(error.rule(), *rule, "{name}: {error}");
                assert!(error.to_string().contains(message), "{name}: {error}");
            }
            (parsed, expected) => panic!("{name}: expected {expected:?}, got {parsed:?}"),
        }
    }
}

/// TP-22, TP-24.
#[test]
fn a_published_policy_with_a_foreign_scope_applies_to_nothing_else() {
    let vectors = vectors_or_skip!("a_published_policy_with_a_foreign_scope_applies_to_nothing_else");
    let read = |name: &str| {
        let json = vectors.read(&format!("{POLICIES}/{name}.json"));
        TrustPolicyDocument::from_json(&json).expect("a valid policy")
    };
    assert!(read("invalid_registry_scope_trustpolicy").statement_for("localhost:5000/e2e").is_none());
    let exact_beats_wildcard = read("multi_statements_with_wildcard_registry_scope_trustpolicy");
    let statements = exact_beats_wildcard.statements();
    let exact = statements.iter().find(|s| s.registry_scopes() != ["*"]).expect("an exact scope");
    assert_eq!(exact_beats_wildcard.statement_for(&exact.registry_scopes()[0]), Some(exact));
    let wildcard = statements.iter().find(|s| s.registry_scopes() == ["*"]);
    assert_eq!(exact_beats_wildcard.statement_for("registry.example/else"), wildcard);
}

#[test]
fn the_policies_of_the_first_users_are_accepted() {
    let vectors = vectors_or_skip!("the_policies_of_the_first_users_are_accepted");
    let read = |path: &str| TrustPolicyDocument::from_json(&vectors.read(path)).expect(path);
    for path in POLICIES_OF_USERS {
        assert_eq!(read(path).statements().len(), 1, "{path}");
    }
}

/// JW-3, CC-3: leaf and root have the same name, so a test for self-signed by name would refuse the chain.
#[test]
fn notations_own_jws_envelopes_verify_under_their_scheme() {
    let vectors = vectors_or_skip!("notations_own_jws_envelopes_verify_under_their_scheme");
    let root = format!("{STORES}/ca/valid-trust-store/NotationTestRoot.pem");
    let trust = stores(&vectors, &[("ca:test", &root), ("signingAuthority:test", &root)]);
    for (file, scheme, mine, other) in [
        ("ca_valid_sig_env", SigningScheme::X509, "ca:test", "signingAuthority:test"),
        ("sa_valid_sig_env", SigningScheme::SigningAuthority, "signingAuthority:test", "ca:test"),
    ] {
        let bytes = vectors.read(&format!("{MOCK}/{file}.json"));
        let envelope = Envelope::parse(MEDIA_TYPE_JWS, &bytes).expect(file);
        assert_eq!(envelope.signing_scheme(), scheme);
        assert_eq!(envelope.algorithm(), SignatureAlgorithm::Ps384);
        assert_eq!(envelope.target().size, 528);
        assert_eq!(envelope.certificate_chain().len(), 2);
        assert_eq!(envelope.leaf().subject(), envelope.certificate_chain()[1].subject());

        let good = judge_at(&envelope, &policy("strict", &[mine]).statements()[0], &trust, NOW);
        assert_eq!((good.verdict(), good.reason()), (Verdict::Verified, Reason::SignatureValid), "{}", good.message());
        // AU-1: the other type of store counts for nothing.
        let bad = judge_at(&envelope, &policy("strict", &[other]).statements()[0], &trust, NOW);
        assert_eq!((bad.verdict(), bad.reason()), (Verdict::Failed, Reason::UntrustedChain), "{}", bad.message());
    }
}

/// EX-1.
#[test]
fn notations_own_expired_envelopes_fail_on_expiry_alone() {
    let vectors = vectors_or_skip!("notations_own_expired_envelopes_fail_on_expiry_alone");
    let root = format!("{STORES}/ca/valid-trust-store/NotationTestRoot.pem");
    let trust = stores(&vectors, &[("ca:test", &root), ("signingAuthority:test", &root)]);
    for (file, store) in [("ca_expired_sig_env", "ca:test"), ("sa_expired_sig_env", "signingAuthority:test")] {
        let envelope = Envelope::parse(MEDIA_TYPE_JWS, &vectors.read(&format!("{MOCK}/{file}.json"))).expect(file);
        let outcome = judge_at(&envelope, &policy("strict", &[store]).statements()[0], &trust, NOW);
        assert_eq!(outcome.reason(), Reason::SignatureExpired, "{}", outcome.message());
        let outcome = judge_at(&envelope, &policy("permissive", &[store]).statements()[0], &trust, NOW);
        assert_eq!((outcome.verdict(), outcome.reason()), (Verdict::Verified, Reason::FailuresLogged));
    }
}

/// JW-2, JW-7.
#[test]
fn notations_own_broken_envelopes_are_refused() {
    let vectors = vectors_or_skip!("notations_own_broken_envelopes_are_refused");
    for file in ["ca_invalid_sig_env", "sa_invalid_sig_env"] {
        let error = Envelope::parse(MEDIA_TYPE_JWS, &vectors.read(&format!("{MOCK}/{file}.json"))).expect_err(file);
        assert!(error.to_string().contains("base64url"), "{error}");
    }
    let malformed = vectors.read("notation/test/e2e/testdata/signatures/malformed.jws.sig");
    assert!(Envelope::parse(MEDIA_TYPE_JWS, &malformed).is_err());
    for media_type in [MEDIA_TYPE_JWS, MEDIA_TYPE_COSE] {
        let archive = vectors.read(&format!(
            "{LAYOUTS}/e2e-invalid-signature/blobs/sha256/\
             a045c6c6d90c1183b27b6759500aa5996b90701759d4d149f7b540e59f0b632a"
        ));
        assert!(Envelope::parse(media_type, &archive).is_err());
    }
}

/// PL-3, PL-5.
#[test]
fn notations_own_envelopes_for_plugins_fail_with_the_plugins_name() {
    let vectors = vectors_or_skip!("notations_own_envelopes_for_plugins_fail_with_the_plugins_name");
    let mut files =
        vec![("ca_plugin_sig_env".to_owned(), "plugin-name"), ("sa_plugin_sig_env".to_owned(), "plugin-name")];
    let mock = "io.cncf.notary.plugin.unittest.mock";
    for version in ["0.0.9", "1.0.0-alpha", "1.0.0-alpha.beta", "1.0.0"] {
        files.push((format!("ca_compatible_pluginver_sig_env_{version}"), mock));
    }
    for version in ["1.0.1", "1.0.9", "1.1.0-alpha", "1.2.3"] {
        files.push((format!("ca_incompatible_pluginver_sig_env_{version}"), mock));
    }
    for (file, plugin) in files {
        let envelope = Envelope::parse(MEDIA_TYPE_JWS, &vectors.read(&format!("{MOCK}/{file}.json"))).expect(&file);
        for level in ["strict", "audit"] {
            let statement = &policy(level, &["ca:none"]).statements()[0].clone();
            let outcome = judge_at(&envelope, statement, &TrustStores::new(), NOW);
            assert_eq!(
                (outcome.verdict(), outcome.reason()),
                (Verdict::Failed, Reason::ExtensionUnsupported),
                "{file}"
            );
            assert!(outcome.message().contains(plugin), "{file}: {}", outcome.message());
        }
    }
}

/// JW-1, CO-1: one artifact, signed in both formats.
#[test]
fn the_same_artifact_signed_in_both_formats_verifies_in_both() {
    let vectors = vectors_or_skip!("the_same_artifact_signed_in_both_formats_verifies_in_both");
    let manifest = TargetArtifact {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        digest: "sha256:19dbd2e48e921426ee8ace4dc892edfb2ecdc1d1a72d5416c83670c30acecef0".to_owned(),
        size: 481,
    };
    for (file, media_type) in [("jws_signature.sig", MEDIA_TYPE_JWS), ("cose_signature.sig", MEDIA_TYPE_COSE)] {
        let envelope =
            Envelope::parse(media_type, &vectors.read(&format!("notation-go/internal/testdata/{file}"))).expect(file);
        assert_eq!(envelope.target(), &manifest, "{file}");
        let mut trust = TrustStores::new();
        let root = envelope.certificate_chain().to_vec();
        trust.insert(TrustStore::new("ca:alpine".parse().expect("a reference"), root).expect("a trust store"));
        let outcome = judge_at(&envelope, &policy("strict", &["ca:alpine"]).statements()[0], &trust, NOW);
        assert_eq!(outcome.reason(), Reason::SignatureValid, "{file}: {}", outcome.message());
    }
}

/// AT-1, AT-3, AT-13, AT-14: GlobalSign's authority names revocation endpoints, which are not asked yet. So its good
/// tokens are undecided, and those that are outside of the signing certificate's validity fail all the same.
#[test]
fn timestamped_envelopes_are_judged_by_the_clock_without_a_tsa_store_and_by_the_token_with_one() {
    let vectors =
        vectors_or_skip!("timestamped_envelopes_are_judged_by_the_clock_without_a_tsa_store_and_by_the_token_with_one");
    let tsa = format!("{STORES}/tsa/test-timestamp/globalsignRoot.cer");
    let table = [
        ("jwsWithTimestamp", MEDIA_TYPE_JWS, Reason::SignatureValid, Reason::RevocationUnknown),
        ("coseWithTimestamp", MEDIA_TYPE_COSE, Reason::SignatureValid, Reason::RevocationUnknown),
        ("jwsExpiredWithTimestamp", MEDIA_TYPE_JWS, Reason::CertificateExpired, Reason::RevocationUnknown),
        ("coseExpiredWithTimestamp", MEDIA_TYPE_COSE, Reason::CertificateExpired, Reason::RevocationUnknown),
        ("timestampAfterNotAfter", MEDIA_TYPE_COSE, Reason::CertificateExpired, Reason::TimestampInvalid),
        ("timestampBeforeNotBefore", MEDIA_TYPE_JWS, Reason::CertificateNotYetValid, Reason::TimestampInvalid),
        ("withoutTimestamp", MEDIA_TYPE_JWS, Reason::SignatureValid, Reason::TimestampMissing),
    ];
    for (file, media_type, without, with) in table {
        let envelope = Envelope::parse(media_type, &vectors.read(&format!("{TIMESTAMPED}/{file}.sig"))).expect(file);
        assert_eq!(envelope.timestamp_token().is_some(), file != "withoutTimestamp", "{file}");
        let mut trust = stores(&vectors, &[("tsa:globalsign", &tsa)]);
        let chain = envelope.certificate_chain().to_vec();
        trust.insert(TrustStore::new("ca:signer".parse().expect("a reference"), chain).expect("a trust store"));
        let outcome = judge_at(&envelope, &policy("strict", &["ca:signer"]).statements()[0], &trust, NOW);
        assert_eq!(outcome.reason(), without, "{file}: {}", outcome.message());
        let would_help = without == Reason::CertificateExpired && with != Reason::TimestampInvalid;
        assert_eq!(outcome.message().contains("add a tsa trust store"), would_help, "{file}: {}", outcome.message());
        let statement = &policy("strict", &["ca:signer", "tsa:globalsign"]).statements()[0].clone();
        let outcome = judge_at(&envelope, statement, &trust, NOW);
        assert_eq!(outcome.reason(), with, "{file}: {}", outcome.message());
        if with == Reason::TimestampInvalid {
            assert!(outcome.message().contains("may have been made at"), "{file}: {}", outcome.message());
        }
        assert_eq!(outcome.timestamp(), None, "{file}");
        let later = outcome.next_change();
        assert_eq!(later, None, "{file}: with a tsa store the clock decides nothing");
        // AT-12: another authority's root is none.
        let digicert = stores(&vectors, &[("tsa:globalsign", DIGICERT)]);
        for (_, store) in digicert.iter() {
            trust.insert(store.expect("a trust store").clone());
        }
        let outcome = judge_at(&envelope, statement, &trust, NOW);
        let expected = if with == Reason::TimestampMissing { with } else { Reason::TimestampInvalid };
        assert_eq!(outcome.reason(), expected, "{file}: {}", outcome.message());
    }
}

/// The OCI layouts of notation's end-to-end tests, read from their blobs.
#[test]
fn the_signatures_of_the_published_layouts_end_as_notations_tests_say() {
    let vectors = vectors_or_skip!("the_signatures_of_the_published_layouts_end_as_notations_tests_say");
    let trust = stores(&vectors, &[("ca:e2e", "notation/test/e2e/testdata/config/localkeys/e2e.crt")]);
    let table = [
        (
            "e2e-valid-signature",
            "c9af07e038b2b1a463e648986ad7273157511ffeba0b689f33e5472bae471f50",
            Reason::SignatureValid,
        ),
        (
            "e2e-valid-multiple-signatures",
            "a54333638acfa773a6b25429ee409b558d39c6f3c45dd14f714d72452bc36481",
            Reason::UntrustedChain,
        ),
        (
            "e2e-expired-signature",
            "b5f927564088f65dad86c81bcdd0b55415a8b4c9a0a5391107210e0cdb305cc7",
            Reason::SignatureExpired,
        ),
        (
            "e2e-with-expired-cert",
            "8513a5ba473f32b78a87518b732700632c05cde0d59d179275c5c5a8096beeed",
            Reason::UntrustedChain,
        ),
    ];
    for (layout, blob, expected) in table {
        let bytes = vectors.read(&format!("{LAYOUTS}/{layout}/blobs/sha256/{blob}"));
        let envelope = Envelope::parse(MEDIA_TYPE_JWS, &bytes).expect(layout);
        let outcome = judge_at(&envelope, &policy("strict", &["ca:e2e"]).statements()[0], &trust, NOW);
        assert_eq!(outcome.reason(), expected, "{layout}: {}", outcome.message());
    }
}

/// AT-14, AT-5: a good token by Microsoft's authority, which names revocation endpoints, and eight bytes of garbage.
/// The first has a certificate of one day and has expired since.
#[test]
fn the_timestamps_of_the_published_layouts_are_judged_before_what_is_not_known() {
    let vectors = vectors_or_skip!("the_timestamps_of_the_published_layouts_are_judged_before_what_is_not_known");
    let table = [
        (
            "e2e-with-timestamped-signature",
            "603ff134e97a79cd7a15560b76137c2c4a10451daab11327a7c6f86dac250fee",
            Verdict::Unknown,
            Reason::RevocationUnknown,
        ),
        (
            "e2e-with-invalid-timestamped-signature",
            "8d2e70ffc2af68b7f2df6f30dfefcb7bcda1db5f9ac2566fc8c6c2248c8d4c5f",
            Verdict::Failed,
            Reason::TimestampInvalid,
        ),
    ];
    for (layout, blob, verdict, reason) in table {
        let bytes = vectors.read(&format!("{LAYOUTS}/{layout}/blobs/sha256/{blob}"));
        let envelope = Envelope::parse(MEDIA_TYPE_JWS, &bytes).expect(layout);
        let mut trust = stores(&vectors, &[("tsa:microsoft", "roots/MicrosoftIdentityVerificationRoot2020.pem")]);
        let chain = envelope.certificate_chain().to_vec();
        trust.insert(TrustStore::new("ca:signer".parse().expect("a reference"), chain).expect("a trust store"));
        let statement = &policy("strict", &["ca:signer", "tsa:microsoft"]).statements()[0].clone();
        let outcome = judge_at(&envelope, statement, &trust, "2025-01-21T10:00:00Z");
        assert_eq!((outcome.verdict(), outcome.reason()), (verdict, reason), "{layout}: {}", outcome.message());
    }
}

/// Real Microsoft certificates, and real tokens by Microsoft's timestamping authority.
#[test]
fn signatures_over_blobs_parse_with_their_real_timestamp_tokens() {
    let vectors = vectors_or_skip!("signatures_over_blobs_parse_with_their_real_timestamp_tokens");
    for (file, media_type) in [("blob.jws.sig", MEDIA_TYPE_JWS), ("blob.cose.sig", MEDIA_TYPE_COSE)] {
        let bytes = vectors.read(&format!("notation/test/e2e/testdata/signatures/{file}"));
        let envelope = Envelope::parse(media_type, &bytes).expect(file);
        assert_eq!(envelope.target().size, 11357, "{file}");
        assert!(envelope.timestamp_token().is_some_and(|token| token.len() > 4000), "{file}");
    }
    let bytes = vectors.read("extracted/blob-verify-example.jws.json");
    let envelope = Envelope::parse(MEDIA_TYPE_JWS, &bytes).expect("a signature over a blob");
    assert!(envelope.target().digest.starts_with("sha384:"));
}

#[test]
fn the_root_of_azure_iot_operations_makes_a_trust_store() {
    let vectors = vectors_or_skip!("the_root_of_azure_iot_operations_makes_a_trust_store");
    let file = vectors.read("roots/MicrosoftSupplyChainRSARootCA2022.crt");
    let certificates = parse_certificates(&file).expect("a certificate");
    let root = &certificates[0];
    assert!(root.sha256().starts_with("23ffe2b8"), "{}", root.sha256());
    assert_eq!(root.subject(), "CN=Microsoft Supply Chain RSA Root CA 2022,O=Microsoft Corporation,C=US");
    assert_eq!(root.common_name(), Some("Microsoft Supply Chain RSA Root CA 2022"));
    TrustStore::new("ca:supplychain".parse().expect("a reference"), certificates.clone()).expect("a trust store");
}

/// TS-4 to TS-7.
#[test]
fn published_trust_store_files_are_accepted_or_refused_as_notation_does() {
    let vectors = vectors_or_skip!("published_trust_store_files_are_accepted_or_refused_as_notation_does");
    let table = [
        ("ca:x", format!("{STORES}/ca/valid-trust-store/GlobalSign.der"), Ok(1)),
        ("ca:x", format!("{STORES}/ca/valid-trust-store-self-signed/openssl-minimum-self-signed.pem"), Ok(1)),
        ("ca:x", "notation-core-go/x509/testdata/multi-der.der".to_owned(), Ok(2)),
        ("ca:x", "notation-core-go/x509/testdata/multi-pem.crt".to_owned(), Ok(2)),
        ("ca:x", "notation-core-go/x509/testdata/invalid".to_owned(), Err("certificate")),
        ("ca:x", format!("{STORES}/ca/trust-store-with-invalid-certs/invalid"), Err("certificate")),
        ("ca:x", format!("{STORES}/ca/trust-store-with-leaf-certs/non-ca.crt"), Err("is not a CA certificate")),
        (
            "ca:x",
            format!("{STORES}/ca/trust-store-with-leaf-certs-in-single-file/RootAndLeafCerts.crt"),
            Err("is not a CA certificate"),
        ),
        ("tsa:x", format!("{STORES}/tsa/test-timestamp/globalsignRoot.cer"), Ok(1)),
        ("tsa:x", format!("{STORES}/tsa/test-nonCA/wabbit-networks.io.crt"), Err("is not a root CA")),
        ("tsa:x", format!("{STORES}/tsa/test-nonSelfIssued/nonSelfIssued.crt"), Err("is not a root CA")),
        ("tsa:x", "roots/MicrosoftRootCertificateAuthority2010.pem".to_owned(), Ok(1)),
        ("tsa:x", "notation/test/e2e/testdata/config/timestamp/Empty.txt".to_owned(), Err("no certificate")),
        ("tsa:x", "notation/test/e2e/testdata/config/timestamp/intermediate.pem".to_owned(), Err("is not a root CA")),
        ("tsa:x", "notation/test/e2e/testdata/config/timestamp/invalid.crt".to_owned(), Err("certificate field")),
    ];
    for (reference, file, expected) in table {
        let store =
            parse_certificates(&vectors.read(&file)).map_err(|error| error.to_string()).and_then(|certificates| {
                TrustStore::new(reference.parse().expect("a reference"), certificates)
                    .map_err(|error| error.to_string())
            });
        match (store, expected) {
            (Ok(store), Ok(count)) => assert_eq!(store.certificates().len(), count, "{file}"),
            (Err(error), Err(words)) => assert!(error.contains(words), "{file}: {error}"),
            (store, expected) => panic!("{file}: expected {expected:?}, got {store:?}"),
        }
    }
}
