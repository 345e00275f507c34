// SPDX-License-Identifier: Apache-2.0
//! JW: JWS envelopes.

use sealwatch_notation::{
    Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, SignatureAlgorithm, SigningScheme,
    Timestamp,
};
use serde_json::{Value, json};

use crate::support::jws::Jws;
use crate::support::key::{Key, Kind};
use crate::support::pki::{Signer, Template};
use crate::support::{SIGNER, payload, target, time};

fn parse(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    Envelope::parse(MEDIA_TYPE_JWS, bytes)
}

/// Signs what `change` makes of a good envelope, and returns why it is refused.
fn refusal(change: impl FnOnce(&mut Jws)) -> EnvelopeError {
    let mut jws = Jws::new(&Signer::new());
    change(&mut jws);
    parse(&jws.sign()).expect_err("the envelope must be refused")
}

/// Signs what `change` makes of a good envelope, which must stay good.
fn accepted(change: impl FnOnce(&mut Jws)) -> Envelope {
    let mut jws = Jws::new(&Signer::new());
    change(&mut jws);
    parse(&jws.sign()).expect("the envelope must be accepted")
}

fn leaf(key: Kind) -> Signer {
    Signer::with_leaf(&Template { key, ..Template::leaf() })
}

/// JW-3, JW-5, JW-7, JW-12.
#[test]
fn a_good_envelope_gives_back_everything_that_was_signed() {
    let envelope = accepted(|jws| *jws = jws.clone().expiring("2027-01-01T00:00:00+02:00"));
    assert_eq!(envelope.media_type(), MEDIA_TYPE_JWS);
    assert_eq!(envelope.signing_scheme(), SigningScheme::X509);
    assert_eq!(envelope.algorithm(), SignatureAlgorithm::Es256);
    assert_eq!(envelope.signing_time(), time("2025-01-01T00:00:00Z"));
    assert_eq!(envelope.authentic_signing_time(), None);
    assert_eq!(envelope.expiry(), Some(time("2026-12-31T22:00:00Z")));
    assert_eq!(envelope.target(), &target());
    assert_eq!(envelope.leaf().subject(), SIGNER);
    assert_eq!(envelope.certificate_chain().len(), 2);
    assert_eq!(envelope.signature().len(), 64);
    assert_eq!(envelope.signing_agent(), Some("sealwatch-tests/1"));
    assert_eq!(envelope.timestamp_token(), None);
    assert_eq!(envelope.verification_plugin(), None);
}

/// JW-6, JW-9, CC-7.
#[test]
fn all_six_algorithms_verify() {
    let kinds = [Kind::Rsa2048, Kind::Rsa3072, Kind::Rsa4096, Kind::P256, Kind::P384, Kind::P521];
    for (kind, algorithm) in kinds.into_iter().zip(SignatureAlgorithm::ALL) {
        let envelope = parse(&Jws::new(&leaf(kind)).sign()).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!(envelope.algorithm(), algorithm);
    }
}

/// JW-6.
#[test]
fn an_algorithm_that_the_leafs_key_does_not_imply_is_refused() {
    for algorithm in ["none", "HS256", "RS256", "ES384", "ES512", "PS256", "EdDSA", "es256", ""] {
        let error = refusal(|jws| {
            jws.set("alg", algorithm);
        });
        assert_eq!(error, EnvelopeError::AlgorithmUnsupported { found: algorithm.to_owned() });
    }
    let error = refusal(|jws| {
        jws.protected.remove("alg");
    });
    assert_eq!(error, EnvelopeError::HeaderMissing { header: "alg" });
}

/// JW-9.
#[test]
fn an_ecdsa_signature_in_der_or_of_another_length_is_refused() {
    let jws = Jws::new(&Signer::new());
    assert_eq!(parse(&jws.envelope(Key::sign_asn1)), Err(EnvelopeError::SignatureInvalid));
    let longer = |key: &Key, message: &[u8]| [key.sign(message), vec![0]].concat();
    assert_eq!(parse(&jws.envelope(longer)), Err(EnvelopeError::SignatureInvalid));
    let shorter = |key: &Key, message: &[u8]| key.sign(message)[..63].to_vec();
    assert_eq!(parse(&jws.envelope(shorter)), Err(EnvelopeError::SignatureInvalid));
}

