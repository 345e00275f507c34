// SPDX-License-Identifier: Apache-2.0
//! Every running image under its policies, several at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use sealwatch_api::{Reason, text::clip};
use sealwatch_operator::{
    discover::{self, Found},
    image_verification::once::{Answer, Engine, look},
    once::Pulled,
    running::{ImageKey, RunningIndex},
};
use sealwatch_registry::Repository;
use sealwatch_verifier::Verifier;

use super::{
    change,
    place::Place,
    policies::{self, ByNamespace, Named, PolicyFile},
    report::{MESSAGE_MOST, Report},
};
use crate::{
    args::ScanArguments,
    credentials::Found as Local,
    progress::Progress,
    source::{self, Asking},
};

/// How many images are looked at at once; of one registry fewer (the engine's own bound).
const IMAGES_AT_ONCE: usize = 16;
/// How many pull secrets are read at once.
const SECRETS_AT_ONCE: usize = 8;

/// What everything here is about.
pub(super) struct Judging<'a> {
    pub(super) arguments: &'a ScanArguments,
    pub(super) place: &'a Place,
    pub(super) running: &'a RunningIndex,
    pub(super) now: Timestamp,
}

/// One image of a namespace under one policy.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) namespace: String,
    /// What judges it; `None` where no policy selects the pods that run it.
    pub(super) policy: Option<Named>,
    pub(super) found: Found,
}

/// A case and what came of it.
pub(super) struct Judged {
    pub(super) case: Case,
    pub(super) answer: Answer,
}

/// The names of pull secrets of a namespace, in their order.
type Wanted = (String, Vec<String>);

