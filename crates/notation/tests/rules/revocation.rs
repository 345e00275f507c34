// SPDX-License-Identifier: Apache-2.0
//! RV-1 to RV-9, RV-24 and AT-14: what is asked, how answers about a chain are put together, and what follows.

use std::sync::OnceLock;

use proptest::prelude::*;
use sealwatch_notation::{
    CheckResult, CheckType, Envelope, MAX_URLS_PER_CERTIFICATE, MAX_URLS_PER_VERIFICATION, OcspResponse, Outcome,
    Reason, RevocationAnswers, RevocationList, RevocationMethod, RevocationQuestion, RevocationQuestions,
    RevocationRequest, TrustPolicyDocument, TrustStores, Verdict, revocation_questions,
};

use crate::judge::parse;
use crate::mutation::{changed, changes};
use crate::support::jws::Jws;
use crate::support::key::Kind;
use crate::support::pki::{CRL_SIGN, KEY_CERT_SIGN, Signer, Template, basic_constraints, key_usage};
use crate::support::revocation::{
    CRL_URL, DELTA_URL, GOOD, List, OCSP_URL, Ocsp, Single, UNKNOWN, answers, certificate, crl_at, entry, freshest_at,
    leaf_with, ocsp_at, responder, revoked, sha1,
};
use crate::support::tsa::{self, Token, stamped_jws};
use crate::support::{NOW, judged_with, policy, stores, time, trusting};

fn trust_of(signer: &Signer) -> TrustStores {
    stores(&[("ca:test", signer.root())])
}

fn judged_by(signer: &Signer, answers: &RevocationAnswers) -> Outcome {
    judged_with(&parse(&Jws::new(signer)), &trusting("strict"), &trust_of(signer), answers, NOW)
}

fn both() -> Signer {
    Signer::with_leaf(&leaf_with(&[ocsp_at(&[OCSP_URL]), crl_at(&[&[CRL_URL]])]))
}

fn result(outcome: &Outcome) -> (Verdict, Reason, Option<RevocationMethod>) {
    (outcome.verdict(), outcome.reason(), outcome.revocation().map(|evidence| evidence.method))
}

const VERIFIED_BY_OCSP: (Verdict, Reason, Option<RevocationMethod>) =
    (Verdict::Verified, Reason::SignatureValid, Some(RevocationMethod::Ocsp));
const VERIFIED_BY_CRL: (Verdict, Reason, Option<RevocationMethod>) =
    (Verdict::Verified, Reason::SignatureValid, Some(RevocationMethod::Crl));
const OPEN: (Verdict, Reason, Option<RevocationMethod>) = (Verdict::Unknown, Reason::RevocationUnknown, None);

