// SPDX-License-Identifier: Apache-2.0
//! The trust policy document as it is written: the JSON of `trustpolicy.json`, not yet checked.
//!
//! TP-1. Off-spec: notation-go matches member names without regard to case, ignores those that it does not know, and lets
//! the last of several win. A misspelt `trustedIdentities` must not go unnoticed here, so all three are errors.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MAX_POLICY_ENTRIES;
use crate::json::read_as_object;

/// A trust policy document for OCI artifacts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, remote = "Self")]
pub struct Document {
    /// Version of the document's form; only `1.0` exists.
    #[serde(deserialize_with = "null_as_default")]
    pub version: String,
    /// The statements; each says which signatures are believed for some repositories.
    #[serde(deserialize_with = "bounded_list")]
    pub trust_policies: Vec<Statement>,
}

/// One statement of a trust policy document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, remote = "Self")]
pub struct Statement {
    /// Name, unique in the document.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Repositories `host[:port]/path`, or `*` alone.
    #[serde(deserialize_with = "bounded_list")]
    pub registry_scopes: Vec<String>,
    /// Which checks are enforced.
    #[serde(deserialize_with = "null_as_default")]
    pub signature_verification: SignatureVerification,
    /// Trust stores `type:name`.
    #[serde(deserialize_with = "bounded_list")]
    pub trust_stores: Vec<String>,
    /// `x509.subject: <distinguished name>`, or `*` alone.
    #[serde(deserialize_with = "bounded_list")]
    pub trusted_identities: Vec<String>,
}

/// The verification level of a statement and its exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, remote = "Self")]
pub struct SignatureVerification {
    /// `strict`, `permissive`, `audit` or `skip`.
    #[serde(deserialize_with = "null_as_default")]
    pub level: String,
    /// Check → action, where it differs from the level.
    #[serde(deserialize_with = "distinct_members", skip_serializing_if = "BTreeMap::is_empty")]
    pub r#override: BTreeMap<String, String>,
    /// `always`, `afterCertExpiry`, or empty for the default, `always`.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub verify_timestamp: String,
}

read_as_object!(Document);
read_as_object!(Statement);
read_as_object!(SignatureVerification);

/// Implements `Serialize` where `#[serde(remote = "Self")]` made it a function of the type's own.
macro_rules! write_as_derived {
    ($($type:ident),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $type::serialize(self, serializer)
            }
        }
    )+};
}
write_as_derived!(Document, Statement, SignatureVerification);

/// `null` means "not given", as in Go.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A list, or `null` for an empty one. Of one with more than [`MAX_POLICY_ENTRIES`], which no document may have, only
/// one more is kept: an empty statement takes fifty times the memory of its text.
fn bounded_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = elements.next_element()? {
                list.push(element);
                if list.len() > MAX_POLICY_ENTRIES {
                    while elements.next_element::<IgnoredAny>()?.is_some() {}
                    break;
                }
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(List(PhantomData))
}

/// A map of strings in which no key stands twice; serde's own map would let the last one win.
fn distinct_members<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<String, String>()? {
                if members.len() == MAX_POLICY_ENTRIES {
                    return Err(A::Error::custom(format_args!(
                        "too many overrides; at most {MAX_POLICY_ENTRIES} are allowed"
                    )));
                }
                if members.contains_key(&key) {
                    return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
                }
                members.insert(key, value);
            }
            Ok(members)
        }
    }

    deserializer.deserialize_any(Members)
}
