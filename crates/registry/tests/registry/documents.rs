// SPDX-License-Identifier: Apache-2.0
//! Documents that two readers would read in two ways, or that cost more than they say: over the wire, where the outcome
//! counts. None of them may ever be an empty list, another image, or a panic.

use sealwatch_registry::{Error, Registry, SignatureManifest, SignatureManifestError, Target};
use serde_json::{Value, json};

use crate::fixture::{INDEX, MANIFEST, NOTATION, Signed, anonymous, app, client, descriptor, digest, list};
use crate::scripted::{Body, Script, Seen, Server};

/// Texts made of a JSON object that a careless reader would take for it, or for another.
fn oddities(object: &Value, key: &str) -> Vec<(&'static str, Vec<u8>)> {
    let good = object.to_string();
    let value = object[key].to_string();
    let inside = |more: String| good.replacen('{', &format!("{{{more},"), 1).into_bytes();
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let deep_known = json!({ key: null }).to_string().replace("null", &format!("{open}{close}"));
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend(good.encode_utf16().flat_map(u16::to_le_bytes));
    vec![
        ("nothing", Vec::new()),
        ("a key twice", inside(format!("\"{key}\":{value}"))),
        ("a key twice, once empty", inside(format!("\"{key}\":[]"))),
        (
            "a key twice, once escaped",
            inside(format!("\"\\u{:04x}{}\":{value}", u32::from(key.as_bytes()[0]), &key[1..])),
        ),
        ("a byte order mark", format!("\u{feff}{good}").into_bytes()),
        ("another encoding", utf16),
        ("something behind it", format!("{good}{good}").into_bytes()),
        ("a zero byte behind it", format!("{good}\0").into_bytes()),
        ("no end", good.as_bytes()[..good.len() - 1].to_vec()),
        ("100,000 brackets in a known key", deep_known.into_bytes()),
        ("100,000 brackets without an end", format!("{{\"{key}\":{open}").into_bytes()),
        ("a number beyond all numbers", good.replacen(&value, "[1e999]", 1).into_bytes()),
        ("NaN", good.replacen(&value, "NaN", 1).into_bytes()),
        ("half a surrogate pair", good.replacen(&value, "[\"\\ud800\"]", 1).into_bytes()),
        (
            "bytes that are no text",
            good.replacen(&value, "[\"X\"]", 1)
                .into_bytes()
                .iter()
                .map(|b| if *b == b'X' { 0xff } else { *b })
                .collect(),
        ),
        ("a comment", format!("/* */{good}").into_bytes()),
        ("single quotes", good.replace('"', "'").into_bytes()),
        ("a comma too many", format!("{},}}", &good[..good.len() - 1]).into_bytes()),
        ("an array", format!("[{good}]").into_bytes()),
    ]
}

#[tokio::test]
async fn a_list_that_is_odd_json_is_malformed_and_never_empty() {
    let signed = Signed::new();
    let good = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [signed.referrer()]});
    let capital = good.to_string().replace("\"manifests\"", "\"Manifests\"").into_bytes();
    for (name, odd) in oddities(&good, "manifests").into_iter().chain([("a capital", capital)]) {
        for by_tag in [false, true] {
            let (registry, odd) = (signed.clone(), odd.clone());
            let server = Server::start("127.0.0.1", move |seen: &Seen| {
                if by_tag && seen.path() == registry.referrers_path() {
                    Script::status(404)
                } else {
                    Script::new(200, INDEX, odd.clone())
                }
            })
            .await;
            let listed = client(&[&server]).referrers(&app(&server), &signed.subject(), NOTATION, &anonymous()).await;
            assert!(matches!(listed, Err(Error::Malformed { .. })), "{name}, by tag {by_tag}: {listed:?}");
        }
    }
}

#[tokio::test]
async fn a_manifest_behind_a_tag_that_is_odd_json_is_malformed() {
    let good: Value = serde_json::from_slice(&Signed::new().image).unwrap();
    for (name, odd) in oddities(&good, "mediaType") {
        let server = Server::start("127.0.0.1", move |_: &Seen| Script::new(200, MANIFEST, odd.clone())).await;
        let target = Target::Tag("v1".to_owned());
        let resolved = client(&[&server]).resolve(&app(&server), &target, &anonymous()).await;
        assert!(matches!(resolved, Err(Error::Malformed { .. })), "{name}: {resolved:?}");
    }
}

#[test]
fn a_signature_manifest_that_is_odd_json_is_no_signature() {
    let signed = Signed::new();
    let subject = descriptor(MANIFEST, &signed.image);
    let good: Value = serde_json::from_slice(&signed.signature).unwrap();
    assert!(SignatureManifest::parse(&signed.signature, &subject, NOTATION).is_ok());
    for key in ["mediaType", "artifactType", "config", "layers", "subject"] {
        for (name, odd) in oddities(&good, key) {
            let parsed = SignatureManifest::parse(&odd, &subject, NOTATION);
            assert!(parsed.is_err(), "{key}: {name}");
        }
        let capital = good.to_string().replace(&format!("\"{key}\""), &format!("\"{}\"", key.to_uppercase()));
        assert!(SignatureManifest::parse(capital.as_bytes(), &subject, NOTATION).is_err(), "{key} in capitals");
    }
}

