// SPDX-License-Identifier: Apache-2.0
//! Mutations of what is valid: each is decided by the seed of the run and its number.

mod bytes;
mod cbor;
mod der;
mod envelopes;
mod evidence;
mod json;
mod names;

use base64ct::{Base64, Encoding};
use sealwatch_fixtures::der::{bit_string, sequence};
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::key::{Kind, key};
use sealwatch_fixtures::pki::{CRL_SIGN, KEY_CERT_SIGN, Signer, Template, basic_constraints, key_usage};

use crate::case::Case;
use crate::grid::policy;
use crate::random::Random;

/// Makes a case of a kind.
type Make = fn(&mut Random) -> Case;

/// The kinds of mutations, in turn.
pub const KINDS: [(&str, Make); 24] = [
    ("bytes of a JWS", envelopes::jws_bytes),
    ("members of a JWS", envelopes::jws_members),
    ("protected header of a JWS, signed anew", envelopes::jws_protected),
    ("payload of a JWS, signed anew", envelopes::jws_payload),
    ("bytes of a COSE envelope", envelopes::cose_bytes),
    ("protected headers of a COSE envelope, signed anew", envelopes::cose_protected),
    ("bytes of the protected headers, signed anew", envelopes::cose_protected_bytes),
    ("unprotected headers and parts of a COSE envelope", envelopes::cose_unprotected),
    ("payload of a COSE envelope, signed anew", envelopes::cose_payload),
    ("leaf, signed anew", leaf),
    ("leaf with revocation endpoints, signed anew", evidence::leaf_with_endpoints),
    ("intermediate, signed anew", intermediate),
    ("root, signed anew", root),
    ("policy document", policy_members),
    ("bytes of a policy document", policy_bytes),
    ("names from a grammar", distinguished_names),
    ("trust store", trust_store),
    ("TSTInfo, signed anew", evidence::tst_info),
    ("token", evidence::token),
    ("signed attributes of a token, signed anew", evidence::signed_attributes),
    ("certificates of a timestamp authority, signed anew", evidence::authority),
    ("OCSP response, signed anew", evidence::response),
    ("delegated OCSP responder, signed anew", evidence::responder_certificate),
    ("revocation list, signed anew", evidence::list),
];

/// The mutation `index` of the run with this seed.
pub fn case(seed: u64, index: u64) -> Case {
    let mut random = Random::new(seed, index);
    let kinds = u64::try_from(KINDS.len()).unwrap_or(1);
    let (kind, make) = KINDS[usize::try_from(index % kinds).unwrap_or(0)];
    let case = make(&mut random);
    Case { name: format!("mutate seed={seed} index={index} {kind}"), ..case }
}

/// Applies a change once, seldom more often.
fn some_times(random: &mut Random, mut change: impl FnMut(&mut Random)) {
    change(random);
    while random.one_in(5) {
        change(random);
    }
}

/// A level; mostly the one that enforces all.
fn level(random: &mut Random) -> &'static str {
    random.pick(&["strict", "strict", "strict", "audit"])
}

/// With a policy that trusts everybody in `type:test`, and a root in that store.
fn trusting(random: &mut Random, case: Case, stores: &[&str], root: &[u8]) -> Case {
    case.policy(policy(level(random), "", stores, &["*"])).store(stores[0], &[root])
}

/// A certificate whose signed part is changed, signed by this key.
fn changed_certificate(random: &mut Random, template: &Template) -> Vec<u8> {
    let certificate = template.issue();
    let mut tbs = signed_part(&certificate).to_vec();
    some_times(random, |random| der::mutate(random, &mut tbs));
    signed(&tbs, template.issuer_key)
}

/// What is signed, of a certificate, list or response with three parts.
fn signed_part(whole: &[u8]) -> &[u8] {
    let skip_head = |bytes: &[u8]| match bytes[1] {
        0..=0x7f => 2,
        more => 2 + usize::from(more & 0x7f),
    };
    let content = &whole[skip_head(whole)..];
    let head = skip_head(content);
    let length = match content[1] {
        short @ 0..=0x7f => usize::from(short),
        _ => content[2..head].iter().fold(0, |all, byte| all << 8 | usize::from(*byte)),
    };
    &content[..head + length]
}

fn signed(tbs: &[u8], kind: Kind) -> Vec<u8> {
    let key = key(kind);
    sequence(&[tbs, &key.certificate_algorithm(), &bit_string(0, &key.sign_certificate(tbs))])
}

fn leaf(random: &mut Random) -> Case {
    let template = match random.below(4) {
        0 => Template::leaf().with_extension(basic_constraints(false, None)),
        1 => [
            ("2.5.29.17", &[0x30, 0x05, 0x82, 0x03, b'a', b'.', b'b'][..]),
            ("2.5.29.32", &[0x30, 0x06, 0x30, 0x04, 0x06, 0x02, 0x2a, 0x03]),
            ("2.5.29.14", &[0x04, 0x02, 0x01, 0x02]),
            ("2.5.29.35", &[0x30, 0x04, 0x80, 0x02, 0x01, 0x02]),
        ]
        .iter()
        .fold(Template::leaf(), |leaf, (dotted, value)| {
            leaf.with_extension(sealwatch_fixtures::pki::extension(dotted, false, value))
        }),
        _ => Template::leaf(),
    };
    let chain = vec![changed_certificate(random, &template), Template::root().issue()];
    signed_by(random, chain, Kind::P256)
}

