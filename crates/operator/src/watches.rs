// SPDX-License-Identifier: Apache-2.0
//! The watches, and what each of their events sets off. The one place that uses kube-runtime's unstable streams.

pub mod bundles;
pub mod nodes;
mod pauses;

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use sealwatch_api::{ImageVerification, TrustPolicy};
use serde::de::DeserializeOwned;

use self::pauses::pausing;
use crate::{
    clock::Clocks,
    context::Context,
    running::{RunningIndex, pod::SlimPod},
    sight::Fault,
};

/// How many objects a page of a list holds.
pub(crate) const PAGE: u32 = 500;
/// How soon it is noticed that something is not seen, or is seen again, that the clock was set, or images have changed.
const OVERSEE_EVERY: Duration = Duration::from_millis(500);
/// How often an error of a watch is worth a line in the log.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// The objects of one namespace, or of all.
pub(crate) fn api<K>(client: Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

/// What happens to objects, from the first list on and again after each failure.
fn watched<K>(api: Api<K>, context: &Context) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static + use<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let seconds = u32::try_from(context.settings.watch_timeout.as_secs()).unwrap_or(u32::MAX);
    pausing(watcher(api, watcher::Config::default().timeout(seconds).page_size(PAGE)))
}

/// The trust policies: into their store, and to whoever reconciles them.
pub fn trust_policies(
    client: Client,
    writer: Writer<TrustPolicy>,
    context: &Arc<Context>,
) -> impl Stream<Item = watcher::Result<TrustPolicy>> + Send + 'static + use<> {
    let seen = Arc::clone(context);
    let events = watched(api::<TrustPolicy>(client, context.settings.namespace.as_deref()), context).reflect(writer);
    noted(events, "TrustPolicy", Arc::clone(context))
        .inspect_ok(move |event| on_trust_policy(event, &seen))
        .touched_objects()
}

fn on_trust_policy(event: &Event<TrustPolicy>, context: &Context) {
    match event {
        Event::Delete(policy) => forget_policy(context, &policy.namespace().unwrap_or_default(), &policy.name_any()),
        Event::InitDone => {
            for (namespace, name) in context.policies.keys() {
                if context.trust_policies.get(&ObjectRef::new(&name).within(&namespace)).is_none() {
                    forget_policy(context, &namespace, &name);
                }
            }
        }
        Event::Init | Event::InitApply(_) | Event::Apply(_) => {}
    }
}

fn forget_policy(context: &Context, namespace: &str, name: &str) {
    context.policies.remove(namespace, name);
    context.discoveries.remove(namespace, name);
    context.memories.remove(namespace, name);
    context.metrics.policies.forget(namespace, name);
    context.config_maps.retain(|key| context.policies.names_config_map(key));
    // Images that a person wrote for it outlive it, and must say that it is gone.
    context.trigger_images_of(namespace, name);
}

/// The image verifications: into their store, and to whoever reconciles them.
pub fn image_verifications(
    client: Client,
    writer: Writer<ImageVerification>,
    context: &Arc<Context>,
) -> impl Stream<Item = watcher::Result<ImageVerification>> + Send + 'static + use<> {
    let seen = Arc::clone(context);
    let events = watched(api::<ImageVerification>(client, context.settings.namespace.as_deref()), context)
        .modify(|image| image.managed_fields_mut().clear())
        .reflect(writer);
    noted(events, "ImageVerification", Arc::clone(context))
        .inspect_ok(move |event| on_image_verification(event, &seen))
        .touched_objects()
}

fn on_image_verification(event: &Event<ImageVerification>, context: &Context) {
    match event {
        Event::Delete(image) => {
            context.images.remove(&ObjectRef::from_obj(image));
            // If its image still runs, the policy makes it anew.
            let policy = ObjectRef::new(&image.spec.trust_policy_ref.name);
            context.triggers.trust_policy(policy.within(&image.namespace().unwrap_or_default()));
        }
        Event::InitDone => context.images.retain(|image| context.image_verifications.get(image).is_some()),
        Event::Init | Event::InitApply(_) | Event::Apply(_) => {}
    }
}

/// The pods: into the index of running images. Never ends.
pub async fn pods(client: Client, context: Arc<Context>) {
    let events = watched(api::<SlimPod>(client, context.settings.namespace.as_deref()), &context).modify(|pod| {
        pod.metadata.managed_fields = None;
        pod.metadata.annotations = None;
        pod.metadata.owner_references = None;
    });
    let events = noted(events, "Pod", Arc::clone(&context));
    futures::pin_mut!(events);
    while let Some(event) = events.next().await {
        let Ok(event) = event else { continue };
        let changed = on_pod(&event, &mut context.running());
        for namespace in changed {
            context.trigger_namespace(&namespace);
        }
        if matches!(event, Event::InitDone) {
            context.sight.listed("Pod");
        }
    }
}