#[test]
fn a_size_that_is_no_whole_number_is_no_size() {
    let signed = Signed::new();
    let subject = descriptor(MANIFEST, &signed.image);
    let size = format!("\"size\":{}", signed.image.len());
    let text = String::from_utf8(signed.signature).unwrap();
    assert!(text.contains(&size));
    for odd in
        ["1e999", "-1", "1.5", "1e3", "0x10", "018", "9223372036854775808", "18446744073709551616", "\"7\"", "null"]
    {
        let changed = text.replace(&size, &format!("\"size\":{odd}"));
        let parsed = SignatureManifest::parse(changed.as_bytes(), &subject, NOTATION);
        let is_expected =
            matches!(parsed, Err(SignatureManifestError::Malformed { .. } | SignatureManifestError::Descriptor { .. }));
        assert!(is_expected, "{odd}: {parsed:?}");
    }
}

// GHSA-qq97-vm5h-rrhg, GHSA-5j5w-g665-5m35: one digest, two readings.
#[tokio::test]
async fn what_could_be_an_index_and_an_image_is_neither() {
    let signed = Signed::new();
    let mut both: Value = serde_json::from_slice(&signed.image).unwrap();
    both["manifests"] = json!([signed.referrer()]);
    let mut untyped = both.clone();
    untyped.as_object_mut().unwrap().remove("mediaType");
    let image = signed.image.clone();
    for (content_type, body) in [
        (MANIFEST, both.to_string().into_bytes()),
        (INDEX, untyped.to_string().into_bytes()),
        (MANIFEST, untyped.to_string().into_bytes()),
        (INDEX, image),
        ("text/html", untyped.to_string().into_bytes()),
    ] {
        let answer = Script::new(200, content_type, body);
        let server = Server::start("127.0.0.1", move |_: &Seen| answer.clone()).await;
        let (client, app) = (client(&[&server]), app(&server));
        let error = client.resolve(&app, &Target::Tag("v1".to_owned()), &anonymous()).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{content_type}: {error}");
    }
    for body in [both, untyped] {
        let server = Server::start("127.0.0.1", move |_: &Seen| Script::new(200, INDEX, body.to_string())).await;
        let listed = client(&[&server]).referrers(&app(&server), &signed.subject(), NOTATION, &anonymous()).await;
        assert!(matches!(listed, Err(Error::Malformed { .. })), "{listed:?}");
    }
}

#[tokio::test]
async fn nothing_is_asked_for_compressed_and_nothing_compressed_is_read() {
    let signed = Signed::new();
    for encoding in ["gzip", "br", "zstd", "deflate", "identity, gzip", "x-unknown"] {
        let registry = signed.clone();
        // A kilobyte that says of itself that it is much more.
        let server = Server::start("127.0.0.1", move |seen: &Seen| {
            let realm = format!("http://{}/token", seen.header("host").unwrap());
            let answer = match seen.path() {
                path if path.starts_with("/v2/private/") => {
                    return Script::status(401).with("WWW-Authenticate", format!("Bearer realm=\"{realm}\""));
                }
                "/token" => Script::new(200, "application/json", r#"{"token":"t"}"#),
                _ => registry.answer(seen),
            };
            answer.with("Content-Encoding", encoding)
        })
        .await;
        let (client, app) = (client(&[&server]), app(&server));
        let manifest = descriptor(MANIFEST, &signed.signature);
        let errors = [
            client.resolve(&app, &Target::Tag("v1".to_owned()), &anonymous()).await.unwrap_err(),
            client.referrers(&app, &signed.subject(), NOTATION, &anonymous()).await.unwrap_err(),
            client.manifest(&app, &manifest, &anonymous()).await.unwrap_err(),
            client
                .resolve(
                    &format!("{}/private", server.host()).parse().unwrap(),
                    &Target::Tag("v1".to_owned()),
                    &anonymous(),
                )
                .await
                .unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains("Content-Encoding"), "{encoding}: {error}");
        }
        assert!(server.seen().iter().all(|seen| seen.header("accept-encoding") == Some("identity")));
    }
}

