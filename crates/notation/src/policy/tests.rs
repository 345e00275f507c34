// SPDX-License-Identifier: Apache-2.0

use serde_json::{Value, json};

use super::*;
use crate::trust_store::TrustStoreType;

/// A good document, to be changed.
fn document() -> Value {
    json!({"version": "1.0", "trustPolicies": [{
        "name": "a",
        "registryScopes": ["registry.example/team/app"],
        "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:one"],
        "trustedIdentities": ["x509.subject: C=US,ST=WA,O=x"],
    }]})
}

fn parse(document: &Value) -> Result<TrustPolicyDocument, PolicyError> {
    TrustPolicyDocument::from_json(document.to_string().as_bytes())
}

/// Parses a good document in which one member of the statement was replaced.
fn with(member: &str, value: Value) -> Result<TrustPolicyDocument, PolicyError> {
    let mut document = document();
    document["trustPolicies"][0][member] = value;
    parse(&document)
}

#[track_caller]
fn assert_refused(parsed: Result<TrustPolicyDocument, PolicyError>, rule: &str, words: &str) {
    let error = parsed.expect_err("the document must be refused");
    assert_eq!(error.rule(), rule, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(!error.to_string().ends_with('.'), "{error}");
}

fn statement(parsed: Result<TrustPolicyDocument, PolicyError>) -> Statement {
    parsed.expect("a valid document").statements()[0].clone()
}

/// TP-1: what notation-go reads leniently and two readers may read differently.
#[test]
fn text_that_is_not_one_document_is_refused() {
    let good = document().to_string();
    for text in [
        String::new(),
        r#"["1.0",[]]"#.to_owned(),
        r#"{"version":"1.0","trustPolicies":[["a",["r.example/a"],["strict",{},""],["ca:a"],["*"]]]}"#.to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        format!("{good}{good}"),
        format!("{good}\0"),
        format!("\u{feff}{good}"),
        good.replacen('{', r#"{"version":"1.0","#, 1),
        good.replacen('{', r#"{"Version":"1.0","#, 1),
        good.replacen(r#"{"level""#, r#"{"level":"skip","level""#, 1),
        good.replacen(r#"{"level""#, r#"{"override":{"expiry":"log","expiry":"enforce"},"level""#, 1),
        good.replace("registryScopes", "registryscopes"),
    ] {
        assert_refused(TrustPolicyDocument::from_json(text.as_bytes()), "TP-1", "malformed trust policy");
    }
    assert_refused(TrustPolicyDocument::from_json(&vec![b' '; MAX_POLICY_BYTES + 1]), "TP-1", "at most");
}

/// TP-1: a misspelt member is named.
#[test]
fn an_unknown_member_is_refused_with_its_name() {
    assert_refused(with("trustedIdentitys", json!(["*"])), "TP-1", "trustedIdentitys");
    assert_refused(with("signatureVerification", json!({"level": "strict", "lvl": 1})), "TP-1", "lvl");
    // Beside its parent `verifyTimestamp` has no effect in notation-go.
    assert_refused(with("verifyTimestamp", json!("always")), "TP-1", "verifyTimestamp");
}

/// TP-2.
#[test]
fn only_version_1_0_is_read() {
    for (version, words) in [
        (json!(""), "has empty version"),
        (Value::Null, "has empty version"),
        (json!("1"), "unsupported version"),
        (json!("1.0 "), "unsupported version"),
        (json!("2.0"), "unsupported version"),
    ] {
        let mut document = document();
        document["version"] = version;
        assert_refused(parse(&document), "TP-2", words);
    }
}

/// TP-3.
#[test]
fn a_document_without_statements_is_refused() {
    for none in [json!([]), Value::Null] {
        let mut document = document();
        document["trustPolicies"] = none;
        assert_refused(parse(&document), "TP-3", "can not have zero trust policy statements");
    }
}

/// TP-4, TP-5.
#[test]
fn names_are_unique_and_not_empty() {
    let mut twice = document();
    let first = twice["trustPolicies"][0].clone();
    twice["trustPolicies"].as_array_mut().expect("an array").push(first);
    assert_refused(parse(&twice), "TP-4", "use the same name \"a\"");
    twice["trustPolicies"][1]["name"] = json!("A");
    twice["trustPolicies"][1]["registryScopes"] = json!(["*"]);
    assert!(parse(&twice).is_ok(), "names are compared with case");
    assert_refused(with("name", json!("")), "TP-5", "missing a name");
    assert!(with("name", json!(" ")).is_ok());
}

/// TP-6.
#[test]
fn a_level_is_one_of_four_words() {
    let level = |value: Value| with("signatureVerification", json!({"level": value}));
    assert_refused(level(json!("")), "TP-6", "empty or missing");
    assert_refused(with("signatureVerification", Value::Null), "TP-6", "empty or missing");
    for word in ["Strict", "custom", "enforce", "strict "] {
        assert_refused(level(json!(word)), "TP-6", "invalid signature verification level");
    }
    for word in ["strict", "permissive", "audit"] {
        let statement = statement(level(json!(word)));
        assert_eq!((statement.level(), statement.base_level()), (statement.base_level(), statement.level()));
        assert_eq!(statement.level().to_string(), word);
    }
}

fn overridden(level: &str, over: &Value) -> Result<TrustPolicyDocument, PolicyError> {
    with("signatureVerification", json!({"level": level, "override": over}))
}

/// TP-7.
#[test]
fn level_skip_takes_no_override_but_an_empty_one() {
    let skip = |over: Value| {
        let mut document = document();
        document["trustPolicies"][0]["signatureVerification"] = json!({"level": "skip", "override": over});
        document["trustPolicies"][0]["trustStores"] = json!([]);
        document["trustPolicies"][0]["trustedIdentities"] = Value::Null;
        parse(&document)
    };
    assert_refused(skip(json!({"expiry": "log"})), "TP-7", "can't be used to customize");
    for none in [json!({}), Value::Null] {
        assert_eq!(statement(skip(none)).level(), Level::Skip);
    }
}

/// TP-8.
#[test]
fn overrides_name_a_check_and_an_action_that_can_be_overridden() {
    for (over, words) in [
        (json!({"signature": "log"}), "verification type \"signature\""),
        (json!({"Expiry": "log"}), "verification type \"Expiry\""),
        (json!({"expiry": "warn"}), "verification action \"warn\""),
        (json!({"integrity": "log"}), "\"integrity\" verification can not be overridden"),
        (json!({"integrity": "enforce"}), "\"integrity\" verification can not be overridden"),
        (json!({"integrity": "never"}), "verification action \"never\""),
        (json!({"authenticity": "skip"}), "\"authenticity\" verification can not be skipped"),
        (json!({"authenticTimestamp": "skip"}), "can not be skipped"),
        (json!({"expiry": "skip"}), "can not be skipped"),
    ] {
        assert_refused(overridden("strict", &over), "TP-8", words);
    }
}

/// TP-9, and the level table of the specification.
#[test]
fn levels_and_overrides_give_the_actions_of_the_table() {
    use Action::{Enforce, Log, Skip};
    let actions = |parsed| {
        let statement = statement(parsed);
        CheckType::ALL.map(|check| statement.actions().of(check))
    };
    assert_eq!(actions(overridden("strict", &json!({}))), [Enforce; 5]);
    assert_eq!(actions(overridden("permissive", &json!({}))), [Enforce, Enforce, Log, Log, Log]);
    assert_eq!(actions(overridden("audit", &json!({}))), [Enforce, Log, Log, Log, Log]);
    let over = json!({"authenticity": "enforce", "expiry": "enforce", "revocation": "skip"});
    assert_eq!(actions(overridden("audit", &over)), [Enforce, Enforce, Log, Enforce, Skip]);
    let custom = statement(overridden("audit", &over));
    assert_eq!((custom.level(), custom.base_level()), (Level::Custom, Level::Audit));
}

/// TP-10.
#[test]
fn verify_timestamp_is_always_unless_it_is_after_expiry() {
    let timestamp = |value: Value| with("signatureVerification", json!({"level": "strict", "verifyTimestamp": value}));
    for value in [json!(""), json!("always"), Value::Null] {
        assert_eq!(statement(timestamp(value)).verify_timestamp(), VerifyTimestamp::Always);
    }
    assert_eq!(statement(timestamp(json!("afterCertExpiry"))).verify_timestamp(), VerifyTimestamp::AfterCertExpiry);
    for value in ["Always", "never", "aftercertexpiry"] {
        assert_refused(timestamp(json!(value)), "TP-10", "verifyTimestamp must be");
    }
}

/// TP-11, TP-12.
#[test]
fn trust_is_whole_or_absent_as_the_level_says() {
    for member in ["trustStores", "trustedIdentities"] {
        assert_refused(with(member, json!([])), "TP-12", "is either missing trust stores or trusted identities");
        let mut skip = document();
        skip["trustPolicies"][0]["signatureVerification"] = json!({"level": "skip"});
        skip["trustPolicies"][0][member] = json!([]);
        assert_refused(parse(&skip), "TP-11", "is set to skip signature verification but configured");
    }
}

/// TP-13 to TP-16.
#[test]
fn trust_stores_are_references_and_each_counts_once() {
    for (value, rule, words) in [
        ("one", "TP-13", "malformed trust store value \"one\""),
        ("CA:one", "TP-14", "unsupported trust store type \"CA\""),
        (":one", "TP-14", "unsupported trust store type"),
        ("ca:", "TP-15", "unsupported trust store name \"\""),
        ("ca:a/b", "TP-15", "unsupported trust store name"),
        ("ca:a:b", "TP-15", "unsupported trust store name"),
    ] {
        assert_refused(with("trustStores", json!([value])), rule, words);
    }
    let stores = statement(with("trustStores", json!(["tsa:t", "ca:b", "ca:a", "ca:b"]))).trust_stores().to_vec();
    let listed: Vec<String> = stores.iter().map(ToString::to_string).collect();
    assert_eq!(listed, ["tsa:t", "ca:b", "ca:a"]);
    assert_eq!(stores[0].store_type(), TrustStoreType::Tsa);
    assert_eq!(stores[0].name(), "t");
}

/// TP-17 to TP-20.
#[test]
fn scopes_are_repositories_or_the_wildcard_alone() {
    let scopes = |scopes: Value| with("registryScopes", scopes);
    assert_refused(scopes(json!([])), "TP-17", "has zero registry scopes");
    assert_refused(scopes(Value::Null), "TP-17", "has zero registry scopes");
    assert_refused(scopes(json!(["*", "r.example/a"])), "TP-18", "uses wildcard registry scope '*'");
    for scope in ["r.example/*", "*.example/a", "**"] {
        assert_refused(scopes(json!([scope])), "TP-19", "with wild card(s) is not valid");
    }
    for scope in [
        "",
        "r.example",
        "r.example/",
        "/a",
        "https://r.example/a",
        "r.example/a:tag",
        "r.example/a@sha256:00",
        "r.example/A",
        "r.example/a/",
        "r.example//a",
        "[::1]:5000/a",
        "localhost:5000\\a",
        "localhost:/a",
        "localhost:5a/a",
        "r..example/a",
        "-r.example/a",
        "r-.example/a",
        "r.example/a..b",
        "r.example/a___b",
        "r.example/a._b",
        "r.example/-a",
        "r.example/a_",
        "r.example/a b",
        " r.example/a",
        "r_e.example/a",
        "ü.example/a",
    ] {
        assert_refused(scopes(json!([scope])), "TP-20", "is not valid");
    }
    for scope in ["localhost/a", "R.example:5000/a.b_c__d--e/0", "127.0.0.1:5000/a", "a/b", "r.example/a------b"] {
        assert!(scopes(json!([scope])).is_ok(), "{scope}");
    }
}

/// TP-21.
#[test]
fn a_scope_stands_once_in_the_whole_document() {
    assert_refused(with("registryScopes", json!(["r.example/a", "r.example/a"])), "TP-21", "is present in multiple");
    let mut two = document();
    let mut second = two["trustPolicies"][0].clone();
    second["name"] = json!("b");
    two["trustPolicies"].as_array_mut().expect("an array").push(second);
    assert_refused(parse(&two), "TP-21", "registry scope \"registry.example/team/app\" is present in multiple");
}

/// TP-22 to TP-24.
#[test]
fn the_exact_scope_wins_over_the_wildcard_and_nothing_is_expanded() {
    let mut two = document();
    let mut second = two["trustPolicies"][0].clone();
    second["name"] = json!("rest");
    second["registryScopes"] = json!(["*"]);
    two["trustPolicies"].as_array_mut().expect("an array").insert(0, second);
    let document = parse(&two).expect("a valid document");
    let name = |repository: &str| document.statement_for(repository).map(Statement::name);
    assert_eq!(name("registry.example/team/app"), Some("a"));
    assert_eq!(name("Registry.example/team/app"), Some("rest"));
    assert_eq!(name("registry.example/team/app2"), Some("rest"));
    assert_eq!(name("registry.example/team"), Some("rest"));
    for not_a_repository in ["registry.example/team/app:tag", "registry.example/team/app@sha256:00", "app", "", "*"] {
        assert_eq!(name(not_a_repository), None, "{not_a_repository}");
    }
    let only_exact = parse(&self::document()).expect("a valid document");
    assert_eq!(only_exact.statement_for("registry.example/other"), None);
}

const NAME: &str = "x509.subject: C=US,ST=WA,O=x";

/// TP-25 to TP-28.
#[test]
fn identities_are_names_that_do_not_overlap_or_the_wildcard_alone() {
    let identities = |identities: Value| with("trustedIdentities", identities);
    for (value, rule, words) in [
        (json!(["*", NAME]), "TP-25", "uses a wildcard trusted identity '*'"),
        (json!(["*", "*"]), "TP-25", "uses a wildcard trusted identity '*'"),
        (json!([""]), "TP-26", "has an empty trusted identity"),
        (json!(["x509.subject C=US,ST=WA,O=x"]), "TP-26", "missing separator"),
        (json!(["x509.subject:"]), "TP-26", "without an identity value"),
        (json!(["x509.subject: C=US,ST=WA"]), "DN-7", "has no mandatory RDN attribute for \"O\""),
        (json!(["x509.subject: C=US,ST=WA,O=#00"]), "DN-1", "=#"),
        (json!(["x509.subject: C=US,ST=WA+O=x"]), "DN-2", "multi-valued"),
        (json!(["x509.subject: C=US,ST=WA,O=\\x"]), "DN-4", "malformed part"),
        (json!(["x509.subject: C=US,C=US,ST=WA,O=x"]), "DN-6", "duplicate RDN attribute"),
        (json!(["x509.subject: C=US,ST=WA,O=x,CN="]), "DN-8", "empty value"),
        (json!([NAME, "x509.subject: CN=n,C=US,ST=WA,O=x"]), "TP-28", "has overlapping x509 trustedIdentities"),
        (json!([NAME, NAME]), "TP-28", "has overlapping x509 trustedIdentities"),
    ] {
        assert_refused(identities(value), rule, words);
    }
    for good in [
        json!(["*"]),
        json!(["arn:aws:signer:x", "arn:aws:signer:x"]),
        json!([NAME, "x509.subject: C=US,ST=OR,O=x", "other:thing"]),
        json!(["X509.SUBJECT: whatever"]),
    ] {
        assert!(identities(good.clone()).is_ok(), "{good}");
    }
    assert_eq!(statement(identities(json!([NAME]))).identities()[0].to_string(), NAME);
}

/// A limit of ours: identities are compared in pairs.
#[test]
fn lists_are_bounded() {
    let many = |member: &str, entry: fn(usize) -> String| {
        let list: Vec<String> = (0..=MAX_POLICY_ENTRIES).map(entry).collect();
        assert_refused(with(member, json!(list)), "TP-1", member);
    };
    many("registryScopes", |n| format!("r.example/a{n}"));
    many("trustStores", |n| format!("ca:a{n}"));
    many("trustedIdentities", |n| format!("x509.subject: C=US,ST=WA,O=o{n}"));
}

/// The raw form is what Kubernetes objects are converted into.
#[test]
fn a_raw_document_survives_a_round_trip_through_json() {
    let raw: raw::Document = serde_json::from_value(document()).expect("a raw document");
    let text = serde_json::to_string(&raw).expect("JSON");
    assert_eq!(TrustPolicyDocument::from_json(text.as_bytes()), TrustPolicyDocument::try_from(raw));
}
