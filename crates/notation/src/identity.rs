// SPDX-License-Identifier: Apache-2.0
//! Trusted identities and the distinguished names (RFC 4514) that they and certificate subjects are written as.
//!
//! Both sides go through the same parser, as in notation-go, which prints the subject first and then parses it. So a
//! subject that cannot be written down in a way that an identity could be (an attribute without a short name, several
//! values of one type) matches no `x509.subject` identity at all.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::certificate::is_printed;

/// An entry of `trustedIdentities`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Any,
    Subject(DistinguishedName),
    Foreign,
}

impl Identity {
    pub(crate) fn any() -> Self {
        Self { text: "*".to_owned(), kind: Kind::Any }
    }

    pub(crate) fn subject(text: &str, name: &str) -> Result<Self, DistinguishedNameError> {
        let name = DistinguishedName::parse(name)?;
        // Off-spec: notation-go lets an empty value match an absent attribute. Nobody can mean that.
        if let Some((attribute, _)) = name.attributes.iter().find(|(_, value)| value.is_empty()) {
            return Err(DistinguishedNameError::EmptyValue { attribute: attribute.clone() });
        }
        Ok(Self { text: text.to_owned(), kind: Kind::Subject(name) })
    }

    pub(crate) fn foreign(text: &str) -> Self {
        Self { text: text.to_owned(), kind: Kind::Foreign }
    }

    /// Whether it is `*`: every certificate of the trusted chains will do.
    pub fn is_any(&self) -> bool {
        self.kind == Kind::Any
    }

    /// The distinguished name, if this is an `x509.subject` identity.
    pub fn distinguished_name(&self) -> Option<&DistinguishedName> {
        match &self.kind {
            Kind::Subject(name) => Some(name),
            Kind::Any | Kind::Foreign => None,
        }
    }

    /// Whether every subject that `other` matches is matched by this one too (TP-28).
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self.distinguished_name(), other.distinguished_name()) {
            (Some(mine), Some(theirs)) => mine.is_subset_of(theirs),
            _ => false,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A distinguished name with one value for each attribute type, and at least C, ST and O.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinguishedName {
    /// By type, each once. Not a map: policies have thousands of names, and the nodes of a map are large.
    attributes: Box<[(String, String)]>,
    /// A bit for each attribute, of 64. A policy's names are compared in pairs, a million for one statement; where this
    /// name has a bit that the other lacks, nothing else has to be looked at.
    bits: u64,
}

impl DistinguishedName {
    /// Parses a name: attributes `type=value`, separated by `,` or `;`, with the escapes of RFC 4514.
    ///
    /// # Errors
    /// What keeps it from being compared; DN-1 to DN-7.
    pub fn parse(text: &str) -> Result<Self, DistinguishedNameError> {
        // DN-1, CVE-2023-25656: values in hexadecimal BER are not looked into.
        if text.contains("=#") {
            return Err(DistinguishedNameError::EncodedValue);
        }
        let mut attributes = BTreeMap::new();
        // Only spaces around types and values are trimmed, below: a line break is part of what it stands beside.
        for part in split_unescaped(text) {
            let (attribute, value) = parse_attribute(part)?;
            // Off-spec: in notation-go an empty value may be followed by another of the same type.
            if attributes.contains_key(&attribute) {
                return Err(DistinguishedNameError::Repeated { attribute });
            }
            attributes.insert(attribute, value);
        }
        for attribute in ["C", "ST", "O"] {
            if attributes.get(attribute).is_none_or(String::is_empty) {
                return Err(DistinguishedNameError::MandatoryMissing { attribute });
            }
        }
        let bits = attributes.iter().fold(0, |bits, attribute| bits | bit(attribute));
        Ok(Self { attributes: attributes.into_iter().collect(), bits })
    }

    /// The types of attributes with which no subject of a certificate is ever written, so that this name matches none:
    /// types that are unknown, or in another case (DN-5, DN-10).
    pub fn never_written(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|(attribute, _)| attribute.as_str()).filter(|attribute| !is_printed(attribute))
    }

    /// Whether `other` has each attribute of this name with the same value, byte by byte (DN-8).
    pub fn is_subset_of(&self, other: &Self) -> bool {
        if self.bits & !other.bits != 0 {
            return false;
        }
        // Both are in the order of types, so one walk over the other's attributes is enough.
        let mut others = other.attributes.iter();
        self.attributes.iter().all(|(attribute, value)| {
            let same_type = others.find(|(other, _)| other >= attribute);
            same_type.is_some_and(|(other, other_value)| other == attribute && other_value == value)
        })
    }
}

