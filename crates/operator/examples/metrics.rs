// SPDX-License-Identifier: Apache-2.0

//! Writes `metrics.md`, the page about what `/metrics` shows, to the folder given:
//! `cargo run -p sealwatch-operator --example metrics docs`.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

use sealwatch_operator::metrics::catalogue::{ALL, Kind, LABELS};

const HEAD: &str = "\
<!-- Written by `./just generate` from crates/operator/src/metrics/catalogue.rs; edit that. -->
# Metrics

What the operator serves at `/metrics`, in the text format of OpenMetrics, without TLS and without authentication:
[operations.md](operations.md#health) says where, [operations.md](operations.md#alerts) which of it wakes somebody.

No label holds an image, a digest, a registry or anything that a certificate says: the number of series follows from the
number of TrustPolicies, each of which has some dozens at most, whatever runs. Which images are meant is told by
`kubectl get iv -A`. Who wants them in metrics all the same gives `--metrics-per-image` (`metricsPerImage` of the chart):
then `sealwatch_image_verdict` has one series for each TrustPolicy and distinct image that runs under it, a new one for
each change of reason and for each release, and everybody who may read metrics reads which images run.

A scraper has to keep the label `namespace` as it is (`honorLabels: true`, or `honor_labels` in a configuration file; the
ServiceMonitor that Sealwatch installs says so): it is that of the images. What is told of a policy is the same whoever
tells it, so queries take the largest of it and not the sum, should two operators run.

";

const TALE: &str = "
What ends is told only while a Verified image rests on it. A signing certificate is not among it where a timestamp or a
signing authority proves when the signature was made: its end changes nothing then. Of revocation lists only those count
that were brought (`spec.revocation.crls`), also those that speak of a timestamp authority alone, since others are fetched
anew; of several that speak of one certificate the last.
";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).map(PathBuf::from).ok_or("usage: metrics FOLDER")?;
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("metrics.md"), page()?)?;
    Ok(())
}

/// The page, which depends on nothing but the catalogue.
fn page() -> Result<String, std::fmt::Error> {
    let mut page = String::from(HEAD);
    page.push_str("| name | type | labels | unit | meaning |\n| --- | --- | --- | --- | --- |\n");
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, labels, unit) = (metric.name(), labels.join(", "), metric.unit());
        writeln!(page, "| `{name}` | {kind} | {labels} | {unit} | {} |", metric.meaning)?;
    }
    page.push_str(TALE);
    page.push_str("\n## Labels\n| label | value |\n| --- | --- |\n");
    for (label, value) in LABELS {
        writeln!(page, "| `{label}` | {value} |")?;
    }
    page.push_str("\n## Questions\nOne for each, in the order of the table.\n");
    for metric in ALL {
        write!(page, "\n{}\n```promql\n{}\n```\n", metric.question, metric.query)?;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_page_is_that_of_the_catalogue() {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        let committed = fs::read_to_string(committed).unwrap_or_default();
        assert!(committed == page().expect("a page"), "docs/metrics.md is not up to date: run `just generate`");
    }
}
