// SPDX-License-Identifier: Apache-2.0
//! Mutations of timestamp tokens, OCSP responses and revocation lists.

use sealwatch_fixtures::der::{bit_string, oid, sequence, tlv};
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::key::{Kind, key};
use sealwatch_fixtures::pki::{CRL_SIGN, KEY_CERT_SIGN, Signer, Template, basic_constraints, key_usage};
use sealwatch_fixtures::revocation::{
    CRL_URL, DELTA_URL, GOOD, List, OCSP_URL, Ocsp, Single, crl_at, crl_number, delta_of, entry, freshest_at,
    invalid_since, issuing_point, leaf_with, ocsp_at, point_name, reason, responder, revoked,
};
use sealwatch_fixtures::tsa::{self, SHA256, Token, attribute, below_intermediate};

use super::{changed_certificate, der, signed, signed_part, some_times, trusting};
use crate::case::Case;
use crate::random::Random;

fn stamped(random: &mut Random, root: &[u8], stamp: impl FnOnce(&mut Random, &[u8]) -> Vec<u8>) -> Case {
    let signer = Signer::new();
    let envelope = tsa::stamped_jws(&Jws::new(&signer), |signature| stamp(random, signature));
    let case = trusting(random, Case::new("").jws(envelope), &["ca:test", "tsa:test"], signer.root());
    case.store("tsa:test", &[root])
}

pub(super) fn tst_info(random: &mut Random) -> Case {
    stamped(random, &tsa::root().issue(), |random, signature| {
        let mut token = Token::new(signature);
        if random.one_in(2) {
            let accuracy = sequence(&[&tlv(0x02, &[1]), &tlv(0x80, &[5]), &tlv(0x81, &[6])]);
            let name = tlv(0xa0, &tlv(0xa4, &tsa::authority().subject));
            token.rest = [accuracy, tlv(0x01, &[0xff]), tlv(0x02, &[7]), name].concat();
        }
        let mut info = token.info();
        some_times(random, |random| der::mutate(random, &mut info));
        token.info = Some(info);
        token.issue()
    })
}

pub(super) fn token(random: &mut Random) -> Case {
    stamped(random, &tsa::root().issue(), |random, signature| {
        let mut token = Token::new(signature).issue();
        some_times(random, |random| der::mutate(random, &mut token));
        token
    })
}

pub(super) fn signed_attributes(random: &mut Random) -> Case {
    stamped(random, &tsa::root().issue(), |random, signature| {
        let mut token = Token::new(signature);
        let signer = token.signer();
        let mut certificates = signer.certificate_ids.concat();
        let mut time = attribute(tsa::SIGNING_TIME, &[&tlv(0x17, b"250101000000Z")]);
        match random.below(4) {
            0 => some_times(random, |random| der::mutate(random, &mut time)),
            1 => some_times(random, |random| der::mutate(random, &mut signer.sid)),
            _ => some_times(random, |random| der::mutate(random, &mut certificates)),
        }
        signer.certificate_ids = vec![certificates];
        signer.more = vec![time];
        token.issue()
    })
}

pub(super) fn authority(random: &mut Random) -> Case {
    let root = tsa::root();
    let middle = tsa::intermediate();
    let (template, middle_der, root_der) = match random.below(4) {
        0 => (below_intermediate(tsa::authority()), Some(changed_certificate(random, &middle)), root.issue()),
        1 => (tsa::authority(), None, changed_certificate(random, &root)),
        _ => (tsa::authority(), None, root.issue()),
    };
    let change_leaf = middle_der.is_none() && root_der == root.issue();
    let leaf = if change_leaf { changed_certificate(random, &template) } else { template.issue() };
    stamped(random, &root_der, |_, signature| {
        let mut token = Token::by(&template, signature);
        token.certificates = [Some(leaf.clone()), middle_der].into_iter().flatten().collect();
        // By hash alone, so that a change is no change of names.
        token.signer().certificate_ids = vec![sequence(&[&tlv(0x04, &tsa::hash(SHA256, &leaf))])];
        token.issue()
    })
}

/// A signature by this leaf, in either scheme: only one has an authentic signing time.
fn signed_with(random: &mut Random, chain: Vec<Vec<u8>>) -> Case {
    let signer = Signer { chain, key: Kind::P256 };
    let is_x509 = random.one_in(2);
    let jws = if is_x509 { Jws::new(&signer) } else { Jws::signing_authority(&signer) };
    let store = if is_x509 { "ca:test" } else { "signingAuthority:test" };
    trusting(random, Case::new("").jws(jws.sign()), &[store], signer.root())
}

