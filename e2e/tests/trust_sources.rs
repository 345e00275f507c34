// SPDX-License-Identifier: Apache-2.0

//! Where the certificates of trust stores come from, and what is said when they cannot be had.

use std::time::Duration;

use sealwatch_e2e::scene::{self, Images, Pki, Signed};
use sealwatch_e2e::stage::{ACCOUNT, Seen, Stage, run};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::{self, Cluster, Flavour, Options, Registry, Result, digest_of};
use serde_json::{Value, json};

const POLICY: &str = "microsoft";
const IMAGE: &str = "aio-operator";

/// A signed image that runs, under a policy whose trust store has these sources.
struct Play {
    stage: Stage,
    registry: Registry,
    pki: Pki,
    /// Another root, which nobody has signed with.
    other: Pki,
}

impl Play {
    async fn on(cluster: Cluster) -> Result<Self> {
        let registry = Registry::olareg().await?;
        let stage = Stage::set(cluster, "sources").await?;
        let (pki, other) = (Pki::new(KeyKind::EcP256)?, Pki::new(KeyKind::EcP256)?);
        let images = Images::push(&registry, &stage.notation().await?, &pki, &[Signed::Cose], true).await?;
        stage.run_pod(&format!("{IMAGE}-0"), images.of(Signed::Cose)?).await?;
        Ok(Self { stage, registry, pki, other })
    }

    /// Applies the policy with these sources.
    async fn trust(&self, sources: Value) -> Result<()> {
        let mut policy = scene::trust_policy(POLICY, &scene::seed_document());
        policy["spec"]["trustStores"][0]["certificates"] = sources;
        self.stage.apply(&policy).await?;
        Ok(())
    }

    /// Waits until the store is unavailable for that reason.
    async fn refused(&self, because: &str) -> Result<Seen> {
        let told = |seen: &Seen| {
            seen.policy_condition(POLICY, "Ready") == "False/TrustStoreUnavailable"
                && seen.reason(IMAGE) == "TrustStoreUnavailable"
                && message(seen).contains(because)
        };
        // A Secret or ClusterTrustBundle that could not be used is looked at again after half a minute.
        self.stage.until_within(Duration::from_mins(1), because, told).await
    }

    async fn verified(&self) -> Result<Seen> {
        let verified = |seen: &Seen| {
            seen.reason(IMAGE) == "SignatureValid" && seen.policy_condition(POLICY, "Ready") == "True/Succeeded"
        };
        self.stage.until_within(Duration::from_mins(1), "the verdict", verified).await
    }

    async fn untrusted(&self) -> Result<Seen> {
        self.stage.until("the root to be trusted no more", |seen| seen.reason(IMAGE) == "UntrustedChain").await
    }

    async fn secret(&self, key: &str, value: &str) -> Result<()> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "roots"}, "stringData": {key: value},
        });
        self.stage.apply(&secret).await?;
        Ok(())
    }
}

/// What the status says of the trust store.
fn message(seen: &Seen) -> String {
    let stores = seen.policy(POLICY).trust_stores;
    stores.first().and_then(|store| store.message.clone()).unwrap_or_default()
}

/// What the condition Ready says.
fn ready(seen: &Seen) -> String {
    let conditions = seen.policy(POLICY).conditions;
    conditions.into_iter().find(|found| found.type_ == "Ready").map(|found| found.message).unwrap_or_default()
}

fn secret_source() -> Value {
    json!([{"secretKeyRef": {"name": "roots", "key": "ca.crt"}}])
}

fn sha256(pki: &Pki) -> String {
    digest_of(pki.root.certificate_der()).replace("sha256:", "")
}

