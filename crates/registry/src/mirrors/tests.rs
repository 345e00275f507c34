// SPDX-License-Identifier: Apache-2.0

use proptest::prelude::*;

use super::*;

fn parse(yaml: &str) -> RegistriesConfig {
    RegistriesConfig::parse(yaml.as_bytes()).unwrap()
}

fn urls(config: &RegistriesConfig, repository: &str) -> Vec<String> {
    let endpoints = config.endpoints(&repository.parse().unwrap());
    endpoints.iter().map(|endpoint| endpoint.url("manifests", "v1").to_string()).collect()
}

#[test]
fn a_malformed_file_is_refused_with_the_field_and_without_its_content() {
    let endpoint = || RegistriesError::Endpoint { registry: "a.test".to_owned() };
    let auth = || RegistriesError::Auth { registry: "a.test".to_owned() };
    for (yaml, expected) in [
        ("mirrors: {a.test: {endpoint: ['ftp://b.test']}}", endpoint()),
        ("mirrors: {a.test: {endpoint: ['https://user:hunter2@b.test']}}", endpoint()),
        ("mirrors: {a.test: {endpoint: ['https://b.test/?x=1']}}", endpoint()),
        ("mirrors: {a.test: {endpoint: ['https://b.test/a%2fx']}}", endpoint()),
        ("mirrors: {a.test: {endpoint: ['https://']}}", endpoint()),
        ("mirrors: {a.test: {rewrite: {'(': x}}}", RegistriesError::Rewrite { registry: "a.test".to_owned() }),
        ("mirrors: {'a b': {}}", RegistriesError::Host),
        ("configs: {a.test: {auth: {username: joe}}}", auth()),
        ("configs: {a.test: {auth: {auth: '%%%'}}}", auth()),
        ("configs: {a.test: {auth: {auth: 'aHVudGVyMg=='}}}", auth()),
    ] {
        let error = RegistriesConfig::parse(yaml.as_bytes()).unwrap_err();
        assert_eq!(error, expected, "{yaml}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    for yaml in [
        "mirrors: [",
        "mirrors: 7",
        "configs:\n  a.test:\n    auth: {password: hunter2, password: hunter2}",
        "configs:\n  a.test:\n    auth: [hunter2]",
        "\u{fffd}: \u{0}",
    ] {
        let error = RegistriesConfig::parse(yaml.as_bytes()).unwrap_err();
        assert!(matches!(error, RegistriesError::Malformed { .. }), "{yaml}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert!(matches!(RegistriesConfig::parse(b"\xff"), Err(RegistriesError::Malformed { .. })));
    let large = vec![b' '; MAX_CONFIG_BYTES + 1];
    assert!(matches!(RegistriesConfig::parse(&large), Err(RegistriesError::TooLarge { .. })));
}

#[test]
fn an_unknown_field_and_an_unsupported_one_are_warned_of() {
    let config = parse(
        "mirrors: {a.test: {endpoints: [x]}}\nextra: 1\nconfigs: {b.test: {tls: {ca_file: /x, insecure_skip_verify: true}, auth: {user: x}}}",
    );
    let warnings = config.warnings().join("\n");
    for field in
        ["extra", "mirrors[a.test].endpoints", "configs[b.test].auth.user", "tls.ca_file", "tls.insecure_skip_verify"]
    {
        assert!(warnings.contains(field), "{field} in {warnings}");
    }
}

#[test]
fn without_a_mirror_the_registry_itself_is_asked_over_https() {
    assert_eq!(urls(&parse(""), "a.test:5000/b"), ["https://a.test:5000/v2/b/manifests/v1"]);
    assert_eq!(
        urls(&parse("mirrors:\nconfigs:\n"), "nginx"),
        ["https://registry-1.docker.io/v2/library/nginx/manifests/v1"]
    );
}

#[test]
fn mirrors_come_first_in_order_with_rewritten_path_and_the_origin_last_unrewritten() {
    let config = parse(
        "mirrors:\n  mcr.microsoft.com:\n    endpoint: [http://m.test:5000, 'https://n.test/v2/proxy/']\n    rewrite:\n      \
         '^(.*)$': 'aio-mirror/1.4/${1}'\n      '.*': never\n",
    );
    assert_eq!(
        urls(&config, "mcr.microsoft.com/a/b"),
        [
            "http://m.test:5000/v2/aio-mirror/1.4/a/b/manifests/v1?ns=mcr.microsoft.com",
            "https://n.test/v2/proxy/aio-mirror/1.4/a/b/manifests/v1?ns=mcr.microsoft.com",
            "https://mcr.microsoft.com/v2/a/b/manifests/v1",
        ]
    );
    let mut closed = config.clone();
    closed.disable_origins();
    assert_eq!(urls(&closed, "mcr.microsoft.com/a/b").len(), 2);
    assert_eq!(urls(&closed, "other.test/a"), ["https://other.test/v2/a/manifests/v1"]);
}

#[test]
fn a_rewrite_that_makes_no_path_leaves_the_mirror_out() {
    let config = parse("mirrors: {a.test: {endpoint: [http://m.test], rewrite: {'b': '../../x'}}}");
    assert_eq!(urls(&config, "a.test/b"), ["https://a.test/v2/b/manifests/v1"]);
}

#[test]
fn an_endpoint_that_is_the_registry_itself_takes_the_origins_place() {
    let config = parse("mirrors: {'127.0.0.1:5000': {endpoint: ['http://127.0.0.1:5000']}}");
    assert_eq!(urls(&config, "127.0.0.1:5000/a"), ["http://127.0.0.1:5000/v2/a/manifests/v1"]);
}

#[test]
fn the_wildcard_stands_for_registries_without_an_entry() {
    let config = parse("mirrors: {'*': {endpoint: ['http://m.test']}, own.test: {endpoint: ['http://own.test']}}");
    assert_eq!(urls(&config, "any.test/a").len(), 2);
    assert_eq!(urls(&config, "own.test/a"), ["http://own.test/v2/a/manifests/v1"]);
}

#[test]
fn an_insecure_host_is_asked_over_http_and_is_named() {
    let mut config = RegistriesConfig::default();
    config.insecure("LOCALHOST:5000").unwrap();
    assert_eq!(urls(&config, "localhost:5000/a"), ["http://localhost:5000/v2/a/manifests/v1"]);
    assert!(config.named().any(|named| named == ("localhost".to_owned(), 5000)));
    assert!(config.is_plain_http(&Url::parse("http://localhost:5000/token").unwrap()));
    assert!(!config.is_plain_http(&Url::parse("http://localhost:5001/token").unwrap()));
    for host in ["", "a/b", "http://a", "a:b", "a@b"] {
        assert_eq!(config.insecure(host), Err(RegistriesError::Host), "{host}");
    }
}

#[test]
fn credentials_belong_to_the_endpoints_host_alone() {
    let config = parse(
        "mirrors: {a.test: {endpoint: ['https://m.test']}}\n\
         configs: {m.test: {auth: {username: joe, password: 0123}}, docker.io: {auth: {auth: am9lOnM6M2NyZXQ=}}}",
    );
    let endpoints = config.endpoints(&"a.test/x".parse().unwrap());
    let credentials: Vec<_> = endpoints.into_iter().map(|endpoint| endpoint.operator_credential).collect();
    let joe = Credential::Basic { username: "joe".to_owned(), password: "0123".to_owned() };
    assert_eq!(credentials, [Some(joe), None]);
    let hub = config.endpoints(&"nginx".parse().unwrap()).remove(0).operator_credential;
    assert_eq!(hub, Some(Credential::Basic { username: "joe".to_owned(), password: "s:3cret".to_owned() }));
    assert!(!format!("{config:?}").contains("0123"));
}

#[test]
fn a_name_without_port_means_both_default_ports() {
    assert_eq!(ports_of("a.test").unwrap(), [("a.test".to_owned(), 443), ("a.test".to_owned(), 80)]);
    assert_eq!(ports_of("[::1]:5000").unwrap(), [("[::1]".to_owned(), 5000)]);
    assert_eq!(ports_of("[::1]").unwrap(), [("[::1]".to_owned(), 443), ("[::1]".to_owned(), 80)]);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = RegistriesConfig::parse(text.as_bytes());
    }

    #[test]
    fn no_endpoint_makes_the_parser_panic(text in "(https?://)?[a-z0-9.:/@%\\[\\]?#-]{0,40}") {
        let yaml = format!("mirrors: {{a.test: {{endpoint: ['{text}']}}}}");
        if let Ok(config) = RegistriesConfig::parse(yaml.as_bytes()) {
            let _ = urls(&config, "a.test/b");
        }
    }
}
