// SPDX-License-Identifier: Apache-2.0

//! Signatures that the real `notation` has had timestamped (RFC 3161), judged by the command line, by the operator, and
//! by `notation` as second opinion.

use std::time::Duration;

use jiff::Timestamp;
use sealwatch_e2e::cli::{Desk, Ran, run};
use sealwatch_e2e::scene::{self, Pki, Signed};
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::pki::{KeyKind, SigningKey, Validity};
use sealwatch_e2e::testenv::{Format, PushedImage, Registry, Result, SignOptions, TimestampAuthority, cluster};
use serde_json::{Value, json};

const POLICY: &str = "microsoft";
/// How long a certificate lives that ends during a test: long enough to sign, to look at, and to sign again.
const LIFE_SECONDS: i64 = 15;

/// The seed's document, which also names the trust store of a timestamp authority.
fn with_tsa_store(verify_timestamp: &str) -> Value {
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["trustStores"] = json!(["ca:supplychain", "tsa:microsoft"]);
    document["trustPolicies"][0]["signatureVerification"]["verifyTimestamp"] = verify_timestamp.into();
    document
}

/// A key of the first trusted identity, whose certificate ends soon, and when.
fn ending_key(pki: &Pki) -> Result<(SigningKey, Timestamp)> {
    let validity = Validity { ends_in_seconds: LIFE_SECONDS, ..Validity::default() };
    let name = [
        ("C", "US"),
        ("ST", "Washington"),
        ("L", "Redmond"),
        ("O", "Microsoft Corporation"),
        ("CN", "Azure IoT Operations"),
    ];
    let key = pki.root.issue(&name, KeyKind::EcP256, validity)?;
    Ok((key, Timestamp::now() + Duration::from_secs(LIFE_SECONDS.unsigned_abs() + 1)))
}

