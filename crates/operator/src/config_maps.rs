// SPDX-License-Identifier: Apache-2.0
//! The ConfigMaps that trust stores name: read once, and again only after the watch said that they changed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

/// Namespace and name.
pub type Key = (String, String);

/// A ConfigMap's values by key: `data` and `binaryData` alike are bytes here.
pub type Values = BTreeMap<String, Vec<u8>>;

/// What was read of one ConfigMap.
#[derive(Clone, Debug)]
struct Known {
    resource_version: Option<String>,
    /// `None`: it does not exist.
    values: Option<Arc<Values>>,
    /// Whether the list that is coming in named it.
    listed: bool,
}

/// The ConfigMaps that were read. Only those that a trust store names are kept.
#[derive(Debug, Default)]
pub struct ConfigMaps {
    known: Mutex<HashMap<Key, Known>>,
}

impl ConfigMaps {
    fn known(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The values of a ConfigMap, `None` where it does not exist.
    ///
    /// # Errors
    /// When the API server does not answer the question.
    pub async fn read(&self, client: &Client, namespace: &str, name: &str) -> Result<Option<Arc<Values>>, kube::Error> {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(known) = self.known().get(&key) {
            return Ok(known.values.clone());
        }
        let read = Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(name).await?;
        let resource_version = read.as_ref().and_then(|found| found.metadata.resource_version.clone());
        let values = read.map(|found| Arc::new(values_of(found)));
        self.known().insert(key, Known { resource_version, values: values.clone(), listed: true });
        Ok(values)
    }

    /// The watch saw this version of a ConfigMap. Returns whether what was read of it no longer holds.
    pub fn seen(&self, key: &Key, resource_version: Option<&str>) -> bool {
        let mut known = self.known();
        let Some(entry) = known.get_mut(key) else { return false };
        entry.listed = true;
        if entry.resource_version.as_deref() == resource_version {
            return false;
        }
        known.remove(key);
        true
    }

    /// The watch saw the end of a ConfigMap. Returns whether anything was read of it.
    pub fn gone(&self, key: &Key) -> bool {
        self.known().remove(key).is_some()
    }

    /// A new list begins.
    pub fn list_begins(&self) {
        for entry in self.known().values_mut() {
            entry.listed = false;
        }
    }

    /// A list is complete. Returns what was read of ConfigMaps that exist no more.
    pub fn list_ends(&self) -> Vec<Key> {
        let mut known = self.known();
        let gone = |entry: &Known| !entry.listed && entry.values.is_some();
        let keys: Vec<Key> = known.iter().filter(|(_, entry)| gone(entry)).map(|(key, _)| key.clone()).collect();
        known.retain(|_, entry| !gone(entry));
        keys
    }

    /// Keeps only what some trust store still names.
    pub fn retain(&self, named: impl Fn(&Key) -> bool) {
        self.known().retain(|key, _| named(key));
    }
}

/// The values of a ConfigMap, text and binary alike.
pub fn values_of(found: ConfigMap) -> Values {
    let text = found.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
    let binary = found.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
    text.chain(binary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        ("aio".into(), name.into())
    }

    fn with(name: &str, version: &str, values: Option<Values>) -> ConfigMaps {
        let maps = ConfigMaps::default();
        let known = Known { resource_version: Some(version.into()), values: values.map(Arc::new), listed: true };
        maps.known().insert(key(name), known);
        maps
    }

    #[test]
    fn only_another_version_of_a_config_map_that_was_read_is_news() {
        let maps = with("roots", "1", Some(Values::new()));
        assert!(!maps.seen(&key("other"), Some("7")));
        assert!(!maps.seen(&key("roots"), Some("1")));
        assert!(maps.seen(&key("roots"), Some("2")));
        assert!(!maps.seen(&key("roots"), Some("3")), "it was forgotten, so there is nothing to correct");
    }

    #[test]
    fn a_config_map_that_appears_after_it_was_missed_is_news() {
        let maps = with("roots", "none", None);
        assert!(maps.seen(&key("roots"), Some("1")));
    }

    #[test]
    fn a_deletion_that_the_watch_missed_is_found_by_the_next_list() {
        let maps = with("roots", "1", Some(Values::new()));
        maps.list_begins();
        assert_eq!(maps.list_ends(), [key("roots")]);
        let maps = with("roots", "1", Some(Values::new()));
        maps.list_begins();
        maps.seen(&key("roots"), Some("1"));
        assert!(maps.list_ends().is_empty());
        assert!(maps.gone(&key("roots")));
        assert!(!maps.gone(&key("roots")));
    }
}
