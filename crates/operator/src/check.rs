// SPDX-License-Identifier: Apache-2.0
//! Whether the operator could work here, asked before it does: the API server, the two kinds, its rights.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
};
use sealwatch_api::{ImageVerification, TrustPolicy, text::clip};
use serde::de::DeserializeOwned;

use crate::watches::api;

/// How long one question may take.
const ANSWER_MOST: Duration = Duration::from_secs(10);
/// How long all of them may take.
const ALL_MOST: Duration = Duration::from_secs(30);
/// The most that is quoted of an error, in bytes.
pub(crate) const QUOTE_MOST: usize = 256;

/// API group, resource, subresource, verbs: what the operator does, and the rules of `config/rbac` and of the chart.
const RIGHTS: [(&str, &str, &str, &[&str]); 8] = [
    ("sealwatch.dev", "trustpolicies", "", &["list", "watch"]),
    ("sealwatch.dev", "trustpolicies", "status", &["patch"]),
    ("sealwatch.dev", "imageverifications", "", &["list", "watch", "create", "delete"]),
    ("sealwatch.dev", "imageverifications", "status", &["patch"]),
    ("", "pods", "", &["list", "watch"]),
    ("", "configmaps", "", &["get", "list", "watch"]),
    ("", "secrets", "", &["get"]),
    ("events.k8s.io", "events", "", &["create", "patch"]),
];

/// The same, for what belongs to no namespace: asked for by an operator of all namespaces only.
const CLUSTER_RIGHTS: [(&str, &str, &str, &[&str]); 2] =
    [("", "nodes", "", &["list", "watch"]), ("certificates.k8s.io", "clustertrustbundles", "", &["list", "watch"])];

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as the operator needs it.
    pub good: bool,
    /// What was found, and what to do if it is not good; one sentence.
    pub text: String,
}

impl Finding {
    fn good(text: String) -> Self {
        Self { good: true, text }
    }

    fn bad(text: String) -> Self {
        Self { good: false, text }
    }
}

/// Asks the API server all that the operator needs, as whoever `config` names, for one namespace or for all. Changes
/// nothing, and ends within 40 s whether or not the API server answers.
pub async fn check(config: Config, namespace: Option<&str>) -> Vec<Finding> {
    let url = config.cluster_url.to_string();
    let url = url.trim_end_matches('/');
    let client = match Client::try_from(config) {
        Ok(client) => client,
        Err(error) => {
            return vec![Finding::bad(format!("the API server at {url} cannot be asked: {}", quoted(&error)))];
        }
    };
    let version = match within(client.apiserver_version()).await {
        Ok(version) => version.git_version,
        Err(error) => return vec![Finding::bad(format!("the API server at {url} does not answer: {}", error.text()))],
    };
    let mut found = vec![Finding::good(format!("the API server answers, version {}", clip(&version, QUOTE_MOST)))];
    let asked = tokio::time::timeout(ALL_MOST, async {
        found.extend(kind::<TrustPolicy>(api(client.clone(), namespace), "TrustPolicy").await);
        found.extend(kind::<ImageVerification>(api(client.clone(), namespace), "ImageVerification").await);
        let of_the_cluster = CLUSTER_RIGHTS.into_iter().filter(|_| namespace.is_none());
        for right in RIGHTS.into_iter().chain(of_the_cluster) {
            found.push(rights(&client, namespace, right).await);
        }
    });
    if asked.await.is_err() {
        let text = format!("the API server at {url} is too slow: not everything was asked in {} s", ALL_MOST.as_secs());
        found.push(Finding::bad(text));
    }
    found
}

/// Whether a kind is installed; nothing if that may not be asked, which [`rights`] says.
async fn kind<K: Clone + Debug + DeserializeOwned>(api: Api<K>, name: &str) -> Option<Finding> {
    match within(api.list_metadata(&ListParams::default().limit(1))).await {
        Ok(_) => Some(Finding::good(format!("the kind {name} is installed"))),
        Err(Failure::Kube(kube::Error::Api(status))) if status.code == 403 => None,
        Err(Failure::Kube(kube::Error::Api(status))) if status.code == 404 => Some(Finding::bad(format!(
            "the kind {name} is not installed: apply config/crd, or install the chart with crds.install=true"
        ))),
        Err(error) => {
            Some(Finding::bad(format!("whether the kind {name} is installed was not answered: {}", error.text())))
        }
    }
}

async fn rights(
    client: &Client,
    namespace: Option<&str>,
    (group, resource, subresource, verbs): (&str, &str, &str, &[&str]),
) -> Finding {
    let what = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let place = namespace.map_or_else(|| "all namespaces".to_owned(), |namespace| format!("the namespace {namespace}"));
    let mut missing = Vec::new();
    for verb in verbs {
        let attributes = ResourceAttributes {
            namespace: namespace.map(str::to_owned),
            verb: Some((*verb).to_owned()),
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource: Some(subresource.to_owned()),
            ..ResourceAttributes::default()
        };
        match may(client, attributes).await {
            Ok(true) => {}
            Ok(false) => missing.push(*verb),
            Err(error) => return Finding::bad(format!("the rights on {what} are not known: {}", error.text())),
        }
    }
    if missing.is_empty() {
        Finding::good(format!("{} {what} in {place} is allowed", verbs.join(", ")))
    } else {
        Finding::bad(format!(
            "{} {what} in {place} is forbidden: grant it to the operator's service account (config/rbac, or the chart with rbac.create=true)",
            missing.join(", ")
        ))
    }
}

async fn may(client: &Client, attributes: ResourceAttributes) -> Result<bool, Failure> {
    let spec =
        SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = within(Api::all(client.clone()).create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Why a question has no answer.
enum Failure {
    TimedOut,
    Kube(kube::Error),
}

impl Failure {
    fn text(&self) -> String {
        match self {
            Self::TimedOut => format!("no answer within {} s", ANSWER_MOST.as_secs()),
            Self::Kube(kube::Error::Api(status)) => quoted(&status.message),
            Self::Kube(error) => quoted(error),
        }
    }
}

async fn within<T>(question: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER_MOST, question).await {
        Ok(answer) => answer.map_err(Failure::Kube),
        Err(_) => Err(Failure::TimedOut),
    }
}

fn quoted(error: &impl ToString) -> String {
    clip(&error.to_string(), QUOTE_MOST)
}
