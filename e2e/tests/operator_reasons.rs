// SPDX-License-Identifier: Apache-2.0

//! Reasons that no tool's signature and no well-behaved registry leads to.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use sealwatch_e2e::scene;
use sealwatch_e2e::stage::{ACCOUNT, Launch, Seen, Stage};
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{self, OperatorProcess, PushedImage, Registry, Result};
use sealwatch_fixtures::SIGNER;
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::pki::{Signer, Template, pem};
use serde_json::{Value, json};

const POLICY: &str = "microsoft";
const JWS: &str = "application/jose+json";

/// The payload that names this image.
fn payload(image: &PushedImage) -> Vec<u8> {
    let target = json!({"mediaType": image.media_type, "digest": image.digest, "size": image.size});
    json!({"targetArtifact": target}).to_string().into_bytes()
}

/// A stage on which images with these names run, and the root of the fixtures is trusted.
async fn staged(registry: &Registry, names: &[&str]) -> Result<(Stage, Vec<PushedImage>)> {
    let stage = Stage::set(testenv::cluster().await?, "reasons").await?;
    stage.apply(&scene::roots(&pem(Signer::new().root()))).await?;
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["trustedIdentities"] = json!([format!("x509.subject: {SIGNER}")]);
    stage.apply(&scene::trust_policy(POLICY, &document)).await?;
    let mut images = Vec::new();
    for name in names {
        let image = registry.push_image(name, "1", name).await?;
        stage.run_pod(&format!("{name}-0"), &image).await?;
        images.push(image);
    }
    Ok((stage, images))
}

#[tokio::test]
async fn signatures_that_no_tool_makes_fail_for_the_reason_that_they_deserve() -> Result<()> {
    let registry = Registry::olareg().await?;
    let names = ["honest", "elsewhere", "early", "late", "critical", "plugin"];
    let (stage, images) = staged(&registry, &names).await?;
    let [honest, elsewhere, early, late, critical, plugin] = images.as_slice() else { return Err("six images".into()) };
    let signer = Signer::new();
    let jws = |signer: &Signer, image: &PushedImage| {
        let mut jws = Jws::new(signer);
        jws.payload = payload(image);
        jws
    };
    let attach = async |image: &PushedImage, jws: &Jws| scene::attach(&registry, image, JWS, jws.sign(), "").await;
    attach(honest, &jws(&signer, honest)).await?;
    // Made for the other image, and moved here.
    attach(elsewhere, &jws(&signer, honest)).await?;
    let unborn = Template { not_before: "20380101000000Z", ..Template::leaf() };
    attach(early, &jws(&Signer::with_leaf(&unborn), early)).await?;
    let dead = Template { not_after: "20251231235959Z", ..Template::leaf() };
    attach(late, &jws(&Signer::with_leaf(&dead), late)).await?;
    let mut unknown = jws(&signer, critical);
    unknown.set("com.example.must", "be understood").crit(&["io.cncf.notary.signingScheme", "com.example.must"]);
    attach(critical, &unknown).await?;
    let mut needs = jws(&signer, plugin);
    needs.set("io.cncf.notary.verificationPlugin", "com.example.plugin");
    needs.crit(&["io.cncf.notary.signingScheme", "io.cncf.notary.verificationPlugin"]);
    attach(plugin, &needs).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    let expected = [
        ("honest", "SignatureValid"),
        ("elsewhere", "SubjectMismatch"),
        ("early", "CertificateNotYetValid"),
        ("late", "CertificateExpired"),
        ("critical", "ExtensionUnsupported"),
        ("plugin", "ExtensionUnsupported"),
    ];
    let settled = |seen: &Seen| expected.iter().all(|(name, reason)| seen.reason(name) == *reason);
    stage.until("a reason for each", settled).await?;
    Ok(())
}

#[tokio::test]
async fn more_signatures_than_are_looked_at_fail_and_name_the_limit() -> Result<()> {
    let registry = Registry::olareg().await?;
    let (stage, images) = staged(&registry, &["crowded"]).await?;
    let [crowded] = images.as_slice() else { return Err("an image".into()) };
    let mut foreign = Jws::new(&Signer::new());
    foreign.payload = b"{}".to_vec();
    let envelope = foreign.sign();
    for number in 0..=100 {
        scene::attach(&registry, crowded, JWS, envelope.clone(), &number.to_string()).await?;
    }
    let _operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage.until("the reason", |seen| seen.reason("crowded") == "SignatureLimitExceeded").await?;
    let message = seen.status("crowded").message.unwrap_or_default();
    assert!(message.contains("100"), "{message}");
    Ok(())
}

/// A registry that answers every request alike.
async fn answering(
    answer: fn(axum::http::response::Builder) -> axum::http::Result<Response<Body>>,
) -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .fallback(async move || answer(Response::builder()).unwrap_or_else(|_| Response::new(Body::empty())));
    // It ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// A registry that accepts requests and never answers.
