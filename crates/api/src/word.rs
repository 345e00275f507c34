// SPDX-License-Identifier: Apache-2.0

//! Closed vocabularies, and the form in which they travel: a [`Word`], which survives version skew.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest text, in characters, that a field holding a [`Word`] accepts.
pub(crate) const WORD_MAX_LENGTH: usize = 64;

/// A closed set of words that this build of Sealwatch knows, such as the verdicts or the reasons.
pub trait Vocabulary: Copy + Eq + fmt::Debug + Sized + 'static {
    /// Every word, in the order in which the documentation lists them.
    const ALL: &'static [Self];

    /// The word as it is written in the API.
    fn as_str(self) -> &'static str;

    /// What the word means, as one or more sentences of the documentation.
    fn doc(self) -> &'static str;

    /// The word that is written `text`, compared exactly; `None` if this build does not know it.
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.as_str() == text)
    }
}

/// A text that is not a word of the vocabulary asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown word {text:?}")]
pub struct UnknownWord {
    /// The text that was given.
    pub text: String,
}

/// Declares an enum of unit variants with their spelling, and makes it a [`Vocabulary`].
macro_rules! vocabulary {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $text:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $( $(#[doc = $doc])+ $variant ),+
        }

        impl $name {
            /// Every word, in the order in which the documentation lists them.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),+ ];

            /// The word as it is written in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text ),+ }
            }

            /// What the word means, as one or more sentences of the documentation.
            pub const fn doc(self) -> &'static str {
                match self { $( Self::$variant => concat!($($doc, "\n"),+).trim_ascii() ),+ }
            }
        }

        impl $crate::word::Vocabulary for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn as_str(self) -> &'static str {
                Self::as_str(self)
            }

            fn doc(self) -> &'static str {
                Self::doc(self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::word::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <Self as $crate::word::Vocabulary>::parse(text)
                    .ok_or_else(|| $crate::word::UnknownWord { text: text.to_owned() })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl From<$name> for $crate::word::Word<$name> {
            fn from(word: $name) -> Self {
                Self::Known(word)
            }
        }
    };
}

/// A field whose value comes from the vocabulary `T`, or is a word that only another version of Sealwatch knows.
///
/// Decoding never fails, because a watch that meets one undecodable object delivers none of them. Whoever decides
/// something on the value asks [`Word::known`] and treats `None` as "cannot tell", never as a default.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word<T> {
    /// A word of the vocabulary.
    Known(T),
    /// Any other text.
    Unknown(String),
}

impl<T: Vocabulary> Word<T> {
    /// The word, if this build knows it.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(word) => Some(*word),
            Self::Unknown(_) => None,
        }
    }

    /// The word as it is written in the API.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(word) => word.as_str(),
            Self::Unknown(text) => text,
        }
    }
}

impl<T: Vocabulary> From<&str> for Word<T> {
    fn from(text: &str) -> Self {
        T::parse(text).map_or_else(|| Self::Unknown(text.to_owned()), Self::Known)
    }
}

impl<T: Vocabulary> PartialEq<T> for Word<T> {
    fn eq(&self, other: &T) -> bool {
        self.known() == Some(*other)
    }
}

impl<T: Vocabulary> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<T: Vocabulary> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, T: Vocabulary> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(Cow::<'de, str>::deserialize(deserializer)?.as_ref()))
    }
}

/// The schema is a bounded string and not an `enum`: a status that a newer operator wrote stays writable while the
/// cluster still has the older definition. Fields of a spec that must be one of the words add the `enum` themselves.
impl<T: Vocabulary> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": WORD_MAX_LENGTH })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn a_word_of_a_newer_version_is_kept_and_not_known() {
        let word: Word<Verdict> = serde_json::from_str("\"Doubtful\"").unwrap();
        assert_eq!(word.known(), None);
        assert_eq!(word.as_str(), "Doubtful");
        assert_eq!(serde_json::to_string(&word).unwrap(), "\"Doubtful\"");
    }

    #[test]
    fn words_are_compared_exactly() {
        assert_eq!(Word::<Verdict>::from("verified").known(), None);
        assert_eq!(Word::<Verdict>::from("Verified").known(), Some(Verdict::Verified));
        assert_eq!("Verified ".parse::<Verdict>(), Err(UnknownWord { text: "Verified ".into() }));
    }

    #[test]
    fn a_word_takes_its_width_in_a_table() {
        assert_eq!(format!("{:<10}|", Verdict::Failed), "Failed    |");
    }
}
