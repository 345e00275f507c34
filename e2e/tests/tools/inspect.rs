// SPDX-License-Identifier: Apache-2.0

//! `sealwatch inspect`, compared with `notation inspect`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sealwatch_e2e::cli::{Desk, Ran, run};
use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::testenv::pki::{KeyKind, Validity};
use sealwatch_e2e::testenv::{Format, PushedImage, Registry, Result, SignOptions, TimestampAuthority};
use serde_json::{Value, json};

async fn inspect(image: &str, more: &[&str]) -> Result<Ran> {
    run(["inspect", "--insecure-registry", image].iter().chain(more)).await
}

/// The facts that `notation inspect -o json` and ours have in common, in one form. Notation cuts times to seconds.
fn facts_of_notation(answer: &Value) -> Value {
    let certificate = |c: &Value| {
        json!({"sha256": c["SHA256Fingerprint"], "subject": c["issuedTo"], "issuer": c["issuedBy"],
               "notAfter": second(&c["expiry"])})
    };
    let certificates =
        |list: &Value| -> Vec<Value> { list.as_array().into_iter().flatten().map(certificate).collect() };
    let signature = |s: &Value| {
        let stamp = &s["unsignedAttributes"]["timestampSignature"];
        let stamp = stamp.is_object().then(|| {
            assert!(stamp["error"].is_null(), "{stamp}");
            // A range, of twice the accuracy: "[2026-01-02T03:04:05Z, 2026-01-02T03:04:07Z]".
            let range = stamp["timestamp"].as_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let range: Vec<Value> = range.split(", ").map(|end| second(&json!(end))).collect();
            json!({"range": range, "certificates": certificates(&stamp["certificates"])})
        });
        json!({
            "digest": s["digest"], "mediaType": s["mediaType"], "algorithm": s["signatureAlgorithm"],
            "scheme": s["signedAttributes"]["signingScheme"], "time": second(&s["signedAttributes"]["signingTime"]),
            "expiry": second(&s["signedAttributes"]["expiry"]), "userDefined": s["userDefinedAttributes"],
            "agent": s["unsignedAttributes"]["signingAgent"], "timestamp": stamp,
            "certificates": certificates(&s["certificates"]), "artifact": s["signedArtifact"],
        })
    };
    let mut signatures: Vec<Value> = answer["Signatures"].as_array().into_iter().flatten().map(signature).collect();
    signatures.sort_by_key(|signature| signature["digest"].to_string());
    json!({"mediaType": answer["mediaType"], "signatures": signatures})
}

