// SPDX-License-Identifier: Apache-2.0
//! Content digests: strict in what they accept, and always recomputed over the bytes that were read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::limits::MAX_TAG_ENCODED_CHARS;

/// A hash function that a digest may use: the three that RFC 6920 and the OCI image specification leave usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, 64 hexadecimal digits.
    Sha256,
    /// SHA-384, 96 hexadecimal digits.
    Sha384,
    /// SHA-512, 128 hexadecimal digits.
    Sha512,
}

impl Algorithm {
    /// The name that stands before the colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits follow the colon.
    pub fn hex_digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// `algorithm:hex`, valid by construction: a known algorithm, lower-case hexadecimal digits, the right number of them.
///
/// Source: OCI image specification 1.1, descriptor.md, "Digests".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no colon.
    #[error("digest has no algorithm")]
    NoAlgorithm,
    /// The algorithm is none of sha256, sha384 and sha512.
    #[error("digest algorithm is not one of sha256, sha384 and sha512")]
    UnknownAlgorithm,
    /// The number of digits is not the algorithm's.
    #[error("{algorithm} digest has {actual} characters instead of {expected}")]
    WrongLength {
        /// The algorithm's name.
        algorithm: &'static str,
        /// Digits that the algorithm has.
        expected: usize,
        /// Bytes that were there.
        actual: usize,
    },
    /// A character is not one of `0-9a-f`.
    #[error("digest has a character that is not a lower-case hexadecimal digit")]
    NotLowerHex,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of_bytes(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let hex = match algorithm {
            Algorithm::Sha256 => lower_hex(&Sha256::digest(bytes)),
            Algorithm::Sha384 => lower_hex(&Sha384::digest(bytes)),
            Algorithm::Sha512 => lower_hex(&Sha512::digest(bytes)),
        };
        Self { algorithm, hex }
    }

    /// The hash function.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The lower-case hexadecimal digits after the colon.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Whether `bytes` hash to this digest.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        Self::of_bytes(self.algorithm, bytes) == *self
    }

    /// The tag under which the referrers of this digest are kept by registries without the Referrers API.
    ///
    /// Source: OCI distribution specification 1.1, "Referrers Tag Schema": the algorithm cut to 32 and the encoded
    /// part cut to 64 characters.
    pub fn referrers_tag(&self) -> String {
        let encoded: String = self.hex.chars().take(MAX_TAG_ENCODED_CHARS).collect();
        format!("{}-{encoded}", self.algorithm.name())
    }
}

/// Bytes in lower-case hexadecimal digits.
pub fn lower_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, hex) = text.split_once(':').ok_or(DigestError::NoAlgorithm)?;
        let algorithm = Algorithm::named(name).ok_or(DigestError::UnknownAlgorithm)?;
        if hex.len() != algorithm.hex_digits() {
            return Err(DigestError::WrongLength {
                algorithm: algorithm.name(),
                expected: algorithm.hex_digits(),
                actual: hex.len(),
            });
        }
        if !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::NotLowerHex);
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY_OBJECT: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn every_malformed_digest_is_refused_with_its_reason() {
        let hex = "a".repeat(64);
        let cases = [
            (String::new(), DigestError::NoAlgorithm),
            (hex.clone(), DigestError::NoAlgorithm),
            (format!("md5:{}", "a".repeat(32)), DigestError::UnknownAlgorithm),
            (format!("SHA256:{hex}"), DigestError::UnknownAlgorithm),
            (format!("sha256+b64:{hex}"), DigestError::UnknownAlgorithm),
            (
                format!("sha256:{}", "a".repeat(63)),
                DigestError::WrongLength { algorithm: "sha256", expected: 64, actual: 63 },
            ),
            (format!("sha512:{hex}"), DigestError::WrongLength { algorithm: "sha512", expected: 128, actual: 64 }),
            (format!("sha256:{}", "A".repeat(64)), DigestError::NotLowerHex),
            (format!("sha256:{}/", "a".repeat(63)), DigestError::NotLowerHex),
            (format!("sha256:{}", "é".repeat(32)), DigestError::NotLowerHex),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Digest>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_digest_matches_only_the_bytes_it_was_made_of() {
        let digest: Digest = EMPTY_OBJECT.parse().unwrap();
        assert!(digest.matches(b"{}"));
        assert!(!digest.matches(b"{} "));
    }

    #[test]
    fn all_three_algorithms_round_trip_through_text_and_json() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let digest = Digest::of_bytes(algorithm, b"content");
            assert_eq!(digest.hex().len(), algorithm.hex_digits());
            assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
            let json = serde_json::to_string(&digest).unwrap();
            assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        }
    }

    #[test]
    fn the_referrers_tag_is_cut_to_what_a_tag_may_hold() {
        let digest = Digest::of_bytes(Algorithm::Sha512, b"content");
        let tag = digest.referrers_tag();
        assert_eq!(tag.len(), "sha512-".len() + 64);
        assert!(digest.hex().starts_with(tag.strip_prefix("sha512-").unwrap()));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
