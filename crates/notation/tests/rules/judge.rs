// SPDX-License-Identifier: Apache-2.0
//! AU, AT, EX, LV, PL and the verdicts that follow.

use sealwatch_notation::{
    Action, CheckResult, CheckType, Envelope, EnvelopeError, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, Outcome, Reason,
    RevocationAnswers, TrustStores, Verdict, judge,
};

use serde_json::{Value, json};

use crate::support::cose::Cose;
use crate::support::der::{UTF8, name, simple_name};
use crate::support::jws::Jws;
use crate::support::key::Kind;
use crate::support::pki::{Signer, Template, authority_information, distribution_points};
use crate::support::{NOW, SIGNER, judged, policy, stores, target, time, trusting};

const TOKEN: &str = "io.cncf.notary.timestampSignature";

pub(crate) fn parse(jws: &Jws) -> Envelope {
    Envelope::parse(MEDIA_TYPE_JWS, &jws.sign()).expect("a sound envelope")
}

fn signed_by(signer: &Signer) -> Envelope {
    parse(&Jws::new(signer))
}

/// The root of the tests as `ca:test`.
fn trusted() -> TrustStores {
    stores(&[("ca:test", &Template::root().issue())])
}

fn result(outcome: &Outcome, check: CheckType) -> CheckResult {
    outcome.checks().iter().find(|c| c.check == check).expect("five checks").result
}

#[track_caller]
fn assert_outcome(outcome: &Outcome, verdict: Verdict, reason: Reason) {
    assert_eq!((outcome.verdict(), outcome.reason()), (verdict, reason), "{}", outcome.message());
}

#[test]
fn a_good_signature_is_verified_in_both_formats_with_signer_and_anchor() {
    let signer = Signer::new();
    let cose = Envelope::parse(MEDIA_TYPE_COSE, &Cose::new(&signer).sign()).expect("a sound envelope");
    for envelope in [signed_by(&signer), cose] {
        let outcome = judged(&envelope, &trusting("strict"), &trusted(), NOW);
        assert_outcome(&outcome, Verdict::Verified, Reason::SignatureValid);
        assert_eq!(outcome.message(), format!("signed by {SIGNER} (ca:test)"));
        let anchor = outcome.anchor().expect("an anchor");
        assert_eq!(anchor.store.to_string(), "ca:test");
        assert_eq!(anchor.certificate.der(), signer.root());
        assert!(outcome.checks().iter().all(|check| check.result == CheckResult::Passed));
        assert_eq!(outcome.checks().each_ref().map(|check| check.check), CheckType::ALL);
        let revocation = &outcome.checks()[4];
        assert_eq!(revocation.message, "no certificate names a revocation endpoint: nothing to check");
    }
}

/// DS-13, LV-3, DS-14.
#[test]
fn a_signature_about_another_artifact_fails_at_every_level() {
    let envelope = signed_by(&Signer::new());
    let mut others = [target(), target(), target()];
    others[0].media_type.push('x');
    others[1].digest = format!("sha256:{}", "5b".repeat(32));
    others[2].size += 1;
    for other in others {
        for level in ["strict", "permissive", "audit"] {
            let policy = trusting(level);
            let answers = RevocationAnswers::default();
            let outcome = judge(&envelope, &other, &policy.statements()[0], &trusted(), &answers, time(NOW));
            assert_outcome(&outcome, Verdict::Failed, Reason::SubjectMismatch);
            assert_eq!(result(&outcome, CheckType::Integrity), CheckResult::Failed);
            assert_eq!(result(&outcome, CheckType::Authenticity), CheckResult::NotEvaluated);
            assert!(outcome.message().contains("claims to be from"), "{}", outcome.message());
            assert_eq!(outcome.anchor(), None);
        }
    }
}

/// LV-3, CC-12.
#[test]
fn an_envelope_that_cannot_be_parsed_is_broken_at_every_level() {
    let error = EnvelopeError::SignatureInvalid;
    for level in ["strict", "permissive", "audit"] {
        let outcome = Outcome::broken(&trusting(level).statements()[0], &error);
        assert_outcome(&outcome, Verdict::Failed, Reason::IntegrityFailed);
        assert_eq!(outcome.message(), "signature is invalid");
        assert_eq!(result(&outcome, CheckType::Integrity), CheckResult::Failed);
        assert_eq!(outcome.checks()[0].reason, Some(Reason::IntegrityFailed));
        assert!(outcome.checks()[1..].iter().all(|check| check.result == CheckResult::NotEvaluated));
    }
}