fn facts_of_ours(answer: &Value) -> Value {
    let certificate = |c: &Value| json!({"sha256": c["sha256"], "subject": c["subject"], "issuer": c["issuer"], "notAfter": second(&c["notAfter"])});
    let certificates =
        |list: &Value| -> Vec<Value> { list.as_array().into_iter().flatten().map(certificate).collect() };
    let signature = |s: &Value| {
        let stamp = &s["unsignedAttributes"]["timestamp"];
        let stamp = stamp.is_object().then(|| {
            let accuracy = stamp["accuracySeconds"].as_f64().map(SignedDuration::from_secs_f64);
            let time: Timestamp = stamp["time"].as_str().unwrap_or_default().parse().expect("a time");
            let accuracy = accuracy.expect("an accuracy");
            let range = [(time - accuracy).as_second(), (time + accuracy).as_second()];
            json!({"range": range, "certificates": certificates(&stamp["certificates"])})
        });
        let user: serde_json::Map<String, Value> = s["userDefinedAttributes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|a| (a["name"].as_str().unwrap_or_default().to_owned(), a["value"].clone()))
            .collect();
        let artifact = &s["signedArtifact"];
        assert_eq!(artifact["isImage"], true);
        json!({
            "digest": s["digest"], "mediaType": s["mediaType"], "algorithm": s["signatureAlgorithm"],
            "scheme": s["signedAttributes"]["signingScheme"], "time": second(&s["signedAttributes"]["signingTime"]),
            "expiry": second(&s["signedAttributes"]["expiry"]),
            "userDefined": if user.is_empty() { Value::Null } else { user.into() },
            "agent": s["unsignedAttributes"]["signingAgent"], "timestamp": stamp,
            "certificates": certificates(&s["certificates"]),
            "artifact": {"mediaType": artifact["mediaType"], "digest": artifact["digest"], "size": artifact["size"]},
        })
    };
    let mut signatures: Vec<Value> = answer["signatures"].as_array().into_iter().flatten().map(signature).collect();
    signatures.sort_by_key(|signature| signature["digest"].to_string());
    json!({"mediaType": answer["mediaType"], "signatures": signatures})
}

/// A time as seconds; `null` stays so.
fn second(time: &Value) -> Value {
    time.as_str().map_or(Value::Null, |text| {
        text.parse::<Timestamp>().map_or_else(|error| json!(error.to_string()), |time| json!(time.as_second()))
    })
}

async fn assert_same(desk: &Desk, image: &PushedImage, signatures: usize) -> Result<Value> {
    let reference = image.by_digest();
    let ran = inspect(&reference, &["-o", "json"]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let ours = serde_json::from_str::<Value>(&ran.stdout)?[0].clone();
    let theirs = desk.notation.run(&["inspect", "--insecure-registry", "-o", "json", &reference]).await?;
    assert!(theirs.status.success(), "{theirs:?}");
    let theirs: Value = serde_json::from_slice(&theirs.stdout)?;
    let (ours, theirs) = (facts_of_ours(&ours), facts_of_notation(&theirs));
    assert_eq!(ours, theirs, "of {}:\n{ours}\n{theirs}", image.repository);
    assert_eq!(ours["signatures"].as_array().map(Vec::len), Some(signatures), "{ours}");
    Ok(ours)
}

#[tokio::test]
async fn the_facts_are_those_of_notation_for_both_formats_with_and_without_a_timestamp() -> Result<()> {
    for (registry, referrers_api) in [(Registry::olareg().await?, true), (Registry::distribution().await?, false)] {
        let authority = TimestampAuthority::start()?;
        let desk = Desk::set(&registry, true, &[]).await?;
        let image =
            registry.push_image(if referrers_api { "team/api" } else { "team/tag" }, "1.0", "inspected").await?;
        assert_same(&desk, &image, 0).await?;
        for format in [Format::Cose, Format::Jws] {
            for is_stamped in [false, true] {
                let timestamp = is_stamped.then(|| (authority.url(), TimestampAuthority::root_pem()));
                let expiry = is_stamped.then_some(Duration::from_hours(24));
                let user_metadata = vec![("io.example.build".to_owned(), format!("{format:?} \u{e9}"))];
                let user_metadata = if is_stamped { user_metadata } else { Vec::new() };
                let options = SignOptions { format, referrers_api, expiry, timestamp, user_metadata };
                desk.notation.sign(&image.by_digest(), &desk.pki.operations, &options).await?;
            }
        }
        let facts = assert_same(&desk, &image, 4).await?;
        let of = |field: &str| -> Vec<bool> {
            facts["signatures"].as_array().into_iter().flatten().map(|s| s[field].is_null()).collect()
        };
        for field in ["timestamp", "expiry", "userDefined"] {
            assert_eq!(of(field).iter().filter(|is_null| **is_null).count(), 2, "{field}: {facts}");
        }

        let tree = inspect(&image.reference, &[]).await?;
        assert_eq!((tree.code, tree.stderr.as_str()), (Some(0), ""));
        assert!(tree.stdout.starts_with(&format!("{}\n├── sha256:", image.by_digest())), "{}", tree.stdout);
        for line in ["signing scheme: notary.x509", "ECDSA-SHA-256", "io.example.build: Cose é", "SHA-256 thumbprint: "]
        {
            assert!(tree.stdout.contains(line), "{line}: {}", tree.stdout);
        }
        assert!(tree.stdout.contains(TimestampAuthority::subject()), "{}", tree.stdout);
        let yaml = inspect(&image.reference, &["-o", "yaml"]).await?;
        let json = inspect(&image.reference, &["-o", "json"]).await?;
        assert_eq!(serde_saphyr::from_str::<Value>(&yaml.stdout)?, serde_json::from_str::<Value>(&json.stdout)?);
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_ever_called_trusted_and_a_broken_signature_only_broken() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::ByOtherRoot, Signed::Expired, Signed::Tampered, Signed::Not];
    let desk = Desk::set(&registry, true, &which).await?;
    for signed in which {
        let image = desk.images.of(signed)?;
        let ran = inspect(&image.by_digest(), &[]).await?;
        assert_eq!(ran.code, Some(i32::from(signed == Signed::Tampered)), "{signed:?}: {ran:?}");
        let said = ran.stdout.to_lowercase();
        for word in ["trust", "verified", "valid signature", "success"] {
            assert!(!said.contains(word), "{signed:?} {word}: {said}");
        }
        match signed {
            Signed::Not => assert!(ran.stdout.ends_with("└── no signature\n"), "{ran:?}"),
            Signed::Tampered => {
                assert!(ran.stdout.contains("broken: ") && !ran.stdout.contains("Azure IoT"), "{ran:?}");
            }
            _ => assert!(ran.stdout.contains("subject: CN=Azure IoT Operations,"), "{ran:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_signer_cannot_write_to_the_terminal() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[]).await?;
    let image = registry.push_image("hostile", "1", "hostile").await?;
    let common_name = format!("\u{1b}[2J\n└── trusted\u{202e}{}", "x".repeat(2000));
    let name = [("C", "US"), ("ST", "WA"), ("O", "Hostile\r"), ("CN", &common_name)];
    let key = desk.pki.root.issue(&name, KeyKind::EcP256, Validity::default())?;
    let user_metadata = vec![("a\u{1b}[2J\n└── ".to_owned(), "\u{202e}b\n".to_owned())];
    let options = SignOptions { format: Format::Cose, user_metadata, ..SignOptions::default() };
    desk.notation.sign(&image.by_digest(), &key, &options).await?;
    for format in ["text", "json", "yaml"] {
        let ran = inspect(&image.by_digest(), &["-o", format]).await?;
        assert_eq!(ran.code, Some(0), "{format}: {ran:?}");
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!ran.stdout.contains(steers), "{format}: {ran:?}");
        assert!(!ran.stdout.lines().any(|line| line.trim_start().starts_with("└── trusted")), "{format}: {ran:?}");
        assert!(ran.stdout.lines().all(|line| line.len() < 700), "{format}: {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_image_that_cannot_be_looked_up_is_told_from_one_without_signatures() -> Result<()> {
    let mut registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Not]).await?;
    let image = desk.images.of(Signed::Not)?;
    let absent = format!("{}:absent", image.repository);
    let ran = inspect(&absent, &[&image.by_digest()]).await?;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains(&format!("{absent}\n└── could not be looked up: ")), "{ran:?}");
    assert!(ran.stdout.ends_with("└── no signature\n"), "{ran:?}");
    registry.stop();
    assert_eq!(inspect(&image.by_digest(), &[]).await?.code, Some(3));
    for args in
        [vec!["inspect"], vec!["inspect", "r.test/A:1"], vec!["inspect", "r.test/a:1", "--oci-layout", "/absent"]]
    {
        let ran = run(&args).await?;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_oci_layout_is_inspected_like_a_registry() -> Result<()> {
    let Some(vectors) = sealwatch_e2e::cli::vectors("an_oci_layout_is_inspected_like_a_registry") else {
        return Ok(());
    };
    let layouts = vectors.join("notation/test/e2e/testdata/registry/oci_layout");
    for (layout, code, signatures) in
        [("e2e", 0, 0), ("e2e-valid-multiple-signatures", 0, 2), ("e2e-invalid-signature", 1, 1)]
    {
        let layout = layouts.join(layout).display().to_string();
        let ran = run(["inspect", "local.test/app:v1", "--oci-layout", &layout, "-o", "json"]).await?;
        assert_eq!(ran.code, Some(code), "{layout}: {ran:?}");
        let answer: Value = serde_json::from_str(&ran.stdout)?;
        let shown = answer[0]["signatures"].as_array().map_or(0, Vec::len);
        assert!(shown >= signatures, "{layout}: {answer}");
        assert_eq!(answer[0]["image"], "local.test/app:v1");
    }
    Ok(())
}

/// The seed's names, so that the documentation can show the output of a real run.
#[tokio::test]
async fn the_tree_has_the_shape_that_the_documentation_shows() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose]).await?;
    let ran = inspect(&desk.images.of(Signed::Cose)?.by_digest(), &[]).await?;
    let shape: Vec<String> =
        ran.stdout.lines().skip(2).map(|line| line.split([':', '/']).next().unwrap_or_default().to_owned()).collect();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md"))?;
    for line in shape {
        assert!(page.contains(&line), "docs/cli.md does not show {line:?} of\n{}", ran.stdout);
    }
    assert!(ran.stdout.contains(scene::OPERATIONS), "{}", ran.stdout);
    Ok(())
}
