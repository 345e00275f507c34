// SPDX-License-Identifier: Apache-2.0

//! The page of metrics: exactly what is documented, whatever happens.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use sealwatch_api::ImageVerification;
use sealwatch_e2e::testenv::Result;

use crate::site::{SEED, Site, address, cut_off, documented_families, metrics};

/// How long a page may take to say what the statuses say.
const SOON: Duration = Duration::from_secs(20);

fn families(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

/// Every line is a comment or a series of a family that the page announces; the format's last word ends it.
fn assert_well_formed(page: &str) -> Result<()> {
    assert!(page.ends_with("# EOF\n"), "{page}");
    let known = families(page);
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        assert!(known.contains(name.trim_end_matches("_total")), "{line}");
        let (_, value) = line.rsplit_once(' ').ok_or("a value")?;
        value.parse::<f64>()?;
    }
    Ok(())
}

#[tokio::test]
async fn an_operator_without_its_api_server_is_scraped_and_says_what_fails() -> Result<()> {
    let mut operator = cut_off(&[]).await?;
    let page = metrics(address(&operator)?).await?;
    assert_well_formed(&page)?;
    assert_eq!(families(&page), documented_families()?);
    let failing = page.lines().find(|line| line.starts_with("sealwatch_watch_errors_total{kind=\"Pod\"}"));
    let failing: u64 = failing.and_then(|line| line.rsplit(' ').next()?.parse().ok()).ok_or("a count")?;
    assert!(failing > 0, "{page}");
    assert!(!page.contains("{namespace="), "nothing is known of any policy: {page}");
    operator.terminate(std::time::Duration::from_secs(20)).await?;
    Ok(())
}

#[tokio::test]
async fn an_operator_at_work_shows_exactly_the_documented_families_and_no_image() -> Result<()> {
    let mut site = Site::play("metrics", &[]).await?;
    let of = format!("{{namespace=\"{}\",policy=\"{SEED}\"", site.stage.namespace);
    let expected = [
        format!("sealwatch_images{of},verdict=\"Verified\",reason=\"SignatureValid\"}} 2"),
        format!("sealwatch_images{of},verdict=\"Failed\",reason=\"NoSignature\"}} 1"),
        format!("sealwatch_images{of},verdict=\"Unknown\",reason=\"EgressRefused\"}} 1"),
        format!("sealwatch_unchecked_images{of},reason=\"EgressRefused\"}} 1"),
        "sealwatch_revocation_requests_total{method=\"CRL\",result=\"Succeeded\"} 1".to_owned(),
        format!("sealwatch_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ];
    let is_shown = |page: &str, line: &String| page.lines().any(|shown| shown == line);
    // Statuses are written once a second at most, and the policy counts what is written.
    let began = Instant::now();
    let before = loop {
        let page = metrics(site.address()?).await?;
        if began.elapsed() > SOON || expected.iter().all(|line| is_shown(&page, line)) {
            break page;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for line in expected {
        assert!(is_shown(&before, &line), "{line} in\n{before}");
    }
    assert_well_formed(&before)?;
    assert_eq!(families(&before), documented_families()?);
    // As the status of the policy says it.
    let ends = site.stage.seen().await?.policy(SEED).next_expiry.ok_or("something ends")?;
    let (kind, time) = (ends.kind.ok_or("a kind")?.to_string(), ends.time.ok_or("a time")?.0.as_second());
    let line = format!("sealwatch_next_expiry_timestamp_seconds{of},kind=\"{kind}\"}} {time}");
    assert!(before.lines().any(|shown| shown == line), "{line} in\n{before}");

    // What happens later is shown in the same families.
    site.registry.stop();
    site.stage.request(SEED).await?;
    let after = metrics(site.address()?).await?;
    assert_well_formed(&after)?;
    assert_eq!(families(&after), documented_families()?);
    let unchecked = after.lines().filter(|line| line.starts_with(&format!("sealwatch_unchecked_images{of}")));
    let counts = unchecked.filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok());
    // The reasons may differ: a registry that was asked much before it went may have asked for patience.
    assert_eq!(counts.sum::<u32>(), 4, "every image of the policy: {after}");
    for page in [&before, &after] {
        for never in ["sha256:", "azureiotoperations", "127.0.0.", "CN="] {
            assert!(!page.contains(never), "{never} on the page: {page}");
        }
    }
    Ok(())
}

/// The line about an image that shall be on the page, by its object.
fn line_of(image: &ImageVerification) -> String {
    let status = image.status.clone().unwrap_or_default();
    let text = |word: Option<String>| word.unwrap_or_default();
    // The tag goes, where there is one.
    let name = image.spec.image.as_str();
    let repository =
        name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(repository, _)| repository);
    format!(
        "sealwatch_image_verdict{{namespace=\"{}\",policy=\"{}\",name=\"{}\",repository=\"{repository}\",digest=\"{}\",\
         verdict=\"{}\",reason=\"{}\"}} 1",
        text(image.namespace()),
        image.spec.trust_policy_ref.name,
        image.name_any(),
        text(image.spec.digest.clone()),
        text(status.verdict.map(|verdict| verdict.to_string())),
        text(status.reason.map(|reason| reason.to_string())),
    )
}

#[tokio::test]
async fn each_image_is_on_the_page_only_of_an_operator_that_was_told_to() -> Result<()> {
    let site = Site::play("each", &["--metrics-per-image"]).await?;
    let began = Instant::now();
    let (page, shown, expected) = loop {
        let page = metrics(site.address()?).await?;
        let shown = page.lines().filter(|line| line.starts_with("sealwatch_image_verdict{")).map(str::to_owned);
        let shown: BTreeSet<String> = shown.collect();
        let expected: BTreeSet<String> = site.stage.seen().await?.images.iter().map(line_of).collect();
        // The policy counts what is written, a moment later.
        if began.elapsed() > SOON || shown == expected {
            break (page, shown, expected);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(shown, expected);
    assert!(expected.len() > 4, "{expected:?}");
    assert_well_formed(&page)?;
    assert_eq!(families(&page), documented_families()?);
    Ok(())
}
