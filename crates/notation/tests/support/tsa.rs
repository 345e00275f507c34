// SPDX-License-Identifier: Apache-2.0
//! Timestamped envelopes, parsed.

pub(crate) use sealwatch_fixtures::tsa::*;

use sealwatch_fixtures::{cose::Cose, jws::Jws, tsa};
use sealwatch_notation::{Envelope, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS};

/// A signed JWS with the token that `stamp` makes of its signature.
pub(crate) fn stamped_jws(jws: &Jws, stamp: impl FnOnce(&[u8]) -> Vec<u8>) -> Envelope {
    Envelope::parse(MEDIA_TYPE_JWS, &tsa::stamped_jws(jws, stamp)).expect("a sound envelope")
}

/// A signed COSE envelope likewise.
pub(crate) fn stamped_cose(cose: &Cose, stamp: impl FnOnce(&[u8]) -> Vec<u8>) -> Envelope {
    Envelope::parse(MEDIA_TYPE_COSE, &tsa::stamped_cose(cose, stamp)).expect("a sound envelope")
}