/// JW-10.
#[test]
fn a_missing_or_empty_signature_is_refused() {
    let jws = Jws::new(&Signer::new());
    assert_eq!(parse(&jws.envelope(|_, _| Vec::new())), Err(EnvelopeError::SignatureMissing));
    let mut members = jws.members(Key::sign);
    members.remove("signature");
    members.insert("header".to_owned(), Value::Object(jws.header));
    assert_eq!(parse(Value::Object(members).to_string().as_bytes()), Err(EnvelopeError::SignatureMissing));
}

/// JW-7.
#[test]
fn a_signature_over_something_else_is_refused() {
    let jws = Jws::new(&Signer::new());
    let over_other = |key: &Key, message: &[u8]| key.sign(&[message, b" "].concat());
    assert_eq!(parse(&jws.envelope(over_other)), Err(EnvelopeError::SignatureInvalid));
    let mut by_other = jws;
    by_other.key = Kind::Other;
    assert_eq!(parse(&by_other.sign()), Err(EnvelopeError::SignatureInvalid));
}

/// JW-1, D19.
#[test]
fn other_serializations_and_members_are_refused() {
    let jws = Jws::new(&Signer::new());
    let members = jws.members(Key::sign);
    let text = |name: &str| members[name].as_str().expect("text").to_owned();
    let compact = format!("{}.{}.{}", text("protected"), text("payload"), text("signature"));
    let general = json!({
        "payload": text("payload"),
        "signatures": [{"protected": text("protected"), "signature": text("signature"), "header": jws.header}],
    });
    let mut beside: Value = serde_json::from_slice(&jws.sign()).expect("JSON");
    beside["signatures"] = json!([]);
    let whole = String::from_utf8(jws.sign()).expect("JSON");
    let array = json!([text("payload"), text("protected"), jws.header, text("signature")]);
    for bytes in [
        compact,
        array.to_string(),
        general.to_string(),
        beside.to_string(),
        format!("{whole} {{}}"),
        format!("[{whole}]"),
        "null".to_owned(),
        String::new(),
        format!("\u{feff}{whole}"),
    ] {
        let error = parse(bytes.as_bytes()).expect_err(&bytes);
        assert!(matches!(error, EnvelopeError::Malformed { part: "JSON", .. }), "{bytes}: {error}");
    }
}

/// JW-2.
#[test]
fn base64url_with_padding_line_breaks_or_stray_bits_is_refused() {
    let good: Value = serde_json::from_slice(&Jws::new(&Signer::new()).sign()).expect("JSON");
    for member in ["payload", "protected", "signature"] {
        let text = good[member].as_str().expect("text");
        let mut stray = text.to_owned();
        // 'B' and 'h' differ from 'A' and 'g' in a bit that decoding drops, if any is dropped.
        let last = stray.pop().expect("text");
        stray.push(if last == 'g' { 'h' } else { 'B' });
        for changed in [format!("{text}="), format!("{text}=="), format!("\n{text}"), format!("{text}\r\n"), stray] {
            let mut envelope = good.clone();
            envelope[member] = changed.clone().into();
            assert!(parse(envelope.to_string().as_bytes()).is_err(), "{member}: {changed}");
        }
        let mut standard = good.clone();
        standard[member] = format!("+/{}", &text[2..]).into();
        assert!(parse(standard.to_string().as_bytes()).is_err(), "{member}: standard alphabet");
    }
}

/// JW-3, CC-1.
#[test]
fn a_chain_that_is_missing_or_not_base64_is_refused() {
    let chain_missing = |x5c: Option<Value>| {
        refusal(|jws| match x5c {
            None => drop(jws.header.remove("x5c")),
            Some(x5c) => drop(jws.header.insert("x5c".to_owned(), x5c)),
        })
    };
    for x5c in [None, Some(json!([])), Some(Value::Null)] {
        assert_eq!(chain_missing(x5c.clone()), EnvelopeError::ChainMissing, "{x5c:?}");
    }
    for x5c in [json!("AAAA"), json!([1]), json!([null]), json!(["AAA"]), json!(["AA\nAA"]), json!(["_-8="])] {
        let error = chain_missing(Some(x5c.clone()));
        assert!(matches!(error, EnvelopeError::Malformed { .. }), "{x5c}: {error}");
    }
    let garbage = chain_missing(Some(json!(["AAAA"])));
    assert!(matches!(garbage, EnvelopeError::Certificate { index: 0, .. }), "{garbage}");
    let too_many = chain_missing(Some(json!(vec!["AAAA"; 11])));
    assert!(too_many.to_string().contains("more than 10 certificates"), "{too_many}");
}

