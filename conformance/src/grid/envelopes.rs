// SPDX-License-Identifier: Apache-2.0
//! Envelopes with one thing wrong, or unusual.

use coset::cbor::Value as Cbor;
use sealwatch_fixtures::cose::{AUTHENTIC, Cose, EXPIRY, SCHEME, SIGNED_AT, SIGNING_TIME, encode, epoch};
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::key::Key;
use sealwatch_fixtures::pki::Signer;
use serde_json::{Value, json};

use super::at_levels;
use crate::case::Case;

const TOKEN: &str = "io.cncf.notary.timestampSignature";

pub(super) fn cases() -> Vec<Case> {
    [jws_headers(), jws_texts(), payloads(), cose_headers(), cose_bytes()].concat()
}

fn of(case: Case) -> [Case; 2] {
    at_levels(&case.store("ca:test", &[Signer::new().root()]), &["ca:test"])
}

fn of_jws(what: &str, bytes: Vec<u8>) -> [Case; 2] {
    of(Case::new(format!("JWS: {what}")).jws(bytes))
}

fn of_cose(what: &str, bytes: Vec<u8>) -> [Case; 2] {
    of(Case::new(format!("COSE: {what}")).cose(bytes))
}

type Change<T> = (&'static str, fn(&mut T));

#[allow(clippy::too_many_lines)] // a table
fn jws_headers() -> Vec<Case> {
    const NOTARY: &str = "io.cncf.notary.signingScheme";
    let changes: Vec<Change<Jws>> = vec![
        ("good", |_| {}),
        ("alg none", |j| _ = j.set("alg", "none")),
        ("alg RS256", |j| _ = j.set("alg", "RS256")),
        ("alg of another key", |j| _ = j.set("alg", "ES384")),
        ("no alg", |j| _ = j.protected.remove("alg")),
        ("ALG", |j| {
            let v = j.protected.remove("alg").expect("alg");
            j.set("ALG", v);
        }),
        ("another cty", |j| _ = j.set("cty", "application/json")),
        ("no cty", |j| _ = j.protected.remove("cty")),
        ("CTY", |j| {
            let v = j.protected.remove("cty").expect("cty");
            j.set("CTY", v);
        }),
        ("no crit", |j| _ = j.protected.remove("crit")),
        ("empty crit", |j| _ = j.crit(&[])),
        ("crit without scheme", |j| {
            j.set("x", 1);
            j.crit(&["x"]);
        }),
        ("crit with alg", |j| _ = j.crit(&[NOTARY, "alg"])),
        ("crit with signing time", |j| _ = j.crit(&[NOTARY, "io.cncf.notary.signingTime"])),
        ("crit twice the same", |j| _ = j.crit(&[NOTARY, NOTARY])),
        ("crit with what is absent", |j| _ = j.crit(&[NOTARY, "absent"])),
        ("crit with what nobody knows", |j| {
            j.set("x", "y");
            j.crit(&[NOTARY, "x"]);
        }),
        ("crit with b64", |j| {
            j.set("b64", false);
            j.crit(&[NOTARY, "b64"]);
        }),
        ("unknown header", |j| _ = j.set("x", json!({"y": [1]}))),
        ("unknown header null", |j| _ = j.set("x", Value::Null)),
        ("a plugin", |j| {
            j.set("io.cncf.notary.verificationPlugin", "p");
            j.crit(&[NOTARY, "io.cncf.notary.verificationPlugin"]);
        }),
        ("a plugin, not critical", |j| _ = j.set("io.cncf.notary.verificationPlugin", "p")),
        ("a plugin of no name", |j| {
            j.set("io.cncf.notary.verificationPlugin", " ");
            j.crit(&[NOTARY, "io.cncf.notary.verificationPlugin"]);
        }),
        ("a plugin's version without plugin", |j| {
            j.set("io.cncf.notary.verificationPluginMinVersion", "1.0.0");
            j.crit(&[NOTARY, "io.cncf.notary.verificationPluginMinVersion"]);
        }),
        ("another scheme", |j| _ = j.set(NOTARY, "notary.x509.other")),
        ("no scheme", |j| _ = j.protected.remove(NOTARY)),
        ("no signing time", |j| _ = j.protected.remove("io.cncf.notary.signingTime")),
        ("both times", |j| _ = j.set("io.cncf.notary.authenticSigningTime", "2025-01-01T00:00:00Z")),
        ("authentic time null", |j| _ = j.set("io.cncf.notary.authenticSigningTime", Value::Null)),
        ("signing time of year 1", |j| _ = j.set("io.cncf.notary.signingTime", "0001-01-01T00:00:00Z")),
        ("signing time of year 0", |j| _ = j.set("io.cncf.notary.signingTime", "0000-01-01T00:00:00Z")),
        ("signing time ahead", |j| _ = j.set("io.cncf.notary.signingTime", "2100-01-01T00:00:00Z")),
        ("signing time in lower case", |j| _ = j.set("io.cncf.notary.signingTime", "2025-01-01t00:00:00z")),
        ("signing time with offset", |j| _ = j.set("io.cncf.notary.signingTime", "2025-01-01T00:00:00-08:00")),
        ("signing time with comma", |j| _ = j.set("io.cncf.notary.signingTime", "2025-01-01T00:00:00,5Z")),
        ("signing time with fraction", |j| {
            _ = j.set("io.cncf.notary.signingTime", "2025-01-01T00:00:00.123456789123Z");
        }),
        ("signing time with a leap second", |j| _ = j.set("io.cncf.notary.signingTime", "2016-12-31T23:59:60Z")),
        ("signing time as number", |j| _ = j.set("io.cncf.notary.signingTime", 1)),
        ("expiry at signing time", |j| *j = j.clone().expiring("2025-01-01T00:00:00Z")),
        ("expiry of year 1", |j| *j = j.clone().expiring("0001-01-01T00:00:00Z")),
        ("expiry of year 1, not critical", |j| _ = j.set("io.cncf.notary.expiry", "0001-01-01T00:00:00Z")),
        ("expiry not critical", |j| _ = j.set("io.cncf.notary.expiry", "2030-01-01T00:00:00Z")),
        ("expiry null", |j| _ = j.set("io.cncf.notary.expiry", Value::Null)),
        ("expiry of year 10000", |j| *j = j.clone().expiring("10000-01-01T00:00:00Z")),
        ("no chain", |j| _ = j.header.remove("x5c")),
        ("empty chain", |j| _ = j.header.insert("x5c".to_owned(), json!([]))),
        ("chain as text", |j| _ = j.header.insert("x5c".to_owned(), json!("AAAA"))),
        ("chain with line breaks", |j| {
            let t = j.header["x5c"][0].as_str().expect("text").replacen('M', "M\r\n", 1);
            j.header["x5c"][0] = t.into();
        }),
        ("token garbage", |j| _ = j.header.insert(TOKEN.to_owned(), json!("AAAA"))),
        ("token not base64", |j| _ = j.header.insert(TOKEN.to_owned(), json!("!!"))),
        ("token number", |j| _ = j.header.insert(TOKEN.to_owned(), json!(1))),
        ("token null", |j| _ = j.header.insert(TOKEN.to_owned(), Value::Null)),
        ("agent number", |j| _ = j.header.insert("io.cncf.notary.signingAgent".to_owned(), json!(1))),
        ("unknown unprotected", |j| _ = j.header.insert("x".to_owned(), json!([{}]))),
        ("X5C", |j| {
            let v = j.header.remove("x5c").expect("x5c");
            j.header.insert("X5C".to_owned(), v);
        }),
        ("duplicate in protected", |j| {
            let t = Value::Object(j.protected.clone()).to_string();
            j.protected_text = Some(t.replacen('{', r#"{"cty":"x","#, 1));
        }),
        ("trailing in protected", |j| j.protected_text = Some(format!("{} ", Value::Object(j.protected.clone())))),
        ("garbage after protected", |j| j.protected_text = Some(format!("{}x", Value::Object(j.protected.clone())))),
        ("by another key", |j| j.key = sealwatch_fixtures::key::Kind::Other),
    ];
    let mut cases = Vec::new();
    for (what, change) in changes {
        let mut jws = Jws::new(&Signer::new());
        change(&mut jws);
        cases.extend(of_jws(what, jws.sign()));
    }
    let mut authority = Jws::signing_authority(&Signer::new());
    authority.set("io.cncf.notary.signingTime", "2025-01-01T00:00:00Z");
    cases.extend(of_jws("both times, signing authority", authority.sign()));
    cases
}

fn jws_texts() -> Vec<Case> {
    let jws = Jws::new(&Signer::new());
    let good = String::from_utf8(jws.sign()).expect("JSON");
    let value: Value = serde_json::from_str(&good).expect("JSON");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = value.clone();
        change(&mut value);
        value.to_string().into_bytes()
    };
    let member = |name: &str| value[name].as_str().expect("text").to_owned();
    let stray = |text: String| {
        let mut text = text;
        let last = text.pop().expect("text");
        text.push(if last == 'g' { 'h' } else { 'B' });
        text
    };
    let mut cases = Vec::new();
    for name in ["payload", "protected", "signature"] {
        let text = member(name);
        for (what, changed_text) in [
            ("padded", format!("{text}=")),
            ("with a line break", format!("{text}\n")),
            ("with CRLF", format!("\r\n{text}")),
            ("with a space", format!("{text} ")),
            ("with a stray bit", stray(text.clone())),
            ("empty", String::new()),
        ] {
            let bytes = changed(&|v| v[name] = changed_text.clone().into());
            cases.extend(of_jws(&format!("{name} {what}"), bytes));
        }
        cases.extend(of_jws(
            &format!("{name} missing"),
            changed(&|v| _ = v.as_object_mut().expect("object").remove(name)),
        ));
        cases.extend(of_jws(&format!("{name} null"), changed(&|v| v[name] = Value::Null)));
        let upper = good.replacen(&format!("\"{name}\""), &format!("\"{}\"", name.to_uppercase()), 1);
        cases.extend(of_jws(&format!("{name} in upper case"), upper.into_bytes()));
        let twice = good.replacen('{', &format!("{{\"{name}\":\"AAAA\","), 1);
        cases.extend(of_jws(&format!("{name} twice"), twice.into_bytes()));
    }
    for (what, text) in [
        ("trailing space", format!("{good}\n ")),
        ("trailing garbage", format!("{good}x")),
        ("a second document", format!("{good}{{}}")),
        ("byte order mark", format!("\u{feff}{good}")),
        ("nothing", String::new()),
        ("null", "null".to_owned()),
        ("unknown member", good.replacen('{', r#"{"x":1,"#, 1)),
        ("signatures beside", good.replacen('{', r#"{"signatures":[],"#, 1)),
        ("header twice", good.replacen('{', r#"{"header":{"a":1},"#, 1)),
        ("compact", format!("{}.{}.{}", member("protected"), member("payload"), member("signature"))),
    ] {
        cases.extend(of_jws(what, text.into_bytes()));
    }
    cases.extend(of_jws("signature in DER", jws.envelope(Key::sign_asn1)));
    cases.extend(of_jws("a longer signature", jws.envelope(|key, message| [key.sign(message), vec![0]].concat())));
    cases
}

/// In both formats.
fn payloads() -> Vec<Case> {
    let good = String::from_utf8(sealwatch_fixtures::payload()).expect("JSON");
    let digest = sealwatch_fixtures::target_digest();
    let artifact = r#""targetArtifact":{"#;
    let payloads = [
        ("unknown member", good.replacen('{', r#"{"x":1,"#, 1)),
        ("unknown descriptor member", good.replacen(artifact, &format!(r#"{artifact}"x":1,"#), 1)),
        ("annotations", good.replacen(artifact, &format!(r#"{artifact}"annotations":{{"a":"b"}},"#), 1)),
        ("annotations of numbers", good.replacen(artifact, &format!(r#"{artifact}"annotations":{{"a":1}},"#), 1)),
        ("urls of numbers", good.replacen(artifact, &format!(r#"{artifact}"urls":[1],"#), 1)),
        ("platform as text", good.replacen(artifact, &format!(r#"{artifact}"platform":"x","#), 1)),
        (
            "platform members in upper case",
            good.replacen(artifact, &format!(r#"{artifact}"platform":{{"OS":[]}},"#), 1),
        ),
        ("half a surrogate pair", good.replacen(artifact, &format!(r#"{artifact}"artifactType":"\ud800","#), 1)),
        ("artifactType", good.replacen(artifact, &format!(r#"{artifact}"artifactType":"a/b","#), 1)),
        ("data", good.replacen(artifact, &format!(r#"{artifact}"data":"AAAA","#), 1)),
        ("another digest", good.replace("5a5a", "5b5b")),
        ("another size", good.replace("1024", "1025")),
        ("size as text", good.replace("1024", "\"1024\"")),
        ("size 1024.0", good.replace("1024", "1024.0")),
        ("a negative size", good.replace("1024", "-1024")),
        ("another media type", good.replace("manifest.v1", "index.v1")),
        ("digest in upper case", good.replace(&digest, &digest.to_uppercase())),
        ("members in upper case", good.replace("digest", "DIGEST")),
        ("target in upper case", good.replace("targetArtifact", "TargetArtifact")),
        ("a member twice", good.replacen(artifact, &format!(r#"{artifact}"size":7,"#), 1)),
        ("the target twice", good.replacen('{', r#"{"targetArtifact":{"size":7},"#, 1)),
        ("null afterwards", good.replace("1024", r#"1024,"size":null"#)),
        ("trailing garbage", format!("{good}x")),
        ("trailing space", format!("{good} ")),
        ("claims of a token that has ended", good.replacen('{', r#"{"exp":1,"nbf":9999999999,"#, 1)),
        ("an array", format!("[{good}]")),
        ("empty", String::new()),
        ("null", "null".to_owned()),
        ("no JSON", "x".to_owned()),
        ("invalid UTF-8 later", format!("{good}\u{0}")),
    ];
    let mut cases = Vec::new();
    for (what, payload) in payloads {
        let what = format!("payload with {what}");
        let payload = payload.into_bytes();
        cases.extend(of_jws(&what, Jws { payload: payload.clone(), ..Jws::new(&Signer::new()) }.sign()));
        cases.extend(of_cose(&what, Cose { payload, ..Cose::new(&Signer::new()) }.sign()));
    }
    cases
}

#[allow(clippy::too_many_lines)] // a table
fn cose_headers() -> Vec<Case> {
    let changes: Vec<Change<Cose>> = vec![
        ("good", |_| {}),
        ("alg of another key", |c| _ = c.set(1, -35)),
        ("no alg", |c| _ = c.remove(1)),
        ("alg as text", |c| _ = c.set(1, "ES256")),
        ("alg unprotected", |c| _ = c.remove(1).set_unprotected(1, -7)),
        ("alg in both", |c| _ = c.set_unprotected(1, -7)),
        ("another content type", |c| _ = c.set(3, "application/json")),
        ("content type as number", |c| _ = c.set(3, 50)),
        ("no content type", |c| _ = c.remove(3)),
        ("no crit", |c| _ = c.remove(2)),
        ("empty crit", |c| _ = c.crit(&[])),
        ("crit with what is absent", |c| _ = c.crit(&[SCHEME, "absent"])),
        ("crit with what nobody knows", |c| {
            c.set("x", "y");
            c.crit(&[SCHEME, "x"]);
        }),
        ("crit with a number that nobody knows", |c| {
            c.set(99, "y");
            c.set(2, Cbor::Array(vec![SCHEME.into(), 99.into()]));
        }),
        ("crit with alg", |c| _ = c.set(2, Cbor::Array(vec![SCHEME.into(), 1.into()]))),
        ("crit twice the same", |c| _ = c.crit(&[SCHEME, SCHEME])),
        ("crit with signing time", |c| _ = c.crit(&[SCHEME, SIGNING_TIME])),
        ("crit without scheme", |c| {
            c.set("x", 1);
            c.crit(&["x"]);
        }),
        ("unknown header", |c| _ = c.set("x", Cbor::Array(vec![1.into()]))),
        ("a plugin", |c| {
            c.set("io.cncf.notary.verificationPlugin", "p");
            c.crit(&[SCHEME, "io.cncf.notary.verificationPlugin"]);
        }),
        ("a plugin, not critical", |c| _ = c.set("io.cncf.notary.verificationPlugin", "p")),
        ("a plugin as number", |c| {
            c.set("io.cncf.notary.verificationPlugin", 1);
            c.crit(&[SCHEME, "io.cncf.notary.verificationPlugin"]);
        }),
        ("another scheme", |c| _ = c.set(SCHEME, "notary.x509.other")),
        ("scheme as bytes", |c| _ = c.set(SCHEME, Cbor::Bytes(b"notary.x509".to_vec()))),
        ("no scheme", |c| _ = c.remove(SCHEME)),
        ("no signing time", |c| _ = c.remove(SIGNING_TIME)),
        ("both times", |c| _ = c.set(AUTHENTIC, epoch(SIGNED_AT))),
        ("signing time untagged", |c| _ = c.set(SIGNING_TIME, SIGNED_AT)),
        ("signing time in tag 0", |c| _ = c.set(SIGNING_TIME, Cbor::Tag(0, Box::new("2025-01-01T00:00:00Z".into())))),
        ("signing time float", |c| _ = c.set(SIGNING_TIME, epoch(1.5e9))),
        ("signing time 1e300", |c| _ = c.set(SIGNING_TIME, epoch(1e300))),
        ("signing time 2^63-1", |c| _ = c.set(SIGNING_TIME, epoch(i64::MAX))),
        ("signing time of year 1", |c| _ = c.set(SIGNING_TIME, epoch(-62_135_596_800_i64))),
        ("signing time before year 1", |c| _ = c.set(SIGNING_TIME, epoch(-62_135_596_801_i64))),
        ("signing time NaN", |c| _ = c.set(SIGNING_TIME, epoch(f64::NAN))),
        ("expiry at signing time", |c| *c = c.clone().expiring(SIGNED_AT)),
        ("expiry NaN", |c| {
            c.set(EXPIRY, epoch(f64::NAN));
            c.crit(&[SCHEME, EXPIRY]);
        }),
        ("expiry infinite", |c| {
            c.set(EXPIRY, epoch(f64::INFINITY));
            c.crit(&[SCHEME, EXPIRY]);
        }),
        ("expiry of year 1", |c| *c = c.clone().expiring(-62_135_596_800)),
        ("expiry not critical", |c| _ = c.set(EXPIRY, epoch(1_900_000_000))),
        ("expiry 2^63-1", |c| *c = c.clone().expiring(i64::MAX)),
        ("expiry 1e300", |c| {
            c.set(EXPIRY, epoch(1e300));
            c.crit(&[SCHEME, EXPIRY]);
        }),
        ("times beyond year 9999", |c| {
            c.set(SIGNING_TIME, epoch(400_000_000_000_i64));
            c.set(EXPIRY, epoch(500_000_000_000_i64));
            c.crit(&[SCHEME, EXPIRY]);
        }),
        ("unprotected with a tag", |c| _ = c.set_unprotected("x", epoch(1))),
        ("a number of 65 bits", |c| _ = c.set("x", u64::MAX)),
        ("expiry float", |c| {
            c.set(EXPIRY, epoch(1.9e9 + 0.5));
            c.crit(&[SCHEME, EXPIRY]);
        }),
        ("expiry null", |c| {
            c.set(EXPIRY, Cbor::Null);
            c.crit(&[SCHEME, EXPIRY]);
        }),
        ("no chain", |c| _ = c.unprotected.remove(0)),
        ("empty chain", |c| _ = c.set_unprotected(33, Cbor::Array(vec![]))),
        ("chain as one string", |c| {
            let alone = Signer::new().chain[0].clone();
            c.set_unprotected(33, Cbor::Bytes(alone));
        }),
        ("chain protected", |c| {
            let chain = c.unprotected.remove(0).1;
            c.set(33, chain);
        }),
        ("chain in both", |c| {
            let chain = c.unprotected[0].1.clone();
            c.set(33, chain);
        }),
        ("token as text", |c| _ = c.set_unprotected(TOKEN, "AAAA")),
        ("token garbage", |c| _ = c.set_unprotected(TOKEN, vec![1_u8, 2].as_slice())),
        ("agent number", |c| _ = c.set_unprotected("io.cncf.notary.signingAgent", 1)),
        ("unknown unprotected", |c| _ = c.set_unprotected("x", Cbor::Array(vec![]))),
        ("by another key", |c| c.key = sealwatch_fixtures::key::Kind::Other),
    ];
    let mut cases = Vec::new();
    for (what, change) in changes {
        let mut cose = Cose::new(&Signer::new());
        change(&mut cose);
        cases.extend(of_cose(what, cose.sign()));
    }
    let mut authority = Cose::signing_authority(&Signer::new());
    authority.set(SIGNING_TIME, epoch(SIGNED_AT));
    cases.extend(of_cose("both times, signing authority", authority.sign()));
    cases
}

fn cose_bytes() -> Vec<Case> {
    let cose = Cose::new(&Signer::new());
    let parts = cose.parts();
    let tagged = |tag, parts: &[Cbor]| encode(&Cbor::Tag(tag, Box::new(Cbor::Array(parts.to_vec()))));
    let good = cose.sign();
    let replaced = |at: usize, part: Cbor| {
        let mut parts = parts.clone();
        parts[at] = part;
        tagged(18, &parts)
    };
    let mut cases = Vec::new();
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("untagged", encode(&Cbor::Array(parts.clone()))),
        ("COSE_Sign", tagged(98, &parts)),
        ("three parts", tagged(18, &parts[..3])),
        ("a long tag", [&[0xd8, 0x12], &good[1..]].concat()),
        ("a long array head", [&[0xd2, 0x98, 0x04], &good[2..]].concat()),
        ("an indefinite array", [&[0xd2, 0x9f], &good[2..], &[0xff]].concat()),
        ("trailing bytes", [good.as_slice(), &[0]].concat()),
        ("a detached payload", replaced(2, Cbor::Null)),
        ("an empty signature", replaced(3, Cbor::Bytes(Vec::new()))),
        ("tagged for CBOR", [&[0xd9, 0xd9, 0xf7], good.as_slice()].concat()),
    ] {
        cases.extend(of_cose(what, bytes));
    }
    let plain = encode(&Cbor::Map(cose.protected.clone()));
    let with = |entry: &[u8]| [&[0xa6], &plain[1..], entry].concat();
    for (what, protected) in [
        ("a label twice", with(&[0x01, 0x26])),
        ("a label twice, once in a longer form", with(&[0x18, 0x01, 0x26])),
        ("a number in a longer form", with(&[0x61, b'a', 0x18, 0x01])),
        ("a text label in a longer form", with(&[0x78, 0x01, b'a', 0x01])),
        ("an indefinite map", [&[0xbf], &plain[1..], &[0xff]].concat()),
        ("a map head in a longer form", [&[0xb8, 0x05], &plain[1..]].concat()),
        ("text that is not UTF-8", with(&[0x62, 0xc3, 0x28, 0x00])),
        ("an unassigned simple value", with(&[0x61, b'a', 0xe0])),
        ("nesting of 12", with(&[&[0x61, b'a'][..], &[0x81; 12], &[0x00]].concat())),
        ("nesting of 40", with(&[&[0x61, b'a'][..], &[0x81; 40], &[0x00]].concat())),
        ("many items", with(&[&[0x61, b'a', 0x99, 0x20, 0x00][..], &[0x00; 0x2000]].concat())),
        ("a label of bytes", with(&[0x41, b'a', 0x01])),
        ("a nested map with equal keys", with(&[0x61, b'a', 0xa2, 0x01, 0x01, 0x01, 0x01])),
        ("half precision", with(&[0x61, b'a', 0xf9, 0x3c, 0x00])),
        ("a bignum", with(&[0x61, b'a', 0xc2, 0x41, 0x01])),
        ("tag 0 with garbage", with(&[0x61, b'a', 0xc0, 0x61, b'x'])),
    ] {
        let cose = Cose { protected_bytes: Some(protected), ..cose.clone() };
        cases.extend(of_cose(&format!("protected with {what}"), cose.sign()));
    }
    cases
}
