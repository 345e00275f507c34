// SPDX-License-Identifier: Apache-2.0

//! The alerts: by `promtool` over time, and their expressions on what real operators show.

use std::collections::BTreeSet;
use std::time::Duration;

use sealwatch_e2e::stage::finished;
use sealwatch_e2e::testenv::{Prometheus, Result, Series, promtool};

use crate::site::{SEED, STAMPED, Site, address, alerts, cut_off, in_repository, sound};

/// The alerts whose expressions give something, without waiting for as long as they would wait.
async fn raised(prometheus: &Prometheus) -> Result<BTreeSet<String>> {
    let mut raised = BTreeSet::new();
    for (name, expression) in alerts()? {
        if !prometheus.query(&expression).await?.is_empty() {
            raised.insert(name);
        }
    }
    Ok(raised)
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.iter().map(|name| format!("Sealwatch{name}")).collect()
}

fn expression(alert: &str) -> Result<String> {
    Ok(alerts()?.remove(&format!("Sealwatch{alert}")).ok_or_else(|| format!("there is no alert {alert}"))?)
}

/// `policy kind` or `policy reason` of what an alert is about.
fn about(series: &[Series]) -> BTreeSet<String> {
    series
        .iter()
        .map(|series| format!("{} {}{}", series.label("policy"), series.label("kind"), series.label("reason")))
        .collect()
}

#[tokio::test]
async fn each_alert_fires_when_it_should_and_not_when_it_should_not() -> Result<()> {
    let test = "each_alert_fires_when_it_should_and_not_when_it_should_not";
    let folder = in_repository("e2e/tests/monitoring");
    let rules = in_repository("charts/sealwatch/files/alerts.yaml").display().to_string();
    let Some(output) = promtool(test, &folder, &["check", "rules", &rules]).await? else { return Ok(()) };
    let said = finished("promtool check rules", &output)?;
    assert!(said.contains("5 rules found"), "{said}");
    let Some(output) = promtool(test, &folder, &["test", "rules", "alerts.test.yaml"]).await? else { return Ok(()) };
    let said = [output.stdout.clone(), output.stderr.clone()].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    // Every alert is among those that are tested.
    let tests = std::fs::read_to_string(folder.join("alerts.test.yaml"))?;
    for alert in alerts()?.keys() {
        let runbook = format!("#{}\n", alert.to_lowercase());
        assert!(tests.contains(&runbook), "no test in which {alert} fires");
        assert!(tests.contains(&format!("alertname: {alert}")), "no test of {alert}");
    }
    Ok(())
}

#[tokio::test]
async fn an_operator_without_its_api_server_and_one_that_is_gone_raise_that_nothing_progresses() -> Result<()> {
    let test = "an_operator_without_its_api_server_and_one_that_is_gone_raise_that_nothing_progresses";
    let mut operator = cut_off(&[]).await?;
    let Some(prometheus) = Prometheus::start(test, &[address(&operator)?]).await? else { return Ok(()) };
    let not_progressing = expression("NotProgressing")?;
    let kinds = |series: &[Series]| series.iter().any(|series| series.label("kind") == "Pod");
    prometheus.until("failing watches", &not_progressing, kinds).await?;
    assert_eq!(raised(&prometheus).await?, names(["NotProgressing"]));
    operator.terminate(Duration::from_secs(20)).await?;
    let nobody = |series: &[Series]| series.iter().any(|series| series.labels.is_empty());
    prometheus.until("nobody to be there", &not_progressing, nobody).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_raises_its_alert_and_a_timestamp_lays_the_fear_of_an_ending_certificate() -> Result<()> {
    let test = "what_is_wrong_raises_its_alert_and_a_timestamp_lays_the_fear_of_an_ending_certificate";
    let site = Site::play("alerts", &[]).await?;
    let Some(prometheus) = Prometheus::start(test, &[site.address()?]).await? else { return Ok(()) };
    let some = |series: &[Series]| !series.is_empty();
    let failed = prometheus.until("failures", &expression("ImageFailed")?, some).await?;
    let expected = [format!("{SEED} NoSignature"), format!("{STAMPED} NoApplicableTrustPolicy")];
    assert_eq!(about(&failed), expected.into());
    let unknown = prometheus.query(&expression("ImageUnknown")?).await?;
    assert_eq!(about(&unknown), [format!("{SEED} EgressRefused")].into());
    let away = prometheus.query(&expression("RegistryOutOfReach")?).await?;
    assert_eq!(about(&away), [format!("{SEED} EgressRefused")].into());
    // One certificate, one signature, two policies: only the one that has no `tsa` store will turn red.
    let ends = prometheus.query(&expression("ExpiresSoon")?).await?;
    assert_eq!(about(&ends), [format!("{SEED} SigningCertificate")].into());
    assert_eq!(prometheus.query(&expression("NotProgressing")?).await?, []);
    for series in failed.iter().chain(&unknown).chain(&away).chain(&ends) {
        assert_eq!(series.label("namespace"), site.stage.namespace, "the label is that of the images");
    }
    Ok(())
}

#[tokio::test]
async fn a_namespace_in_which_all_is_well_wakes_nobody_until_its_registry_is_gone() -> Result<()> {
    let test = "a_namespace_in_which_all_is_well_wakes_nobody_until_its_registry_is_gone";
    let (stage, mut registry, operator, _pki, _images) = sound("sound").await?;
    let Some(prometheus) = Prometheus::start(test, &[address(&operator)?]).await? else { return Ok(()) };
    let verified = format!("sealwatch_images{{policy=\"{SEED}\",verdict=\"Verified\"}} == 1");
    prometheus.until("the verdict", &verified, |series| series.len() == 1).await?;
    assert_eq!(raised(&prometheus).await?, names([]));
    registry.stop();
    stage.request(SEED).await?;
    let away = expression("RegistryOutOfReach")?;
    let away = prometheus.until("the outage", &away, |series| !series.is_empty()).await?;
    assert_eq!(about(&away), [format!("{SEED} RegistryUnavailable")].into());
    // The verdict is kept, and so nothing else is wrong.
    assert_eq!(raised(&prometheus).await?, names(["RegistryOutOfReach"]));
    assert_eq!(prometheus.query(&verified).await?.len(), 1);
    Ok(())
}
