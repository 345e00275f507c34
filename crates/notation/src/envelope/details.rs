// SPDX-License-Identifier: Apache-2.0
//! What an envelope says that nothing is judged by: for people who look into it.

use std::collections::BTreeMap;

use super::{Envelope, EnvelopeError, RawHeaders, Unverified, take_apart};
use crate::payload;

/// The parts of an envelope that play no role in a judgement. All of it is text from the signer: of any length, and with
/// any character.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvelopeDetails {
    /// Annotations of the signed artifact (`notation sign --user-metadata`), by name.
    pub user_defined: BTreeMap<String, String>,
    /// Signed attributes beyond those of the specification, by name.
    pub extended: Vec<ExtendedAttribute>,
}

/// A signed attribute that the specification does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedAttribute {
    /// Its name; of a COSE header without one, `label N`.
    pub name: String,
    /// Its value, if that is text.
    pub value: Option<String>,
    /// Whether a verifier that does not know it must refuse the signature.
    pub critical: bool,
}

impl Envelope {
    /// As [`Envelope::parse`], and what else the envelope says.
    ///
    /// # Errors
    /// As [`Envelope::parse`]: of an envelope that is not intact, nothing is told.
    pub fn parse_with_details(media_type: &str, bytes: &[u8]) -> Result<(Self, EnvelopeDetails), EnvelopeError> {
        let unverified = take_apart(media_type, bytes)?;
        let details = details(&unverified);
        Ok((unverified.verify()?, details))
    }
}

fn details(unverified: &Unverified) -> EnvelopeDetails {
    let attribute = |headers: &RawHeaders, name: &String, value: &Option<String>| ExtendedAttribute {
        name: name.clone(),
        value: value.clone(),
        critical: headers.critical.contains(name),
    };
    let extended = unverified
        .headers
        .as_ref()
        .map(|headers| headers.extended.iter().map(|(name, value)| attribute(headers, name, value)).collect());
    EnvelopeDetails { user_defined: payload::annotations(&unverified.payload), extended: extended.unwrap_or_default() }
}
