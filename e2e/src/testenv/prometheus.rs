// SPDX-License-Identifier: Apache-2.0

//! A real Prometheus that scrapes operators, and `promtool`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::operator::listening_on;
use super::process::{Guarded, wait_until};
use super::{Result, skipped, tools};

/// How often it scrapes.
const SCRAPE: &str = "250ms";
/// The range of rates that hold several scrapes.
pub const RATE: &str = "10s";
const SOON: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// A Prometheus of a test, on loopback, whose data goes with it.
#[derive(Debug)]
pub struct Prometheus {
    _program: Guarded,
    _folder: TempDir,
    address: SocketAddr,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels, its name among them where it has one.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Series {
    /// The value of a label; empty without it.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Found {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Prometheus {
    /// Starts one that scrapes these operators. Nothing, with a loud word for `test`, where it is not to be had.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(test: &str, operators: &[SocketAddr]) -> Result<Option<Self>> {
        let Some(programs) = programs(test).await? else { return Ok(None) };
        let folder = tempfile::Builder::new().prefix("sealwatch-prometheus-").tempdir()?;
        let targets: Vec<_> = operators.iter().map(SocketAddr::to_string).collect();
        // JSON is YAML. The labels are kept as they are, as the ServiceMonitor says.
        let config = json!({
            "global": {"scrape_interval": SCRAPE},
            "scrape_configs": [{
                "job_name": "sealwatch", "honor_labels": true, "static_configs": [{"targets": targets}],
            }],
        });
        let file = folder.path().join("prometheus.yaml");
        std::fs::write(&file, config.to_string())?;
        let args = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.path().join("data").display()),
            "--web.listen-address=127.0.0.1:0".to_owned(),
        ];
        let log = folder.path().join("prometheus.log");
        let mut program = Guarded::start(&programs.join("prometheus"), args, &[], &log)?;
        let pid = program.pid();
        let listens = || async { listening_on(pid).is_ok_and(|addresses| !addresses.is_empty()) };
        wait_until(&mut program, "waiting for Prometheus to listen", SOON, listens).await?;
        let address = *listening_on(pid)?.first().ok_or("Prometheus does not listen any more")?;
        let prometheus = Self { _program: program, _folder: folder, address };
        prometheus.until("every operator to be scraped", "up == 1", |up| up.len() == operators.len()).await?;
        Ok(Some(prometheus))
    }

    /// What an expression gives now; a number is one series without labels.
    ///
    /// # Errors
    /// It is no valid expression, or Prometheus does not answer.
    pub async fn query(&self, expression: &str) -> Result<Vec<Series>> {
        let client = reqwest::Client::new();
        let url = format!("http://{}/api/v1/query", self.address);
        let text = client.get(url).query(&[("query", expression)]).send().await?.text().await?;
        let answer: Answer = serde_json::from_str(&text).map_err(|error| format!("{expression}: {error}: {text}"))?;
        let data = answer.data.filter(|_| answer.status == "success");
        let data = data.ok_or_else(|| format!("{expression}: {}", answer.error))?;
        if data.result_type == "scalar" {
            let (_, value): (f64, String) = serde_json::from_value(data.result)?;
            return Ok(vec![Series { labels: BTreeMap::new(), value: value.parse()? }]);
        }
        let found: Vec<Found> = serde_json::from_value(data.result)?;
        found.into_iter().map(|found| Ok(Series { labels: found.metric, value: found.value.1.parse()? })).collect()
    }

    /// Waits until an expression gives what it shall.
    ///
    /// # Errors
    /// It does not soon; the error shows what it gives instead.
    pub async fn until(&self, what: &str, expression: &str, done: impl Fn(&[Series]) -> bool) -> Result<Vec<Series>> {
        let began = Instant::now();
        loop {
            // It may not be ready to answer yet.
            let found = self.query(expression).await;
            match &found {
                Ok(series) if done(series) => return found,
                _ if began.elapsed() > SOON => {
                    return Err(format!("waited for {what}; {expression} gives {found:?}").into());
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }
}

/// Runs `promtool` in a folder. Nothing, with a loud word for `test`, where it is not to be had.
///
/// # Errors
/// It cannot be started.
pub async fn promtool(test: &str, folder: &Path, args: &[&str]) -> Result<Option<Output>> {
    let Some(programs) = programs(test).await? else { return Ok(None) };
    let mut command = Command::new(programs.join("promtool"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    Ok(Some(command.output().await?))
}

async fn programs(test: &str) -> Result<Option<PathBuf>> {
    let folder = tools::folder_if_any("prometheus").await?;
    if folder.is_none() {
        skipped(test, "Prometheus is Debian's package, and this machine has no way to it");
    }
    Ok(folder)
}