/// LV-4: callers do not ask; if they do, nothing is verified by accident.
#[test]
fn level_skip_judges_nothing_and_verifies_nothing() {
    let policy = policy("skip", "", &[], &[]);
    let envelope = signed_by(&Signer::new());
    let broken = Outcome::broken(&policy.statements()[0], &EnvelopeError::SignatureInvalid);
    for outcome in [judged(&envelope, &policy, &trusted(), NOW), broken] {
        assert_outcome(&outcome, Verdict::Unknown, Reason::LevelSkip);
        for check in outcome.checks() {
            assert_eq!((check.action, check.result), (Action::Skip, CheckResult::NotEvaluated));
        }
    }
}

/// PL-3, PL-4, LV-3, D3: neither level nor trust softens what is not understood.
#[test]
fn plugins_and_unknown_critical_attributes_fail_at_every_level() {
    let mut plugin = Jws::new(&Signer::new());
    plugin.set("io.cncf.notary.verificationPlugin", "com.example.plugin");
    plugin.set("io.cncf.notary.verificationPluginMinVersion", "1.2.3");
    plugin.crit(&["io.cncf.notary.signingScheme", "io.cncf.notary.verificationPlugin"]);
    let mut unmarked = Jws::new(&Signer::new());
    unmarked.set("io.cncf.notary.verificationPlugin", "com.example.plugin");
    let mut attribute = Jws::new(&Signer::new());
    attribute.set("com.example.attribute", "x").crit(&["io.cncf.notary.signingScheme", "com.example.attribute"]);
    for (jws, named) in [
        (plugin, "com.example.plugin 1.2.3 or later"),
        (unmarked, "com.example.plugin"),
        (attribute, "com.example.attribute"),
    ] {
        for level in ["strict", "permissive", "audit"] {
            let outcome = judged(&parse(&jws), &trusting(level), &trusted(), NOW);
            assert_outcome(&outcome, Verdict::Failed, Reason::ExtensionUnsupported);
            assert!(outcome.message().contains(named), "{}", outcome.message());
        }
    }
}

/// PL-1, PL-3: a plugin that is asked for in a way that no verifier accepts fails too, and the message says what is wrong.
#[test]
fn what_is_wrong_with_a_demand_for_a_plugin_is_told() {
    const PLUGIN: &str = "io.cncf.notary.verificationPlugin";
    const VERSION: &str = "io.cncf.notary.verificationPluginMinVersion";
    const SCHEME: &str = "io.cncf.notary.signingScheme";
    let message = |name: Option<Value>, version: Option<Value>, crit: &[&str]| {
        let mut jws = Jws::new(&Signer::new());
        for (attribute, value) in [(PLUGIN, name), (VERSION, version)] {
            jws.protected.extend(value.map(|value| (attribute.to_owned(), value)));
        }
        jws.crit(&[&[SCHEME], crit].concat());
        let outcome = judged(&parse(&jws), &trusting("audit"), &trusted(), NOW);
        assert_outcome(&outcome, Verdict::Failed, Reason::ExtensionUnsupported);
        outcome.message().split("; ").nth(1).expect("three parts").to_owned()
    };
    let (name, version) = (|| Some(json!("com.example")), || Some(json!("1.0.0")));
    let both = &[PLUGIN, VERSION];
    for (found, expected) in [
        (message(name(), version(), both), "plugins are not run"),
        (message(name(), None, &[PLUGIN]), "plugins are not run"),
        (message(name(), None, &[]), "plugins are not run, and the plugin's name is not critical"),
        (message(name(), version(), &[PLUGIN]), "plugins are not run, and the plugin's version is not critical"),
        (message(Some(json!(7)), None, &[PLUGIN]), "plugins are not run, and the plugin's name is not text"),
        (message(Some(json!(" ")), None, &[PLUGIN]), "plugins are not run, and the plugin's name is blank"),
        (message(name(), Some(json!(1)), both), "plugins are not run, and the plugin's version is not text"),
        (message(name(), Some(json!("1.0")), both), "plugins are not run, and the plugin's version is no SemVer"),
        (message(None, version(), &[VERSION]), "plugins are not run, and a version is asked for, and no plugin"),
    ] {
        assert_eq!(found, expected);
    }
}