fn intermediate(random: &mut Random) -> Case {
    let middle = Template {
        extensions: vec![basic_constraints(true, Some(0)), key_usage(KEY_CERT_SIGN | CRL_SIGN)],
        ..Template::intermediate()
    };
    let leaf = Template::leaf().below_intermediate().issue();
    let chain = vec![leaf, changed_certificate(random, &middle), Template::root().issue()];
    signed_by(random, chain, Kind::P256)
}

fn root(random: &mut Random) -> Case {
    let chain = if random.one_in(3) {
        vec![changed_certificate(random, &Template::self_signed())]
    } else {
        vec![Template::leaf().issue(), changed_certificate(random, &Template::root())]
    };
    signed_by(random, chain, Kind::P256)
}

fn signed_by(random: &mut Random, chain: Vec<Vec<u8>>, key: Kind) -> Case {
    let signer = Signer { chain, key };
    trusting(random, Case::new("").jws(Jws::new(&signer).sign()), &["ca:test"], signer.root())
}

/// A document with more in it than most.
fn document() -> Vec<u8> {
    br#"{"version":"1.0","trustPolicies":[{"name":"other","registryScopes":["registry.example/other","registry.example:5000/a/b-c"],"signatureVerification":{"level":"skip"}},{"name":"test","registryScopes":["registry.example/app"],"signatureVerification":{"level":"strict","override":{"expiry":"log","revocation":"skip"},"verifyTimestamp":"afterCertExpiry"},"trustStores":["ca:test","tsa:test"],"trustedIdentities":["x509.subject: C=US, ST=Washington, O=Microsoft Corporation","x509.subject: C=DE, ST=Bayern, O=Acme"]}]}"#
        .to_vec()
}

const POLICY_VALUES: [&str; 24] = [
    r#""audit""#,
    r#""permissive""#,
    r#""skip""#,
    r#""enforce""#,
    r#""always""#,
    r#""afterCertExpiry""#,
    r#""integrity""#,
    r#""registry.example/app""#,
    r#""registry.example/App""#,
    r#""registry.example""#,
    r#""ca:test""#,
    r#""tsa:test""#,
    r#""signingAuthority:test""#,
    r#""ca:te st""#,
    r#""x509.subject: C=US, ST=Washington, O=Microsoft Corporation""#,
    r#""x509.subject: C=US""#,
    r#""arn:x""#,
    r#"["*"]"#,
    r#"["ca:test"]"#,
    r#"["registry.example/app"]"#,
    r#"{"expiry":"log"}"#,
    r#"{"integrity":"log"}"#,
    r#"{"level":"audit"}"#,
    r#""test""#,
];

fn with_document(document: Vec<u8>) -> Case {
    let signer = Signer::new();
    Case::new("").policy(document).jws(Jws::new(&signer).sign()).store("ca:test", &[signer.root()])
}

fn policy_members(random: &mut Random) -> Case {
    let mut text = document();
    some_times(random, |random| text = json::mutate(random, &text, &POLICY_VALUES));
    with_document(text)
}

fn policy_bytes(random: &mut Random) -> Case {
    let mut text = document();
    some_times(random, |random| bytes::mutate(random, &mut text));
    with_document(text)
}

fn distinguished_names(random: &mut Random) -> Case {
    let mut identities = vec![names::identity(random)];
    if random.one_in(8) {
        identities.push(names::identity(random));
    }
    let subject = names::subject(random);
    let signer = Signer { chain: vec![with_subject(&subject), Template::root().issue()], key: Kind::P256 };
    let identities: Vec<&str> = identities.iter().map(String::as_str).collect();
    let case = Case::new("").policy(policy("strict", "", &["ca:test"], &identities));
    case.jws(Jws::new(&signer).sign()).store("ca:test", &[signer.root()])
}

/// Not remembered, as templates remember what they issued.
fn with_subject(subject: &[u8]) -> Vec<u8> {
    let plain = Template::leaf();
    let certificate = plain.issue();
    let tbs = signed_part(&certificate);
    let at = tbs.windows(plain.subject.len()).position(|window| window == plain.subject).expect("the subject");
    // Inside the head of the signed part, which is written anew.
    let content = [&tbs[4..at], subject, &tbs[at + plain.subject.len()..]].concat();
    signed(&sequence(&[&content]), Kind::Root)
}

fn trust_store(random: &mut Random) -> Case {
    let signer = Signer::new();
    let mut file = signer.root().to_vec();
    let form = random.below(4);
    if form < 2 {
        let text = Base64::encode_string(&file);
        let lines: Vec<String> =
            text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        file = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")).into_bytes();
        if form == 1 {
            file = [file.clone(), file].concat();
        }
    } else if form == 2 {
        file.extend(Template::intermediate().issue());
    }
    some_times(random, |random| bytes::mutate(random, &mut file));
    let case = Case::new("").jws(Jws::new(&signer).sign());
    let case = case.policy(policy(level(random), "", &["ca:test"], &["*"])).store("ca:test", &[&file]);
    if random.one_in(2) {
        return case;
    }
    // Beside a good file, what spoils the store is all that counts.
    let mut case = case;
    case.stores[0].files.push(signer.root().into());
    case
}