/// What the API server says where it forbids a list or a watch.
fn forbidden(error: &watcher::Error) -> Option<String> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status)
            if status.code == 403 =>
        {
            Some(status.message.clone())
        }
        _ => None,
    }
}

/// What keeps the API server from showing a kind, in a sentence for whoever can change it.
fn fault(kind: &str, error: &watcher::Error) -> Fault {
    if let Some(why) = forbidden(error) {
        return Fault { sentence: format!("the operator may not list and watch it ({why})"), forbidden: true };
    }
    if is_unknown(error) {
        let sentence = match kind {
            "TrustPolicy" | "ImageVerification" => format!(
                "the API server does not know the kind {kind}.sealwatch.dev; apply the definitions that `sealwatch crds` \
                 prints"
            ),
            _ => format!("the API server does not know the kind {kind}"),
        };
        return Fault { sentence, forbidden: false };
    }
    // The innermost cause says most.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Fault { sentence: format!("the API server could not be asked: {cause}"), forbidden: false }
}

/// Whether the API server does not know what was asked for.
fn is_unknown(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 404
    )
}

/// Has every trust policy looked at again when what is seen of the cluster becomes less, or whole again, everything when
/// the clock was set, and a trust policy whose images have changed since. Never ends.
pub async fn oversee(context: Arc<Context>) {
    let look = || (context.sight.trouble(Instant::now()), context.sight.refusal("ConfigMap"));
    let mut known = look();
    let mut clocks = Clocks::new(Timestamp::now(), Instant::now());
    loop {
        tokio::time::sleep(OVERSEE_EVERY).await;
        context.triggers.summarise(Instant::now());
        if let Some(set) = clocks.set_by(Timestamp::now(), Instant::now()) {
            tracing::warn!(seconds = set.as_secs(), "the clock was set; everything is judged again");
            context.trigger_all();
            context.trigger_images();
        }
        let now = look();
        if now != known {
            let trouble = now.0.as_ref().map(|trouble| trouble.message.as_str());
            tracing::info!(trouble, "what is seen of the cluster changed");
            known = now;
            context.trigger_all();
        }
    }
}

fn on_pod(event: &Event<SlimPod>, running: &mut RunningIndex) -> Vec<String> {
    match event {
        Event::Init => {
            running.list_begins();
            Vec::new()
        }
        Event::InitApply(pod) | Event::Apply(pod) => running.apply(pod).into_iter().collect(),
        Event::Delete(pod) => running.delete(pod).into_iter().collect(),
        Event::InitDone => running.list_ends().into_iter().collect(),
    }
}

/// The names and versions of ConfigMaps: what a trust store names is read again when it changes. Never ends.
pub async fn config_maps(client: Client, context: Arc<Context>) {
    let events = watched(api::<PartialObjectMeta<ConfigMap>>(client, context.settings.namespace.as_deref()), &context);
    let events = noted(events, "ConfigMap", Arc::clone(&context));
    futures::pin_mut!(events);
    while let Some(event) = events.next().await {
        let Ok(event) = event else { continue };
        let maps = &context.config_maps;
        let changed = match &event {
            Event::Init => {
                maps.list_begins();
                Vec::new()
            }
            Event::InitApply(map) | Event::Apply(map) => {
                let key = (map.namespace().unwrap_or_default(), map.name_any());
                if maps.seen(&key, map.metadata.resource_version.as_deref()) { vec![key] } else { Vec::new() }
            }
            Event::Delete(map) => {
                let key = (map.namespace().unwrap_or_default(), map.name_any());
                if maps.gone(&key) { vec![key] } else { Vec::new() }
            }
            Event::InitDone => maps.list_ends(),
        };
        for key in changed {
            for name in context.policies.that_name(&key) {
                context.triggers.trust_policy(ObjectRef::new(&name).within(&key.0));
            }
        }
        if matches!(event, Event::InitDone) {
            context.sight.listed("ConfigMap");
        }
    }
}

/// A stream of events whose life signs and errors are noted.
fn noted<K: Resource + Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    kind: &'static str,
    context: Arc<Context>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static {
    context.metrics.watch_begins(kind);
    let mut last_logged: Option<(Instant, Fault)> = None;
    events.inspect(move |event| match event {
        Ok(event) => {
            // Pods and ConfigMaps count as listed only after their last event was worked on.
            if matches!(event, Event::InitDone) && !matches!(kind, "Pod" | "ConfigMap") {
                context.sight.listed(kind);
            }
        }
        Err(error) => {
            context.metrics.watch_failed(kind);
            let fault = fault(kind, error);
            let news = last_logged.as_ref().is_none_or(|(at, said)| *said != fault || at.elapsed() >= LOG_EVERY);
            if news {
                tracing::warn!(kind, error = fault.sentence, "watch failed; it goes on after a pause");
                last_logged = Some((Instant::now(), fault.clone()));
            }
            context.sight.failed(kind, fault);
        }
    })
}