#[tokio::test]
async fn a_trust_store_in_a_secret_says_what_is_wrong_with_it_until_it_is_right() -> Result<()> {
    let play = Play::on(testenv::cluster().await?).await?;
    play.trust(secret_source()).await?;
    let _operator = play.stage.operator(&[&play.registry], &[]).await?;
    play.refused("certificates[0].secretKeyRef: Secret \"roots\" does not exist").await?;
    let unknown = |seen: &Seen| seen.policy_condition(POLICY, "Verified") == "Unknown/TrustStoreUnavailable";
    play.stage.until("the policy's Verified", unknown).await?;
    // Nobody may watch Secrets, so it has to be asked for.
    play.secret("other.crt", play.pki.root.certificate_pem()).await?;
    play.stage.request(POLICY).await?;
    play.refused("Secret \"roots\" has no key \"ca.crt\"").await?;
    play.secret("ca.crt", "garbage").await?;
    play.stage.request(POLICY).await?;
    play.refused("Secret \"roots\", key \"ca.crt\": ").await?;
    let key = rcgen::KeyPair::generate()?.serialize_pem();
    play.secret("ca.crt", &format!("{}{key}", play.pki.root.certificate_pem())).await?;
    play.stage.request(POLICY).await?;
    let seen = play.refused("PEM block \"PRIVATE KEY\" is not a CERTIFICATE").await?;
    let secret: Vec<&str> = key.lines().filter(|line| !line.starts_with('-')).collect();
    let all = serde_json::to_string(&seen.policies)? + &serde_json::to_string(&seen.images)?;
    assert!(secret.iter().all(|line| !all.contains(line)), "the key is shown: {all}");
    play.secret("ca.crt", play.pki.root.certificate_pem()).await?;
    play.stage.request(POLICY).await?;
    play.verified().await?;
    Ok(())
}

