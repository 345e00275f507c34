// SPDX-License-Identifier: Apache-2.0
//! Every committed fixture is judged as it says. Read from disk, as any other verifier would read them.
#![allow(clippy::disallowed_methods)] // files are what this is about

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use sealwatch_fixtures::catalogue::{self, Case};
use sealwatch_notation::{
    Certificate, Envelope, Outcome, RevocationAnswers, RevocationList, TargetArtifact, TrustPolicyDocument, TrustStore,
    TrustStoreRef, TrustStores, judge, parse_certificates,
};
use serde_json::Value;

/// Families of rules, and how many each has.
const RULES: [(&str, u32); 14] = [
    ("AT-", 15),
    ("AU-", 5),
    ("CC-", 12),
    ("CO-", 13),
    ("D", 26),
    ("DN-", 12),
    ("DS-", 14),
    ("EX-", 1),
    ("JW-", 19),
    ("LV-", 7),
    ("PL-", 5),
    ("RV-", 24),
    ("TC-", 3),
    ("TP-", 31),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

/// The catalogue, made once.
static CATALOGUE: LazyLock<Vec<Case>> = LazyLock::new(catalogue::all);

/// The folders of all cases.
fn committed() -> Vec<PathBuf> {
    folders(&root()).iter().flat_map(|group| folders(group)).collect()
}

fn read(folder: &Path, file: &str) -> Vec<u8> {
    let path = folder.join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} in {value}"))
}

fn described(folder: &Path) -> Value {
    serde_json::from_slice(&read(folder, "case.json")).expect("JSON")
}

/// `truststore/x509/TYPE/NAME/*.der`, as notation has them.
fn stores(folder: &Path) -> TrustStores {
    let mut stores = TrustStores::new();
    for kind in folders(&folder.join("truststore/x509")) {
        for store in folders(&kind) {
            let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
            let reference: TrustStoreRef = format!("{}:{}", name(&kind), name(&store)).parse().expect("a reference");
            let mut files: Vec<PathBuf> =
                fs::read_dir(&store).expect("a store").map(|entry| entry.expect("an entry").path()).collect();
            files.sort();
            let certificates = files.iter().flat_map(|file| {
                parse_certificates(&fs::read(file).expect("a file")).expect("certificates of a trust store")
            });
            match TrustStore::new(reference.clone(), certificates.collect()) {
                Ok(store) => stores.insert(store),
                Err(error) => stores.insert_unavailable(reference, error.to_string()),
            }
        }
    }
    stores
}

fn answers(folder: &Path, case: &Value) -> RevocationAnswers {
    let mut answers = RevocationAnswers::default();
    for answer in case["answers"].as_array().expect("an array") {
        let body = read(folder, text(answer, "body"));
        if let Some(about) = answer["about"].as_str() {
            let certificate = Certificate::from_der(&read(folder, about)).expect("a certificate");
            answers.insert_ocsp(text(answer, "url"), &certificate, Ok(body));
        } else {
            let list = RevocationList::from_der(body).map_err(|error| error.to_string());
            answers.insert_crl(text(answer, "url"), list);
        }
    }
    answers
}

fn judged(folder: &Path, case: &Value) -> Outcome {
    let policy = TrustPolicyDocument::from_json(&read(folder, "policy.json")).expect("a valid policy");
    let statement = &policy.statements()[0];
    let target = TargetArtifact {
        media_type: text(&case["subject"], "mediaType").to_owned(),
        digest: text(&case["subject"], "digest").to_owned(),
        size: case["subject"]["size"].as_u64().expect("a number"),
    };
    let now = text(case, "now").parse().expect("a time");
    match Envelope::parse(text(case, "mediaType"), &read(folder, text(case, "envelope"))) {
        Ok(envelope) => judge(&envelope, &target, statement, &stores(folder), &answers(folder, case), now),
        Err(error) => Outcome::broken(statement, &error),
    }
}

#[test]
fn every_fixture_is_judged_as_it_says() {
    let mut wrong = Vec::new();
    for folder in committed() {
        let case = described(&folder);
        let outcome = judged(&folder, &case);
        let (verdict, reason) = (outcome.verdict().as_str(), outcome.reason().as_str());
        let expected = &case["expected"];
        if (verdict, reason) != (text(expected, "verdict"), text(expected, "reason"))
            || !outcome.message().contains(text(expected, "message"))
        {
            wrong.push(format!("{}: {verdict} {reason}: {}\n  not {expected}", text(&case, "name"), outcome.message()));
        }
    }
    assert!(wrong.is_empty(), "{} fixtures:\n{}", wrong.len(), wrong.join("\n"));
}

/// The catalogue in memory is what lies on disk: whoever takes the one has the other.
#[test]
fn the_catalogue_is_what_is_committed() {
    let mut made: Vec<PathBuf> = CATALOGUE.iter().map(|case| root().join(case.path())).collect();
    made.sort();
    assert_eq!(committed(), made, "run ./just generate");
    for case in CATALOGUE.iter() {
        for (file, bytes) in case.files() {
            assert!(read(&root().join(case.path()), &file) == bytes, "{}/{file}: run ./just generate", case.path());
        }
    }
}

#[test]
fn there_are_good_and_bad_fixtures_of_every_kind_and_all_say_why() {
    let cases = &*CATALOGUE;
    assert!(cases.len() >= 300, "{}", cases.len());
    for group in ["jws", "cose", "chain", "timestamp", "revocation", "trust"] {
        let of = |good: bool| {
            let is_good = |case: &&Case| case.group == group && (case.expected.verdict == "Verified") == good;
            cases.iter().filter(is_good).count()
        };
        assert!(of(true) >= 5 && of(false) >= 20, "{group}: {} good, {} bad", of(true), of(false));
    }
    for case in cases {
        assert!(!case.expected.message.is_empty(), "{} expects no message", case.path());
        let says_good = case.name.starts_with("good");
        assert!(!says_good || case.expected.verdict == "Verified", "{} is not good", case.path());
    }
}

#[test]
fn every_rule_that_a_fixture_names_exists() {
    for case in CATALOGUE.iter() {
        assert!(!case.rules.is_empty(), "{} names no rule", case.path());
        for rule in &case.rules {
            let digits = rule.trim_start_matches(|c: char| !c.is_ascii_digit());
            let family = &rule[..rule.len() - digits.len()];
            let count = RULES.iter().find(|(name, _)| *name == family).map_or(0, |(_, count)| *count);
            assert!(digits.parse().is_ok_and(|number| (1..=count).contains(&number)), "{rule}");
        }
    }
}
