// SPDX-License-Identifier: Apache-2.0

//! Pods of the test, what the kubelet says about them, and what we make of it.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::Api;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use sealwatch_api::ImageVerification;
use sealwatch_e2e::stage::{Seen, Stage, verdict_of};
use sealwatch_e2e::testenv::Result;
use sealwatch_e2e::testenv::node::until_pod;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(100);
/// The label by which a policy chooses its pods.
pub(crate) const JUDGED_BY: &str = "judged-by";

/// Where in a pod a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Main,
    Init,
    Sidecar,
    Ephemeral,
}

impl Place {
    /// What an ImageVerification calls it.
    fn kind(self) -> &'static str {
        match self {
            Self::Main => "Container",
            Self::Init => "InitContainer",
            Self::Sidecar => "Sidecar",
            Self::Ephemeral => "EphemeralContainer",
        }
    }
}

/// A container, and what is expected of the kubelet and of us.
pub(crate) struct Case {
    /// What is tried, for a reader.
    pub(crate) what: &'static str,
    /// The policy whose verdict it is.
    pub(crate) policy: &'static str,
    pub(crate) pod: String,
    pub(crate) container: &'static str,
    pub(crate) place: Place,
    /// As the pod's author writes it.
    pub(crate) image: String,
    /// What the kubelet reports as `imageID`: one of these. None: nothing, for it has no image.
    pub(crate) image_ids: Vec<String>,
    /// `reason via digest`, as far as there are such; empty: no ImageVerification.
    pub(crate) verdict: String,
}

/// Makes the pod of these containers; a debug container comes when the pod runs.
pub(crate) async fn create(stage: &Stage, cases: &[&Case]) -> Result<()> {
    let name = &cases.first().ok_or("a pod without containers")?.pod;
    let pod = pod(name, cases);
    let pods: Api<Pod> = Api::namespaced(stage.client(), &stage.namespace);
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    Ok(())
}

/// A pod of these containers.
pub(crate) fn pod(name: &str, cases: &[&Case]) -> Value {
    let of = |places: &[Place]| -> Vec<Value> {
        let chosen = cases.iter().filter(|case| places.contains(&case.place));
        chosen.map(|case| specified(case)).collect()
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {JUDGED_BY: cases.first().map(|case| case.policy)}},
        "spec": {
            "initContainers": of(&[Place::Init, Place::Sidecar]), "containers": of(&[Place::Main]),
            "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": false,
        },
    })
}

/// Waits until there is a pod that the kubelet makes.
pub(crate) async fn created(stage: &Stage, case: &Case) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(stage.client(), &stage.namespace);
    let began = Instant::now();
    while pods.get_opt(&case.pod).await?.is_none() {
        if began.elapsed() > SOON {
            return Err(format!("waited {} s for the pod {}", SOON.as_secs(), case.pod).into());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn specified(case: &Case) -> Value {
    // An image that was loaded is there; another one is pulled once.
    let mut value = json!({"name": case.container, "image": case.image, "imagePullPolicy": "IfNotPresent"});
    match case.place {
        Place::Init => value["args"] = json!(["and end"]),
        Place::Sidecar => value["restartPolicy"] = "Always".into(),
        Place::Main | Place::Ephemeral => {}
    }
    value
}

/// Puts a debug container into a running pod, as `kubectl debug` does.
pub(crate) async fn debug(stage: &Stage, case: &Case) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(stage.client(), &stage.namespace);
    let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [specified(case)]}}));
    pods.patch_ephemeral_containers(&case.pod, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Waits until the kubelet says something about this container, and gives its status.
pub(crate) async fn reported(stage: &Stage, case: &Case) -> Result<ContainerStatus> {
    let done = |status: &PodStatus| status_of(status, case).is_some_and(|status| settled(status, case));
    let what = format!("the kubelet's word on {}", case.container);
    let pod = until_pod(&stage.cluster, &stage.namespace, &case.pod, &what, done).await?;
    Ok(pod.status.as_ref().and_then(|status| status_of(status, case)).cloned().ok_or("a status that goes again")?)
}

fn status_of<'a>(status: &'a PodStatus, case: &Case) -> Option<&'a ContainerStatus> {
    let statuses = match case.place {
        Place::Main => &status.container_statuses,
        Place::Init | Place::Sidecar => &status.init_container_statuses,
        Place::Ephemeral => &status.ephemeral_container_statuses,
    };
    statuses.iter().flatten().find(|status| status.name == case.container)
}

/// Runs, has ended well, or cannot get its image, as is expected.
fn settled(status: &ContainerStatus, case: &Case) -> bool {
    let Some(state) = &status.state else { return false };
    if case.image_ids.is_empty() {
        let reason = state.waiting.as_ref().and_then(|waiting| waiting.reason.as_deref());
        return matches!(reason, Some("ErrImagePull" | "ImagePullBackOff"));
    }
    match case.place {
        Place::Init => state.terminated.as_ref().is_some_and(|end| end.exit_code == 0),
        _ => state.running.is_some(),
    }
}

/// The ImageVerification that names this container as running its image.
fn verification<'a>(seen: &'a Seen, case: &Case) -> Option<&'a ImageVerification> {
    let mut images = seen.images.iter().filter(|image| image.spec.trust_policy_ref.name == case.policy);
    images.find(|image| {
        let running = image.status.as_ref().and_then(|status| status.running.as_ref());
        running.is_some_and(|running| {
            running.containers.iter().any(|container| {
                let kind = container.type_.as_ref().map(ToString::to_string);
                (container.pod.as_str(), container.container.as_str(), kind.as_deref())
                    == (case.pod.as_str(), case.container, Some(case.place.kind()))
            })
        })
    })
}

/// `reason via digest`, as far as there are such.
pub(crate) fn verdict(seen: &Seen, case: &Case) -> String {
    verdict_of(verification(seen, case).and_then(|image| image.status.clone()).unwrap_or_default())
}

/// What is judged, the same under every policy: repository and digest.
pub(crate) fn image(seen: &Seen, case: &Case) -> Option<(String, Option<String>)> {
    let spec = &verification(seen, case)?.spec;
    let named = spec.image.split_once('@').map_or(spec.image.as_str(), |(name, _)| name);
    // A colon before the last slash is that of a port.
    let tag = named.rfind(':').filter(|colon| !named[*colon..].contains('/'));
    Some((named[..tag.unwrap_or(named.len())].to_owned(), spec.digest.clone()))
}

/// `status/reason` of the condition `Ready`, and the time of the verdict.
pub(crate) fn ready(seen: &Seen, case: &Case) -> (String, Option<String>) {
    let Some(image) = verification(seen, case) else { return (String::new(), None) };
    let verified_at = image.status.as_ref().and_then(|status| status.last_verified_time.as_ref());
    (seen.image_condition(&image.name_any(), "Ready"), verified_at.map(|time| time.0.to_string()))
}