/// The bit of an attribute, by the hash FNV-1a.
fn bit((attribute, value): (&String, &String)) -> u64 {
    let hash = attribute
        .bytes()
        .chain([0])
        .chain(value.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The upper bits depend on every byte.
    1_u64.checked_shl(u32::try_from(hash >> 58).unwrap_or(0)).unwrap_or(0)
}

/// Splits at `,` and `;` that no backslash precedes; `+` is found later, by [`parse_attribute`].
fn split_unescaped(text: &str) -> impl Iterator<Item = &str> {
    // Asked once: asked for each part, spaces in front of many attributes would cost their product.
    let is_blank = text.trim().is_empty();
    let mut escaped = false;
    text.split(move |c| {
        let here = escaped;
        escaped = !here && c == '\\';
        !here && matches!(c, ',' | ';')
    })
    .filter(move |_| !is_blank)
}

fn parse_attribute(part: &str) -> Result<(String, String), DistinguishedNameError> {
    let malformed = || DistinguishedNameError::Malformed { part: part.to_owned() };
    if has_unescaped_plus(part) {
        return Err(DistinguishedNameError::MultiValued);
    }
    let (attribute, value) = split_at_unescaped_equals(part).ok_or_else(malformed)?;
    let attribute = unescape(attribute).ok_or_else(malformed)?;
    let value = unescape(value).ok_or_else(malformed)?;
    if attribute.is_empty() {
        return Err(malformed());
    }
    // DN-5: the only alias, and names are compared with case.
    let attribute = if attribute == "S" { "ST".to_owned() } else { attribute };
    Ok((attribute, value))
}

fn has_unescaped_plus(part: &str) -> bool {
    let mut escaped = false;
    part.chars().any(|c| {
        let here = escaped;
        escaped = !here && c == '\\';
        !here && c == '+'
    })
}

fn split_at_unescaped_equals(part: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let at = part.find(|c| {
        let here = escaped;
        escaped = !here && c == '\\';
        !here && c == '='
    })?;
    Some((part.get(..at)?, part.get(at.checked_add(1)?..)?))
}

/// DN-3 and DN-4: trims spaces that are not escaped and resolves escapes. None if an escape is malformed or the bytes
/// are not UTF-8.
fn unescape(text: &str) -> Option<String> {
    let text = text.trim_start_matches(' ');
    let mut trimmed = text.trim_end_matches(' ');
    let backslashes = trimmed.bytes().rev().take_while(|b| *b == b'\\').count();
    if backslashes > 0 && trimmed.len() < text.len() {
        // An escaped backslash and then spaces: go-ldap takes one of them as part of the value; stricter than
        // notation-go, this is refused rather than guessed.
        if backslashes.is_multiple_of(2) {
            return None;
        }
        // The last backslash escapes the first of the spaces.
        trimmed = text.get(..trimmed.len().checked_add(1)?)?;
    }
    let mut bytes = Vec::with_capacity(trimmed.len());
    let mut rest = trimmed.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let escaped = rest.next()?;
        if b" \"#+,;<=>\\".contains(&escaped) {
            bytes.push(escaped);
            continue;
        }
        let (high, low) = (char::from(escaped).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
        bytes.push(u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Why a distinguished name cannot be used to compare subjects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DistinguishedNameError {
    /// A value in hexadecimal BER (DN-1).
    #[error("unsupported distinguished name: identities containing \"=#\" are not supported")]
    EncodedValue,
    /// A relative distinguished name of several attributes (DN-2).
    #[error("distinguished name has multi-valued RDN attributes, which are not supported")]
    MultiValued,
    /// Not `type=value`, or an escape that RFC 4514 does not have (DN-4).
    #[error("distinguished name has the malformed part {part:?}")]
    Malformed {
        /// The part between two separators.
        part: String,
    },
    /// The same attribute type twice (DN-6).
    #[error("distinguished name has duplicate RDN attribute for {attribute:?}")]
    Repeated {
        /// The type.
        attribute: String,
    },
    /// No value, or an empty one, for C, ST or O (DN-7).
    #[error(
        "distinguished name has no mandatory RDN attribute for {attribute:?}, it must contain C, ST (or S) and O at a \
         minimum"
    )]
    MandatoryMissing {
        /// The type.
        attribute: &'static str,
    },
    /// A type without a value (DN-8).
    #[error("distinguished name has an empty value for {attribute:?}")]
    EmptyValue {
        /// The type.
        attribute: String,
    },
}

impl DistinguishedNameError {
    /// The number of the rule, `DN-…`.
    pub(crate) fn rule(&self) -> &'static str {
        match self {
            Self::EncodedValue => "DN-1",
            Self::MultiValued => "DN-2",
            Self::Malformed { .. } => "DN-4",
            Self::Repeated { .. } => "DN-6",
            Self::MandatoryMissing { .. } => "DN-7",
            Self::EmptyValue { .. } => "DN-8",
        }
    }
}