#[tokio::test]
async fn lengths_that_are_not_true_or_not_clear_are_an_error_and_no_hang() {
    let signed = Signed::new();
    let (image, length) = (signed.image.clone(), signed.image.len());
    let wanted = descriptor(MANIFEST, &signed.image);
    let with = |lengths: &[String]| {
        lengths
            .iter()
            .fold(Script::new(200, MANIFEST, image.clone()), |script, length| script.with("Content-Length", length))
    };
    for answer in [
        with(&[(length - 1).to_string()]),
        with(&[(length + 1).to_string()]),
        with(&[length.to_string(), (length + 1).to_string()]),
        with(&[format!("{length}, {}", length - 1)]),
        with(&["-1".to_owned()]),
        with(&["18446744073709551616".to_owned()]),
        with(&[format!("+{length}")]),
        with(&[format!("{length}abc")]),
        Script::new(200, MANIFEST, Vec::new()).body(Body::Lying { declared: 1 << 62, bytes: image.clone() }),
    ] {
        let shown = format!("{:?}", answer.headers);
        let server = Server::start("127.0.0.1", move |_: &Seen| answer.clone()).await;
        let error = client(&[&server]).manifest(&app(&server), &wanted, &anonymous()).await.unwrap_err();
        let is_expected =
            matches!(error, Error::Unavailable { .. } | Error::TooLarge { .. } | Error::DigestMismatch { .. });
        assert!(is_expected, "{shown}: {error}");
    }
}

#[tokio::test]
async fn a_digest_of_an_algorithm_that_is_not_supported_names_nothing() {
    let signed = Signed::new();
    let sha256 = signed.subject().to_string();
    let hex = sha256.split_once(':').unwrap().1.to_owned();
    for odd in [
        format!("md5:{}", &hex[..32]),
        format!("sha1:{}", &hex[..40]),
        format!("SHA256:{hex}"),
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{}", &hex[..63]),
        format!("sha256:{hex}0"),
        format!("sha512:{hex}"),
        format!("sha256:{hex}@sha256:{hex}"),
        format!("sha256+b64:{hex}"),
        hex.clone(),
        "sha256:".to_owned(),
    ] {
        assert!(odd.parse::<sealwatch_registry::Digest>().is_err(), "{odd}");
        let mut entry = signed.referrer();
        entry["digest"] = json!(odd);
        let server = Server::start("127.0.0.1", move |_: &Seen| list(std::slice::from_ref(&entry))).await;
        let listed = client(&[&server]).referrers(&app(&server), &signed.subject(), NOTATION, &anonymous()).await;
        assert!(matches!(listed, Err(Error::Malformed { .. })), "{odd}: {listed:?}");
    }
    // In the header that names the content, what is malformed is refused too.
    for odd in [format!("sha256:{}", hex.to_uppercase()), format!("sha512:{hex}"), "sha256:x".to_owned()] {
        let registry = signed.clone();
        let server = Server::start("127.0.0.1", move |_: &Seen| {
            Script::new(200, MANIFEST, registry.image.clone()).with("Docker-Content-Digest", odd.clone())
        })
        .await;
        let error = client(&[&server]).resolve(&app(&server), &Target::Tag("v1".to_owned()), &anonymous()).await;
        assert!(matches!(error, Err(Error::Malformed { .. })), "{error:?}");
    }
    assert_eq!(digest(&signed.image), signed.subject());
}

/// CVE-2023-33959: a registry that answers with another digest, size or type than it was asked for.
#[tokio::test]
async fn another_artifact_in_the_place_of_the_one_that_was_asked_for_is_refused_before_anything_else_is_asked() {
    let signed = Signed::new();
    let other = Signed { image: b"{\"other\":1}".to_vec(), ..signed.clone() };
    let target = Target::Digest(signed.subject());
    let wrong_header =
        Script::new(200, MANIFEST, signed.image.clone()).with("Docker-Content-Digest", other.subject().to_string());
    let server = Server::start("127.0.0.1", move |_: &Seen| wrong_header.clone()).await;
    let error = client(&[&server]).resolve(&app(&server), &target, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    assert_eq!(server.seen().len(), 1, "{:?}", server.lines());
    // HEAD says too little, and GET gives something else.
    let image = other.image.clone();
    let server = Server::start("127.0.0.1", move |seen: &Seen| match seen.method.as_str() {
        "HEAD" => Script::status(200),
        _ => Script::new(200, MANIFEST, image.clone()),
    })
    .await;
    let error = client(&[&server]).resolve(&app(&server), &target, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    assert_eq!(server.seen().len(), 2, "{:?}", server.lines());
    // Of another size than its descriptor says.
    let mut wanted = descriptor(MANIFEST, &signed.signature);
    for size in [wanted.size - 1, wanted.size + 1] {
        wanted.size = size;
        let registry = signed.clone();
        let server = Server::start("127.0.0.1", move |seen: &Seen| registry.answer(seen)).await;
        let error = client(&[&server]).manifest(&app(&server), &wanted, &anonymous()).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. } | Error::Malformed { .. }), "{error}");
        assert_eq!(server.seen().len(), 1, "{:?}", server.lines());
    }
}
