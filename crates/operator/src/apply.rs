// SPDX-License-Identifier: Apache-2.0
//! Writing to the API server: statuses by server-side apply with the resourceVersion that was judged, and events.

use std::time::Duration;

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder},
};
use sealwatch_api::FIELD_MANAGER;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

/// How long one call may take, its retries included.
const CALL_MOST: Duration = Duration::from_secs(30);
/// The longest note of an event, in bytes (the API allows 1 KiB).
const NOTE_MOST: usize = 900;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Somebody wrote the object after it was judged.
    #[error("the object changed while it was judged")]
    Conflict,
    /// The object is gone.
    #[error("the object is gone")]
    Gone,
    /// The call took too long.
    #[error("the API server did not answer within 30 s")]
    Timeout,
    /// Anything else.
    #[error("the API server refused: {0}")]
    Refused(#[source] Box<kube::Error>),
}

impl ApplyError {
    /// Whether the API server says that this is not ours to see, which is an answer and no failure.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(error) if matches!(&**error, kube::Error::Api(status) if status.code == 403))
    }

    /// It in a sentence, for whoever wrote the name of what could not be read.
    pub fn sentence(&self) -> String {
        match self {
            Self::Refused(error) => match &**error {
                kube::Error::Api(status) if status.code == 403 => {
                    format!("it may not be read ({})", status.message)
                }
                error => format!("the API server refused: {error}"),
            },
            other => other.to_string(),
        }
    }

    /// The metric label of this error.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Timeout => "timeout",
            Self::Refused(_) => "error",
        }
    }
}

impl From<kube::Error> for ApplyError {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 409 => Self::Conflict,
            kube::Error::Api(status) if status.code == 404 => Self::Gone,
            _ => Self::Refused(Box::new(error)),
        }
    }
}

/// How far our writes are ahead of what the watch shows of an object. A watch may lag for seconds, or have fallen
/// silent: work goes on meanwhile, over the version that we wrote. The fence is the same, as nothing but the status can
/// be another in it.
#[derive(Clone, Debug, Default)]
pub struct Ahead {
    seen: Option<String>,
    written: Option<String>,
}

impl Ahead {
    /// The watch shows this version. Returns the one that we made of it, if we did.
    pub fn sees(&mut self, version: Option<String>) -> Option<String> {
        if self.seen != version {
            *self = Self { seen: version, written: None };
        }
        self.written.clone()
    }

    /// We wrote what the watch showed last, and this is its version now.
    pub fn wrote(&mut self, version: Option<String>) {
        self.written = version;
    }
}

/// A call with an end.
///
/// # Errors
/// The call's own, or [`ApplyError::Timeout`].
pub async fn bounded<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, ApplyError> {
    match tokio::time::timeout(CALL_MOST, call).await {
        Ok(outcome) => outcome.map_err(ApplyError::from),
        Err(_) => Err(ApplyError::Timeout),
    }
}

/// Writes the status of the very object that was judged: a newer one, or another of the same name, is left alone.
///
/// # Errors
/// See [`ApplyError`].
pub async fn status<K, S>(client: &Client, judged: &K, status: &S) -> Result<K, ApplyError>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
    S: Serialize,
{
    let namespace = judged.namespace().unwrap_or_default();
    let name = judged.name_any();
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": judged.uid(),
            "resourceVersion": judged.resource_version(),
        },
        "status": status,
    });
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    bounded(api.patch_status(&name, &params, &Patch::Apply(&patch))).await
}

/// Publishes an event. A failure is logged and nothing else: events are best effort.
pub async fn event(
    recorder: &Recorder,
    regarding: &impl Resource<DynamicType = ()>,
    warning: bool,
    reason: &str,
    note: &str,
) {
    let event = Event {
        type_: if warning { EventType::Warning } else { EventType::Normal },
        reason: reason.to_owned(),
        note: Some(sealwatch_api::text::clip(note, NOTE_MOST)),
        action: "Verify".to_owned(),
        secondary: None,
    };
    let reference = regarding.object_ref(&());
    if let Err(error) = bounded(recorder.publish(&event, &reference)).await {
        tracing::debug!(%error, reason, "event not published");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "an object need not have a version")]
    fn version(number: u32) -> Option<String> {
        Some(number.to_string())
    }

    #[test]
    fn what_we_wrote_stands_until_the_watch_shows_another_version_than_before() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.sees(version(1)), None);
        ahead.wrote(version(2));
        assert_eq!(ahead.sees(version(1)), version(2));
        ahead.wrote(version(3));
        assert_eq!(ahead.sees(version(1)), version(3), "the watch has been silent for two writes");
        assert_eq!(ahead.sees(version(4)), None, "somebody else wrote, or the watch has caught up");
        assert_eq!(ahead.sees(version(1)), None, "an older view is not ours to go on from");
    }
}
