// SPDX-License-Identifier: Apache-2.0
//! Whether one certificate is revoked, by the answers that came: OCSP first, then revocation lists (RV-3, RV-4).

use super::answers::RevocationAnswers;
use super::crl::{Entry, RevocationList};
use super::error::RevocationError;
use super::just_after;
use super::ocsp::{CertId, CertStatus, Responder, Response};
use super::questions::is_askable;
use crate::Timestamp;
use crate::certificate::{Certificate, DistributionPoint, text};

/// `CRLReason` (RFC 5280 section 5.3.1): not for good.
const CERTIFICATE_HOLD: u8 = 6;
/// That a hold has ended.
const REMOVE_FROM_CRL: u8 = 8;

/// One inquiry, about any number of certificates.
pub(super) struct Inquiry<'a> {
    pub(super) answers: &'a RevocationAnswers,
    pub(super) now: Timestamp,
    /// RV-7: when the signature was made, if that is authentic by the word of the signing authority. Timestamps do not
    /// count here (D14, as in notation-go).
    pub(super) signing_time: Option<Timestamp>,
    /// When the clock may change what was said so far.
    pub(super) until: Option<Timestamp>,
}

/// That a certificate cannot be taken for good.
#[derive(Debug)]
pub(super) enum Trouble {
    Revoked(String),
    Unknown(RevocationError),
}

impl From<RevocationError> for Trouble {
    fn from(error: RevocationError) -> Self {
        Self::Unknown(error)
    }
}

impl<'a> Inquiry<'a> {
    fn note(&mut self, instants: impl IntoIterator<Item = Option<Timestamp>>) {
        let future = instants.into_iter().flatten().filter(|instant| *instant > self.now);
        self.until = future.chain(self.until).min();
    }

    /// RV-8 to RV-14. Until when it is known to be good, by the first responder that says good, revoked or unknown.
    pub(super) fn by_ocsp(&mut self, certificate: &Certificate, issuer: &Certificate) -> Result<Timestamp, Trouble> {
        let id = CertId::of(certificate, issuer);
        let mut last = RevocationError::NoSource;
        // What is beyond the limit is never asked; looking at more would let a certificate say how much work it makes.
        let (askable, others): (Vec<&String>, Vec<&String>) =
            certificate.extensions().revocation.ocsp.iter().partition(|url| is_askable(url));
        let max = super::MAX_URLS_PER_CERTIFICATE;
        let is_cut = askable.len() > max;
        for url in others.into_iter().take(1).chain(askable.into_iter().take(max)) {
            let answers = self.answers;
            match answers.ocsp(url, certificate).and_then(|response| self.read_response(response, &id, issuer)) {
                Ok((CertStatus::Good, next_update)) => return Ok(next_update),
                Ok((CertStatus::Revoked { at, invalid_since }, next_update)) => {
                    if self.is_signed_before(invalid_since) {
                        return Ok(next_update);
                    }
                    return Err(Trouble::Revoked(format!("since {at}, says the OCSP responder {}", text(url))));
                }
                // RV-12: that is an answer too, and the last.
                Ok((CertStatus::Unknown, _)) => return Err(RevocationError::StatusUnknown.into()),
                Err(error) => last = error,
            }
        }
        if is_cut {
            last = RevocationError::TooMany { what: "OCSP responders in the certificate", max };
        }
        Err(last.into())
    }

    /// What an authentic and current response says about the certificate.
    fn read_response(
        &mut self,
        response: &Response,
        id: &CertId,
        issuer: &Certificate,
    ) -> Result<(CertStatus, Timestamp), RevocationError> {
        let answer = response.find(id)?;
        let responder = response.authenticate(issuer, self.now)?;
        self.note(answer.changes());
        answer.check_currency(self.now)?;
        let mut next_update = answer.next_update;
        if let Responder::Delegate(responder) = responder {
            next_update = next_update.min(self.check_responder(responder, issuer)?);
        }
        Ok((answer.status, next_update))
    }

