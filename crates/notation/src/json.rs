// SPDX-License-Identifier: Apache-2.0
//! JSON as signatures need it: no member twice, and none that differs from a known one only in case.
//!
//! Off-spec: Go's decoder matches member names without regard to case and lets the last of several win (JW-18). Two
//! programs may then read different things out of one signed text, so here both are errors.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// Most values in one text, of whatever kind and depth. A limit of ours: real headers and payloads have about ten. A
/// small object takes a hundred times the memory of its text.
const MAX_VALUES: usize = 2048;

/// Implements `Deserialize` for a structure whose derive has `#[serde(remote = "Self")]`, so that only an object is
/// read as one: what serde derives also takes an array of the members in their order.
macro_rules! read_as_object {
    ($type:ident) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;

                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, members: A) -> Result<$type, A::Error> {
                        $type::deserialize(serde::de::value::MapAccessDeserializer::new(members))
                    }
                }

                deserializer.deserialize_map(Members)
            }
        }
    };
}
pub(crate) use read_as_object;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool,
    /// A number that is a natural number below 2^64, written as such.
    Natural(u64),
    OtherNumber,
    String(String),
    Array(Vec<Json>),
    Object(Object),
}

/// The members of a JSON object.
pub(crate) type Object = BTreeMap<String, Json>;

impl Json {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        *self == Self::Null
    }
}

/// Parses text that must be exactly one JSON object.
///
/// # Errors
/// A sentence, which may quote from the text.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Object, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let left = Cell::new(MAX_VALUES);
    let value = Values { left: &left }.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    match value {
        Json::Object(members) => Ok(members),
        _ => Err("is not an object".to_owned()),
    }
}

/// Errs if a member has the name of a known one but for case, as Go compares names.
pub(crate) fn check_case<'a>(names: impl IntoIterator<Item = &'a str>, known: &[&str]) -> Result<(), String> {
    for name in names {
        // One letter folds to one letter; counting first keeps a header of thousands of names cheap.
        let may_fold = |known: &str| known != name && known.chars().count() == name.chars().count();
        if let Some(known) = known.iter().find(|known| may_fold(known) && fold(known) == fold(name)) {
            return Err(format!("has a member {name:?} that differs from {known:?} only in case"));
        }
    }
    Ok(())
}

/// Upper case, then lower case: the two letters outside of ASCII that Go takes for ASCII ones, U+017F and U+212A,
/// become these too.
fn fold(name: &str) -> String {
    name.to_uppercase().to_lowercase()
}

/// Reads values, as many as are left.
#[derive(Clone, Copy)]
struct Values<'a> {
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| D::Error::custom(format_args!("more than {MAX_VALUES} values")))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Bool)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Natural(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Json, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            let value = members.next_value_seed(self)?;
            object.insert(name, value);
        }
        Ok(Json::Object(object))
    }
}