/// AU-2.
#[test]
fn any_certificate_of_the_chain_may_be_the_anchor() {
    let (leaf, middle) = (Template::leaf().below_intermediate(), Template::intermediate());
    let envelope = signed_by(&Signer::with_chain(&[&leaf, &middle, &Template::root()]));
    for anchor in &envelope.certificate_chain()[1..] {
        let outcome = judged(&envelope, &trusting("strict"), &stores(&[("ca:test", anchor.der())]), NOW);
        assert_outcome(&outcome, Verdict::Verified, Reason::SignatureValid);
        assert_eq!(outcome.anchor().map(|found| &found.certificate), Some(anchor));
    }
    let own = Signer { chain: vec![Template::self_signed().issue()], key: Kind::P256 };
    let trust = stores(&[("ca:test", &own.chain[0])]);
    let outcome = judged(&signed_by(&own), &trusting("strict"), &trust, NOW);
    assert_outcome(&outcome, Verdict::Verified, Reason::SignatureValid);
}

/// AU-2, AU-3, LV-1: byte for byte; the same name and key in another certificate is not the anchor.
#[test]
fn a_chain_to_another_root_is_untrusted_even_if_name_and_key_are_the_same() {
    let envelope = signed_by(&Signer::new());
    let twin = Template { serial: vec![0x02], ..Template::root() }.issue();
    let outcome = judged(&envelope, &trusting("strict"), &stores(&[("ca:test", &twin)]), NOW);
    assert_outcome(&outcome, Verdict::Failed, Reason::UntrustedChain);
    assert_eq!(result(&outcome, CheckType::Authenticity), CheckResult::Failed);
    assert_eq!(result(&outcome, CheckType::Expiry), CheckResult::NotEvaluated);
    assert!(outcome.message().contains("claims to be from"), "{}", outcome.message());
    assert!(!outcome.message().contains("signed by"), "{}", outcome.message());
    assert_eq!(outcome.anchor(), None);
}

/// AU-1: the scheme decides which type of store counts.
#[test]
fn a_scheme_is_trusted_only_by_stores_of_its_own_type() {
    let signer = Signer::new();
    let root = signer.root();
    let trust = stores(&[("ca:test", root), ("signingAuthority:test", root), ("tsa:test", root)]);
    let authority = parse(&Jws::signing_authority(&signer));
    let cose = Cose::signing_authority(&signer).sign();
    let cose = Envelope::parse(MEDIA_TYPE_COSE, &cose).expect("a sound envelope");
    let by = |envelope: &Envelope, store: &str| judged(envelope, &policy("strict", "", &[store], &["*"]), &trust, NOW);
    for envelope in [&authority, &cose] {
        assert_outcome(&by(envelope, "signingAuthority:test"), Verdict::Verified, Reason::SignatureValid);
        assert_outcome(&by(envelope, "ca:test"), Verdict::Failed, Reason::UntrustedChain);
    }
    assert_outcome(&by(&signed_by(&signer), "signingAuthority:test"), Verdict::Failed, Reason::UntrustedChain);
    let only_tsa = by(&signed_by(&signer), "tsa:test");
    assert_outcome(&only_tsa, Verdict::Failed, Reason::UntrustedChain);
    assert!(only_tsa.message().contains("no trust store of type ca"), "{}", only_tsa.message());
}