/// JW-4.
#[test]
fn a_timestamp_is_kept_and_one_that_is_not_base64_is_refused() {
    const NAME: &str = "io.cncf.notary.timestampSignature";
    let with = |token: Value| {
        move |jws: &mut Jws| {
            jws.header.insert(NAME.to_owned(), token);
        }
    };
    assert_eq!(accepted(with(json!("AAEC"))).timestamp_token(), Some(&[0, 1, 2][..]));
    assert_eq!(accepted(with(json!(""))).timestamp_token(), None);
    assert_eq!(accepted(with(Value::Null)).timestamp_token(), None);
    for token in [json!("!!"), json!("AAE"), json!(7), json!(["AAEC"])] {
        refusal(with(token));
    }
}

/// JW-5.
#[test]
fn unknown_unprotected_members_are_ignored() {
    let envelope = accepted(|jws| {
        jws.header.insert("com.example".to_owned(), json!({"any": ["thing"]}));
        jws.header.remove("io.cncf.notary.signingAgent");
        jws.header.insert("io.cncf.notary.SigningAgent".to_owned(), json!("notation/0"));
    });
    assert_eq!(envelope.signing_agent(), None);
    refusal(|jws| drop(jws.header.insert("io.cncf.notary.SigningAgent".to_owned(), json!({}))));
    refusal(|jws| drop(jws.header.insert("io.cncf.notary.signingagent".to_owned(), json!("x"))));
}

/// JW-11.
#[test]
fn another_content_type_is_refused() {
    for content_type in ["application/json", "application/vnd.cncf.notary.payload.v2+json", ""] {
        let error = refusal(|jws| {
            jws.set("cty", content_type);
        });
        assert_eq!(error, EnvelopeError::ContentTypeUnsupported { found: content_type.to_owned() });
    }
    let error = refusal(|jws| drop(jws.protected.remove("cty")));
    assert_eq!(error, EnvelopeError::HeaderMissing { header: "content type" });
}

/// JW-12.
#[test]
fn another_signing_scheme_is_refused() {
    for scheme in ["notary.x509.other", "NOTARY.X509", ""] {
        let error = refusal(|jws| {
            jws.set("io.cncf.notary.signingScheme", scheme);
        });
        assert_eq!(error, EnvelopeError::SchemeUnsupported { found: scheme.to_owned() });
    }
    refusal(|jws| drop(jws.protected.remove("io.cncf.notary.signingScheme")));
    refusal(|jws| {
        jws.set("io.cncf.notary.signingScheme", 7);
    });
}

/// JW-13.
#[test]
fn each_scheme_has_its_own_time_and_not_the_other() {
    const CLAIMED: &str = "io.cncf.notary.signingTime";
    const AUTHENTIC: &str = "io.cncf.notary.authenticSigningTime";
    let authority = || Jws::signing_authority(&Signer::new());
    let envelope = parse(&authority().sign()).expect("an envelope of a signing authority");
    assert_eq!(envelope.signing_scheme(), SigningScheme::SigningAuthority);
    assert_eq!(envelope.authentic_signing_time(), Some(time("2025-01-01T00:00:00Z")));

    let error = refusal(|jws| drop(jws.protected.remove(CLAIMED)));
    assert_eq!(error, EnvelopeError::HeaderMissing { header: CLAIMED });
    let error = refusal(|jws| {
        jws.set(AUTHENTIC, "2025-01-01T00:00:00Z");
    });
    assert_eq!(error, EnvelopeError::HeaderNotAllowed { header: AUTHENTIC, scheme: SigningScheme::X509 });
    let error = refusal(|jws| {
        *jws = authority();
        jws.set(CLAIMED, "2025-01-01T00:00:00Z");
    });
    assert_eq!(error, EnvelopeError::HeaderNotAllowed { header: CLAIMED, scheme: SigningScheme::SigningAuthority });
    let error = refusal(|jws| {
        *jws = authority();
        jws.protected.remove(AUTHENTIC);
        jws.crit(&["io.cncf.notary.signingScheme"]);
    });
    assert_eq!(error, EnvelopeError::HeaderMissing { header: AUTHENTIC });
}

