// SPDX-License-Identifier: Apache-2.0

//! F22: the operator's clock is set while it runs.

use std::time::Duration;

use sealwatch_e2e::scene::{self, Pki};
use sealwatch_e2e::stage::{ACCOUNT, Launch, Seen, Stage};
use sealwatch_e2e::testenv::pki::{KeyKind, Validity};
use sealwatch_e2e::testenv::{Registry, Result, SetClock, SignOptions, cluster};
use serde_json::json;

const POLICY: &str = "microsoft";
const HOUR: i64 = 3600;
/// How long it takes at most to be noticed. Without that, an image would be judged again within the hour.
const SOON: Duration = Duration::from_secs(20);

fn asked(registry: &Registry) -> usize {
    registry.access_log().iter().filter(|request| request.user_agent.starts_with("sealwatch/")).count()
}

/// The reasons of the two images, as they shall be, with a policy that checked them lately.
fn are(seen: &Seen, brief: &str) -> bool {
    let ready = |name: &str| seen.image_condition(name, "Ready") == "True/Succeeded";
    seen.reason("brief") == brief && seen.reason("lasting") == "SignatureValid" && ready("brief") && ready("lasting")
}

#[tokio::test]
async fn a_clock_that_is_set_is_gone_by_at_once_and_asks_no_registry_in_vain() -> Result<()> {
    let test = "a_clock_that_is_set_is_gone_by_at_once_and_asks_no_registry_in_vain";
    let Some(clock) = SetClock::new(test)? else { return Ok(()) };
    let registry = Registry::olareg().await?;
    let stage = Stage::set(cluster().await?, "clock").await?;
    let (pki, notation) = (Pki::new(KeyKind::EcP256)?, stage.notation().await?);
    let validity = Validity { ends_in_seconds: 2 * HOUR, ..Validity::default() };
    let brief = pki.root.issue(&scene::name("Azure IoT Operations"), KeyKind::EcP256, validity)?;
    for (name, key) in [("brief", &brief), ("lasting", &pki.operations)] {
        let image = registry.push_image(name, "1", name).await?;
        notation.sign(&image.by_digest(), key, &SignOptions::default()).await?;
        stage.run_pod(&format!("{name}-0"), &image).await?;
    }
    stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
    let mut policy = scene::trust_policy(POLICY, &scene::seed_document());
    (policy["spec"]["interval"], policy["spec"]["staleAfter"]) = (json!("1h"), json!("1h"));
    stage.apply(&policy).await?;
    let (contents, registries) = (scene::registries(&[&registry]), &[&registry][..]);
    let (watched, account) = (Some(stage.namespace.as_str()), ACCOUNT);
    let launch = Launch { watched, account, contents, registries, more: &[], log: None };
    let mut operator = stage.launch_with(&launch, &clock.variables()).await?;
    stage.until("the verdicts", |seen| are(seen, "SignatureValid")).await?;

    // Half an hour ahead: nothing ends by that, and nothing is asked.
    registry.clear_access_log();
    clock.set(HOUR / 2)?;
    operator.wait_for_log("the clock was set", SOON).await?;
    stage.stays("all verdicts", Duration::from_secs(3), |seen| are(seen, "SignatureValid")).await?;
    assert_eq!(asked(&registry), 0);
    let writes =
        |seen: &Seen| seen.images.iter().map(|image| image.metadata.resource_version.clone()).collect::<Vec<_>>();

    // Three hours ahead one certificate has ended, and the evidence of both is stale: each is looked at once.
    clock.set(3 * HOUR)?;
    stage.until_within(SOON, "the end of a certificate", |seen| are(seen, "CertificateExpired")).await?;
    let before = writes(&stage.seen().await?);
    stage.stays("both verdicts", Duration::from_secs(3), |seen| are(seen, "CertificateExpired")).await?;
    assert_eq!(writes(&stage.seen().await?), before, "nothing is written again and again");
    assert!((1..=4).contains(&asked(&registry)), "{} requests", asked(&registry));

    // Set right again: what was learnt stays, and nothing is of a time to come.
    registry.clear_access_log();
    clock.set(0)?;
    let is_past = |seen: &Seen| {
        let times = seen.images.iter().filter_map(|image| image.status.as_ref()?.last_verified_time.clone());
        times.into_iter().all(|time| time.0 <= jiff::Timestamp::now())
    };
    let right = |seen: &Seen| are(seen, "SignatureValid") && is_past(seen);
    stage.until_within(SOON, "everything to be as it was", right).await?;
    stage.stays("all verdicts", Duration::from_secs(3), right).await?;
    assert_eq!(asked(&registry), 0);
    Ok(())
}