/// Waits until a certificate has ended: nothing but the clock tells.
async fn wait_for(end: Timestamp) {
    while Timestamp::now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn options(format: Format, authority: &TimestampAuthority) -> SignOptions {
    let timestamp = Some((authority.url(), TimestampAuthority::root_pem()));
    SignOptions { format, timestamp, ..SignOptions::default() }
}

/// Verifies by hand under this document, with the trust store of the signer, and with this one of the authority.
async fn verify(desk: &Desk, document: &Value, tsa_root: &str, image: &PushedImage) -> Result<(Ran, bool)> {
    let name = image.by_digest();
    let mut args = vec!["verify".to_owned(), "--insecure-registry".to_owned(), "-o".to_owned(), "json".to_owned()];
    args.extend(desk.notation_policy(document)?);
    desk.write("truststore/tsa/microsoft/root.crt", tsa_root)?;
    let stores = [("ca:supplychain", desk.pki.root.certificate_pem()), ("tsa:microsoft", tsa_root)];
    desk.notation.trust(&document.to_string(), &stores)?;
    args.push(name.clone());
    Ok((run(args).await?, desk.notation.verify(&name).await?.status.success()))
}

/// Verdict, reason and message.
fn answer(ran: &Ran) -> Result<(String, String, Value)> {
    let answers: Value = serde_json::from_str(&ran.stdout).map_err(|error| format!("{error}: {ran:?}"))?;
    let text = |member: &str| answers[0][member].as_str().unwrap_or_default().to_owned();
    Ok((format!("{} {}", text("verdict"), text("reason")), text("message"), answers[0].clone()))
}

#[tokio::test]
async fn a_timestamped_signature_outlives_its_certificate_where_the_authority_is_trusted() -> Result<()> {
    let registry = Registry::olareg().await?;
    let authority = TimestampAuthority::start()?;
    let desk = Desk::set(&registry, true, &[]).await?;
    let (key, end) = ending_key(&desk.pki)?;
    let mut images = Vec::new();
    for (format, repository) in [(Format::Cose, "azureiotoperations/cose"), (Format::Jws, "azureiotoperations/jws")] {
        let image = registry.push_image(repository, "1", repository).await?;
        desk.notation.sign(&image.by_digest(), &key, &options(format, &authority)).await?;
        images.push(image);
    }
    assert_eq!(authority.issued(), 2);
    wait_for(end).await;
    let root = TimestampAuthority::root_pem();
    for image in &images {
        for when in ["", "always", "afterCertExpiry"] {
            let (ran, notation_agrees) = verify(&desk, &with_tsa_store(when), &root, image).await?;
            let (said, message, whole) = answer(&ran)?;
            assert_eq!((said.as_str(), notation_agrees), ("Verified SignatureValid", true), "{when}: {message}");
            let timestamp = &whole["signature"]["timestamp"];
            assert_eq!(timestamp["authority"], TimestampAuthority::subject(), "{whole}");
            let time: Timestamp = timestamp["time"].as_str().unwrap_or_default().parse()?;
            assert!(time < end && time > end - Duration::from_secs(LIFE_SECONDS.unsigned_abs() + 60), "{time}");
        }
        // The same without the store: what the seed's own policy says once a certificate has ended.
        let (ran, notation_agrees) = verify(&desk, &scene::seed_document(), &root, image).await?;
        let (said, message, _) = answer(&ran)?;
        assert_eq!((said.as_str(), notation_agrees), ("Failed CertificateExpired", false), "{message}");
        assert!(message.contains("add a tsa trust store to the statement"), "{message}");
    }
    Ok(())
}

#[tokio::test]
async fn a_timestamp_that_is_missing_or_of_a_stranger_fails_also_while_the_certificate_is_valid() -> Result<()> {
    let registry = Registry::olareg().await?;
    let authority = TimestampAuthority::start()?;
    let desk = Desk::set(&registry, true, &[Signed::Cose]).await?;
    let stamped = registry.push_image("azureiotoperations/stamped", "1", "stamped").await?;
    desk.notation.sign(&stamped.by_digest(), &desk.pki.operations, &options(Format::Jws, &authority)).await?;
    let plain = desk.images.of(Signed::Cose)?;
    let (ours, other) = (TimestampAuthority::root_pem(), desk.pki.root.certificate_pem().to_owned());
    for (image, when, root, expected) in [
        (&stamped, "always", &ours, "Verified SignatureValid"),
        (&stamped, "always", &other, "Failed TimestampInvalid"),
        (&stamped, "afterCertExpiry", &other, "Verified SignatureValid"),
        (plain, "always", &ours, "Failed TimestampMissing"),
        (plain, "afterCertExpiry", &ours, "Verified SignatureValid"),
    ] {
        let (ran, notation_agrees) = verify(&desk, &with_tsa_store(when), root, image).await?;
        let (said, message, _) = answer(&ran)?;
        assert_eq!(said, expected, "{when}: {message}");
        assert_eq!(notation_agrees, expected.starts_with("Verified"), "{when}: {expected}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tsa_store_in_the_policy_brings_an_image_back_whose_certificate_ended_without_asking_the_registry()
-> Result<()> {
    let registry = Registry::olareg().await?;
    let authority = TimestampAuthority::start()?;
    let stage = Stage::set(cluster().await?, "timestamps").await?;
    let (pki, _) = stage.play(POLICY, &registry, true, &[]).await?;
    let (key, end) = ending_key(&pki)?;
    let image = registry.push_image("azureiotoperations/aio-operator", "1", "stamped").await?;
    stage.notation().await?.sign(&image.by_digest(), &key, &options(Format::Cose, &authority)).await?;
    stage.run_pod("aio-operator-0", &image).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage.until("the verdict", |seen| seen.reason("aio-operator") == "SignatureValid").await?;
    registry.clear_access_log();
    // Nobody touches anything: the certificate ends.
    wait_for(end).await;
    let seen = stage.until("the end", |seen| seen.reason("aio-operator") == "CertificateExpired").await?;
    let message = seen.status("aio-operator").message.unwrap_or_default();
    assert!(message.contains("add a tsa trust store to the statement"), "{message}");
    let mut policy = scene::trust_policy(POLICY, &with_tsa_store("always"));
    let store = json!({"type": "tsa", "name": "microsoft", "certificates": [{"pem": TimestampAuthority::root_pem()}]});
    policy["spec"]["trustStores"].as_array_mut().ok_or("the policy has no trust stores")?.push(store);
    stage.apply(&policy).await?;
    let seen = stage.until("the verdict", |seen| seen.reason("aio-operator") == "SignatureValid").await?;
    let timestamp = seen.status("aio-operator").signature.and_then(|signature| signature.timestamp);
    let timestamp = timestamp.ok_or("the status names no timestamp")?;
    assert_eq!(timestamp.authority, TimestampAuthority::subject());
    assert_eq!(registry.access_log(), []);
    Ok(())
}