/// AU-1: what could not be loaded leaves the question open, in either direction.
#[test]
fn an_unavailable_trust_store_makes_the_outcome_unknown_even_beside_a_good_one() {
    let envelope = signed_by(&Signer::new());
    let two = policy("strict", "", &["ca:test", "ca:gone"], &["*"]);
    let mut unavailable = trusted();
    unavailable.insert_unavailable("ca:gone".parse().expect("a reference"), "configmap gone not found");
    for (trust, words) in [(trusted(), "no such trust store"), (unavailable, "configmap gone not found")] {
        let outcome = judged(&envelope, &two, &trust, NOW);
        assert_outcome(&outcome, Verdict::Unknown, Reason::TrustStoreUnavailable);
        assert!(outcome.message().contains("ca:gone") && outcome.message().contains(words), "{}", outcome.message());
        assert_eq!(result(&outcome, CheckType::Authenticity), CheckResult::Unknown);
        assert_eq!(outcome.anchor(), None);
    }
    // A store of a type that the scheme does not need is not looked at.
    let other = policy("strict", "", &["ca:test", "signingAuthority:gone"], &["*"]);
    assert_outcome(&judged(&envelope, &other, &trusted(), NOW), Verdict::Verified, Reason::SignatureValid);
}

/// AU-4, DN-8, DN-9.
#[test]
fn the_leaf_must_be_a_trusted_identity() {
    let envelope = signed_by(&Signer::new());
    let by = |identities: &[&str]| judged(&envelope, &policy("strict", "", &["ca:test"], identities), &trusted(), NOW);
    for good in [
        "x509.subject: CN=Azure IoT Operations,O=Microsoft Corporation,L=Redmond,ST=Washington,C=US",
        "x509.subject:C=US,S=Washington;O=Microsoft Corporation",
        "x509.subject: C=US, ST=Washington, O=Microsoft\\20Corporation",
    ] {
        assert_outcome(&by(&["x509.subject: C=US,ST=WA,O=Other", good]), Verdict::Verified, Reason::SignatureValid);
    }
    for bad in [
        "x509.subject: C=US,ST=Washington,O=microsoft corporation",
        "x509.subject: C=US,ST=Washington,O=Microsoft Corporation,OU=Other",
        "x509.subject: C=US,ST=Washington,O=Microsoft Corporation,cn=Azure IoT Operations",
        "x509.subject: CN=Sealwatch Test Root,O=Microsoft Corporation,ST=Washington,C=US",
    ] {
        let outcome = by(&[bad]);
        assert_outcome(&outcome, Verdict::Failed, Reason::UntrustedIdentity);
        assert!(outcome.message().contains("claims to be from"), "{}", outcome.message());
        assert_eq!(outcome.anchor(), None, "no anchor without authenticity");
    }
}

/// TP-27.
#[test]
fn identities_of_other_kinds_match_nobody() {
    let envelope = signed_by(&Signer::new());
    let arn = policy("strict", "", &["ca:test"], &["arn:aws:signer:us-west-2:1:/signing-profiles/p"]);
    let outcome = judged(&envelope, &arn, &trusted(), NOW);
    assert_outcome(&outcome, Verdict::Failed, Reason::UntrustedIdentity);
    assert!(outcome.message().contains("no x509.subject identity"), "{}", outcome.message());
}

/// DN-10 to DN-12: subjects that match no `x509.subject` identity, and `*` all the same.
#[test]
fn a_subject_that_cannot_be_compared_matches_only_the_wildcard() {
    let (c, st, o) = (("2.5.4.6", UTF8, &b"US"[..]), ("2.5.4.8", UTF8, &b"WA"[..]), ("2.5.4.10", UTF8, &b"Org"[..]));
    let subjects = [
        ("an e-mail address", name(&[c, st, o, ("1.2.840.113549.1.9.1", 0x16, b"a@b.c")])),
        ("a domain component", name(&[c, st, o, ("0.9.2342.19200300.100.1.25", 0x16, b"x")])),
        ("two organizations", name(&[c, st, o, ("2.5.4.10", UTF8, b"Org")])),
        ("two common names", name(&[c, st, o, ("2.5.4.3", UTF8, b"a"), ("2.5.4.3", UTF8, b"b")])),
        ("an encoded value", name(&[c, st, o, ("2.5.4.3", UTF8, b"a=#b")])),
        ("no country", name(&[st, o])),
        ("no state", name(&[c, o])),
        ("no organization", name(&[c, st])),
        ("an empty organization", name(&[c, st, ("2.5.4.10", UTF8, b"")])),
        ("a T61 string", name(&[c, st, ("2.5.4.10", 0x14, b"Org")])),
    ];
    for (what, subject) in subjects {
        let envelope = signed_by(&Signer::with_leaf(&Template { subject, ..Template::leaf() }));
        let exact = policy("strict", "", &["ca:test"], &["x509.subject: C=US,ST=WA,O=Org"]);
        let outcome = judged(&envelope, &exact, &trusted(), NOW);
        assert_outcome(&outcome, Verdict::Failed, Reason::UntrustedIdentity);
        let outcome = judged(&envelope, &trusting("strict"), &trusted(), NOW);
        assert_eq!(outcome.verdict(), Verdict::Verified, "{what}: {}", outcome.message());
    }
}

