// SPDX-License-Identifier: Apache-2.0
//! The watch of `ClusterTrustBundle`s, in whichever version the API server has them. It begins once a policy names one:
//! most clusters have none, and an operator may have no right to see them.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    runtime::watcher::{self, Event},
};

use super::{forbidden, is_unknown, noted, watched};
use crate::{
    apply::{ApplyError, bounded},
    context::Context,
    sight::BUNDLES,
    trust_store::bundles::{Bundle, Bundles, ByName},
};

/// Where `ClusterTrustBundle`s are.
const GROUP: &str = "certificates.k8s.io";
/// Their versions, the preferred first: an API server may have the group in a version that lacks them.
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];
const KIND: &str = BUNDLES.0;
const PLURAL: &str = BUNDLES.1;
/// What is said where the API server has none.
pub(crate) const NOT_SERVED: &str = "the API server does not serve ClusterTrustBundles (certificates.k8s.io in v1, \
                                     v1beta1 or v1alpha1); enable them, or use configMapKeyRef, secretKeyRef or pem";
/// How soon an API server that has none is asked again: it may be upgraded, or restarted with other flags.
const RETRY: Duration = Duration::from_secs(30);

/// Finds and watches them. Never ends.
pub async fn follow(client: Client, context: Arc<Context>) {
    context.bundles.wanted().await;
    loop {
        let news = match served(&client).await {
            Ok(Some(resource)) => {
                let events = watched(Api::<DynamicObject>::all_with(client.clone(), &resource), &context);
                let events = noted(events, KIND, Arc::clone(&context));
                context.sight.begins(KIND);
                take_in(events, &context).await;
                context.sight.ends(KIND);
                false
            }
            Ok(None) => context.bundles.set(Bundles::Unavailable(NOT_SERVED.into())),
            Err(error) => context.bundles.failed(format!("ClusterTrustBundles cannot be asked for: {error}")),
        };
        if news {
            context.trigger_with_bundles();
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// The resource, in the first version in which the API server has it.
pub(crate) async fn served(client: &Client) -> Result<Option<ApiResource>, ApplyError> {
    for version in VERSIONS {
        let api_version = format!("{GROUP}/{version}");
        let resources = match bounded(client.list_api_group_resources(&api_version)).await {
            Ok(resources) => resources,
            Err(ApplyError::Gone) => continue,
            Err(error) => return Err(error),
        };
        if resources.resources.iter().any(|resource| resource.name == PLURAL) {
            return Ok(Some(ApiResource {
                group: GROUP.into(),
                version: version.into(),
                api_version,
                kind: KIND.into(),
                plural: PLURAL.into(),
            }));
        }
    }
    Ok(None)
}

/// Takes in events until the API server has the resource no more, as after an upgrade, or does not show it.
async fn take_in(events: impl Stream<Item = watcher::Result<Event<DynamicObject>>>, context: &Context) {
    futures::pin_mut!(events);
    let mut listing = ByName::new();
    while let Some(event) = events.next().await {
        let news = match event {
            Ok(Event::Init) => {
                listing.clear();
                false
            }
            Ok(Event::InitApply(bundle)) => {
                listing.insert(bundle.name_any(), read(&bundle));
                false
            }
            Ok(Event::InitDone) => context.bundles.set(Bundles::Listed(Arc::new(std::mem::take(&mut listing)))),
            Ok(Event::Apply(bundle)) => {
                context.bundles.change(|known| drop(known.insert(bundle.name_any(), read(&bundle))))
            }
            Ok(Event::Delete(bundle)) => context.bundles.change(|known| drop(known.remove(&bundle.name_any()))),
            Err(error) if is_unknown(&error) => return,
            Err(error) => match forbidden(&error) {
                Some(why) => {
                    let why = format!("the operator may not list and watch ClusterTrustBundles ({why})");
                    if context.bundles.set(Bundles::Unavailable(why)) {
                        context.trigger_with_bundles();
                    }
                    // A watch that is allowed again says nothing until something changes; a new list does.
                    return;
                }
                None => context.bundles.failed(format!("ClusterTrustBundles cannot be listed: {error}")),
            },
        };
        if news {
            context.trigger_with_bundles();
        }
    }
}

/// The part of one that matters.
pub(crate) fn read(bundle: &DynamicObject) -> Bundle {
    Bundle::new(bundle.labels().clone(), bundle.data.get("spec").unwrap_or(&serde_json::Value::Null))
}
