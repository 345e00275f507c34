// SPDX-License-Identifier: Apache-2.0
//! Pins: fingerprints that say which certificates of a source are meant. Pure.

use sealwatch_api::text::clip;
use sealwatch_notation::Certificate;

/// How many digits of a fingerprint are enough to tell which is meant.
const DIGITS_SHOWN: usize = 16;
/// How much of a certificate's subject a note shows, in bytes.
const SUBJECT_MOST: usize = 96;

/// What pins leave of a source.
#[derive(Debug)]
pub struct Pinned {
    /// The certificates that are trusted.
    pub trusted: Vec<Certificate>,
    /// What is worth knowing: which certificates are not listed, and which pins match none. Each begins with the field.
    pub notes: Vec<String>,
}

/// Keeps the certificates of one source that its pins list; all, if there are no pins.
///
/// # Errors
/// If none is listed: a source that yields nothing is a mistake, of whoever wrote the pins or the certificates.
pub fn apply(pins: &[String], read: Vec<Certificate>) -> Result<Pinned, String> {
    if pins.is_empty() {
        return Ok(Pinned { trusted: read, notes: Vec::new() });
    }
    let is = |pin: &String, certificate: &Certificate| pin.eq_ignore_ascii_case(certificate.sha256());
    let unmatched: Vec<&String> =
        pins.iter().filter(|pin| !read.iter().any(|certificate| is(pin, certificate))).collect();
    let unmatched = unmatched.first().map(|pin| {
        let count = unmatched.len();
        format!(".sha256: no certificate has {} of {} pins, the first is {}", count, pins.len(), short(pin))
    });
    let (trusted, others): (Vec<_>, Vec<_>) =
        read.into_iter().partition(|certificate| pins.iter().any(|pin| is(pin, certificate)));
    let unlisted = others.first().map(|first| {
        let (count, all) = (others.len(), others.len().saturating_add(trusted.len()));
        let (subject, sha256) = (clip(first.subject(), SUBJECT_MOST), first.sha256());
        format!(".sha256: {count} of {all} certificates are not trusted, no pin lists {subject} (sha256 {sha256})")
    });
    if trusted.is_empty() {
        return Err(unlisted.unwrap_or_else(|| ".sha256: there is no certificate that a pin could list".into()));
    }
    Ok(Pinned { trusted, notes: unlisted.into_iter().chain(unmatched).collect() })
}

fn short(pin: &str) -> String {
    let beginning: String = pin.chars().filter(|character| !character.is_control()).take(DIGITS_SHOWN).collect();
    format!("{beginning}…")
}
