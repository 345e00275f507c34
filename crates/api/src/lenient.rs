// SPDX-License-Identifier: Apache-2.0

//! Decoding that does not let one odd object end a watch of many.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Takes `null` for the empty value, as Go's JSON decoder does with Notation's trust policy documents. The API server
/// drops such nulls itself; documents in files reach us with them.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Takes a part of a status that does not have the expected shape for an absent one.
///
/// Only for statuses: they are written by the operator and never an input to a verdict, so that losing a part means
/// writing it again. The API server's idea of a date, for one, is wider than ours.
pub(crate) fn unreadable_is_absent<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}