async fn hung() -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(async || std::future::pending::<StatusCode>().await);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// A running image of that name at a registry that nobody has pushed to.
async fn run_from(stage: &Stage, name: &str, registry: &str) -> Result<()> {
    let reference = format!("{registry}/{name}:1");
    let image_id = format!("{registry}/{name}@sha256:{}", "a".repeat(64));
    let container = ContainerSpec::new("main", reference, image_id);
    pods::run(&stage.client(), &stage.namespace, &format!("{name}-0"), &[container]).await
}

/// An operator with this registries.yaml.
async fn operator_with(stage: &Stage, contents: &Value, more: &[&str]) -> Result<OperatorProcess> {
    let (watched, contents) = (Some(stage.namespace.as_str()), contents.clone());
    stage.launch(&Launch { watched, account: ACCOUNT, contents, registries: &[], more, log: None }).await
}

#[tokio::test]
async fn a_registry_that_refuses_delays_or_lies_turns_nothing_failed() -> Result<()> {
    let olareg = Registry::olareg().await?;
    let (stage, _) = staged(&olareg, &[]).await?;
    let private = answering(|answer| {
        answer.status(401).header("www-authenticate", "Basic realm=\"private\"").body(Body::empty())
    });
    let busy = answering(|answer| answer.status(429).header("retry-after", "600").body(Body::empty()));
    // Whatever is asked for, it is an empty image.
    let lying = answering(|answer| {
        let empty = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        answer
            .header("content-type", "application/vnd.oci.image.index.v1+json")
            .header("docker-content-digest", format!("sha256:{}", "b".repeat(64)))
            .body(Body::from(empty))
    });
    let (private, busy, lying, hung) = (private.await?, busy.await?, lying.await?, hung().await?);
    let known = [private, busy, lying, hung].map(|address| address.to_string());
    let mirrors: serde_json::Map<String, Value> =
        known.iter().map(|host| (host.clone(), json!({"endpoint": [format!("http://{host}")]}))).collect();
    let names = ["private", "busy", "lying", "hung"];
    for (name, host) in names.iter().zip(&known) {
        run_from(&stage, name, host).await?;
    }
    // Not in registries.yaml, and so on loopback by nobody's leave.
    run_from(&stage, "internal", &olareg.host()).await?;
    let _operator = operator_with(&stage, &json!({"mirrors": mirrors}), &[]).await?;
    let expected = [
        ("private", "RegistryUnauthorized"),
        ("busy", "RegistryThrottled"),
        ("lying", "DigestMismatch"),
        ("internal", "EgressRefused"),
    ];
    let seen = stage
        .until("a reason for each", |seen| {
            expected.iter().all(|(name, reason)| {
                seen.reason(name) == *reason && seen.image_condition(name, "Ready") == format!("False/{reason}")
            })
        })
        .await?;
    // One that hangs is being asked, and holds up no other.
    assert_eq!(seen.reason("hung"), "Pending");
    assert_eq!(seen.image_condition("hung", "Ready"), "Unknown/Progressing");
    assert_eq!(seen.image_condition("hung", "Reconciling"), "True/Progressing");
    let failed = seen.images.iter().filter(|image| {
        image.status.as_ref().is_some_and(|status| status.verdict == Some(sealwatch_api::Verdict::Failed.into()))
    });
    assert_eq!(failed.count(), 0);
    assert!(seen.status("internal").message.is_some_and(|message| message.contains("--allow-egress")));
    assert_eq!(olareg.access_log(), [], "it was not connected to");
    Ok(())
}

#[tokio::test]
async fn an_image_at_a_mirror_without_signatures_is_not_known_to_be_unsigned() -> Result<()> {
    let registry = Registry::olareg().await?;
    let (stage, _) = staged(&registry, &[]).await?;
    let image = registry.push_image("mirrored", "1", "mirrored").await?;
    // The name is reserved for nobody (RFC 6761), so the origin cannot be asked even by mistake.
    let origin = "origin.invalid";
    let image_id = format!("{origin}/mirrored@{}", image.digest);
    let container = ContainerSpec::new("main", format!("{origin}/mirrored:1"), image_id);
    pods::run(&stage.client(), &stage.namespace, "mirrored-0", &[container]).await?;
    let mirrors = json!({"mirrors": {origin: {"endpoint": [format!("http://{}", registry.host())]}}});
    let more = ["--disable-default-registry-endpoint", "--allow-egress", "127.0.0.0/8"];
    let _operator = operator_with(&stage, &mirrors, &more).await?;
    let seen = stage.until("the reason", |seen| seen.reason("mirrored") == "SignaturesNotMirrored").await?;
    assert_eq!(seen.image_condition("mirrored", "Verified"), "Unknown/SignaturesNotMirrored");
    Ok(())
}