/// JW-14.
#[test]
fn crit_must_list_exactly_what_it_may_and_must() {
    const SCHEME: &str = "io.cncf.notary.signingScheme";
    let with = |crit: Value| {
        refusal(|jws| {
            jws.set("crit", crit);
        })
    };
    for crit in [json!([]), json!("io.cncf.notary.signingScheme"), json!([1]), Value::Null] {
        assert!(matches!(with(crit), EnvelopeError::HeaderInvalid { header: "crit", .. }));
    }
    assert_eq!(refusal(|jws| drop(jws.protected.remove("crit"))), EnvelopeError::HeaderMissing { header: "crit" });
    for forbidden in ["alg", "cty", "crit", "io.cncf.notary.signingTime"] {
        let error = with(json!([SCHEME, forbidden]));
        assert_eq!(error, EnvelopeError::CriticalForbidden { header: forbidden.to_owned() });
    }
    for absent in ["nobody", "io.cncf.notary.expiry", "io.cncf.notary.authenticSigningTime", "x5c"] {
        let error = with(json!([SCHEME, absent]));
        assert_eq!(error, EnvelopeError::CriticalAbsent { header: absent.to_owned() });
    }
    assert_eq!(with(json!([SCHEME, SCHEME])), EnvelopeError::CriticalRepeated { header: SCHEME.to_owned() });
    let error = refusal(|jws| {
        jws.set("other", 1).crit(&["other"]);
    });
    assert_eq!(error, EnvelopeError::HeaderNotCritical { header: SCHEME });
    let error = refusal(|jws| {
        jws.set("io.cncf.notary.expiry", "2030-01-01T00:00:00Z");
    });
    assert_eq!(error, EnvelopeError::HeaderNotCritical { header: "io.cncf.notary.expiry" });
    let error = refusal(|jws| {
        *jws = Jws::signing_authority(&Signer::new());
        jws.crit(&[SCHEME]);
    });
    assert_eq!(error, EnvelopeError::HeaderNotCritical { header: "io.cncf.notary.authenticSigningTime" });
}