    /// RV-13, D15: the responder is not revoked itself. OCSP does not say that: it would be asked about its own answer.
    fn check_responder(&mut self, responder: &Certificate, issuer: &Certificate) -> Result<Timestamp, RevocationError> {
        self.note([just_after(responder.not_after())]);
        if responder.extensions().ocsp_no_check {
            return Ok(responder.not_after());
        }
        let subject = text(responder.subject());
        match self.by_lists(responder, issuer) {
            Ok(next_update) => Ok(next_update.min(responder.not_after())),
            Err(Trouble::Revoked(_)) => Err(RevocationError::ResponderRevoked { responder: subject }),
            Err(Trouble::Unknown(error)) => {
                Err(RevocationError::ResponderUnknown { responder: subject, error: Box::new(error) })
            }
        }
    }

    /// RV-15 to RV-22. Every URL of every distribution point must say that it is good (RV-20, D12); that it is revoked
    /// need say only one.
    pub(super) fn by_lists(&mut self, certificate: &Certificate, issuer: &Certificate) -> Result<Timestamp, Trouble> {
        let endpoints = &certificate.extensions().revocation;
        let nowhere = DistributionPoint::default();
        let places: Vec<(&DistributionPoint, Option<&str>)> = match endpoints.distribution_points.as_deref() {
            None | Some([]) => vec![(&nowhere, None)],
            Some(points) => points.iter().flat_map(places).collect(),
        };
        // What is beyond the limit is never asked, and so never good; looking at more would let a certificate say how
        // much work it makes.
        let max = super::MAX_URLS_PER_CERTIFICATE;
        let too_many = || RevocationError::TooMany { what: "URLs of revocation lists in the certificate", max };
        let (mut next_update, mut unknown) = (None, (places.len() > max).then(too_many));
        for (point, url) in places.into_iter().take(max) {
            match self.at_place(certificate, issuer, point, url) {
                Ok(until) => next_update = next_update.into_iter().chain([until]).min(),
                Err(Trouble::Unknown(error)) => _ = unknown.get_or_insert(error),
                Err(revoked) => return Err(revoked),
            }
        }
        match (next_update, unknown) {
            (_, Some(error)) => Err(error.into()),
            // RV-21: it may hold what the list does not, and notation-go refuses it as well.
            (Some(_), None) if endpoints.names_freshest_crl => Err(RevocationError::FreshestInCertificate.into()),
            (Some(until), None) => Ok(until),
            (None, None) => Err(RevocationError::NoSource.into()),
        }
    }

    /// Whether a list was brought that `issuer` made.
    pub(super) fn has_brought(&self, issuer: &Certificate) -> bool {
        self.answers.brought().iter().any(|list| list.authenticate(issuer).is_ok())
    }

    /// One URL of a distribution point: the list from there, or one that was brought.
    fn at_place(
        &mut self,
        certificate: &Certificate,
        issuer: &Certificate,
        point: &DistributionPoint,
        url: Option<&str>,
    ) -> Result<Timestamp, Trouble> {
        let answers = self.answers;
        let fetched = url.map_or(Err(RevocationError::NoSource), |url| answers.list(url));
        let (mut good, mut last) = (None, None);
        let brought = answers.brought().iter().filter(|list| list.names_as_issuer(issuer)).map(Ok);
        for list in [fetched].into_iter().chain(brought) {
            match list.map_err(Trouble::from).and_then(|list| self.consult(list, certificate, issuer, point)) {
                Ok(until) => good = good.into_iter().chain([until]).max(),
                Err(Trouble::Unknown(error)) => _ = last.get_or_insert(error),
                Err(revoked) => return Err(revoked),
            }
        }
        good.ok_or_else(|| last.unwrap_or(RevocationError::NoSource).into())
    }

    /// What one list says, with its delta if it has one.
    fn consult(
        &mut self,
        list: &RevocationList,
        certificate: &Certificate,
        issuer: &Certificate,
        point: &DistributionPoint,
    ) -> Result<Timestamp, Trouble> {
        list.authenticate(issuer)?;
        list.check_scope(certificate, point)?;
        let mut listing = Listing::default();
        self.read(list, certificate, &mut listing)?;
        let Some(urls) = list.delta_urls() else { return listing.good_until(list.next_update()) };
        let urls: Vec<&str> = urls.take(super::MAX_URLS_PER_CERTIFICATE).collect();
        let (mut good, mut open) = (None, None);
        for delta in self.find_deltas(list, &urls, issuer)? {
            let mut both = listing.clone();
            let read = self.read(delta, certificate, &mut both);
            match read.and_then(|()| both.good_until(list.next_update().min(delta.next_update()))) {
                Ok(until) => good = good.into_iter().chain([until]).max(),
                Err(Trouble::Unknown(error)) => _ = open.get_or_insert(error),
                Err(revoked) => return Err(revoked),
            }
        }
        good.ok_or_else(|| open.unwrap_or(RevocationError::NoSource).into())
    }

