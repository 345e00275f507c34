// SPDX-License-Identifier: Apache-2.0
//! Trust policy documents and identities, right and wrong.

use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::pki::Signer;

use super::policy;
use crate::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [documents(), statements(), identities()].concat()
}

fn of(what: &str, document: impl Into<Vec<u8>>) -> Case {
    let signer = Signer::new();
    let case = Case::new(format!("policy: {what}")).policy(document).jws(Jws::new(&signer).sign());
    case.store("ca:test", &[signer.root()]).store("ca:.", &[])
}

fn good() -> String {
    String::from_utf8(policy("strict", "", &["ca:test"], &["*"])).expect("JSON")
}

fn documents() -> Vec<Case> {
    let good = good();
    let inner = good.trim_start_matches(r#"{"version":"1.0","trustPolicies":["#).trim_end_matches("]}").to_owned();
    let two = |one: &str, other: &str| format!(r#"{{"version":"1.0","trustPolicies":[{one},{other}]}}"#);
    let other = inner.replace("\"test\"", "\"other\"");
    [
        ("good", good.clone()),
        ("version 1.1", good.replace("\"1.0\"", "\"1.1\"")),
        ("version as number", good.replace("\"1.0\"", "1.0")),
        ("version empty", good.replace("\"1.0\"", "\"\"")),
        ("version null", good.replace("\"1.0\"", "null")),
        ("no version", good.replace(r#""version":"1.0","#, "")),
        ("VERSION", good.replace("version", "VERSION")),
        ("version twice", good.replacen('{', r#"{"version":"1.0","#, 1)),
        ("unknown member", good.replacen('{', r#"{"x":1,"#, 1)),
        ("unknown member of the statement", good.replace(r#"{"name""#, r#"{"x":1,"name""#)),
        ("unknown member of the verification", good.replace(r#"{"level""#, r#"{"x":1,"level""#)),
        ("level twice", good.replace(r#"{"level""#, r#"{"level":"audit","level""#)),
        ("no statements", r#"{"version":"1.0","trustPolicies":[]}"#.to_owned()),
        ("a null statement", r#"{"version":"1.0","trustPolicies":[null]}"#.to_owned()),
        ("the same name twice", two(&inner, &inner.replace("\"*\"", "\"a.example/b\""))),
        ("the wildcard twice", two(&inner, &other)),
        (
            "an exact scope before the wildcard",
            two(
                &inner,
                &other
                    .replace(r#""registryScopes":["*"]"#, r#""registryScopes":["registry.example/app"]"#)
                    .replace("strict", "audit"),
            ),
        ),
        ("a second document", format!("{good}{good}")),
        ("trailing garbage", format!("{good}x")),
        ("trailing space", format!("{good} \n")),
        ("leading space", format!(" \n{good}")),
        ("byte order mark", format!("\u{feff}{good}")),
        ("nothing", String::new()),
        ("null", "null".to_owned()),
        ("an array", format!("[{good}]")),
        ("a comment", format!("//x\n{good}")),
    ]
    .into_iter()
    .map(|(what, document)| of(what, document))
    .collect()
}

fn statements() -> Vec<Case> {
    let good = good();
    let scopes = |text: &str| good.replace(r#""registryScopes":["*"]"#, &format!(r#""registryScopes":{text}"#));
    let stores = |text: &str| good.replace(r#""trustStores":["ca:test"]"#, &format!(r#""trustStores":{text}"#));
    let level = |text: &str| good.replace(r#"{"level":"strict"}"#, text);
    let mut table: Vec<(String, String)> = Vec::new();
    for text in [
        "[]",
        "null",
        r#"["registry.example/app"]"#,
        r#"["registry.example/App"]"#,
        r#"["REGISTRY.example/app"]"#,
        r#"["registry.example/other"]"#,
        r#"["registry.example"]"#,
        r#"["*","registry.example/app"]"#,
        r#"["*","*"]"#,
        r#"["registry.example/*"]"#,
        r#"["registry.example/app","registry.example/app"]"#,
        r#"["registry.example/app:v1"]"#,
        r#"["registry.example/app/"]"#,
        r#"["https://registry.example/app"]"#,
        r#"["registry.example:443/app"]"#,
        r#"["[::1]/app"]"#,
        r#"[""]"#,
        r#"[" *"]"#,
        r#"["registry.example/a__b"]"#,
        r#"["registry.example/a---b"]"#,
        r#"["registry.example/a._b"]"#,
        r#""*""#,
    ] {
        table.push((format!("scopes {text}"), scopes(text)));
    }
    for text in [
        "[]",
        "null",
        r#"["ca:test","ca:test"]"#,
        r#"["CA:test"]"#,
        r#"["ca"]"#,
        r#"["ca:"]"#,
        r#"["ca:a b"]"#,
        r#"["ca:test:x"]"#,
        r#"["tsa:test"]"#,
        r#"["signingAuthority:missing","ca:test"]"#,
        r#"["ca:.","ca:test"]"#,
        r#"["ca:missing","ca:test"]"#,
        r#"["tsa:missing","ca:test"]"#,
        r#"[":test"]"#,
    ] {
        table.push((format!("stores {text}"), stores(text)));
    }
    for text in [
        r#"{"level":"STRICT"}"#,
        r#"{"level":""}"#,
        "{}",
        "null",
        r#"{"level":"skip"}"#,
        r#"{"level":"strict","override":{}}"#,
        r#"{"level":"strict","override":null}"#,
        r#"{"level":"strict","override":{"expiry":"skip"}}"#,
        r#"{"level":"strict","override":{"revocation":"skip"}}"#,
        r#"{"level":"strict","override":{"integrity":"enforce"}}"#,
        r#"{"level":"strict","override":{"x":"log"}}"#,
        r#"{"level":"strict","override":{"expiry":"warn"}}"#,
        r#"{"level":"strict","override":{"expiry":"log","expiry":"enforce"}}"#,
        r#"{"level":"strict","verifyTimestamp":"always"}"#,
        r#"{"level":"strict","verifyTimestamp":"never"}"#,
        r#"{"level":"strict","verifyTimestamp":null}"#,
        r#"{"level":"strict","verifyTimestamp":"AfterCertExpiry"}"#,
    ] {
        table.push((format!("verification {text}"), level(text)));
    }
    let skip = |more: &str| {
        format!(
            r#"{{"version":"1.0","trustPolicies":[{{"name":"a","registryScopes":["*"],"signatureVerification":{{"level":"skip"}}{more}}}]}}"#
        )
    };
    for more in [
        "",
        r#","trustStores":[],"trustedIdentities":[]"#,
        r#","trustStores":["ca:test"]"#,
        r#","trustedIdentities":["*"]"#,
    ] {
        table.push((format!("skip with {more}"), skip(more)));
    }
    for name in ["", " ", "ä", "a\\u0000b", "a\\ud800", "a\\ud800b"] {
        table.push((format!("name {name:?}"), good.replace("\"test\"", &format!("\"{name}\""))));
    }
    table.into_iter().map(|(what, document)| of(&what, document)).collect()
}

fn identities() -> Vec<Case> {
    const MINE: &str = "C=US, ST=Washington, O=Microsoft Corporation";
    let lists: Vec<Vec<String>> = [
        vec!["*".to_owned(), "*".to_owned()],
        vec!["*".to_owned(), format!("x509.subject: {MINE}")],
        vec![String::new()],
        vec!["x509.subject".to_owned()],
        vec!["x509.subject:".to_owned()],
        vec!["x509.subject: ".to_owned()],
        vec![":".to_owned()],
        vec!["arn:x".to_owned(), format!("x509.subject: {MINE}")],
        vec![format!("X509.subject: {MINE}")],
        vec![format!("x509.subject: {MINE}"), format!("x509.subject: {MINE}, L=Redmond")],
        vec![format!("x509.subject: {MINE}"), format!("x509.subject: {MINE}")],
        vec![format!("x509.subject: {MINE}, L=Redmond"), format!("x509.subject: {MINE}, L=Oslo")],
    ]
    .into_iter()
    .chain(
        [
            "C=US, ST=Washington",
            "C=US, O=Microsoft Corporation",
            "c=US, ST=Washington, O=Microsoft Corporation",
            "C=US, ST=Washington, O=microsoft corporation",
            "C=US,,ST=Washington, O=Microsoft Corporation",
            "C=US, ST=Washington, O=Microsoft Corporation,",
            "C=US+ST=Washington, O=Microsoft Corporation",
            "C=US, ST=Washington, S=Washington, O=Microsoft Corporation",
            "C=US, ST=, O=Microsoft Corporation",
            "C=US, ST=Washington, ST=Washington, O=Microsoft Corporation",
            "C=US, ST=, ST=Washington, O=Microsoft Corporation",
            "C=US, ST=Washington, O=#4d",
            "C=US, ST=Washington, O=\\#4d",
            "C=US, ST=Washington, O=Microsoft Corporation, X=",
            "C=US, ST=Washington, O=Microsoft Corporation, X=y",
            "C=US, ST=Washington, O=\"Microsoft Corporation\"",
            "C=US, ST=Washington, O=Microsoft\\ Corporation",
            "C=US, ST=Washington, O=Microsoft\\20Corporation",
            "C=US, ST=Washington, O=Microsoft\\zCorporation",
            "C=US, ST=Washington, O=Microsoft Corporation\\",
            "US",
            "C=US, ST=Washington, O=\\c3\\28",
            "=US, C=US, ST=Washington, O=Microsoft Corporation",
            "2.5.4.6=US, C=US, ST=Washington, O=Microsoft Corporation",
            "  C = US ,  ST = Washington , O = Microsoft Corporation  ",
            "C=US\\, ST=Washington, O=Microsoft Corporation",
            "C=US, ST=Washington, O=Microsoft Corporation, CN=a=b",
        ]
        .into_iter()
        .map(|name| vec![format!("x509.subject: {name}")]),
    )
    .collect();
    let mut cases = Vec::new();
    for list in lists {
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        cases.push(of(&format!("identities {list:?}"), policy("strict", "", &["ca:test"], &list)));
    }
    cases
}