/// JW-15.
#[test]
fn times_are_rfc_3339_with_offset_and_fraction() {
    let signed_at = |text: &str| {
        let mut jws = Jws::new(&Signer::new());
        jws.set("io.cncf.notary.signingTime", text);
        parse(&jws.sign()).map(|envelope| envelope.signing_time())
    };
    for (text, expected) in [
        ("2020-11-09T15:00:00-08:00", "2020-11-09T23:00:00Z"),
        ("2020-11-09T15:00:00.25+05:30", "2020-11-09T09:30:00.25Z"),
        ("2020-11-09T15:00:00.1234567891234Z", "2020-11-09T15:00:00.123456789Z"),
        ("2020-02-29T00:00:00-00:00", "2020-02-29T00:00:00Z"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
    ] {
        assert_eq!(signed_at(text), Ok(time(expected)), "{text}");
    }
    assert_eq!(signed_at("9999-12-31T23:59:59Z"), Ok(Timestamp::MAX), "later than any timestamp");
    for text in [
        "2020-11-09t15:00:00Z",
        "2020-11-09T15:00:00z",
        "2020-11-09 15:00:00Z",
        "2020-11-09T15:00:00",
        "2020-11-09T15:00Z",
        "2020-11-09T15:00:00,5Z",
        "2020-11-09T15:00:00.Z",
        "2020-11-09T5:00:00Z",
        "2020-11-09T24:00:00Z",
        "2020-11-09T23:59:60Z",
        "2020-11-09T15:00:00+24:00",
        "2020-11-09T15:00:00+01:60",
        "2020-11-09T15:00:00+1:00",
        "2020-11-09T15:00:00+0100",
        "2020-11-09T15:00:00+01:00:00",
        "2020-11-09T15:00:00ZZ",
        "2020-02-30T00:00:00Z",
        "2020-13-01T00:00:00Z",
        "-2020-11-09T15:00:00Z",
        "+002020-11-09T15:00:00Z",
        "2020-11-09T15:00:0\u{0660}Z",
        "1735689600",
        "",
        "0001-01-01T00:00:00Z",
    ] {
        let error = signed_at(text).expect_err(text);
        assert!(matches!(error, EnvelopeError::HeaderInvalid { header: "io.cncf.notary.signingTime", .. }), "{error}");
    }
    refusal(|jws| {
        jws.set("io.cncf.notary.signingTime", 1_735_689_600);
    });
}

/// JW-16.
#[test]
fn an_expiry_that_is_not_after_the_signing_time_is_refused() {
    for expiry in ["2025-01-01T00:00:00Z", "2024-12-31T23:59:59Z"] {
        let error = refusal(|jws| *jws = jws.clone().expiring(expiry));
        assert_eq!(error, EnvelopeError::ExpiryBeforeSigning, "{expiry}");
    }
    // Go's zero time must not count as "never".
    let error = refusal(|jws| *jws = jws.clone().expiring("0001-01-01T00:00:00Z"));
    assert!(matches!(error, EnvelopeError::HeaderInvalid { header: "io.cncf.notary.expiry", .. }), "{error}");
    refusal(|jws| {
        jws.set("io.cncf.notary.expiry", Value::Null);
    });
}

/// JW-17.
#[test]
fn a_payload_that_names_no_artifact_is_refused() {
    let artifact = |member: &str, value: Value| {
        let mut payload: Value = serde_json::from_slice(&payload()).expect("JSON");
        payload["targetArtifact"][member] = value;
        payload.to_string()
    };
    for payload in [
        String::new(),
        "7".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"targetArtifact":null}"#.to_owned(),
        r#"{"targetArtifact":[]}"#.to_owned(),
        r#"{"TargetArtifact":{}}"#.to_owned(),
        r#"{"targetArtifact":{},"targetArtifact":{}}"#.to_owned(),
        artifact("mediaType", Value::Null),
        artifact("mediaType", json!("")),
        artifact("digest", json!(7)),
        artifact("size", json!("1024")),
        artifact("size", json!(-1)),
        artifact("size", json!(1024.0)),
        artifact("Size", json!(1024)),
        artifact("annotations", json!({"a": 1})),
        artifact("urls", json!("http://x.example")),
        artifact("platform", json!([])),
        artifact("platform", json!({"OS": ["x"]})),
        artifact("data", json!("not base64")),
        artifact("artifactType", json!(1)),
        format!("{} {{}}", artifact("size", json!(1024))),
        format!("{}{}", "[".repeat(200), "]".repeat(200)),
    ] {
        let error = refusal(|jws| jws.payload = payload.clone().into_bytes());
        assert!(matches!(error, EnvelopeError::Malformed { part: "payload", .. }), "{payload}: {error}");
    }
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(1024 * 1024));
    let error = refusal(|jws| jws.payload = large.into_bytes());
    assert!(matches!(error, EnvelopeError::PartTooLarge { part: "payload", .. }), "{error}");
}

/// JW-17.
#[test]
fn other_members_of_payload_and_descriptor_are_ignored() {
    let mut payload: Value = serde_json::from_slice(&payload()).expect("JSON");
    payload["exp"] = json!(1);
    payload["targetArtifact"]["annotations"] = json!({"buildId": "123"});
    payload["targetArtifact"]["urls"] = Value::Null;
    payload["targetArtifact"]["platform"] = json!({"os": "linux", "os.features": ["x"], "more": 1});
    payload["targetArtifact"]["anything"] = json!([{}]);
    let envelope = accepted(|jws| jws.payload = payload.to_string().into_bytes());
    assert_eq!(envelope.target(), &target());
}

