// SPDX-License-Identifier: Apache-2.0

//! Revocation, from the list on a server to the verdict.

use std::time::Duration;

use sealwatch_e2e::cli::{Ran, run};
use sealwatch_e2e::scene;
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::pki::{KeyKind, Root, SigningKey, Validity};
use sealwatch_e2e::testenv::{self, Authority, Notation, PushedImage, Registry, Result, SignOptions};
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
    let _operator = stage.operator(&[&listed.registry], &ALLOWED).await?;
    let seen = stage.until("the verdict", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    let verified_at = seen.status(IMAGE).last_verified_time;
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
    assert_eq!(seen.status(IMAGE).last_verified_time, verified_at, "older word is not made fresh");
    listed.all_good()?;
    stage.request(POLICY).await?;
    stage.until("the recovery", |seen| seen.policy_condition(POLICY, "Ready") == "True/Succeeded").await?;
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
    notation.trust(&document, &[("supplychain", listed.root.certificate_pem())])?;
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
