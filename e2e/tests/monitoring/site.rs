// SPDX-License-Identifier: Apache-2.0

//! What the tests here play on, and what the repository says about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use sealwatch_e2e::scene::{self, Images, Pki, Signed};
use sealwatch_e2e::stage::{Seen, Stage};
use sealwatch_e2e::testenv::pki::{KeyKind, Validity};
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{Authority, OperatorProcess, Registry, Result, SignOptions, TimestampAuthority, cluster};
use serde_json::{Value, json};

/// The policy of the seed.
pub(crate) const SEED: &str = "microsoft";
/// The same with a `tsa` store, for one repository.
pub(crate) const STAMPED: &str = "stamped";
/// A policy that verifies nothing.
pub(crate) const SKIPPING: &str = "skipping";
/// Lets the operator ask an authority on loopback about revocation.
pub(crate) const ALLOWED: [&str; 2] = ["--allow-egress", "127.0.0.1/32"];
/// An image at a registry that the egress guard refuses: nothing is sent there.
const REFUSED: &str = "127.0.0.2:9/azureiotoperations/refused";
const DAYS: i64 = 24 * 3600;

/// A path below the repository's root.
pub(crate) fn in_repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// A namespace with an image of every verdict. One signer's certificate ends in ten days; the signature is
/// timestamped, which [`STAMPED`] looks at and [`SEED`] does not.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) stage: Stage,
    pub(crate) registry: Registry,
    pub(crate) operator: OperatorProcess,
    _authority: Authority,
    _timestamps: TimestampAuthority,
}

impl Site {
    /// Plays it, and waits until every verdict is there.
    pub(crate) async fn play(prefix: &str, operator: &[&str]) -> Result<Self> {
        let registry = Registry::olareg().await?;
        let (authority, timestamps) = (Authority::start()?, TimestampAuthority::start()?);
        let stage = Stage::set(cluster().await?, prefix).await?;
        let (pki, _images) = stage.play(SEED, &registry, true, &[Signed::Cose, Signed::Not]).await?;

        let (list, name) = ("/root.crl", scene::name("Azure IoT Operations"));
        authority.give(list, Some(pki.root.list(&[], std::time::Duration::from_hours(24))?));
        let validity = Validity { ends_in_seconds: 10 * DAYS, ..Validity::default() };
        let key = pki.root.issue_listed(&name, KeyKind::EcP256, validity, Some(&authority.url(list)))?;
        let image = registry.push_image("azureiotoperations/stamped", "1", "stamped").await?;
        let timestamp = Some((timestamps.url(), TimestampAuthority::root_pem()));
        let options = SignOptions { timestamp, ..SignOptions::default() };
        stage.notation().await?.sign(&image.by_digest(), &key, &options).await?;
        stage.run_pod("stamped-0", &image).await?;
        let by_digest = format!("{REFUSED}@sha256:{}", "0".repeat(64));
        let container = ContainerSpec::new("main", REFUSED, by_digest);
        pods::run(&stage.client(), &stage.namespace, "refused-0", &[container]).await?;

        let mut document = scene::seed_document();
        document["trustPolicies"][0]["registryScopes"] =
            json!([format!("{}/azureiotoperations/stamped", registry.host())]);
        document["trustPolicies"][0]["trustStores"] = json!(["ca:supplychain", "tsa:microsoft"]);
        let mut policy = scene::trust_policy(STAMPED, &document);
        let certificates = json!([{"pem": TimestampAuthority::root_pem()}]);
        let store = json!({"type": "tsa", "name": "microsoft", "certificates": certificates});
        policy["spec"]["trustStores"].as_array_mut().ok_or("the policy has trust stores")?.push(store);
        stage.apply(&policy).await?;
        let statement = json!({
            "name": "nothing", "registryScopes": ["*"], "signatureVerification": {"level": "skip"},
        });
        stage.apply(&scene::trust_policy(SKIPPING, &json!({"version": "1.0", "trustPolicies": [statement]}))).await?;

        let more: Vec<&str> = ALLOWED.iter().chain(operator).copied().collect();
        let operator = stage.operator(&[&registry], &more).await?;
        stage.until("all verdicts", is_settled).await?;
        Ok(Self { stage, registry, operator, _authority: authority, _timestamps: timestamps })
    }

    /// Where the operator serves its metrics.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        address(&self.operator)
    }
}

fn is_settled(seen: &Seen) -> bool {
    let counts = |policy: &str| {
        let summary = seen.policy(policy).summary.unwrap_or_default();
        (summary.verified, summary.failed, summary.unknown, summary.skipped)
    };
    counts(SEED) == (2, 1, 1, 0) && counts(STAMPED) == (1, 3, 0, 0) && counts(SKIPPING) == (0, 0, 0, 4)
}

/// A namespace in which all is well.
pub(crate) async fn sound(prefix: &str) -> Result<(Stage, Registry, OperatorProcess, Pki, Images)> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(cluster().await?, prefix).await?;
    let (pki, images) = stage.play(SEED, &registry, true, &[Signed::Cose]).await?;
    let operator = stage.operator(&[&registry], &[]).await?;
    stage.until("the verdict", |seen| seen.policy_condition(SEED, "Verified") == "True/Succeeded").await?;
    Ok((stage, registry, operator, pki, images))
}

/// Where an operator serves its metrics.
pub(crate) fn address(operator: &OperatorProcess) -> Result<SocketAddr> {
    Ok(*operator.listening_on()?.first().ok_or("it listens")?)
}

/// The page that an operator serves.
pub(crate) async fn metrics(address: SocketAddr) -> Result<String> {
    Ok(reqwest::get(format!("http://{address}/metrics")).await?.error_for_status()?.text().await?)
}

/// An operator whose API server accepts no connection, once it has noticed.
pub(crate) async fn cut_off(more: &[&str]) -> Result<OperatorProcess> {
    // Bound, and never listened on for long.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let mut operator = OperatorProcess::facing(&format!("https://127.0.0.1:{port}"), more)?;
    operator.wait_for_log("watch failed", std::time::Duration::from_secs(20)).await?;
    Ok(operator)
}

/// The rows of the first table of a page of the documentation below `heading`, by their first cell without backquotes.
pub(crate) fn table(page: &str, heading: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let text = fs::read_to_string(in_repository(page))?;
    let (_, text) = text.split_once(heading).ok_or_else(|| format!("{page} has no {heading}"))?;
    let lines = text.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    Ok(lines.skip(2).map(cells).filter_map(|row| Some((row.first()?.clone(), row))).collect())
}

/// The families that docs/metrics.md documents, as a page names them.
pub(crate) fn documented_families() -> Result<BTreeSet<String>> {
    let rows = table("docs/metrics.md", "# Metrics")?;
    Ok(rows.keys().map(|name| name.trim_end_matches("_total").to_owned()).collect())
}

/// The alerts: name and expression.
pub(crate) fn alerts() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(in_repository("charts/sealwatch/files/alerts.yaml"))?;
    let file: Value = serde_saphyr::from_str(&text)?;
    let groups = file["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(rules.map(|rule| (text(&rule["alert"]), text(&rule["expr"]))).collect())
}
