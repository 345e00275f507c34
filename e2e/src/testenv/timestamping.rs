// SPDX-License-Identifier: Apache-2.0

//! A timestamp authority (RFC 3161) on loopback, for `notation sign --timestamp-url`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use sealwatch_fixtures::der::{oid, sequence, tlv};
use sealwatch_fixtures::pki::{Template, pem};
use sealwatch_fixtures::revocation::{List, crl_at, entry};
use sealwatch_fixtures::tsa::{self, Token};

use super::Result;
use super::server::Server;

const INTEGER: u8 = 0x02;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// What tokens say of the authority's clock: a second (RFC 3161 section 2.4.2, `Accuracy`).
const ACCURACY_SECONDS: u8 = 1;

/// A timestamp authority. Its tokens carry its own certificate and not the root, as those of the public ones do.
#[derive(Debug)]
pub struct TimestampAuthority {
    server: Server,
    issued: Arc<AtomicUsize>,
}

/// What answers requests.
#[derive(Clone)]
struct Desk {
    certificate: Template,
    issued: Arc<AtomicUsize>,
}

impl TimestampAuthority {
    /// Starts it; it ends when this is dropped.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start() -> Result<Self> {
        Self::with(tsa::authority())
    }

    /// The same, with a certificate that says that its revocation list is at this URL.
    ///
    /// # Errors
    /// As [`TimestampAuthority::start`].
    pub fn listed(url: &str) -> Result<Self> {
        Self::with(tsa::authority().with_extension(crl_at(&[&[url]])))
    }

    fn with(certificate: Template) -> Result<Self> {
        let issued = Arc::new(AtomicUsize::new(0));
        let desk = Desk { certificate, issued: Arc::clone(&issued) };
        Ok(Self { server: Server::start(Router::new().route("/", post(answer)).with_state(desk))?, issued })
    }

    /// A revocation list of its root, good for years, in which it stands or not.
    pub fn list(is_revoked: bool) -> Vec<u8> {
        let root = tsa::root();
        let entries = if is_revoked { vec![entry(&tsa::authority().serial, "260601000000Z", &[])] } else { Vec::new() };
        let (this_update, next_update) = ("20250101000000Z", Some("20350101000000Z"));
        List { issuer: root.subject, key: root.key, this_update, next_update, entries, ..List::new() }.issue()
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://{}/", self.server.address())
    }

    /// Its root in PEM, as it goes into a trust store of type `tsa`.
    pub fn root_pem() -> String {
        pem(&tsa::root().issue())
    }

    /// The subject of the certificate that signs tokens.
    pub fn subject() -> &'static str {
        tsa::AUTHORITY
    }

    /// How many tokens it issued.
    pub fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }
}

async fn answer(State(Desk { certificate, issued }): State<Desk>, request: Bytes) -> impl IntoResponse {
    let Some(request) = Request::read(&request) else {
        return (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, "text/plain")], b"not a TimeStampReq".to_vec());
    };
    issued.fetch_add(1, Ordering::SeqCst);
    let granted = sequence(&[&tlv(INTEGER, &[0])]);
    let response = sequence(&[&granted, &request.token(&certificate)]);
    (StatusCode::OK, [(CONTENT_TYPE, "application/timestamp-reply")], response)
}

/// What of a `TimeStampReq` (RFC 3161 section 2.4.1) goes into the token.
struct Request<'a> {
    /// `MessageImprint`, whole.
    imprint: &'a [u8],
    /// The nonce, whole; empty if there is none.
    nonce: &'a [u8],
}

impl<'a> Request<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let Element { tag: SEQUENCE, value: body, after: [], .. } = element(bytes)? else { return None };
        let Element { tag: INTEGER, value: [1], after, .. } = element(body)? else { return None };
        let Element { tag: SEQUENCE, whole: imprint, mut after, .. } = element(after)? else { return None };
        let mut nonce: &[u8] = &[];
        while let Some(part) = element(after) {
            if part.tag == INTEGER {
                nonce = part.whole;
            }
            after = part.after;
        }
        Some(Self { imprint, nonce })
    }

    fn token(&self, certificate: &Template) -> Vec<u8> {
        // Whole seconds, of which one may just be ending: never ahead of the time at which the signature was there.
        let now = jiff::Timestamp::now().strftime("%Y%m%d%H%M%SZ").to_string();
        let mut token = Token::by(certificate, &[]);
        token.info = Some(sequence(&[
            &tlv(INTEGER, &[1]),
            &oid(token.policy),
            self.imprint,
            &tlv(INTEGER, &[0x2a]),
            &tlv(GENERALIZED_TIME, now.as_bytes()),
            &sequence(&[&tlv(INTEGER, &[ACCURACY_SECONDS])]),
            self.nonce,
        ]));
        token.issue()
    }
}

/// An element of DER.
struct Element<'a> {
    tag: u8,
    /// With tag and length.
    whole: &'a [u8],
    value: &'a [u8],
    /// What follows it.
    after: &'a [u8],
}

fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let (length, header) = match first {
        0..=0x7f => (usize::from(first), 2),
        0x81 => (usize::from(*rest.first()?), 3),
        0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        _ => return None,
    };
    let (whole, after) = bytes.split_at_checked(header + length)?;
    Some(Element { tag, whole, value: whole.get(header..)?, after })
}
