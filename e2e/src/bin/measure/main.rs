// SPDX-License-Identifier: Apache-2.0

//! `./just measure`: what the operator takes at the size of Azure `IoT` Operations, on real parts: 60 pods that run 30
//! images, signed and timestamped by `notation`. Every minute one workload is rolled out, which is more than life has.
//! Then 1,000 images in a namespace.
#![expect(clippy::print_stdout, reason = "what was measured is there to be read")]

mod report;
mod thousand;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sealwatch_e2e::scene::{self, Pki};
use sealwatch_e2e::stage::{ACCOUNT, Seen, Stage};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::pods;
use sealwatch_e2e::testenv::{
    self, Consumption, Format, Notation, OperatorProcess, Options, PushedImage, Registry, Result, SignOptions,
    TimestampAuthority,
};
use serde_json::{Value, json};

const POLICY: &str = "microsoft";
const IMAGES: usize = 30;
const PODS_EACH: usize = 2;
/// How long is measured unless told otherwise, in seconds.
const SECONDS: u64 = 600;
/// How often one workload is rolled out.
const ROLLOUT: Duration = Duration::from_mins(1);
/// How often metrics are scraped, as Prometheus does.
const SCRAPE: Duration = Duration::from_secs(30);
/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_secs(1);
/// How long the first verdicts may take; the operator may be a debug build.
const FIRST: Duration = Duration::from_mins(2);

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let seconds = args.next().map_or(Ok(SECONDS), |seconds| seconds.parse());
    let outcome = match seconds {
        Ok(seconds) => measure(Duration::from_secs(seconds), args.next().as_deref().map(Path::new)).await,
        Err(error) => Err(format!("the first argument is a number of seconds: {error}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("Nothing was measured: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(window: Duration, file: Option<&Path>) -> Result<()> {
    let options = Options { name: Some("measure".into()), audit: true, ..Options::default() };
    let site = Site::build(testenv::cluster_with(options).await?).await?;
    println!("{IMAGES} images are signed, {} pods run them", IMAGES * PODS_EACH);
    let cache = site.stage.folder.path().join("cache").display().to_string();
    let (began, before) = (Instant::now(), asked(&site.stage, &site.registry)?);
    let more = ["--cache-dir", cache.as_str()];
    let mut operator = site.stage.operator_for(None, ACCOUNT, &[&site.registry], &more).await?;
    site.stage.until_within(FIRST, "a verdict on every image", |seen| verified(seen) == IMAGES).await?;
    let asked = asked(&site.stage, &site.registry)?.since(&before);
    let first = Part { lasted: began.elapsed(), before: None, after: operator.consumption()?, asked };
    println!("every image is Verified after {:.1} s", first.lasted.as_secs_f64());
    let steady = site.live(&operator, window).await?;
    let ended = operator.terminate(Duration::from_secs(20)).await?;
    println!("the operator ended on SIGTERM with {ended}; now 1,000 images");
    let page = report::page(&first, &steady) + &thousand::measure(site.stage.cluster.clone()).await?;
    println!("\n{page}");
    if let Some(file) = file {
        std::fs::write(file, &page)?;
    }
    Ok(())
}

fn verified(seen: &Seen) -> usize {
    let summary = seen.policy(POLICY).summary.unwrap_or_default();
    usize::try_from(summary.verified).unwrap_or_default()
}

/// Where it all stands.
struct Site {
    stage: Stage,
    registry: Registry,
    authority: TimestampAuthority,
    notation: Notation,
    pki: Pki,
}

/// Who was asked, how often: the API server by verb and resource, and the registry.
#[derive(Default)]
struct Asked {
    api_server: BTreeMap<String, usize>,
    registry: usize,
}

impl Asked {
    fn since(&self, earlier: &Self) -> Self {
        let before = |what: &String| earlier.api_server.get(what).copied().unwrap_or_default();
        let left = self.api_server.iter().map(|(what, count)| (what.clone(), count - before(what)));
        Self { api_server: left.filter(|(_, count)| *count > 0).collect(), registry: self.registry - earlier.registry }
    }

    fn of_the_api_server(&self) -> usize {
        self.api_server.values().sum()
    }
}

/// What was seen in one stretch of time.
struct Part {
    lasted: Duration,
    before: Option<Consumption>,
    after: Consumption,
    asked: Asked,
}

impl Part {
    /// Time of processors.
    fn cpu(&self) -> Duration {
        self.after.cpu.saturating_sub(self.before.map_or(Duration::ZERO, |before| before.cpu))
    }
}

/// The stretch that counts, with what was seen in between.
struct Steady {
    part: Part,
    rollouts: usize,
    scrapes: usize,
    resident: Vec<u64>,
}

impl Site {
    async fn build(cluster: testenv::Cluster) -> Result<Self> {
        let stage = Stage::set(cluster, "azure-iot-operations").await?;
        let (registry, authority) = (Registry::olareg().await?, TimestampAuthority::start()?);
        let (notation, pki) = (stage.notation().await?, Pki::new(KeyKind::Rsa3072)?);
        let site = Self { stage, registry, authority, notation, pki };
        let root = [scene::roots(site.pki.root.certificate_pem())];
        for object in root.iter().chain([&Self::policy()]) {
            site.stage.apply(object).await?;
        }
        for number in 0..IMAGES {
            let image = site.release(number, 0).await?;
            for pod in 0..PODS_EACH {
                site.stage.run_pod(&pod_name(number, 0, pod), &image).await?;
            }
        }
        Ok(site)
    }

    /// The seed's policy with the `tsa` store that the sample has, and its interval.
    fn policy() -> Value {
        let mut document = scene::seed_document();
        document["trustPolicies"][0]["trustStores"] = json!(["ca:supplychain", "tsa:microsoft"]);
        let mut policy = scene::trust_policy(POLICY, &document);
        let authority = json!({
            "type": "tsa", "name": "microsoft", "certificates": [{"pem": TimestampAuthority::root_pem()}],
        });
        policy["spec"]["trustStores"].as_array_mut().into_iter().for_each(|stores| stores.push(authority.clone()));
        policy
    }

    /// Pushes and signs a version of an image, one half of them in COSE and the other in JWS.
    async fn release(&self, number: usize, version: usize) -> Result<PushedImage> {
        let repository = format!("azureiotoperations/component-{number}");
        let contents = format!("{repository} {version}");
        let image = self.registry.push_image(&repository, &format!("1.{version}"), &contents).await?;
        let options = SignOptions {
            format: if number.is_multiple_of(2) { Format::Cose } else { Format::Jws },
            timestamp: Some((self.authority.url(), TimestampAuthority::root_pem())),
            ..SignOptions::default()
        };
        self.notation.sign(&image.by_digest(), &self.pki.operations, &options).await?;
        Ok(image)
    }

    /// Replaces the pods of an image by pods of its next version, one by one.
    async fn roll_out(&self, number: usize, version: usize) -> Result<()> {
        let image = self.release(number, version).await?;
        for pod in 0..PODS_EACH {
            self.stage.run_pod(&pod_name(number, version, pod), &image).await?;
            pods::delete(&self.stage.client(), &self.stage.namespace, &pod_name(number, version - 1, pod)).await?;
        }
        Ok(())
    }

    /// Lets the operator live for a while: rollouts, scrapes.
    async fn live(&self, operator: &OperatorProcess, window: Duration) -> Result<Steady> {
        let (began, before) = (Instant::now(), operator.consumption()?);
        let asked_before = asked(&self.stage, &self.registry)?;
        let address = *operator.listening_on()?.first().ok_or("the operator serves no metrics")?;
        let (mut rollouts, mut scrapes, mut resident) = (0, 0, Vec::new());
        while began.elapsed() < window {
            resident.push(operator.consumption()?.resident);
            if began.elapsed() >= SCRAPE * u32::try_from(scrapes)? {
                reqwest::get(format!("http://{address}/metrics")).await?.error_for_status()?.bytes().await?;
                scrapes += 1;
            }
            if began.elapsed() >= ROLLOUT * u32::try_from(rollouts + 1)? {
                self.roll_out(rollouts % IMAGES, 1 + rollouts / IMAGES).await?;
                rollouts += 1;
            }
            tokio::time::sleep(SAMPLE).await;
        }
        self.stage.until("every image to be Verified at the end", |seen| verified(seen) == IMAGES).await?;
        let after = operator.consumption()?;
        let asked = asked(&self.stage, &self.registry)?.since(&asked_before);
        let part = Part { lasted: began.elapsed(), before: Some(before), after, asked };
        Ok(Steady { part, rollouts, scrapes, resident })
    }
}

fn pod_name(number: usize, version: usize, pod: usize) -> String {
    format!("component-{number}-{version}-{pod}")
}

/// How often the operator has asked whom so far.
fn asked(stage: &Stage, registry: &Registry) -> Result<Asked> {
    let (namespace, name) = ACCOUNT;
    let account = format!("system:serviceaccount:{namespace}:{name}");
    let mut asked = Asked::default();
    for request in stage.cluster.audit_log()?.iter().filter(|request| request.user.username == account) {
        let object = request.object_ref.clone().unwrap_or_default();
        let slash = if object.subresource.is_empty() { "" } else { "/" };
        let what = format!("{} {}{slash}{}", request.verb, object.resource, object.subresource);
        *asked.api_server.entry(what).or_default() += 1;
    }
    let log = registry.access_log();
    asked.registry = log.iter().filter(|request| request.user_agent.starts_with("sealwatch/")).count();
    Ok(asked)
}
