// SPDX-License-Identifier: Apache-2.0

//! Revocation, from the list on a server to the verdict.

#[path = "revocation/crl_fetch.rs"]
mod crl_fetch;

use std::path::Path;
use std::time::Duration;

use rcgen::{KeyPair, PublicKeyData as _};
use sealwatch_e2e::cli::{Ran, run};
use sealwatch_e2e::scene;
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::pki::{KeyKind, Root, SigningKey, Validity};
use sealwatch_e2e::testenv::{
    self, Authority, Notation, PushedImage, Registry, Result, SignOptions, TimestampAuthority,
};
use sealwatch_fixtures::pki::{Signer, Template, pem};
use sealwatch_fixtures::revocation::{GOOD, List, Ocsp, Single, crl_at, ocsp_at, revoked};
use serde_json::{Value, json};
use tempfile::TempDir;

const POLICY: &str = "microsoft";
const IMAGE: &str = "aio-operator";
const LIST: &str = "/root.crl";
const DAY: Duration = Duration::from_hours(24);
/// Lets the operator and the command ask on loopback.
const ALLOWED: [&str; 2] = ["--allow-egress", "127.0.0.0/8"];

/// An image whose signer's certificate says where its revocation list is.
struct Listed {
    registry: Registry,
    authority: Authority,
    root: Root,
    key: SigningKey,
    image: PushedImage,
}

impl Listed {
    async fn new(notation: &Notation) -> Result<Self> {
        let registry = Registry::olareg().await?;
        let authority = Authority::start()?;
        let root = Root::new(&scene::name("Microsoft Supply Chain RSA Root CA 2022 (test)"), KeyKind::EcP256)?;
        let subject = scene::name("Azure IoT Operations");
        let url = authority.url(LIST);
        let key = root.issue_listed(&subject, KeyKind::EcP256, Validity::default(), Some(&url))?;
        let image = registry.push_image(&format!("azureiotoperations/{IMAGE}"), "1.2.36", "listed").await?;
        notation.sign(&image.by_digest(), &key, &SignOptions::default()).await?;
        registry.clear_access_log();
        Ok(Self { registry, authority, root, key, image })
    }

    /// Publishes a list with nobody in it.
    fn all_good(&self) -> Result<()> {
        self.authority.give(LIST, Some(self.root.list(&[], DAY)?));
        Ok(())
    }

    /// Publishes a list with the signer in it.
    fn revoke(&self) -> Result<()> {
        self.authority.give(LIST, Some(self.root.list(&[self.key.serial], DAY)?));
        Ok(())
    }
}

/// The image runs under the seed's policy.
async fn stage(prefix: &str) -> Result<(Stage, Listed)> {
    let stage = Stage::set(testenv::cluster().await?, prefix).await?;
    let listed = Listed::new(&stage.notation().await?).await?;
    stage.apply(&scene::roots(listed.root.certificate_pem())).await?;
    stage.apply(&policy("strict", &json!({}))).await?;
    stage.run_pod(&format!("{IMAGE}-0"), &listed.image).await?;
    Ok((stage, listed))
}

fn policy(level: &str, overrides: &Value) -> Value {
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["signatureVerification"] = json!({"level": level, "override": overrides});
    scene::trust_policy(POLICY, &document)
}

fn message(seen: &sealwatch_e2e::stage::Seen) -> String {
    seen.status(IMAGE).message.unwrap_or_default()
}

