// SPDX-License-Identifier: Apache-2.0
//! What the seeds say. The keys of the fixtures sign nothing else, so no input may prove anything else with them.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use sealwatch_notation::{Envelope, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, Outcome, Reason};

use crate::case::{Kind, decode};
use crate::drive::{crl, envelope, ocsp, prepared};
use crate::seeds::{Target, seeds};
use sealwatch_fixtures::worst::Format;

/// Facts of one kind.
type Facts = BTreeSet<String>;

/// What an envelope says that its signature covers.
pub(crate) fn signed_facts(envelope: &Envelope) -> String {
    format!(
        "{} {:?} {} {} {:?} {:?} {:?}",
        envelope.leaf().sha256(),
        envelope.target(),
        envelope.signing_scheme(),
        envelope.signing_time(),
        envelope.expiry(),
        envelope.verification_plugin(),
        envelope.unknown_critical_attributes()
    )
}

/// What a verified timestamp says.
pub(crate) fn stamped_facts(outcome: &Outcome) -> Option<String> {
    outcome.timestamp().map(|stamp| format!("{} {:?} {}", stamp.time, stamp.accuracy, stamp.authority.sha256()))
}

/// What an answer about revocation proves, if it proves anything.
pub(crate) fn revocation_facts(outcome: &Outcome) -> Option<String> {
    let proves = matches!(outcome.reason(), Reason::SignatureValid | Reason::Revoked);
    proves.then(|| format!("{} {:?}", outcome.reason(), outcome.revocation()))
}

/// The signers of all seeds, by the SHA-256 of their certificates.
pub(crate) fn signers() -> &'static Facts {
    static SIGNERS: OnceLock<Facts> = OnceLock::new();
    SIGNERS.get_or_init(|| good_envelopes().map(|envelope| envelope.leaf().sha256().to_owned()).collect())
}

pub(crate) fn envelopes() -> &'static Facts {
    static ENVELOPES: OnceLock<Facts> = OnceLock::new();
    ENVELOPES.get_or_init(|| good_envelopes().map(|envelope| signed_facts(&envelope)).collect())
}

pub(crate) fn stamps() -> &'static Facts {
    static STAMPS: OnceLock<Facts> = OnceLock::new();
    STAMPS.get_or_init(|| {
        let judged = |token: Vec<u8>| envelope(MEDIA_TYPE_COSE, &prepared(Format::Token, &token));
        seeds(Target::Token).into_iter().filter_map(judged).filter_map(|(_, outcome)| stamped_facts(&outcome)).collect()
    })
}

pub(crate) fn answers() -> &'static Facts {
    static ANSWERS: OnceLock<Facts> = OnceLock::new();
    ANSWERS.get_or_init(|| {
        let responses = seeds(Target::Ocsp).into_iter().map(|bytes| ocsp(&bytes));
        let lists = seeds(Target::Crl).into_iter().map(|bytes| crl(&bytes));
        responses.chain(lists).filter_map(|outcome| revocation_facts(&outcome)).collect()
    })
}

fn good_envelopes() -> impl Iterator<Item = Envelope> {
    let of = |target, media_type| {
        seeds(target).into_iter().filter_map(move |bytes: Vec<u8>| Envelope::parse(media_type, &bytes).ok())
    };
    let parts = seeds(Target::Judge).into_iter().flat_map(|case| decode(&case));
    let in_cases = parts.filter_map(|(kind, part)| match kind {
        Kind::Jws => Envelope::parse(MEDIA_TYPE_JWS, &part).ok(),
        Kind::Cose => Envelope::parse(MEDIA_TYPE_COSE, &part).ok(),
        _ => None,
    });
    of(Target::Jws, MEDIA_TYPE_JWS).chain(of(Target::Cose, MEDIA_TYPE_COSE)).chain(in_cases)
}