/// JW-18.
#[test]
fn members_that_are_there_twice_or_differ_only_in_case_are_refused() {
    let jws = Jws::new(&Signer::new());
    let good = Value::Object(jws.protected.clone()).to_string();
    for extra in [
        r#""alg":"ES256","#,
        r#""ALG":"ES256","#,
        r#""Crit":[],"#,
        r#""cTy":"x","#,
        r#""io.cncf.notary.signingscheme":"x","#,
        r#""io.cncf.notary.\u017figningTime":"x","#,
        r#""a":1,"a":1,"#,
        r#""a":{"b":1,"b":1},"#,
    ] {
        let text = good.replacen('{', &format!("{{{extra}"), 1);
        let error = refusal(|jws| jws.protected_text = Some(text));
        assert!(matches!(error, EnvelopeError::Malformed { part: "protected header", .. }), "{extra}: {error}");
    }
    let envelope = String::from_utf8(jws.sign()).expect("JSON");
    for extra in [r#""payload":"e30","#, r#""PAYLOAD":"e30","#, r#""header":{},"#, r#""Header":{},"#] {
        let error = parse(envelope.replacen('{', &format!("{{{extra}"), 1).as_bytes()).expect_err(extra);
        assert!(matches!(error, EnvelopeError::Malformed { part: "JSON", .. }), "{extra}: {error}");
    }
    for extra in [r#""x5c":[],"#, r#""X5C":[],"#, r#""a":1,"a":1,"#, r#""io.cncf.notary.timestampsignature":"","#] {
        let changed = envelope.replacen(r#""header":{"#, &format!(r#""header":{{{extra}"#), 1);
        assert_ne!(changed, envelope);
        let error = parse(changed.as_bytes()).expect_err(extra);
        assert!(matches!(error, EnvelopeError::Malformed { part: "JSON", .. }), "{extra}: {error}");
    }
}

/// RFC 7515 section 7.2.1.
#[test]
fn a_header_that_is_protected_and_unprotected_is_refused() {
    let error = refusal(|jws| {
        jws.set("x5c", json!([]));
    });
    assert_eq!(error, EnvelopeError::HeaderTwice { header: "x5c".to_owned() });
}

/// JW-19, PL-4.
#[test]
fn extended_attributes_are_kept_only_if_they_are_critical() {
    let envelope = accepted(|jws| {
        jws.set("ignored", json!({"deep": [1, 2.5, -1, true, null]}));
        jws.set("needed", 7);
        jws.crit(&["io.cncf.notary.signingScheme", "needed"]);
    });
    assert_eq!(envelope.unknown_critical_attributes(), ["needed"]);
}

/// PL-1.
#[test]
fn a_verification_plugin_is_found_whatever_form_its_name_has() {
    const PLUGIN: &str = "io.cncf.notary.verificationPlugin";
    const VERSION: &str = "io.cncf.notary.verificationPluginMinVersion";
    for (name, found) in [(json!("com.example"), Some("com.example")), (json!(7), None), (Value::Null, None)] {
        let envelope = accepted(|jws| {
            jws.set(PLUGIN, name).set(VERSION, "1.0.0");
        });
        let plugin = envelope.verification_plugin().expect("a plugin");
        assert_eq!(plugin.name.as_deref(), found);
        assert_eq!(plugin.minimum_version.as_deref(), Some("1.0.0"));
    }
    let envelope = accepted(|jws| {
        jws.set(VERSION, "1.0.0");
    });
    assert!(envelope.verification_plugin().is_some(), "a version alone asks for a plugin too");
}

/// DS-3, DS-8.
#[test]
fn the_media_type_is_compared_exactly_and_the_size_is_bounded() {
    let bytes = Jws::new(&Signer::new()).sign();
    for media_type in ["application/jose+json; charset=utf-8", "Application/jose+json", "application/json", ""] {
        let error = Envelope::parse(media_type, &bytes).expect_err(media_type);
        assert_eq!(error, EnvelopeError::UnsupportedMediaType { media_type: media_type.to_owned() });
    }
    assert!(Envelope::parse(MEDIA_TYPE_COSE, &bytes).is_err());
    let large = vec![b' '; MAX_ENVELOPE_BYTES + 1];
    assert!(matches!(parse(&large), Err(EnvelopeError::TooLarge { .. })));
}

/// Text from the envelope is cut and cleaned in errors.
#[test]
fn an_error_quotes_no_more_than_256_characters() {
    let error = refusal(|jws| {
        jws.set("alg", format!("\u{1b}[31m\u{202e}{}", "x".repeat(5000)));
    });
    let EnvelopeError::AlgorithmUnsupported { found } = error else { panic!("{error}") };
    assert_eq!(found.len(), 256);
    assert!(found.starts_with("[31mxxx"));
    let name = "y".repeat(5000);
    let envelope = String::from_utf8(Jws::new(&Signer::new()).sign()).expect("JSON");
    let error = parse(envelope.replacen('{', &format!("{{\"{name}\":1,"), 1).as_bytes()).expect_err("unknown member");
    assert!(error.to_string().len() < 400, "{error}");
}

/// CC-2: also for the encoding, a chain of one is an array.
#[test]
fn a_single_self_signed_certificate_is_a_chain() {
    let signer = Signer { chain: vec![Template::self_signed().issue()], key: Kind::P256 };
    let envelope = parse(&Jws::new(&signer).sign()).expect("a self-signed signature");
    assert_eq!(envelope.leaf().der(), signer.chain[0]);
}
