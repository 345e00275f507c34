// SPDX-License-Identifier: Apache-2.0
//! Answers about revocation, as the judgement takes them.

pub(crate) use sealwatch_fixtures::revocation::*;

use sealwatch_fixtures::pki::Signer;
use sealwatch_notation::{Certificate, RevocationAnswers, RevocationList};

/// The list, read.
pub(crate) fn parsed(list: &List) -> RevocationList {
    RevocationList::from_der(list.issue()).expect("a list of the test")
}

/// The leaf's certificate, as answers are kept for it.
pub(crate) fn certificate(signer: &Signer) -> Certificate {
    Certificate::from_der(&signer.chain[0]).expect("a certificate of the test")
}

/// Answers: of responders by URL, and of lists by URL.
pub(crate) fn answers(signer: &Signer, ocsp: &[(&str, Vec<u8>)], lists: &[(&str, &List)]) -> RevocationAnswers {
    let mut answers = RevocationAnswers::default();
    for (url, response) in ocsp {
        answers.insert_ocsp(url, &certificate(signer), Ok(response.clone()));
    }
    for (url, list) in lists {
        answers.insert_crl(url, RevocationList::from_der(list.issue()).map_err(|error| error.to_string()));
    }
    answers
}
