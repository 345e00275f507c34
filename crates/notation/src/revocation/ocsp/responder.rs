// SPDX-License-Identifier: Apache-2.0
//! Who may answer for an issuer (RV-13, RFC 6960 section 4.2.2.2): itself, or whom it appointed with its own signature.
//! Stricter than notation-go, which takes any certificate that the issuer issued, a code signer's too.

use super::response::{ResponderId, Response, WHAT};
use super::sha1;
use crate::Timestamp;
use crate::certificate::{Certificate, ExtendedKeyUsage, KeyUsage, text};
use crate::revocation::error::RevocationError;

/// Who signed a response.
pub(in crate::revocation) enum Responder<'r> {
    Issuer,
    /// Appointed by the issuer; whether it is revoked itself is another question.
    Delegate(&'r Certificate),
}

impl Response {
    /// Finds the signer, and checks its signature and its right to answer.
    pub(in crate::revocation) fn authenticate(
        &self,
        issuer: &Certificate,
        now: Timestamp,
    ) -> Result<Responder<'_>, RevocationError> {
        if self.responder.is(issuer) && self.is_signed_by(issuer) {
            return Ok(Responder::Issuer);
        }
        let mut problem = None;
        for certificate in self.certificates.iter().filter(|certificate| self.responder.is(certificate)) {
            match check_appointment(certificate, issuer, now) {
                Ok(()) if self.is_signed_by(certificate) => return Ok(Responder::Delegate(certificate)),
                Ok(()) => return Err(RevocationError::SignatureInvalid { what: WHAT }),
                Err(reason) => _ = problem.get_or_insert(reason),
            }
        }
        if self.responder.is(issuer) {
            return Err(RevocationError::SignatureInvalid { what: WHAT });
        }
        let problem = problem.unwrap_or_else(|| "responderID is neither the issuer nor in certs".to_owned());
        Err(RevocationError::Responder { problem })
    }
}

impl ResponderId {
    fn is(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Name(name) => certificate.raw_subject() == *name,
            Self::Key(hash) => sha1(certificate.key().bits()) == *hash,
        }
    }
}

fn check_appointment(certificate: &Certificate, issuer: &Certificate, now: Timestamp) -> Result<(), String> {
    let subject = || text(certificate.subject());
    let extensions = certificate.extensions();
    let usages = extensions.extended_key_usage.as_ref();
    if !usages.is_some_and(|usages| usages.value.contains(&ExtendedKeyUsage::OCSP_SIGNING)) {
        return Err(format!("{} is not for OCSPSigning", subject()));
    }
    if extensions.key_usage.as_ref().is_some_and(|usage| !usage.value.has(KeyUsage::DIGITAL_SIGNATURE)) {
        return Err(format!("{} lacks the key usage digitalSignature", subject()));
    }
    if let Some(oid) = &extensions.unprocessed {
        return Err(format!("{} has the extension {oid}, which is not processed", subject()));
    }
    if now < certificate.not_before() || now > certificate.not_after() {
        let (from, to) = (certificate.not_before(), certificate.not_after());
        return Err(format!("{} is valid from {from} to {to} only", subject()));
    }
    if !certificate.is_issued_by(issuer) {
        return Err(format!("{} was not issued by {}", subject(), text(issuer.subject())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sealwatch_fixtures::key::Kind;
    use sealwatch_fixtures::pki::Template;
    use sealwatch_fixtures::revocation::{GOOD, Ocsp};

    use super::*;

    /// RV-13: who made a signature is remembered, and says nothing about another of the same name.
    #[test]
    fn a_response_that_one_issuer_signed_is_not_signed_by_another_of_its_name() {
        let certificate = |kind| {
            let root = Template { key: kind, issuer_key: kind, ..Template::root() };
            Certificate::from_der(&root.issue()).expect("a certificate")
        };
        let response = Response::from_der(&Ocsp::new(&GOOD).issue()).expect("a response");
        for _ in 0..2 {
            assert!(!response.is_signed_by(&certificate(Kind::Other)));
            assert!(response.is_signed_by(&certificate(Kind::Root)));
        }
    }
}
