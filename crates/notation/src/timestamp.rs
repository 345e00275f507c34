// SPDX-License-Identifier: Apache-2.0
//! RFC 3161 timestamp tokens over signatures: a trusted authority says when the signature was there
//! (trust-store-trust-policy.md, "Authentic timestamp").

mod ber;
mod error;
mod path;
mod signed_data;
#[cfg(test)]
mod tests;
mod tst_info;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) use error::TimestampError;
use error::malformed;
use path::{find_paths, is_valid_at};
use signed_data::SignedData;
use tst_info::TstInfo;

use crate::Timestamp;
use crate::certificate::Certificate;

/// Most bytes of a timestamp token. A limit of ours: real ones have 5 to 8 KiB.
pub(crate) const MAX_TOKEN_BYTES: usize = 1024 * 1024;

/// When a signature was there for sure, by the word of a timestamp authority that a `tsa` trust store trusts.
///
/// Only [`judge`](crate::judge()) makes one, of a token for which every rule held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedTimestamp {
    /// The time that the authority states (`genTime`), UTC.
    pub time: Timestamp,
    /// How far off that may be, in either direction; zero if the authority says nothing about it.
    pub accuracy: Duration,
    /// The certificate of the authority.
    pub authority: Certificate,
}

impl VerifiedTimestamp {
    /// The earliest and the latest time that the authority may mean (AT-13). None if that is beyond what
    /// [`Timestamp`] can say.
    pub(crate) fn range(&self) -> Option<(Timestamp, Timestamp)> {
        range(self.time, self.accuracy)
    }
}

/// What a sound timestamp token says about a signature, by the word of an authority that nobody has said to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClaimedTimestamp {
    /// The time that it states (`genTime`), UTC.
    pub time: Timestamp,
    /// How far off that may be, in either direction; zero if it says nothing about it.
    pub accuracy: Duration,
    /// The certificate that signed it; of several, the first.
    pub authority: Option<Certificate>,
    /// The certificates that come with it, in their order.
    pub certificates: Vec<Certificate>,
}

impl From<&Token> for ClaimedTimestamp {
    fn from(token: &Token) -> Self {
        Self {
            time: token.time,
            accuracy: token.accuracy,
            authority: token.signers.first().map(|signer| signer.authority.clone()),
            certificates: token.certificates.clone(),
        }
    }
}

fn range(time: Timestamp, accuracy: Duration) -> Option<(Timestamp, Timestamp)> {
    Some((time.checked_sub(accuracy).ok()?, time.checked_add(accuracy).ok()?))
}

/// A token as it was found, and what was found out about it. Its form and its signature never change, so that is found
/// out once, when it is asked for first, and clones share it.
#[derive(Clone, Debug)]
pub(crate) struct FoundToken {
    ber: Vec<u8>,
    opened: Arc<OnceLock<Result<Token, TimestampError>>>,
}

impl FoundToken {
    pub(crate) fn new(ber: Vec<u8>) -> Self {
        Self { ber, opened: Arc::default() }
    }

    /// The bytes.
    pub(crate) fn ber(&self) -> &[u8] {
        &self.ber
    }

    /// The token, opened. It must be about the same `message` each time.
    pub(crate) fn open(&self, message: &[u8]) -> Result<&Token, TimestampError> {
        self.opened.get_or_init(|| Token::open(&self.ber, message)).as_ref().map_err(TimestampError::clone)
    }
}

impl PartialEq for FoundToken {
    fn eq(&self, other: &Self) -> bool {
        self.ber == other.ber
    }
}

impl Eq for FoundToken {}

/// A token that is sound and about the right message. Nobody has said yet that its authority is trusted.
#[derive(Debug)]
pub(crate) struct Token {
    time: Timestamp,
    accuracy: Duration,
    certificates: Vec<Certificate>,
    /// The signers whose signature is good; at least one.
    signers: Vec<Signer>,
}

/// A signer of a token.
#[derive(Debug)]
struct Signer {
    authority: Certificate,
    /// When it says that it signed.
    signing_time: Option<Timestamp>,
}

/// A token of a trusted authority, and the chain that makes it trusted.
#[derive(Debug)]
pub(crate) struct TrustedToken {
    pub(crate) timestamp: VerifiedTimestamp,
    /// The authority's certificate first, the root of a trust store last; at least two.
    pub(crate) chain: Vec<Certificate>,
}

impl Token {
    /// Reads BER, and checks what depends on nobody's trust (AT-5 to AT-9, AT-11): the size (at most
    /// [`MAX_TOKEN_BYTES`]), the form, that the token is about `message`, and that one of its certificates signed it.
    pub(crate) fn open(ber: &[u8], message: &[u8]) -> Result<Self, TimestampError> {
        if ber.len() > MAX_TOKEN_BYTES {
            return Err(TimestampError::TooLarge { size: ber.len(), max: MAX_TOKEN_BYTES });
        }
        let der = ber::to_der(ber)?;
        let signed_data = SignedData::from_der(&der)?;
        let info = TstInfo::from_der(signed_data.content)?;
        if !info.is_about(message) {
            return Err(TimestampError::ImprintMismatch);
        }
        // AT-6: one good signature is enough.
        let (mut signers, mut last_error) = (Vec::new(), TimestampError::NoSigner);
        for signer_info in &signed_data.signers {
            match signer_info.verify(signed_data.content, &signed_data.certificates) {
                Ok(signer) => signers.push(signer),
                Err(error) => last_error = error,
            }
        }
        if signers.is_empty() {
            return Err(last_error);
        }
        let (time, accuracy) = (info.time, info.accuracy);
        Ok(Self { time, accuracy, certificates: signed_data.certificates, signers })
    }

    /// The time that it states, by the word of nobody who is trusted yet.
    pub(crate) fn claimed_time(&self) -> Timestamp {
        self.time
    }

    /// The range of times that it may mean, likewise.
    pub(crate) fn claimed_range(&self) -> Option<(Timestamp, Timestamp)> {
        range(self.time, self.accuracy)
    }

    /// Looks for a chain from a signer to one of `roots` at the time that the token states (AT-10, AT-12, TC-1 to
    /// TC-3). The roots are what trust stores of type `tsa` hold, and so self-signed CAs (TS-7).
    pub(crate) fn trust(&self, roots: &[&Certificate]) -> Result<TrustedToken, TimestampError> {
        let mut last_error = TimestampError::NoSigner;
        for signer in &self.signers {
            match signer.find_chain(&self.certificates, roots, self.time) {
                Ok(chain) => {
                    let authority = signer.authority.clone();
                    let timestamp = VerifiedTimestamp { time: self.time, accuracy: self.accuracy, authority };
                    return Ok(TrustedToken { timestamp, chain });
                }
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }
}

impl Signer {
    fn find_chain(
        &self,
        intermediates: &[Certificate],
        roots: &[&Certificate],
        time: Timestamp,
    ) -> Result<Vec<Certificate>, TimestampError> {
        let paths = find_paths(&self.authority, intermediates, roots, time)?;
        // AT-10: the signer's own account of the time must fit too, if there is one.
        let fits = |path: &Vec<Certificate>| match self.signing_time {
            None => true,
            Some(time) => path.iter().all(|certificate| is_valid_at(certificate, time)),
        };
        let time = self.signing_time.unwrap_or(time);
        paths.into_iter().find(fits).ok_or(TimestampError::SigningTime { time })
    }
}