#[tokio::test]
async fn a_signer_that_is_revoked_turns_its_image_failed_and_back() -> Result<()> {
    let (stage, listed) = stage("revoked").await?;
    listed.all_good()?;
    let _operator = stage.operator(&[&listed.registry], &ALLOWED).await?;
    let seen = stage.until("the verdict", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    assert_eq!(listed.authority.asked(), [LIST], "asked once");
    let revocation = seen.status(IMAGE).signature.and_then(|signature| signature.revocation).ok_or("evidence")?;
    assert_eq!(revocation.method.map(|method| method.to_string()).as_deref(), Some("CRL"));
    assert!(revocation.checked_at.is_some() && revocation.next_update.is_some());
    listed.revoke()?;
    stage.request(POLICY).await?;
    let seen = stage.until("the revocation", |seen| seen.reason(IMAGE) == "Revoked").await?;
    assert_eq!(seen.policy_condition(POLICY, "Verified"), "False/Revoked");
    assert_eq!(seen.image_condition(IMAGE, "Ready"), "True/Succeeded");
    assert!(message(&seen).contains("is revoked since"), "{}", message(&seen));
    listed.all_good()?;
    stage.request(POLICY).await?;
    stage.until("the verdict again", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_is_fetched_again_before_it_ends_without_a_word_to_the_registry() -> Result<()> {
    let (stage, listed) = stage("renewed").await?;
    listed.authority.give(LIST, Some(listed.root.list(&[], Duration::from_secs(20))?));
    let _operator = stage.operator(&[&listed.registry], &ALLOWED).await?;
    stage.until("the verdict", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    listed.registry.clear_access_log();
    listed.revoke()?;
    stage.until("the revocation", |seen| seen.reason(IMAGE) == "Revoked").await?;
    assert_eq!(listed.registry.access_log().len(), 0, "the registry is not asked for that");
    Ok(())
}

#[tokio::test]
async fn an_outage_of_the_authority_keeps_the_verdict_and_says_so() -> Result<()> {
    let (stage, listed) = stage("outage").await?;
    listed.all_good()?;
    let operator = stage.operator(&[&listed.registry], &ALLOWED).await?;
    let seen = stage.until("the verdict", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    let verified_at = seen.status(IMAGE).last_verified_time.ok_or("a time")?.0;
    // The list came in the look that the registry was asked in, some time after it; only the clock sets the next apart.
    let (same_look, next_look) = (verified_at + Duration::from_secs(2), verified_at + Duration::from_secs(4));
    while jiff::Timestamp::now() < next_look {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    listed.authority.give(LIST, None);
    stage.request(POLICY).await?;
    let seen = stage
        .until("the outage to be said", |seen| {
            seen.image_condition(IMAGE, "Ready") == "False/RevocationUnknown"
                && seen.policy_condition(POLICY, "Ready") == "False/RevocationUnknown"
        })
        .await?;
    assert_eq!(seen.reason(IMAGE), "SignatureValid");
    let ready = seen.status(IMAGE).conditions.into_iter().find(|condition| condition.type_ == "Ready");
    let why = ready.ok_or("a condition")?.message;
    assert!(why.contains(&listed.authority.url(LIST)) && why.contains("status 503"), "{why}");
    let kept_at = seen.status(IMAGE).last_verified_time.ok_or("a time")?.0;
    assert!(verified_at <= kept_at && kept_at <= same_look, "older word is not made fresh: {kept_at}, {verified_at}");
    // A restart forgets the answers; the old status stands meanwhile, as in an outage of a registry.
    drop(operator);
    let _operator = stage.operator(&[&listed.registry], &ALLOWED).await?;
    let stands = |seen: &sealwatch_e2e::stage::Seen| seen.reason(IMAGE) == "SignatureValid";
    listed.authority.asked();
    stage.stays("the old status", Duration::from_secs(3), stands).await?;
    assert_eq!(listed.authority.asked(), [LIST], "the new process has asked in vain");
    listed.all_good()?;
    stage.request(POLICY).await?;
    stage.until("the recovery", |seen| seen.policy_condition(POLICY, "Ready") == "True/Succeeded").await?;
    Ok(())
}

#[tokio::test]
async fn with_a_cache_on_disk_what_was_heard_outlives_the_operator_the_registry_and_the_authority() -> Result<()> {
    let (stage, mut listed) = stage("restarted").await?;
    listed.all_good()?;
    let cache = stage.folder.path().join("cache");
    let folder = cache.display().to_string();
    let arguments = [&ALLOWED[..], &["--cache-dir", &folder]].concat();
    let mut operator = stage.operator(&[&listed.registry], &arguments).await?;
    let before = stage.until("the verdict", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    let is_kept = |kind: &str| std::fs::read_dir(cache.join("v1").join(kind)).is_ok_and(|files| files.count() == 1);
    let began = std::time::Instant::now();
    while !(is_kept("lists") && is_kept("answers")) {
        assert!(began.elapsed() < Duration::from_secs(20), "list and answer are on the disk");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    operator.kill();
    listed.registry.stop();
    listed.authority.give(LIST, None);
    stage.kubectl(&["delete", "iv", "--all"]).await?;
    let _operator = stage.operator(&[&listed.registry], &arguments).await?;
    let seen = stage.until("the verdict again", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    assert_eq!(seen.image_condition(IMAGE, "Ready"), "False/RegistryUnavailable");
    let time = |seen: &sealwatch_e2e::stage::Seen| seen.status(IMAGE).last_verified_time.map(|time| time.0);
    assert_eq!(time(&seen), time(&before), "as old as the evidence");
    Ok(())
}

#[tokio::test]
async fn what_could_never_be_learnt_is_unknown_until_the_list_is_brought() -> Result<()> {
    let (stage, listed) = stage("brought").await?;
    let _operator = stage.operator(&[&listed.registry], &ALLOWED).await?;
    let seen = stage.until("the verdict", |seen| seen.reason(IMAGE) == "RevocationUnknown").await?;
    assert!(message(&seen).contains("could not be asked: status 404"), "{}", message(&seen));
    assert_eq!(seen.image_condition(IMAGE, "Ready"), "False/RevocationUnknown");

    // Brought, as a ConfigMap that comes later and changes.
    let mut bringing = policy("strict", &json!({}));
    bringing["spec"]["revocation"] = json!({"crls": [{"configMapKeyRef": {"name": "lists", "key": "root.crl"}}]});
    stage.apply(&bringing).await?;
    let seen = stage
        .until("the missing list to be said", |seen| {
            let ready = seen.policy(POLICY).conditions.into_iter().find(|condition| condition.type_ == "Ready");
            ready.is_some_and(|ready| ready.message.contains("spec.revocation.crls[0].configMapKeyRef: ConfigMap"))
        })
        .await?;
    assert_eq!(seen.policy_condition(POLICY, "Ready"), "False/RevocationUnknown");
    assert_eq!(seen.policy_condition(POLICY, "Stalled"), "");
    let bring = async |revoked: &[u64]| {
        let file = stage.folder.path().join("root.crl");
        std::fs::write(&file, listed.root.list(revoked, DAY)?)?;
        let _ = stage.kubectl(&["delete", "configmap", "lists", "--ignore-not-found"]).await?;
        stage.kubectl(&["create", "configmap", "lists", &format!("--from-file={}", file.display())]).await
    };
    bring(&[]).await?;
    let seen = stage.until("the verdict", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    let seen = stage
        .until("all to be well", |seen| seen.policy_condition(POLICY, "Ready") == "True/Succeeded")
        .await
        .map(|_| seen)?;
    assert_eq!(seen.image_condition(IMAGE, "Ready"), "True/Succeeded");
    let seen = stage.until("the end of the list", |seen| seen.policy(POLICY).next_expiry.is_some()).await?;
    let next = seen.policy(POLICY).next_expiry.ok_or("an end")?;
    assert_eq!(next.kind.map(|kind| kind.to_string()).as_deref(), Some("RevocationList"));
    bring(&[listed.key.serial]).await?;
    stage.until("the revocation", |seen| seen.reason(IMAGE) == "Revoked").await?;
    Ok(())
}

#[tokio::test]
async fn loopback_is_not_asked_unless_it_is_allowed_and_the_setting_is_named() -> Result<()> {
    let (stage, listed) = stage("egress").await?;
    listed.all_good()?;
    let operator = stage.operator(&[&listed.registry], &[]).await?;
    let seen = stage.until("the verdict", |seen| seen.reason(IMAGE) == "RevocationUnknown").await?;
    assert!(message(&seen).contains("--allow-egress"), "{}", message(&seen));
    assert!(listed.authority.asked().is_empty());
    drop(operator);
    let _operator = stage.operator(&[&listed.registry], &ALLOWED).await?;
    stage.until("the verdict", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    Ok(())
}

#[tokio::test]
async fn an_edit_asks_about_revocation_alone_and_a_second_one_nobody() -> Result<()> {
    let (stage, listed) = stage("edited").await?;
    listed.revoke()?;
    stage.apply(&policy("strict", &json!({"revocation": "skip"}))).await?;
    let _operator = stage.operator(&[&listed.registry], &ALLOWED).await?;
    stage.until("the verdict", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    assert!(listed.authority.asked().is_empty());
    listed.registry.clear_access_log();
    stage.apply(&policy("strict", &json!({}))).await?;
    let seen = stage.until("the revocation", |seen| seen.reason(IMAGE) == "Revoked").await?;
    let reasons: Vec<String> = seen.status(IMAGE).transitions.iter().map(|past| format!("{:?}", past.reason)).collect();
    assert!(!reasons.iter().any(|reason| reason.contains("RevocationUnknown")), "{reasons:?}");
    assert_eq!(listed.authority.asked(), [LIST]);
    stage.apply(&policy("strict", &json!({"revocation": "log"}))).await?;
    stage.until("the logged failure", |seen| seen.reason(IMAGE) == "FailuresLogged").await?;
    assert!(listed.authority.asked().is_empty());
    assert_eq!(listed.registry.access_log().len(), 0, "an edit asks no registry");
    Ok(())
}

/// What `sealwatch verify` and the real `notation verify` say under the seed's policy.
async fn both_say(listed: &Listed, notation: &Notation, folder: &TempDir, more: &[&str]) -> Result<(Ran, bool)> {
    let document = scene::seed_document().to_string();
    notation.trust(&document, &[("ca:supplychain", listed.root.certificate_pem())])?;
    let store = folder.path().join("truststore/ca/supplychain");
    std::fs::create_dir_all(&store)?;
    std::fs::write(store.join("root.crt"), listed.root.certificate_pem())?;
    std::fs::write(folder.path().join("trustpolicy.json"), document)?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (policy, stores, image) = (path("trustpolicy.json"), path("truststore"), listed.image.by_digest());
    let args = ["verify", &image, "--insecure-registry", "--policy", &policy, "--trust-store", &stores];
    let ran = run(args.into_iter().chain(more.iter().copied())).await?;
    Ok((ran, notation.verify(&image).await?.status.success()))
}

#[tokio::test]
async fn by_hand_the_answer_is_that_of_notation() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("sealwatch-revocation-").tempdir()?;
    let notation = Notation::new(&folder.path().join("notation")).await?;
    let listed = Listed::new(&notation).await?;
    // Never there.
    let (ran, theirs) = both_say(&listed, &notation, &folder, &ALLOWED).await?;
    assert_eq!((ran.code, theirs), (Some(3), false), "{ran:?}");
    assert!(ran.stdout.contains("RevocationUnknown: ") && ran.stdout.contains("status 404"), "{ran:?}");
    // Revoked; notation is asked first, because it caches lists.
    listed.revoke()?;
    let (ran, theirs) = both_say(&listed, &notation, &folder, &ALLOWED).await?;
    assert_eq!((ran.code, theirs), (Some(1), false), "{ran:?}");
    assert!(ran.stdout.contains(": Revoked: "), "{ran:?}");
    // Good, in a configuration of its own for the same reason.
    listed.all_good()?;
    let fresh = Notation::new(&folder.path().join("notation-2")).await?;
    let (ran, theirs) = both_say(&listed, &fresh, &folder, &[&ALLOWED[..], &["-o", "json"]].concat()).await?;
    assert_eq!((ran.code, theirs), (Some(0), true), "{ran:?}");
    let answers: Value = serde_json::from_str(&ran.stdout)?;
    assert_eq!(answers[0]["signature"]["revocation"]["method"], "CRL", "{ran:?}");
    assert!(answers[0]["signature"]["revocation"]["checkedAt"].is_string(), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn by_hand_a_brought_list_counts_and_the_egress_setting_is_named() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("sealwatch-revocation-").tempdir()?;
    let notation = Notation::new(&folder.path().join("notation")).await?;
    let listed = Listed::new(&notation).await?;
    listed.all_good()?;
    let (ran, _) = both_say(&listed, &notation, &folder, &[]).await?;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("--allow-egress"), "{ran:?}");
    let file = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path.display().to_string())
    };
    let good = file("good.crl", &listed.root.list(&[], DAY)?)?;
    let (ran, _) = both_say(&listed, &notation, &folder, &["--crl", &good]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let revoking = file("revoking.crl", &listed.root.list(&[listed.key.serial], DAY)?)?;
    let (ran, _) = both_say(&listed, &notation, &folder, &["--crl", &good, "--crl", &revoking]).await?;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for (path, words) in
        [(file("bad.crl", b"<html>")?, "malformed revocation list"), ("/nonexistent".to_owned(), "No such file")]
    {
        let (ran, _) = both_say(&listed, &notation, &folder, &["--crl", &path]).await?;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.contains(&format!("--crl {path}: ")) && ran.stderr.contains(words), "{ran:?}");
    }
    Ok(())
}

/// Copies the image and its signature into an OCI layout.
async fn layout_of(listed: &Listed, folder: &Path) -> Result<String> {
    let layout = folder.join("layout");
    std::fs::create_dir_all(layout.join("blobs/sha256"))?;
    let name = listed.image.repository.split_once('/').ok_or("a repository")?.1;
    let get = async |what: &str| -> Result<Vec<u8>> {
        let url = format!("http://{}/v2/{name}/{what}", listed.registry.host());
        let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
        let response = reqwest::Client::new().get(url).header("Accept", accept).send().await?;
        Ok(response.error_for_status()?.bytes().await?.to_vec())
    };
    let put = |digest: &str, bytes: &[u8]| std::fs::write(layout.join("blobs").join(digest.replace(':', "/")), bytes);
    let image = get(&format!("manifests/{}", listed.image.digest)).await?;
    put(&listed.image.digest, &image)?;
    let referrers: Value = serde_json::from_slice(&get(&format!("referrers/{}", listed.image.digest)).await?)?;
    let signature = referrers["manifests"][0].clone();
    let digest = signature["digest"].as_str().ok_or("a digest")?;
    let manifest = get(&format!("manifests/{digest}")).await?;
    put(digest, &manifest)?;
    let envelope = serde_json::from_slice::<Value>(&manifest)?["layers"][0]["digest"].clone();
    let envelope = envelope.as_str().ok_or("a digest")?;
    put(envelope, &get(&format!("blobs/{envelope}")).await?)?;
    let image = json!({
        "mediaType": listed.image.media_type, "digest": listed.image.digest, "size": listed.image.size,
        "annotations": {"org.opencontainers.image.ref.name": "v1"},
    });
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let index = json!({"schemaVersion": 2, "manifests": [image, signature]});
    std::fs::write(layout.join("index.json"), index.to_string())?;
    Ok(layout.display().to_string())
}

#[tokio::test]
async fn an_image_in_a_layout_is_asked_about_too() -> Result<()> {
    testenv::install_crypto_provider();
    let folder = tempfile::Builder::new().prefix("sealwatch-revocation-").tempdir()?;
    let notation = Notation::new(&folder.path().join("notation")).await?;
    let mut listed = Listed::new(&notation).await?;
    let layout = layout_of(&listed, folder.path()).await?;
    listed.registry.stop();
    let objects = [policy("strict", &json!({})), scene::roots(listed.root.certificate_pem())];
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, scene::documents(&objects)?)?;
    let file = file.display().to_string();
    let verify = async |more: &[&str]| {
        let args = ["verify", "registry.example/app:v1", "--oci-layout", &layout, "--policy", &file];
        run(args.into_iter().chain(more.iter().copied())).await
    };
    listed.revoke()?;
    let ran = verify(&[]).await?;
    assert!(ran.code == Some(3) && ran.stdout.contains("--allow-egress"), "{ran:?}");
    assert!(listed.authority.asked().is_empty());
    let ran = verify(&ALLOWED).await?;
    assert!(ran.code == Some(1) && ran.stdout.contains(": Revoked: "), "{ran:?}");
    assert_eq!(listed.authority.asked(), [LIST]);
    listed.all_good()?;
    let ran = verify(&ALLOWED).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    Ok(())
}

/// Whether `sealwatch verify` and `notation verify` are content with what a responder and a list at its side say.
#[tokio::test]
async fn by_hand_a_responder_counts_as_it_does_for_notation() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("sealwatch-revocation-").tempdir()?;
    let authority = Authority::start()?;
    let urls = (authority.url("/ocsp"), authority.url(LIST));
    let key = KeyPair::generate()?;
    let leaf = Template { spki: Some(key.subject_public_key_info()), ..Template::leaf() };
    let leaf = leaf.with_extension(ocsp_at(&[&urls.0])).with_extension(crl_at(&[&[&urls.1]]));
    let signer = Signer::with_leaf(&leaf);
    let signing = SigningKey {
        name: "fixture".to_owned(),
        key_pem: key.serialize_pem(),
        chain_pem: signer.chain.iter().map(|der| pem(der)).collect(),
        serial: 1,
    };
    let root = pem(signer.root());
    let registry = Registry::olareg().await?;
    let image = registry.push_image("team/app", "1", "by OCSP").await?;
    let document = scene::seed_document().to_string();
    let store = folder.path().join("truststore/ca/supplychain");
    std::fs::create_dir_all(&store)?;
    std::fs::write(store.join("root.crt"), &root)?;
    let policy = folder.path().join("trustpolicy.json");
    std::fs::write(&policy, &document)?;
    let (policy, stores) = (policy.display().to_string(), folder.path().join("truststore").display().to_string());

    let (since, until) = ("20250101000000Z", Some("20350101000000Z"));
    let respond = |status: &[u8]| {
        let single = Single { this_update: since, next_update: until, ..Single::new(status) };
        Some(Ocsp { singles: vec![single], ..Ocsp::new(status) }.issue())
    };
    let good_list = Some(List { this_update: since, next_update: until, ..List::new() }.issue());
    let bad_list = Some(List { this_update: since, next_update: until, ..List::revoking(&[]) }.issue());
    let cases = [
        ("good", respond(&GOOD), bad_list.clone(), 0, "\"OCSP\""),
        ("revoked", respond(&revoked(None)), good_list.clone(), 1, "\"Revoked\""),
        ("down, listed as good", None, good_list, 0, "\"CRL\""),
        ("down, listed as revoked", None, bad_list, 1, "\"Revoked\""),
        ("both down", None, None, 3, "\"RevocationUnknown\""),
    ];
    for (number, (what, response, list, code, words)) in cases.into_iter().enumerate() {
        authority.give("/ocsp", response);
        authority.give(LIST, list);
        // A configuration for each, because notation caches lists.
        let notation = Notation::new(&folder.path().join(format!("notation-{number}"))).await?;
        if number == 0 {
            notation.sign(&image.by_digest(), &signing, &SignOptions::default()).await?;
        }
        notation.trust(&document, &[("ca:supplychain", &root)])?;
        let name = image.by_digest();
        let args =
            ["verify", &name, "--insecure-registry", "--policy", &policy, "--trust-store", &stores, "-o", "json"];
        let ran = run(args.into_iter().chain(ALLOWED)).await?;
        assert_eq!(ran.code, Some(code), "{what}: {ran:?}");
        assert!(ran.stdout.contains(words), "{what}: {ran:?}");
        let theirs = notation.verify(&name).await?;
        let says = String::from_utf8_lossy(&theirs.stderr);
        assert_eq!(theirs.status.success(), code == 0, "{what}: notation says {says}");
    }
    Ok(())
}

/// The seed's policy with a trust store for the timestamp authority, whose certificates name a list as well.
#[tokio::test]
async fn the_timestamp_authority_is_asked_about_too() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "stamped").await?;
    let listed = Listed::new(&stage.notation().await?).await?;
    listed.all_good()?;
    let stamper = TimestampAuthority::listed(&listed.authority.url("/tsa.crl"))?;
    let image = listed.registry.push_image("azureiotoperations/stamped", "1", "stamped").await?;
    let options =
        SignOptions { timestamp: Some((stamper.url(), TimestampAuthority::root_pem())), ..SignOptions::default() };
    // Signing asks about the authority too.
    listed.authority.give("/tsa.crl", Some(TimestampAuthority::list(false)));
    stage.notation().await?.sign(&image.by_digest(), &listed.key, &options).await?;
    let mut trusting = policy("strict", &json!({"revocation": "skip"}));
    trusting["spec"]["trustPolicies"][0]["trustStores"] = json!(["ca:supplychain", "tsa:microsoft"]);
    let store = json!({"type": "tsa", "name": "microsoft", "certificates": [{"pem": TimestampAuthority::root_pem()}]});
    trusting["spec"]["trustStores"].as_array_mut().ok_or("a list")?.push(store);
    listed.authority.give("/tsa.crl", None);
    stage.apply(&scene::roots(listed.root.certificate_pem())).await?;
    stage.apply(&trusting).await?;
    stage.run_pod("stamped-0", &image).await?;
    let _operator = stage.operator(&[&listed.registry], &ALLOWED).await?;
    let seen = stage.until("the outage", |seen| seen.reason("stamped") == "RevocationUnknown").await?;
    let message = seen.status("stamped").message.unwrap_or_default();
    assert!(message.contains("/tsa.crl could not be asked: status 503"), "{message}");
    // The override spares the signer and not the authority.
    listed.authority.give("/tsa.crl", Some(TimestampAuthority::list(false)));
    stage.request(POLICY).await?;
    let seen = stage.until("the verdict", |seen| seen.reason("stamped") == "SignatureValid").await?;
    assert!(seen.status("stamped").signature.is_some_and(|signature| signature.timestamp.is_some()));
    trusting["spec"]["trustPolicies"][0]["signatureVerification"] = json!({"level": "strict"});
    stage.apply(&trusting).await?;
    let by_list = |seen: &sealwatch_e2e::stage::Seen| {
        let signature = seen.status("stamped").signature;
        seen.reason("stamped") == "SignatureValid" && signature.is_some_and(|signature| signature.revocation.is_some())
    };
    stage.until("both chains to be known", by_list).await?;
    listed.authority.give("/tsa.crl", Some(TimestampAuthority::list(true)));
    stage.request(POLICY).await?;
    stage.until("the revocation", |seen| seen.reason("stamped") == "Revoked").await?;
    Ok(())
}