fn root() -> Template {
    Template {
        extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN | CRL_SIGN)],
        ..Template::root()
    }
}

pub(super) fn leaf_with_endpoints(random: &mut Random) -> Case {
    let leaf = leaf_with(&[ocsp_at(&[OCSP_URL]), crl_at(&[&[CRL_URL]])]);
    let chain = vec![changed_certificate(random, &leaf), root().issue()];
    let case = signed_with(random, chain);
    let case = if random.one_in(2) { case } else { case.ocsp(OCSP_URL, Ocsp::new(&GOOD).issue()) };
    case.crl(CRL_URL, List::new().issue())
}

/// The response in its two wrappers, from its signed part.
fn wrapped(basic: &[u8]) -> Vec<u8> {
    let bytes = sequence(&[&oid("1.3.6.1.5.5.7.48.1.1"), &tlv(0x04, basic)]);
    sequence(&[&tlv(0x0a, &[0]), &tlv(0xa0, &bytes)])
}

fn basic_of(response: &[u8]) -> &[u8] {
    // The wrappers have no more than one element before what they wrap.
    let at =
        response.windows(3).position(|window| window[0] == 0x04 && window[1] & 0x80 != 0).expect("an octet string");
    &response[at + 2 + usize::from(response[at + 1] & 0x7f)..]
}

pub(super) fn response(random: &mut Random) -> Case {
    let status = if random.one_in(3) { revoked(Some(1)) } else { GOOD.to_vec() };
    let mut good = Ocsp::new(&status);
    if random.one_in(2) {
        good.singles = vec![Single { extensions: vec![invalid_since("20250601000000Z")], ..Single::new(&status) }];
    }
    let response = good.issue();
    let mut changed = if random.one_in(4) {
        let mut whole = response.clone();
        some_times(random, |random| der::mutate(random, &mut whole));
        whole
    } else {
        let mut tbs = signed_part(basic_of(&response)).to_vec();
        some_times(random, |random| der::mutate(random, &mut tbs));
        wrapped(&signed(&tbs, Kind::Root))
    };
    if random.one_in(16) {
        super::bytes::mutate(random, &mut changed);
    }
    let leaf = leaf_with(&[ocsp_at(&[OCSP_URL])]);
    signed_with(random, vec![leaf.issue(), root().issue()]).ocsp(OCSP_URL, changed)
}

pub(super) fn responder_certificate(random: &mut Random) -> Case {
    let certificate = changed_certificate(random, &responder());
    let response = Ocsp { certificates: vec![certificate], ..Ocsp::by(&responder(), &GOOD) };
    let leaf = leaf_with(&[ocsp_at(&[OCSP_URL])]);
    signed_with(random, vec![leaf.issue(), root().issue()]).ocsp(OCSP_URL, response.issue())
}

pub(super) fn list(random: &mut Random) -> Case {
    let entries = vec![
        entry(&[0x02], "260601000000Z", &[reason(1)]),
        entry(&[0x01], "260601000000Z", &[reason(random.pick(&[6, 8])), invalid_since("20250601000000Z")]),
    ];
    let point = issuing_point(&[&point_name(&[CRL_URL])]);
    let mut base =
        List { entries: if random.one_in(2) { entries.clone() } else { entries[..1].to_vec() }, ..List::new() };
    if random.one_in(2) {
        base = base.with_extension(point);
    }
    let with_delta = random.one_in(3);
    if with_delta {
        base = base.with_extension(freshest_at(&[DELTA_URL]));
    }
    let delta = List { entries, extensions: vec![crl_number(&[6]), delta_of(&[5])], ..List::new() };
    let mut change = |list: &List| {
        let mut tbs = signed_part(&list.issue()).to_vec();
        some_times(random, |random| der::mutate(random, &mut tbs));
        sequence(&[
            &tbs,
            &key(Kind::Root).certificate_algorithm(),
            &bit_string(0, &key(Kind::Root).sign_certificate(&tbs)),
        ])
    };
    let (base, delta) = if with_delta && base.entries.len() == 1 {
        (base.issue(), change(&delta))
    } else {
        (change(&base), delta.issue())
    };
    let leaf = leaf_with(&[crl_at(&[&[CRL_URL]])]);
    let case = signed_with(random, vec![leaf.issue(), root().issue()]).crl(CRL_URL, base);
    if with_delta { case.crl(DELTA_URL, delta) } else { case }
}
