// SPDX-License-Identifier: Apache-2.0

//! Alerts and dashboard ask for metrics that exist, and each alert has its section of the documentation.

use std::collections::BTreeSet;
use std::fs;

use sealwatch_e2e::testenv::Result;
use serde_json::Value;

use crate::manifests::{in_repository, parse};

const ALERTS: &str = "charts/sealwatch/files/alerts.yaml";
const DASHBOARD: &str = "charts/sealwatch/files/dashboard.json";

/// Names of metrics in a text, as queries write them.
pub(crate) fn metrics_of(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("sealwatch_")).map(str::to_owned).collect()
}

/// The names of metrics that alerts and dashboard ask for.
pub(crate) fn asked_for() -> Result<BTreeSet<String>> {
    let mut names = metrics_of(&fs::read_to_string(in_repository(ALERTS))?);
    names.extend(metrics_of(&fs::read_to_string(in_repository(DASHBOARD))?));
    Ok(names)
}

/// Fails if alerts or dashboard ask for a metric that is not on this page of an operator.
pub(crate) fn assert_all_served(page: &str) -> Result<()> {
    for name in asked_for()? {
        let family = format!("# TYPE {} ", name.trim_end_matches("_total"));
        assert!(page.contains(&family), "nothing like {name} on the page:\n{page}");
    }
    Ok(())
}

#[test]
fn each_metric_that_is_asked_for_is_documented() -> Result<()> {
    let page = fs::read_to_string(in_repository("docs/metrics.md"))?;
    let names = asked_for()?;
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "{name} has no row in docs/metrics.md");
    }
    Ok(())
}

#[test]
fn there_are_five_alerts_at_most_and_each_has_a_section_that_its_runbook_names() -> Result<()> {
    let page = fs::read_to_string(in_repository("docs/operations.md"))?;
    let documents = parse(&fs::read_to_string(in_repository(ALERTS))?)?;
    let rules = documents.iter().flat_map(|document| document["groups"].as_array().into_iter().flatten());
    let rules: Vec<&Value> = rules.flat_map(|group| group["rules"].as_array().into_iter().flatten()).collect();
    assert!((1..=5).contains(&rules.len()), "{} alerts", rules.len());
    for rule in rules {
        let name = rule["alert"].as_str().ok_or("an alert has a name")?;
        assert!(page.contains(&format!("\n### {name}\n")), "{name} has no section");
        let runbook = rule["annotations"]["runbook_url"].as_str().unwrap_or_default();
        assert!(runbook.ends_with(&format!("docs/operations.md#{}", name.to_lowercase())), "{runbook}");
    }
    Ok(())
}