/// EX-1, D9.
#[test]
fn a_signature_is_expired_from_the_instant_of_its_expiry_on() {
    let envelope = parse(&Jws::new(&Signer::new()).expiring("2026-06-01T00:00:00Z"));
    let at = |now: &str| judged(&envelope, &trusting("strict"), &trusted(), now);
    let before = at("2026-05-31T23:59:59.999999999Z");
    assert_outcome(&before, Verdict::Verified, Reason::SignatureValid);
    assert_eq!(before.message(), format!("signed by {SIGNER} (ca:test), expires 2026-06-01T00:00:00Z"));
    assert_eq!(before.next_change(), Some(time("2026-06-01T00:00:00Z")));
    let after = at("2026-06-01T00:00:00Z");
    assert_outcome(&after, Verdict::Failed, Reason::SignatureExpired);
    assert_eq!(after.next_change(), None);
    assert_eq!(result(&after, CheckType::AuthenticTimestamp), CheckResult::NotEvaluated);
}

/// AT-1, CC-11, AU-5: both bounds are inclusive, and hold for each certificate.
#[test]
fn without_a_tsa_store_every_certificate_must_be_valid_now() {
    let short =
        |template: Template| Template { not_before: "20260101000000Z", not_after: "20261231235959Z", ..template };
    let short_leaf = Signer::with_leaf(&short(Template::leaf()));
    let short_root = Signer::with_chain(&[&Template::leaf(), &short(Template::root())]);
    for signer in [short_leaf, short_root] {
        let envelope = signed_by(&signer);
        let trust = stores(&[("ca:test", signer.root())]);
        let at = |now: &str| judged(&envelope, &trusting("strict"), &trust, now);

        let early = at("2025-12-31T23:59:59Z");
        assert_outcome(&early, Verdict::Failed, Reason::CertificateNotYetValid);
        assert_eq!(early.next_change(), Some(time("2026-01-01T00:00:00Z")));
        let first = at("2026-01-01T00:00:00Z");
        assert_outcome(&first, Verdict::Verified, Reason::SignatureValid);
        assert_eq!(first.next_change(), Some(time("2026-12-31T23:59:59.000000001Z")));
        assert_outcome(&at("2026-12-31T23:59:59Z"), Verdict::Verified, Reason::SignatureValid);
        let late = at("2026-12-31T23:59:59.000000001Z");
        assert_outcome(&late, Verdict::Failed, Reason::CertificateExpired);
        assert!(!late.message().contains("tsa"), "there is no timestamp: {}", late.message());
        assert!(late.message().contains("signed by"), "authenticity passed: {}", late.message());
        assert!(late.anchor().is_some());
    }
}