/// RV-1.
#[test]
fn a_skipped_revocation_check_is_not_evaluated_whatever_the_answers_say() {
    let signer = both();
    let skipping = policy("strict", r#","override":{"revocation":"skip"}"#, &["ca:test"], &["*"]);
    let bad = answers(&signer, &[(OCSP_URL, Ocsp::new(&revoked(None)).issue())], &[(CRL_URL, &List::revoking(&[]))]);
    let envelope = parse(&Jws::new(&signer));
    let outcome = judged_with(&envelope, &skipping, &trust_of(&signer), &bad, NOW);
    assert_eq!((outcome.verdict(), outcome.reason()), (Verdict::Verified, Reason::SignatureValid));
    assert_eq!(outcome.checks()[4].result, CheckResult::NotEvaluated);
    assert_eq!((outcome.revocation(), outcome.checks()[4].check), (None, CheckType::Revocation));
    assert_eq!(judged_by(&signer, &bad).reason(), Reason::Revoked);
    let logged = judged_with(&envelope, &trusting("permissive"), &trust_of(&signer), &bad, NOW);
    assert_eq!(logged.reason(), Reason::FailuresLogged);
    assert!(logged.message().contains("revocation failed: the certificate"), "{}", logged.message());
}

/// RV-3: OCSP decides if it can, else the lists do.
#[test]
fn lists_are_looked_at_only_if_ocsp_leaves_the_question_open() {
    let signer = both();
    let (good, bad) = (List::new(), List::revoking(&[]));
    let at = |ocsp: Option<Vec<u8>>, list: Option<&List>| {
        let ocsp: Vec<(&str, Vec<u8>)> = ocsp.into_iter().map(|response| (OCSP_URL, response)).collect();
        let lists: Vec<(&str, &List)> = list.into_iter().map(|list| (CRL_URL, list)).collect();
        result(&judged_by(&signer, &answers(&signer, &ocsp, &lists)))
    };
    let response = |status: &[u8]| Some(Ocsp::new(status).issue());
    let forged = || Some(Ocsp { key: Kind::Other, ..Ocsp::new(&GOOD) }.issue());
    let revoked_by = |method| (Verdict::Failed, Reason::Revoked, Some(method));
    assert_eq!(at(response(&GOOD), None), VERIFIED_BY_OCSP);
    // As in notation-go: a good answer hides what a list says.
    assert_eq!(at(response(&GOOD), Some(&bad)), VERIFIED_BY_OCSP);
    assert_eq!(at(response(&revoked(None)), Some(&good)), revoked_by(RevocationMethod::Ocsp));
    for open in [None, response(&UNKNOWN), forged()] {
        assert_eq!(at(open.clone(), Some(&good)), VERIFIED_BY_CRL);
        assert_eq!(at(open.clone(), Some(&bad)), revoked_by(RevocationMethod::Crl));
        assert_eq!(at(open, None), OPEN);
    }
    let outcome = judged_by(&signer, &RevocationAnswers::default());
    assert!(outcome.message().contains("by OCSP, nobody has been asked"), "{}", outcome.message());
    assert!(outcome.message().contains("by revocation lists, nobody has been asked"), "{}", outcome.message());
}

/// A chain of three with these extensions on leaf and intermediate; both issuers may sign lists.
fn chain(leaf: &[Vec<u8>], middle: &[Vec<u8>]) -> Signer {
    let leaf = leaf_with(leaf).below_intermediate();
    let mut issuer = Template {
        serial: vec![0x09],
        extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN | CRL_SIGN)],
        ..Template::intermediate()
    };
    issuer.extensions.extend_from_slice(middle);
    Signer::with_chain(&[&leaf, &issuer, &Template::root()])
}

const MIDDLE_URL: &str = "http://crl.example/middle.crl";

/// RV-2, RV-6.
#[test]
fn every_certificate_below_the_root_counts_and_revoked_beats_unknown() {
    let signer = chain(&[crl_at(&[&[MIDDLE_URL]])], &[crl_at(&[&[CRL_URL]])]);
    let by_middle =
        |entries| List { issuer: Template::intermediate().subject, key: Kind::Next, entries, ..List::new() };
    let good = by_middle(vec![]);
    let leaf_revoked = by_middle(vec![entry(&[0x01], "260601000000Z", &[])]);
    let middle_revoked = List { entries: vec![entry(&[0x09], "260601000000Z", &[])], ..List::new() };
    let at = |lists: &[(&str, &List)]| judged_by(&signer, &answers(&signer, &[], lists));
    assert_eq!(result(&at(&[(MIDDLE_URL, &good), (CRL_URL, &List::new())])), VERIFIED_BY_CRL);
    for lists in [
        &[(MIDDLE_URL, &leaf_revoked), (CRL_URL, &List::new())][..],
        &[(MIDDLE_URL, &leaf_revoked)],
        &[(MIDDLE_URL, &good), (CRL_URL, &middle_revoked)],
        &[(CRL_URL, &middle_revoked)],
    ] {
        assert_eq!(at(lists).reason(), Reason::Revoked, "{}", at(lists).message());
    }
    assert_eq!(result(&at(&[(MIDDLE_URL, &good)])), OPEN);
    assert_eq!(result(&at(&[(CRL_URL, &List::new())])), OPEN);
    // A list of the wrong issuer in the chain is none.
    assert_eq!(result(&at(&[(MIDDLE_URL, &List::new()), (CRL_URL, &List::new())])), OPEN);
}

