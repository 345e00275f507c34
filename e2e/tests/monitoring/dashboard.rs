// SPDX-License-Identifier: Apache-2.0

//! The dashboard's queries, and those of the documentation, give data of a real operator in a real Prometheus.

use std::fs;

use sealwatch_e2e::testenv::{Prometheus, RATE, Result};
use serde_json::Value;

use crate::site::{Site, in_repository};

const DASHBOARD: &str = "charts/sealwatch/files/dashboard.json";

/// Title and query of each panel. A number that is shown where there is nothing is left out: it would hide that a
/// query finds nothing.
fn panels(namespace: &str) -> Result<Vec<(String, String)>> {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(in_repository(DASHBOARD))?)?;
    let panels = dashboard["panels"].as_array().ok_or("a dashboard has panels")?;
    let mut queries = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().ok_or("a panel has a title")?;
        for target in panel["targets"].as_array().ok_or("a panel has targets")? {
            let query = target["expr"].as_str().ok_or("a target has a query")?;
            let query = query.trim_end_matches(" or vector(0)").replace("$namespace", namespace);
            queries.push((title.to_owned(), query.replace("$__rate_interval", RATE)));
        }
    }
    Ok(queries)
}

/// Each question of docs/metrics.md with its query.
fn questions() -> Result<Vec<(String, String)>> {
    let page = fs::read_to_string(in_repository("docs/metrics.md"))?;
    let (_, questions) = page.split_once("## Questions").ok_or("a section of questions")?;
    let mut found = Vec::new();
    for part in questions.split("```\n\n").filter(|part| part.contains("```promql")) {
        let (question, query) = part.split_once("```promql\n").ok_or("a query")?;
        let question = question.trim().lines().last().unwrap_or_default();
        found.push((question.to_owned(), query.trim_end_matches("```\n").trim().to_owned()));
    }
    Ok(found)
}

#[tokio::test]
async fn every_panel_and_every_documented_query_gives_data_of_a_real_operator() -> Result<()> {
    let test = "every_panel_and_every_documented_query_gives_data_of_a_real_operator";
    // One question is about what is shown only where that is wanted.
    let site = Site::play("dashboard", &["--metrics-per-image"]).await?;
    let Some(prometheus) = Prometheus::start(test, &[site.address()?]).await? else { return Ok(()) };
    let (panels, questions) = (panels(&site.stage.namespace)?, questions()?);
    assert!(panels.len() >= 15 && questions.len() >= 13, "{} panels, {} questions", panels.len(), questions.len());
    for (title, query) in panels.iter().chain(&questions) {
        let query = query.replace("[5m]", &format!("[{RATE}]")).replace("[10m]", &format!("[{RATE}]"));
        prometheus.until(title, &query, |series| !series.is_empty()).await?;
    }
    Ok(())
}