impl Judging<'_> {
    /// Judges what runs by the file, or by the cluster's policies, or by both to tell what would change.
    pub(super) async fn judge(&self, file: Option<&PolicyFile>, report: &mut Report) -> Result<(), String> {
        let by_file = match file {
            Some(file) => Some(file.for_namespaces(self.place, self.running.namespaces()).await),
            None => None,
        };
        if let (Some(file), Some(policies)) = (file, &by_file) {
            let cases = self.cases(policies);
            file.check_stores(cases.iter().map(|case| case.found.key.repository.as_str()))?;
        }
        let is_diff = self.arguments.diff;
        let mut by_cluster = None;
        if is_diff || file.is_none() {
            let (policies, warnings) = policies::of_cluster(self.place).await?;
            report.warnings.extend(warnings);
            by_cluster = Some(policies);
        }
        match (by_file, by_cluster) {
            (Some(new), Some(own)) => {
                let own = own.into_iter().map(|(namespace, own)| (namespace, replaced(own, file)));
                let own: ByNamespace = own.filter(|(namespace, _)| new.contains_key(namespace)).collect();
                let pairs = change::pairs(self, &own, &new);
                let policies: Vec<_> = pairs.iter().map(|pair| Arc::clone(&pair.policy)).collect();
                let cases = pairs.into_iter().flat_map(|pair| [pair.from, pair.to]).collect();
                let judged = self.look(cases, report).await?;
                report.add_changes(change::of(&policies, &judged));
            }
            (Some(policies), None) | (None, Some(policies)) => {
                let judged = self.look(self.cases(&policies), report).await?;
                report.add_images(&judged);
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Every image under every policy that selects it, and once without any where none does.
    fn cases(&self, policies: &ByNamespace) -> Vec<Case> {
        let none = Vec::new();
        let of = |namespace: &str| {
            let policies = policies.get(namespace).unwrap_or(&none);
            let mut cases: Vec<Case> = policies.iter().flat_map(|named| self.selected(namespace, named)).collect();
            let covered: BTreeSet<ImageKey> = cases.iter().map(|case| case.found.key.clone()).collect();
            cases.extend(self.all(namespace).into_iter().filter(|case| !covered.contains(&case.found.key)));
            cases
        };
        self.running.namespaces().into_iter().flat_map(of).collect()
    }

    /// The images of a namespace that a policy selects.
    pub(super) fn selected(&self, namespace: &str, named: &Named) -> Vec<Case> {
        let images = discover::images(self.running, &named.policy, self.now).images.into_iter();
        let case = |(key, running)| Case {
            namespace: namespace.to_owned(),
            policy: Some(named.clone()),
            found: Found { key, running },
        };
        images.map(case).collect()
    }

    /// The images of a namespace, under no policy.
    pub(super) fn all(&self, namespace: &str) -> Vec<Case> {
        let images = self.running.images(namespace, |_| true, self.now).images.into_iter();
        let case =
            |(key, running)| Case { namespace: namespace.to_owned(), policy: None, found: Found { key, running } };
        images.map(case).collect()
    }

    /// Looks at all of them.
    async fn look(&self, cases: Vec<Case>, report: &mut Report) -> Result<Vec<Judged>, String> {
        let asking = Asking::of_found(&self.arguments.asking, &hosts(&cases)).await?;
        // Certificates may lead where the flags allow it, but not to the registries of the images for their sake alone.
        let revocation = source::revocation(&asking.settings)?;
        let engine = Engine { verifier: Verifier::new(asking.registry()?), revocation };
        let pulled = self.pull(&cases).await?;
        report.warnings.extend(forbidden(&pulled));
        let mut progress = Progress::start("verified image", cases.len());
        let looks = stream::iter(cases).map(|case| one(&engine, &asking.found, &pulled, case)).buffered(IMAGES_AT_ONCE);
        let judged = looks.inspect(|_| progress.next()).collect().await;
        progress.end();
        Ok(judged)
    }

    /// The pull secrets of all cases, each list of them read once.
    async fn pull(&self, cases: &[Case]) -> Result<BTreeMap<Wanted, Pulled>, String> {
        let wanted: BTreeSet<Wanted> = cases.iter().map(wanted).filter(|(_, names)| !names.is_empty()).collect();
        let read = stream::iter(wanted).map(async |wanted| {
            let pulled = self.place.cluster.pull_secrets(&wanted.0, &wanted.1).await;
            let pulled = pulled.map_err(|error| self.place.sentence("the pull secrets", &error, ""))?;
            Ok::<_, String>((wanted, pulled))
        });
        read.buffer_unordered(SECRETS_AT_ONCE).try_collect().await
    }
}

/// The policies that a file would take the place of: the one of its name, else each.
fn replaced(own: Vec<Named>, file: Option<&PolicyFile>) -> Vec<Named> {
    let name = file.and_then(|file| file.name.as_ref());
    let same: Vec<Named> = own.iter().filter(|named| Some(&named.policy.name) == name).cloned().collect();
    if same.is_empty() { own } else { same }
}

/// The pull secrets to try: of the pods, then of the policy.
fn wanted(case: &Case) -> Wanted {
    let Some(Named { policy, .. }) = &case.policy else { return (case.namespace.clone(), Vec::new()) };
    let pods = case.found.running.pull_secrets.iter();
    (case.namespace.clone(), pods.chain(&policy.pull_secrets).cloned().collect())
}

/// The registries of all images.
fn hosts(cases: &[Case]) -> Vec<String> {
    let repositories = cases.iter().filter_map(|case| case.found.key.repository.parse::<Repository>().ok());
    let hosts: BTreeSet<String> = repositories.map(|repository| repository.registry().to_owned()).collect();
    hosts.into_iter().collect()
}

/// What is to be said of pull secrets that may not be read.
fn forbidden(pulled: &BTreeMap<Wanted, Pulled>) -> Vec<String> {
    let mut by_namespace = BTreeMap::<&str, BTreeSet<&str>>::new();
    for ((namespace, _), pulled) in pulled {
        by_namespace.entry(namespace).or_default().extend(pulled.forbidden.iter().map(String::as_str));
    }
    let some = by_namespace.into_iter().filter(|(_, names)| !names.is_empty());
    let sentence = |(namespace, names): (&str, BTreeSet<&str>)| {
        let names: Vec<&str> = names.into_iter().take(5).collect();
        format!(
            "the pull secrets {} of namespace {namespace} may not be read; the credentials of docker and podman are \
             used in their place",
            names.join(", ")
        )
    };
    some.map(sentence).collect()
}

async fn one(engine: &Engine, local: &Local, pulled: &BTreeMap<Wanted, Pulled>, case: Case) -> Judged {
    let Some(Named { policy, .. }) = &case.policy else {
        let message = format!(
            "no TrustPolicy of namespace {} selects the pods that run it; --policy FILE judges it too",
            case.namespace
        );
        let answer = Answer::plain(&case.found, Reason::TrustPolicyNotFound, &message);
        return Judged { case, answer };
    };
    let own = pulled.get(&wanted(&case));
    let mut credentials = own.map(|pulled| pulled.credentials.clone()).unwrap_or_default();
    credentials.merge(local.credentials.clone());
    let mut answer = look(engine, &Arc::clone(policy), &case.found, &credentials).await;
    if let Some(advice) = advice(&answer, &case, local)
        && let Some(message) = &mut answer.status.message
    {
        message.push_str(&advice);
        *message = clip(message, MESSAGE_MOST);
    }
    Judged { case, answer }
}

/// The flag or file that may help, as the end of a message.
fn advice(answer: &Answer, case: &Case, local: &Local) -> Option<String> {
    let repository: Repository = case.found.key.repository.parse().ok()?;
    let reason = answer.status.reason.as_ref()?.known()?;
    match reason {
        Reason::RegistryUnauthorized => Some(local.advice(repository.registry())),
        Reason::RegistryUnavailable => Some(
            "; a registry without TLS needs an endpoint with http:// in the file given by --registries, or \
             --insecure-registry"
                .to_owned(),
        ),
        _ => None,
    }
}