    /// RV-17, D13: an expired list is never good, and whom it revokes for good stays revoked.
    fn read(&mut self, list: &RevocationList, certificate: &Certificate, listing: &mut Listing) -> Result<(), Trouble> {
        let signing_time = self.signing_time;
        list.scan(certificate.serial(), &mut |entry| listing.take(entry, signing_time))?;
        if let Some(since) = listing.revoked {
            return Err(Trouble::Revoked(format!("since {since}, says a revocation list")));
        }
        self.note(list.changes());
        Ok(list.check_currency(self.now)?)
    }

    /// RV-21: the first fetched delta that continues the list, and all that were brought and do; at least one.
    fn find_deltas(
        &self,
        base: &RevocationList,
        urls: &[&str],
        issuer: &Certificate,
    ) -> Result<Vec<&'a RevocationList>, RevocationError> {
        let answers: &'a RevocationAnswers = self.answers;
        let check = |delta: &'a RevocationList| {
            delta.authenticate(issuer)?;
            delta.check_delta_of(base)?;
            Ok(delta)
        };
        let mut last = RevocationError::NoSource;
        let fetched = urls.iter().find_map(|url| match answers.list(url).and_then(check) {
            Ok(delta) => Some(delta),
            Err(error) => {
                last = error;
                None
            }
        });
        let mut deltas: Vec<&RevocationList> = fetched.into_iter().collect();
        for brought in answers.brought().iter().filter(|list| list.is_delta() && list.names_as_issuer(issuer)) {
            match check(brought) {
                Ok(delta) => deltas.push(delta),
                Err(error) => last = error,
            }
        }
        if deltas.is_empty() { Err(RevocationError::Delta { error: Box::new(last) }) } else { Ok(deltas) }
    }

    /// RV-12, RV-22: the signature was made before the certificate is thought to have been invalid.
    fn is_signed_before(&self, invalid_since: Option<Timestamp>) -> bool {
        is_before(self.signing_time, invalid_since)
    }
}

fn is_before(signing_time: Option<Timestamp>, invalid_since: Option<Timestamp>) -> bool {
    signing_time.zip(invalid_since).is_some_and(|(signed, invalid)| signed < invalid)
}

/// Each URL of a point, or the point alone if it has none.
fn places(point: &DistributionPoint) -> Vec<(&DistributionPoint, Option<&str>)> {
    match point.urls.as_slice() {
        [] => vec![(point, None)],
        urls => urls.iter().map(|url| (point, Some(url.as_str()))).collect(),
    }
}

/// What the entries of a list and its delta say about one certificate (RV-22).
#[derive(Clone, Debug, Default)]
struct Listing {
    /// For good, since when.
    revoked: Option<Timestamp>,
    /// The newest word about a hold: since when, and whether it is on.
    held: Option<(Timestamp, bool)>,
}

impl Listing {
    /// Whether that leaves the certificate good, until then.
    fn good_until(&self, next_update: Timestamp) -> Result<Timestamp, Trouble> {
        match self.held {
            Some((since, true)) => Err(Trouble::Revoked(format!("on hold since {since}, says a revocation list"))),
            _ => Ok(next_update),
        }
    }

    fn take(&mut self, entry: Entry, signing_time: Option<Timestamp>) {
        if is_before(signing_time, entry.invalid_since) {
            return;
        }
        match entry.reason {
            // Of two of the same date that it is on hold counts: `true` is the larger.
            Some(reason @ (CERTIFICATE_HOLD | REMOVE_FROM_CRL)) => {
                self.held = self.held.max(Some((entry.revoked, reason == CERTIFICATE_HOLD)));
            }
            _ => _ = self.revoked.get_or_insert(entry.revoked),
        }
    }
}
