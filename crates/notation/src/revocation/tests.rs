// SPDX-License-Identifier: Apache-2.0
//! Notation's own revocation lists, for which there are certificates and no signed envelope.

#[allow(clippy::duplicate_mod)] // the tests of timestamps read theirs too
#[path = "../../tests/support/vectors.rs"]
mod vectors;

use super::*;
use crate::parse_certificates;
use vectors::Vectors;

const CRL: &str = "notation/test/e2e/testdata/config/crl";
const OCSP: &str = "notation/test/e2e/testdata/config/ocsp";
const LEAF_URL: &str = "http://localhost:10086/leaf.crl";
const MIDDLE_URL: &str = "http://localhost:10086/intermediate.crl";

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a time")
}

/// Judges the chain of the vectors by the lists of these names.
fn judged(vectors: &Vectors, leaf: &str, middle: &str) -> ChainStatus {
    let chain = parse_certificates(&vectors.read(&format!("{CRL}/certchain_with_crl.pem"))).expect("a chain");
    let mut answers = RevocationAnswers::default();
    for (url, name) in [(LEAF_URL, leaf), (MIDDLE_URL, middle)] {
        let list = RevocationList::from_der(vectors.read(&format!("{CRL}/{name}.crl"))).expect(name);
        answers.insert_crl(url, Ok(list));
    }
    judge_chain(&chain, &answers, None, now())
}

/// RV-4, RV-6, RV-16, RV-20.
#[test]
fn notations_own_lists_are_judged_as_notation_does() {
    let Some(vectors) = Vectors::find("notations_own_lists_are_judged_as_notation_does") else { return };
    let good = judged(&vectors, "leaf", "intermediate");
    let ChainFinding::Good(evidence) = good.finding else { panic!("{}", good.message) };
    assert_eq!(evidence.method, RevocationMethod::Crl);
    assert!(evidence.next_update.is_some_and(|until| until.to_string().starts_with("2124-")), "{}", good.message);
    for (leaf, middle) in [("leaf_revoked", "intermediate"), ("leaf", "intermediate_revoked")] {
        let status = judged(&vectors, leaf, middle);
        assert!(matches!(status.finding, ChainFinding::Revoked(_)), "{leaf} {middle}: {}", status.message);
    }
    // Another key signed this one; and a list of the other issuer is none.
    for (leaf, middle, words) in [
        ("leaf_expired", "intermediate", "signature of the revocation list"),
        ("intermediate", "intermediate", "is of another issuer"),
        ("leaf", "leaf", "is of another issuer"),
    ] {
        let status = judged(&vectors, leaf, middle);
        assert!(matches!(status.finding, ChainFinding::Unknown), "{leaf} {middle}: {}", status.message);
        assert!(status.message.contains(words), "{leaf} {middle}: {}", status.message);
    }
}

/// RV-2, RV-8, RV-15: where the vectors' certificates say that they can be asked about. Nobody is contacted.
#[test]
fn notations_own_chains_are_asked_about_where_they_say() {
    let Some(vectors) = Vectors::find("notations_own_chains_are_asked_about_where_they_say") else { return };
    let urls = |file: &str| -> Vec<String> {
        let chain = parse_certificates(&vectors.read(file)).expect(file);
        RevocationQuestions::of([chain.as_slice()]).iter().map(|question| question.url.clone()).collect()
    };
    // The intermediate names a responder too.
    let asked = [LEAF_URL, "http://localhost.test/ocsp", MIDDLE_URL];
    assert_eq!(urls(&format!("{CRL}/certchain_with_crl.pem")), asked);
    assert_eq!(urls(&format!("{OCSP}/certchain_with_ocsp.pem")), ["http://localhost:10087"]);
}