/// RV-5, D23: what cannot be asked passes, and is told apart from what was asked.
#[test]
fn a_certificate_that_names_nobody_passes_and_is_named() {
    let nobody = judged_by(&Signer::new(), &RevocationAnswers::default());
    assert_eq!(result(&nobody).2, Some(RevocationMethod::None));
    assert_eq!(nobody.checks()[4].message, "no certificate names a revocation endpoint: nothing to check");
    let signer = chain(&[], &[crl_at(&[&[CRL_URL]])]);
    let half = judged_by(&signer, &answers(&signer, &[], &[(CRL_URL, &List::new())]));
    assert_eq!(result(&half), VERIFIED_BY_CRL);
    assert!(half.checks()[4].message.contains("Azure IoT Operations"), "{}", half.checks()[4].message);
    assert!(half.checks()[4].message.contains("names no revocation endpoint"), "{}", half.checks()[4].message);
}

/// AT-14.
#[test]
fn a_timestamp_authority_must_not_be_revoked_whatever_the_action_for_revocation() {
    let authority = tsa::authority().with_extension(crl_at(&[&[CRL_URL]]));
    let signer = Signer::new();
    let envelope = stamped_jws(&Jws::new(&signer), |signature| Token::by(&authority, signature).issue());
    let trust = stores(&[("ca:test", signer.root()), ("tsa:test", &tsa::root().issue())]);
    let by_authority = |entries| List { issuer: tsa::root().subject, key: Kind::Other, entries, ..List::new() };
    let skip = r#","override":{"revocation":"skip"}"#;
    for over in ["", skip] {
        let policy = policy("strict", over, &["ca:test", "tsa:test"], &["*"]);
        let at = |list: &List| {
            let answers = answers(&signer, &[], &[(CRL_URL, list)]);
            judged_with(&envelope, &policy, &trust, &answers, NOW)
        };
        let outcome = at(&by_authority(vec![]));
        assert_eq!(outcome.verdict(), Verdict::Verified, "{}", outcome.message());
        assert_eq!(outcome.next_change(), Some(time("2026-12-01T00:00:00.000000001Z")));
        let outcome = at(&by_authority(vec![entry(&[0x03], "260601000000Z", &[])]));
        assert_eq!((outcome.verdict(), outcome.reason()), (Verdict::Failed, Reason::Revoked));
        assert!(outcome.message().contains("in the chain of the timestamp authority"), "{}", outcome.message());
        let outcome = at(&List::new());
        assert_eq!((outcome.verdict(), outcome.reason()), (Verdict::Unknown, Reason::RevocationUnknown));
        let questions = questions_of(&envelope, &policy, &trust);
        assert_eq!(urls(&questions), [CRL_URL], "{over}");
    }
    let logging = policy("strict", r#","override":{"authenticTimestamp":"log"}"#, &["ca:test", "tsa:test"], &["*"]);
    let outcome = judged_with(&envelope, &logging, &trust, &RevocationAnswers::default(), NOW);
    assert_eq!(outcome.reason(), Reason::FailuresLogged);
    // A token that does not count is not asked about.
    let after = policy("strict", r#","verifyTimestamp":"afterCertExpiry""#, &["ca:test", "tsa:test"], &["*"]);
    assert!(urls(&questions_of(&envelope, &after, &trust)).is_empty());
    let strangers = stores(&[("ca:test", signer.root()), ("tsa:test", &Template::root().issue())]);
    let policy = policy("strict", "", &["ca:test", "tsa:test"], &["*"]);
    assert!(urls(&questions_of(&envelope, &policy, &strangers)).is_empty());
}

fn questions_of(envelope: &Envelope, policy: &TrustPolicyDocument, trust: &TrustStores) -> RevocationQuestions {
    revocation_questions(envelope, &policy.statements()[0], trust, time(NOW))
}

fn urls(questions: &RevocationQuestions) -> Vec<&str> {
    questions.iter().map(|question| question.url.as_str()).collect()
}

/// RV-1, RV-24: strangers do not choose whom we talk to.
#[test]
fn nothing_is_asked_about_a_chain_that_is_not_trusted_or_a_check_that_is_skipped() {
    let signer = both();
    let envelope = parse(&Jws::new(&signer));
    let ask = |policy: &TrustPolicyDocument, trust: &TrustStores| {
        urls(&questions_of(&envelope, policy, trust)).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(ask(&trusting("strict"), &trust_of(&signer)), [OCSP_URL, CRL_URL]);
    let other = Template { serial: vec![2], ..Template::root() }.issue();
    for level in ["strict", "permissive", "audit"] {
        assert!(ask(&trusting(level), &stores(&[("ca:test", &other)])).is_empty(), "{level}");
    }
    let nobody = policy("strict", "", &["ca:test"], &["x509.subject: C=a,ST=b,O=c"]);
    assert!(ask(&nobody, &trust_of(&signer)).is_empty());
    let skipping = policy("strict", r#","override":{"revocation":"skip"}"#, &["ca:test"], &["*"]);
    assert!(ask(&skipping, &trust_of(&signer)).is_empty());
}

fn asked(extensions: &[Vec<u8>]) -> RevocationQuestions {
    let signer = Signer::with_leaf(&leaf_with(extensions));
    questions_of(&parse(&Jws::new(&signer)), &trusting("strict"), &trust_of(&signer))
}

/// RV-9: the bytes, written out.
#[test]
fn an_ocsp_request_names_the_certificate_by_sha1_of_its_issuer() {
    let questions =
        asked(&[ocsp_at(&[OCSP_URL, &format!("http://{}.example", "x".repeat(200)), "http://q.example/?a"])]);
    let requests: Vec<&RevocationRequest> = questions.iter().map(|question| &question.request).collect();
    let root_key = crate::support::revocation::key_bits(Kind::Root);
    let expected: Vec<u8> = [
        &[0x30, 0x42, 0x30, 0x40, 0x30, 0x3e, 0x30, 0x3c, 0x30, 0x3a, 0x30, 0x09, 0x06, 0x05][..],
        &[0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14],
        &sha1(&Template::root().subject),
        &[0x04, 0x14],
        &sha1(&root_key),
        &[0x02, 0x01, 0x01],
    ]
    .concat();
    let RevocationRequest::OcspGet { url } = requests[0] else { panic!("a short one is sent by GET: {requests:?}") };
    let path = url.strip_prefix(OCSP_URL).expect("one slash");
    assert!(url.len() < 255 && !path.contains(['/', '+', '=']), "{url}");
    let base64 = path.replace("%2F", "/").replace("%2B", "+").replace("%3D", "=");
    assert_eq!(<base64ct::Base64 as base64ct::Encoding>::decode_vec(&base64).expect("base64"), expected);
    // What is too long, and what has a query, is sent by POST.
    assert_eq!(requests[1..], [&RevocationRequest::OcspPost { body: expected.clone() }; 2]);
    let questions = asked(&[ocsp_at(&[OCSP_URL])]);
    let question = questions.iter().next().expect("one");
    assert_eq!(question.certificate, certificate(&Signer::with_leaf(&leaf_with(&[ocsp_at(&[OCSP_URL])]))));
    assert_eq!(question.issuer.der(), Template::root().issue());
}

/// RV-8, RV-15.
#[test]
fn only_http_urls_without_credentials_are_asked() {
    let long = format!("http://crl.example/{}", "x".repeat(2048));
    for bad in [
        "https://a.example/",
        "ftp://a.example/",
        "a.example",
        "http://",
        "http://u:p@a.example/",
        "http://:80/",
        "http://a\n/",
        &long,
    ] {
        assert!(urls(&asked(&[ocsp_at(&[bad]), crl_at(&[&[bad]])])).is_empty(), "{bad}");
        assert_eq!(urls(&asked(&[ocsp_at(&[bad, OCSP_URL])])), [OCSP_URL], "{bad}");
        // All lists must answer, so none is asked if one cannot be.
        assert!(urls(&asked(&[crl_at(&[&[CRL_URL], &[bad]])])).is_empty(), "{bad}");
    }
    assert_eq!(
        urls(&asked(&[crl_at(&[&["HTTP://a.example:8080/x", CRL_URL], &[CRL_URL]])])),
        ["HTTP://a.example:8080/x", CRL_URL]
    );
}

/// RV-24: however much a certificate names.
#[test]
fn few_urls_are_asked() {
    let many: Vec<String> = (0..50).map(|number| format!("http://h{number}.example/")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(urls(&asked(&[ocsp_at(&many)])), many[..MAX_URLS_PER_CERTIFICATE]);
    assert_eq!(urls(&asked(&[crl_at(&[&many[..4]])])), many[..4]);
    assert!(urls(&asked(&[crl_at(&[&many[..5]])])).is_empty());
    let mixed = asked(&[ocsp_at(&many[..10]), crl_at(&[&many[10..12]])]);
    assert_eq!(urls(&mixed), [many[0], many[10], many[11], many[1]]);
    // Whoever is asked first about each certificate comes first, and the lists of one issuer are asked once.
    let signer = chain(&[ocsp_at(&many[..4])], &[ocsp_at(&many[4..8])]);
    let questions = questions_of(&parse(&Jws::new(&signer)), &trusting("strict"), &trust_of(&signer));
    assert_eq!(questions.iter().count(), MAX_URLS_PER_VERIFICATION);
    assert_eq!((urls(&questions)[..2].to_vec(), questions.left_out()), (vec![many[0], many[4]], 0));
    let certificates: Vec<_> =
        signer.chain.iter().map(|der| sealwatch_notation::Certificate::from_der(der).expect("one")).collect();
    let again: Vec<_> = {
        let other = chain(&[ocsp_at(&many[20..24])], &[ocsp_at(&many[24..28])]);
        other.chain.iter().map(|der| sealwatch_notation::Certificate::from_der(der).expect("one")).collect()
    };
    let questions = RevocationQuestions::of([certificates.as_slice(), certificates.as_slice(), again.as_slice()]);
    assert_eq!((questions.iter().count(), questions.left_out()), (MAX_URLS_PER_VERIFICATION, 8));
}

/// RV-13, RV-21: only what is authentic leads on.
#[test]
fn authentic_answers_lead_to_deltas_and_to_the_lists_of_responders() {
    let signer = both();
    let questions = questions_of(&parse(&Jws::new(&signer)), &trusting("strict"), &trust_of(&signer));
    let follow = |answers: &RevocationAnswers| {
        let next = questions.follow_up(answers, time(NOW));
        urls(&next).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(follow(&RevocationAnswers::default()).is_empty());
    let base = List::new().with_extension(freshest_at(&["https://no.example/", DELTA_URL]));
    assert_eq!(follow(&answers(&signer, &[], &[(CRL_URL, &base)])), [DELTA_URL]);
    let forged = List { key: Kind::Other, ..base };
    assert!(follow(&answers(&signer, &[], &[(CRL_URL, &forged)])).is_empty());
    let listed = responder().with_extension(crl_at(&[&[MIDDLE_URL]]));
    let mut unchecked = listed.clone();
    unchecked.extensions.remove(2);
    let respond = |responder: &Template| answers(&signer, &[(OCSP_URL, Ocsp::by(responder, &GOOD).issue())], &[]);
    assert_eq!(follow(&respond(&unchecked)), [MIDDLE_URL]);
    assert!(follow(&respond(&listed)).is_empty(), "it has ocsp-nocheck");
    let stranger = Template { issuer_key: Kind::Other, ..unchecked };
    assert!(follow(&respond(&stranger)).is_empty());
}

/// For whoever brings lists: RV-15, and RV-20 as it is of lists that are brought, which stand for all URLs of a point.
#[test]
fn lists_to_bring_are_wanted_of_each_point_by_the_urls_that_may_be_asked() {
    let wanted = |extensions: &[Vec<u8>]| -> Vec<Vec<String>> {
        let signer = Signer::with_leaf(&leaf_with(extensions));
        let [leaf, root] =
            [0, 1].map(|place| sealwatch_notation::Certificate::from_der(&signer.chain[place]).expect("one"));
        let places = RevocationQuestion::of_lists(&leaf, &root);
        places.into_iter().map(|point| point.into_iter().map(|question| question.url).collect()).collect()
    };
    assert!(wanted(&[]).is_empty() && wanted(&[ocsp_at(&[OCSP_URL])]).is_empty());
    // Where there is a responder, too: it cannot be brought.
    assert_eq!(wanted(&[ocsp_at(&[OCSP_URL]), crl_at(&[&[CRL_URL]])]), [[CRL_URL]]);
    let ldap = "ldap://crl.example/CN=x";
    assert_eq!(wanted(&[crl_at(&[&[ldap, CRL_URL], &[MIDDLE_URL]])]), [[CRL_URL], [MIDDLE_URL]]);
    assert_eq!(wanted(&[crl_at(&[&[ldap]])]), [[""; 0]]);
    let many: Vec<String> = (0..50).map(|number| format!("http://h{number}.example/")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(wanted(&[crl_at(&[&many])]), [&many[..MAX_URLS_PER_CERTIFICATE]]);
    let points: Vec<&[&str]> = many.iter().map(std::slice::from_ref).collect();
    assert_eq!(wanted(&[crl_at(&points)]).len(), MAX_URLS_PER_CERTIFICATE);
}

/// What a cache keeps: only what answers the question, until it says itself.
#[test]
fn only_an_authentic_and_current_answer_about_the_certificate_answers_a_question() {
    let signer = both();
    let questions = revocation_questions(
        &parse(&Jws::new(&signer)),
        &trusting("strict").statements()[0],
        &trust_of(&signer),
        time(NOW),
    );
    let question = |wants_list| questions.iter().find(|one| (one.request == RevocationRequest::Crl) == wants_list);
    let (ocsp, list) = (question(false).expect("a responder"), question(true).expect("a list"));
    let respond = |response: &Ocsp, now| {
        OcspResponse::from_der(&response.issue()).and_then(|response| ocsp.check_ocsp(&response, time(now)))
    };
    for status in [GOOD.to_vec(), UNKNOWN.to_vec(), revoked(None)] {
        let times = respond(&Ocsp::new(&status), NOW).expect("an answer");
        assert_eq!(times.this_update, time("2026-11-20T00:00:00Z"));
        assert_eq!(times.next_update, time("2026-11-27T00:00:00Z"));
    }
    let other = Single { serial: vec![0x02], ..Single::new(&GOOD) };
    for (what, response, now) in [
        ("of another key", Ocsp { key: Kind::Other, ..Ocsp::new(&GOOD) }, NOW),
        ("an error", Ocsp { status: 3, ..Ocsp::new(&GOOD) }, NOW),
        ("about another", Ocsp { singles: vec![other], ..Ocsp::new(&GOOD) }, NOW),
        ("expired", Ocsp::new(&GOOD), "2026-11-28T00:00:00Z"),
        ("of the future", Ocsp::new(&GOOD), "2026-11-19T00:00:00Z"),
    ] {
        assert!(respond(&response, now).is_err(), "{what}");
    }
    let check =
        |issued: List, now| list.check_crl(&RevocationList::from_der(issued.issue()).expect("a list"), time(now));
    for issued in [List::new(), List::revoking(&[])] {
        assert_eq!(check(issued, NOW).expect("an answer").next_update, time("2026-12-01T00:00:00Z"));
    }
    assert!(check(List { key: Kind::Other, ..List::new() }, NOW).is_err());
    assert!(check(List::new(), "2026-12-02T00:00:00Z").is_err());
    assert!(check(List::new(), "2026-10-01T00:00:00Z").is_err());
}

/// What the mutations start from; signed once, because it takes its time.
struct Answered {
    envelope: Envelope,
    signer: Signer,
    response: Vec<u8>,
    list: Vec<u8>,
}

fn answered(is_revoked: bool) -> &'static Answered {
    static MADE: [OnceLock<Answered>; 2] = [const { OnceLock::new() }; 2];
    MADE[usize::from(is_revoked)].get_or_init(|| {
        let signer = both();
        let (status, list) =
            if is_revoked { (revoked(None), List::revoking(&[])) } else { (UNKNOWN.to_vec(), List::new()) };
        Answered {
            envelope: parse(&Jws::new(&signer)),
            response: Ocsp::by(&responder(), &status).issue(),
            list: List { next_update: Some(if is_revoked { "20261201000000Z" } else { "20261120000000Z" }), ..list }
                .issue(),
            signer,
        }
    })
}

/// The verdict about what is revoked, or unknown, with one of its answers changed and no other.
fn judged_changed(answered: &Answered, response: Option<&[u8]>, list: Option<&[u8]>) -> Outcome {
    let mut answers = RevocationAnswers::default();
    if let Some(response) = response {
        answers.insert_ocsp(OCSP_URL, &certificate(&answered.signer), Ok(response.to_vec()));
    }
    if let Some(list) = list {
        answers.insert_crl(CRL_URL, RevocationList::from_der(list).map_err(|error| error.to_string()));
    }
    judged_with(&answered.envelope, &trusting("strict"), &trust_of(&answered.signer), &answers, NOW)
}

/// No byte of an answer turns what is not good into something good.
#[test]
fn no_changed_bit_of_an_answer_makes_a_certificate_good() {
    for is_revoked in [false, true] {
        let answered = answered(is_revoked);
        let Answered { response, list, .. } = answered;
        let expected = if is_revoked { Reason::Revoked } else { Reason::RevocationUnknown };
        assert_eq!(judged_changed(answered, Some(response), None).reason(), expected);
        assert_eq!(judged_changed(answered, None, Some(list)).reason(), expected);
        for (bytes, is_list) in [(response, false), (list, true)] {
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                let (response, list) = if is_list { (None, Some(&changed[..])) } else { (Some(&changed[..]), None) };
                let outcome = judged_changed(answered, response, list);
                assert_ne!(outcome.verdict(), Verdict::Verified, "byte {at}: {}", outcome.message());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_mutation_of_an_answer_panics_or_makes_a_certificate_good(is_revoked: bool, changes in changes()) {
        let answered = answered(is_revoked);
        let (response, list) = (changed(&answered.response, &changes), changed(&answered.list, &changes));
        let outcome = judged_changed(answered, Some(&response), Some(&list));
        prop_assert_ne!(outcome.verdict(), Verdict::Verified);
    }

    #[test]
    fn no_bytes_make_a_list_or_a_response_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let answered = answered(false);
        let outcome = judged_changed(answered, Some(&bytes), Some(&bytes));
        prop_assert_ne!(outcome.verdict(), Verdict::Verified);
    }
}