/// AT-2, AT-3, AT-15: with a tsa store. The tokens here are garbage; good ones have a file of their own.
#[test]
fn with_a_tsa_store_a_timestamp_is_needed_whenever_the_statement_says() {
    let signer = Signer::new();
    let without = parse(&Jws::new(&signer));
    let mut jws = Jws::new(&signer);
    jws.header.insert(TOKEN.to_owned(), "AAEC".into());
    let with = parse(&jws);
    let mut ended = Jws::new(&Signer::with_leaf(&Template { not_after: "20260101000000Z", ..Template::leaf() }));
    let ended_without = parse(&ended);
    ended.header.insert(TOKEN.to_owned(), "AAEC".into());
    let ended_with = parse(&ended);
    let early = parse(&Jws::new(&Signer::with_leaf(&Template { not_before: "20300101000000Z", ..Template::leaf() })));

    let root = Template::root().issue();
    let trust = stores(&[("ca:test", &root), ("tsa:test", &root)]);
    let always = policy("strict", "", &["ca:test", "tsa:test"], &["*"]);
    let after = policy("strict", r#","verifyTimestamp":"afterCertExpiry""#, &["ca:test", "tsa:test"], &["*"]);
    for (what, envelope, policy, trust, verdict, reason) in [
        ("always, none", &without, &always, &trust, Verdict::Failed, Reason::TimestampMissing),
        ("always, one", &with, &always, &trust, Verdict::Failed, Reason::TimestampInvalid),
        ("always, none, no store", &without, &always, &trusted(), Verdict::Failed, Reason::TimestampMissing),
        ("always, one, no store", &with, &always, &trusted(), Verdict::Failed, Reason::TimestampInvalid),
        ("after, none", &without, &after, &trust, Verdict::Verified, Reason::SignatureValid),
        ("after, one", &with, &after, &trust, Verdict::Verified, Reason::SignatureValid),
        ("after, one, no store", &with, &after, &trusted(), Verdict::Verified, Reason::SignatureValid),
        ("after, early", &early, &after, &trust, Verdict::Failed, Reason::CertificateNotYetValid),
        ("after, ended, none", &ended_without, &after, &trust, Verdict::Failed, Reason::TimestampMissing),
        ("after, ended, one", &ended_with, &after, &trust, Verdict::Failed, Reason::TimestampInvalid),
        ("after, ended, no store", &ended_with, &after, &trusted(), Verdict::Failed, Reason::TimestampInvalid),
    ] {
        let outcome = judged(envelope, policy, trust, NOW);
        assert_eq!((outcome.verdict(), outcome.reason()), (verdict, reason), "{what}: {}", outcome.message());
    }
    let outcome = judged(&with, &always, &trust, NOW);
    assert!(outcome.message().contains("the timestamp of the signature is not accepted"), "{}", outcome.message());
}

/// AT-4: neither the clock, nor a token, nor a tsa store matters.
#[test]
fn a_signing_authority_vouches_for_the_time() {
    let leaf = Template { not_before: "20240101000000Z", not_after: "20251231235959Z", ..Template::leaf() };
    let signer = Signer::with_leaf(&leaf);
    let trust = stores(&[("signingAuthority:test", signer.root())]);
    let policy = policy("strict", "", &["signingAuthority:test", "tsa:gone"], &["*"]);
    let signed_at = |signed: &str| {
        let mut jws = Jws::signing_authority(&signer);
        jws.set("io.cncf.notary.authenticSigningTime", signed);
        judged(&parse(&jws), &policy, &trust, NOW)
    };
    let expired_by_now = signed_at("2025-12-31T23:59:59Z");
    assert_outcome(&expired_by_now, Verdict::Verified, Reason::SignatureValid);
    assert_eq!(expired_by_now.next_change(), None);
    assert_outcome(&signed_at("2026-01-01T00:00:00Z"), Verdict::Failed, Reason::CertificateExpired);
    assert_outcome(&signed_at("2023-12-31T23:59:59Z"), Verdict::Failed, Reason::CertificateNotYetValid);
}

/// notation-behaviour: the claimed time of scheme notary.x509 is compared with nothing.
#[test]
fn the_claimed_signing_time_plays_no_part() {
    for signed in ["1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
        let mut jws = Jws::new(&Signer::new());
        jws.set("io.cncf.notary.signingTime", signed);
        let outcome = judged(&parse(&jws), &trusting("strict"), &trusted(), NOW);
        assert_outcome(&outcome, Verdict::Verified, Reason::SignatureValid);
    }
}

/// RV-1, RV-2, RV-5: what is not asked yet is not known.
#[test]
fn a_chain_that_names_a_revocation_endpoint_is_unknown() {
    let ocsp = || authority_information("1.3.6.1.5.5.7.48.1");
    let issuers = || authority_information("1.3.6.1.5.5.7.48.2");
    for (what, extension) in [
        ("OCSP", ocsp()),
        ("CRL", distribution_points("2.5.29.31")),
        ("freshest CRL", distribution_points("2.5.29.46")),
    ] {
        let leaf = Template::leaf().below_intermediate();
        let (middle, root) = (Template::intermediate(), Template::root());
        let on_leaf = Signer::with_chain(&[&leaf.clone().with_extension(extension.clone()), &middle, &root]);
        let on_middle = Signer::with_chain(&[&leaf, &middle.clone().with_extension(extension.clone()), &root]);
        for signer in [on_leaf, on_middle] {
            let trust = stores(&[("ca:test", signer.root())]);
            let outcome = judged(&signed_by(&signer), &trusting("strict"), &trust, NOW);
            assert_eq!((outcome.verdict(), outcome.reason()), (Verdict::Unknown, Reason::RevocationUnknown), "{what}");
            assert_eq!(result(&outcome, CheckType::Revocation), CheckResult::Unknown);
            let outcome = judged(&signed_by(&signer), &trusting("permissive"), &trust, NOW);
            assert_outcome(&outcome, Verdict::Verified, Reason::FailuresLogged);
            let skipping = policy("strict", r#","override":{"revocation":"skip"}"#, &["ca:test"], &["*"]);
            let outcome = judged(&signed_by(&signer), &skipping, &trust, NOW);
            assert_outcome(&outcome, Verdict::Verified, Reason::SignatureValid);
            assert_eq!(result(&outcome, CheckType::Revocation), CheckResult::NotEvaluated);
        }
        // The root is never asked about.
        let signer = Signer::with_chain(&[&Template::leaf(), &Template::root().with_extension(extension.clone())]);
        let trust = stores(&[("ca:test", signer.root())]);
        let outcome = judged(&signed_by(&signer), &trusting("strict"), &trust, NOW);
        assert_outcome(&outcome, Verdict::Verified, Reason::SignatureValid);
        // Nor is a certificate that is its own root.
        let alone = Template::self_signed().with_extension(extension);
        let signer = Signer { chain: vec![alone.issue()], key: alone.key };
        let trust = stores(&[("ca:test", signer.root())]);
        let outcome = judged(&signed_by(&signer), &trusting("strict"), &trust, NOW);
        assert_outcome(&outcome, Verdict::Verified, Reason::SignatureValid);
    }
    let signer = Signer::with_leaf(&Template::leaf().with_extension(issuers()));
    let outcome = judged(&signed_by(&signer), &trusting("strict"), &trusted(), NOW);
    assert_outcome(&outcome, Verdict::Verified, Reason::SignatureValid);
}

/// TP-9, LV-1, LV-2: notation's matrix of levels and defects.
#[test]
fn every_level_treats_every_defect_as_notation_does() {
    use Reason::{CertificateExpired, FailuresLogged, SignatureExpired, UntrustedChain};

    let good = Signer::new();
    let expired = parse(&Jws::new(&good).expiring("2026-01-01T00:00:00Z"));
    let old = signed_by(&Signer::with_leaf(&Template { not_after: "20260101000000Z", ..Template::leaf() }));
    let stranger = {
        let root = Template { key: Kind::Other, issuer_key: Kind::Other, ..Template::root() };
        signed_by(&Signer::with_chain(&[&Template { issuer_key: Kind::Other, ..Template::leaf() }, &root]))
    };
    let log_all = r#","override":{"authenticity":"log","authenticTimestamp":"log","expiry":"log","revocation":"log"}"#;
    let enforce_all = r#","override":{"authenticity":"enforce","authenticTimestamp":"enforce","expiry":"enforce","revocation":"enforce"}"#;
    let mixed = r#","override":{"authenticity":"log","authenticTimestamp":"enforce","expiry":"enforce","revocation":"enforce"}"#;
    let table = [
        ("strict", "", [SignatureExpired, CertificateExpired, UntrustedChain]),
        ("permissive", "", [FailuresLogged, FailuresLogged, UntrustedChain]),
        ("audit", "", [FailuresLogged, FailuresLogged, FailuresLogged]),
        ("strict", log_all, [FailuresLogged, FailuresLogged, FailuresLogged]),
        ("permissive", mixed, [SignatureExpired, CertificateExpired, FailuresLogged]),
        ("audit", enforce_all, [SignatureExpired, CertificateExpired, UntrustedChain]),
    ];
    for (level, over, expected) in table {
        for (envelope, reason) in [&expired, &old, &stranger].into_iter().zip(expected) {
            let outcome = judged(envelope, &policy(level, over, &["ca:test"], &["*"]), &trusted(), NOW);
            assert_eq!(outcome.reason(), reason, "{level} {over}: {}", outcome.message());
            let verdict = if reason == FailuresLogged { Verdict::Verified } else { Verdict::Failed };
            assert_eq!(outcome.verdict(), verdict);
        }
    }
}

/// LV-2: never plain green, and a stranger is not named as the signer.
#[test]
fn logged_failures_are_listed_and_a_stranger_only_claims_to_be_the_signer() {
    let leaf = Template { not_after: "20260101000000Z", ..Template::leaf() };
    let envelope = parse(&Jws::new(&Signer::with_leaf(&leaf)).expiring("2026-02-01T00:00:00Z"));
    let other = Template { serial: vec![2], ..Template::root() }.issue();
    let outcome = judged(&envelope, &trusting("audit"), &stores(&[("ca:test", &other)]), NOW);
    assert_outcome(&outcome, Verdict::Verified, Reason::FailuresLogged);
    for words in ["authenticity failed", "expiry failed", "authenticTimestamp failed", "claims to be from"] {
        assert!(outcome.message().contains(words), "{words}: {}", outcome.message());
    }
    assert!(!outcome.message().contains("signed by"), "{}", outcome.message());
    assert_eq!(outcome.anchor(), None);
    let unavailable = judged(&envelope, &trusting("audit"), &TrustStores::new(), NOW);
    assert_outcome(&unavailable, Verdict::Verified, Reason::FailuresLogged);
    assert!(unavailable.message().contains("authenticity unknown"), "{}", unavailable.message());
}

/// Text from a certificate is cut and cleaned wherever a message quotes it.
#[test]
fn messages_quote_subjects_cut_and_cleaned() {
    let subject = simple_name(&format!("CN=\u{1b}[2J\n{},O=o,ST=s,C=c", "x".repeat(2000)));
    let envelope = signed_by(&Signer::with_leaf(&Template { subject, ..Template::leaf() }));
    for identity in ["*", "x509.subject: C=c,ST=s,O=other"] {
        let outcome = judged(&envelope, &policy("strict", "", &["ca:test"], &[identity]), &trusted(), NOW);
        assert!(outcome.message().len() < 1000, "{}", outcome.message().len());
        assert!(!outcome.message().contains(char::is_control));
    }
}

/// LV-7: which of several signatures speaks for an image.
#[test]
fn outcomes_rank_verified_over_unknown_over_the_most_telling_failure() {
    let good = signed_by(&Signer::new());
    let ended = signed_by(&Signer::with_leaf(&Template { not_after: "20260101000000Z", ..Template::leaf() }));
    let strict = trusting("strict");
    let other = Template { serial: vec![2], ..Template::root() }.issue();
    let ranked = [
        Outcome::broken(&strict.statements()[0], &EnvelopeError::SignatureInvalid),
        judged(&good, &strict, &stores(&[("ca:test", &other)]), NOW),
        judged(&good, &policy("strict", "", &["ca:test"], &["x509.subject: C=a,ST=b,O=c"]), &trusted(), NOW),
        judged(&ended, &strict, &trusted(), NOW),
        judged(&good, &strict, &TrustStores::new(), NOW),
        judged(&ended, &trusting("permissive"), &trusted(), NOW),
        judged(&good, &strict, &trusted(), NOW),
    ];
    let ranks: Vec<u8> = ranked.iter().map(Outcome::rank).collect();
    assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    assert_eq!(ranked[3].reason(), Reason::CertificateExpired);
    assert_eq!(ranked[5].reason(), Reason::FailuresLogged);
}

/// The same arguments, the same outcome.
#[test]
fn a_judgement_depends_on_its_arguments_alone() {
    let envelope = signed_by(&Signer::new());
    let judge_once = || judged(&envelope, &trusting("strict"), &trusted(), NOW);
    assert_eq!(judge_once(), judge_once());
}