#[tokio::test]
async fn a_trust_store_in_a_secret_is_read_again_every_interval_and_found_without_a_request() -> Result<()> {
    let play = Play::on(testenv::cluster().await?).await?;
    let mut policy = scene::trust_policy(POLICY, &scene::seed_document());
    policy["spec"]["trustStores"][0]["certificates"] = secret_source();
    policy["spec"]["interval"] = json!("1m");
    play.stage.apply(&policy).await?;
    let _operator = play.stage.operator(&[&play.registry], &[]).await?;
    play.refused("does not exist").await?;
    play.secret("ca.crt", play.pki.root.certificate_pem()).await?;
    play.verified().await?;
    play.secret("ca.crt", play.other.root.certificate_pem()).await?;
    let most = Duration::from_secs(66 + 20);
    play.stage.until_within(most, "the next interval", |seen| seen.reason(IMAGE) == "UntrustedChain").await?;
    Ok(())
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_any_more_is_said_and_heals() -> Result<()> {
    let play = Play::on(testenv::cluster().await?).await?;
    play.secret("ca.crt", play.pki.root.certificate_pem()).await?;
    play.trust(secret_source()).await?;
    let account = "reader";
    play.stage.grant_all_but(account, &[]).await?;
    let watched = Some(play.stage.namespace.as_str());
    let _operator = play.stage.operator_for(watched, (&play.stage.namespace, account), &[&play.registry], &[]).await?;
    play.verified().await?;
    play.stage.grant_all_but(account, &["secrets"]).await?;
    play.stage.request(POLICY).await?;
    let seen = play.refused("Secret \"roots\" could not be read: it may not be read").await?;
    assert!(message(&seen).contains("cannot get resource"), "{}", message(&seen));
    play.stage.grant_all_but(account, &[]).await?;
    play.verified().await?;
    Ok(())
}

#[tokio::test]
async fn a_pin_says_which_certificate_is_meant_and_one_that_matches_nothing_is_said() -> Result<()> {
    let play = Play::on(testenv::cluster().await?).await?;
    let both = format!("{}{}", play.pki.root.certificate_pem(), play.other.root.certificate_pem());
    play.stage.apply(&scene::roots(&both)).await?;
    let (map, key) = scene::ROOTS;
    let pinned = |pins: &[&str]| json!([{"configMapKeyRef": {"name": map, "key": key}, "sha256": pins}]);
    let (ours, others) = (sha256(&play.pki), sha256(&play.other));
    play.trust(pinned(&[&"0".repeat(64)])).await?;
    let _operator = play.stage.operator(&[&play.registry], &[]).await?;
    let seen = play.refused("certificates[0].sha256: 2 of 2 certificates are not trusted, no pin lists").await?;
    assert!(message(&seen).contains(&ours), "what the pin would have to be: {}", message(&seen));

    play.trust(pinned(&[&others])).await?;
    play.untrusted().await?;
    let unlisted = |seen: &Seen| {
        let message = message(seen);
        message.contains("1 of 2 certificates are not trusted, no pin lists") && message.contains(&ours)
    };
    play.stage.until("what is not trusted to be said", unlisted).await?;

    play.trust(pinned(&[&ours, &"1".repeat(64)])).await?;
    play.verified().await?;
    let warned = "no certificate has 1 of 2 pins, the first is 1111111111111111…";
    let seen = play.stage.until("the pin to be said", |seen| ready(seen).contains(warned)).await?;
    assert_eq!(seen.policy_condition(POLICY, "Ready"), "True/Succeeded");
    let listed = &seen.policy(POLICY).trust_stores[0].certificates;
    assert_eq!(listed.iter().map(|listed| listed.sha256.as_str()).collect::<Vec<_>>(), [ours.as_str()]);
    Ok(())
}

#[tokio::test]
async fn an_operator_of_one_namespace_has_no_cluster_trust_bundles_and_says_so() -> Result<()> {
    let play = Play::on(testenv::cluster().await?).await?;
    play.trust(json!([{"clusterTrustBundle": {"name": "roots"}}])).await?;
    let _operator = play.stage.operator(&[&play.registry], &[]).await?;
    let sentence = "clusterTrustBundle: needs an operator that is installed cluster-wide";
    play.refused(sentence).await?;
    // Kubernetes would show them to every service account; it is not asked.
    play.stage.stays("the refusal", Duration::from_secs(3), |seen| message(seen).contains(sentence)).await?;
    Ok(())
}

/// A control plane on which an operator watches all namespaces.
async fn wide(name: &str, without_cluster_trust_bundles: bool) -> Result<Cluster> {
    testenv::cluster_with(Options { name: Some(name.into()), without_cluster_trust_bundles, ..Options::default() })
        .await
}

/// Whether this control plane has none, which is then said.
fn lacks_bundles(play: &Play, test: &str) -> bool {
    let lacks = play.stage.cluster.flavour() != Flavour::Pinned;
    if lacks {
        testenv::skipped(test, "only the pinned control plane is sure to have ClusterTrustBundles");
    }
    lacks
}

fn bundle(name: &str, signer: Option<&str>, pem: &str) -> Value {
    let mut spec = json!({"trustBundle": pem});
    if let Some(signer) = signer {
        spec["signerName"] = signer.into();
    }
    json!({
        "apiVersion": "certificates.k8s.io/v1beta1", "kind": "ClusterTrustBundle",
        "metadata": {"name": name, "labels": {"tier": name.rsplit(':').next().unwrap_or_default()}}, "spec": spec,
    })
}

#[tokio::test]
async fn cluster_trust_bundles_are_watched_by_name_and_by_signer() -> Result<()> {
    let play = Play::on(wide("bundles", false).await?).await?;
    if lacks_bundles(&play, "cluster_trust_bundles_are_watched_by_name_and_by_signer") {
        return Ok(());
    }
    // Names are the cluster's, which may have seen an earlier run of this test.
    let signer = format!("sealwatch.example/{}", play.stage.namespace);
    let named = format!("roots-{}", play.stage.namespace);
    let of_signer = |label: &str| format!("{}:{label}", signer.replace('/', ":"));
    let (good, bad) = (play.pki.root.certificate_pem(), play.other.root.certificate_pem());
    play.trust(json!([{"clusterTrustBundle": {"name": named}}])).await?;
    let _operator = play.stage.operator_for(None, ACCOUNT, &[&play.registry], &[]).await?;
    play.refused(&format!("clusterTrustBundle: ClusterTrustBundle \"{named}\" does not exist")).await?;
    play.stage.apply(&bundle(&named, None, good)).await?;
    play.verified().await?;
    play.stage.apply(&bundle(&named, None, bad)).await?;
    play.untrusted().await?;
    run(&play.stage.cluster, &["delete", "clustertrustbundle", &named]).await?;
    play.refused("does not exist").await?;

    let select = |selector: Value| json!([{"clusterTrustBundle": {"signerName": signer, "labelSelector": selector}}]);
    play.trust(select(json!({}))).await?;
    play.refused(&format!("there is no ClusterTrustBundle of signer \"{signer}\"")).await?;
    play.stage.apply(&bundle(&of_signer("blue"), Some(&signer), bad)).await?;
    play.untrusted().await?;
    play.stage.apply(&bundle(&of_signer("green"), Some(&signer), good)).await?;
    play.verified().await?;
    let both = |seen: &Seen| seen.policy(POLICY).trust_stores.iter().any(|store| store.certificates.len() == 2);
    play.stage.until("both to be listed", both).await?;
    play.trust(select(json!({"matchLabels": {"tier": "blue"}}))).await?;
    play.untrusted().await?;
    play.trust(select(json!({"matchLabels": {"tier": "red"}}))).await?;
    play.refused("labelSelector matches none of 2 ClusterTrustBundles").await?;
    for label in ["blue", "green"] {
        run(&play.stage.cluster, &["delete", "clustertrustbundle", &of_signer(label)]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn cluster_trust_bundles_that_may_not_be_seen_are_said_and_heal() -> Result<()> {
    let play = Play::on(wide("bundles-forbidden", false).await?).await?;
    if lacks_bundles(&play, "cluster_trust_bundles_that_may_not_be_seen_are_said_and_heal") {
        return Ok(());
    }
    let named = format!("roots-{}", play.stage.namespace);
    play.stage.apply(&bundle(&named, None, play.pki.root.certificate_pem())).await?;
    play.trust(json!([{"clusterTrustBundle": {"name": named}}])).await?;
    // Where ClusterTrustBundles are on, Kubernetes shows them to every service account.
    let discovery = "system:cluster-trust-bundle-discovery";
    run(&play.stage.cluster, &["delete", "clusterrolebinding", discovery, "--ignore-not-found"]).await?;
    let account = "blind";
    play.stage.grant_cluster_all_but(account, &["clustertrustbundles"]).await?;
    let _operator = play.stage.operator_for(None, (&play.stage.namespace, account), &[&play.registry], &[]).await?;
    play.refused("the operator may not list and watch ClusterTrustBundles").await?;
    // Who names none is not concerned.
    play.stage.apply(&scene::roots(play.pki.root.certificate_pem())).await?;
    play.stage.apply(&scene::trust_policy("other", &scene::seed_document())).await?;
    let fine = |seen: &Seen| {
        seen.policy_condition("other", "Verified") == "True/Succeeded"
            && seen.policy_condition("other", "Ready") == "True/Succeeded"
    };
    play.stage.until("the other policy", fine).await?;
    play.stage.grant_cluster_all_but(account, &[]).await?;
    play.verified().await?;
    Ok(())
}

#[tokio::test]
async fn an_api_server_without_cluster_trust_bundles_is_said() -> Result<()> {
    let play = Play::on(wide("plain", true).await?).await?;
    play.trust(json!([{"clusterTrustBundle": {"name": "roots"}}])).await?;
    let _operator = play.stage.operator_for(None, ACCOUNT, &[&play.registry], &[]).await?;
    play.refused("clusterTrustBundle: the API server does not serve ClusterTrustBundles").await?;
    Ok(())
}
