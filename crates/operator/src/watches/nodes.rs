// SPDX-License-Identifier: Apache-2.0
//! The nodes: their platforms into the index of running images. Only an operator that watches all namespaces asks.

use std::{future::pending, sync::Arc};

use futures::StreamExt as _;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher::Event},
};

use super::{fault, watched};
use crate::{
    context::Context,
    running::{RunningIndex, node::SlimNode},
};

/// Follows the nodes. Where that is not allowed, nothing is known of them, and nothing else waits for it. Never ends.
pub async fn follow(client: Client, context: Arc<Context>) {
    if context.settings.namespace.is_some() {
        context.sight.ends("Node");
        return pending().await;
    }
    let events = watched(Api::<SlimNode>::all(client), &context).modify(|node| {
        node.metadata.managed_fields = None;
        node.metadata.annotations = None;
        node.metadata.labels = None;
    });
    futures::pin_mut!(events);
    let mut failing = false;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                let fault = fault("Node", &error);
                // Once: where it is forbidden, it is so for ever.
                if !failing {
                    let error = &fault.sentence;
                    tracing::warn!(error, "nodes cannot be read; their platforms are not known meanwhile");
                }
                failing = true;
                let is_forbidden = fault.forbidden;
                context.sight.failed("Node", fault);
                if is_forbidden {
                    context.sight.listed("Node");
                } else {
                    // That it is not allowed is a choice, and nothing to be woken for.
                    context.metrics.watch_failed("Node");
                }
                continue;
            }
        };
        // Each attempt begins with this event, whether the list comes or not.
        failing &= matches!(event, Event::Init);
        for namespace in on_node(&event, &mut context.running()) {
            context.trigger_namespace(&namespace);
        }
        if matches!(event, Event::InitDone) {
            context.sight.listed("Node");
        }
    }
}

/// Returns the namespaces whose images changed.
fn on_node(event: &Event<SlimNode>, running: &mut RunningIndex) -> Vec<String> {
    let namespaces = match event {
        Event::Init => {
            running.node_list_begins();
            return Vec::new();
        }
        Event::InitApply(node) | Event::Apply(node) => running.apply_node(&node.name_any(), node.platform()),
        Event::Delete(node) => running.apply_node(&node.name_any(), None),
        Event::InitDone => running.node_list_ends(),
    };
    namespaces.into_iter().collect()
}
