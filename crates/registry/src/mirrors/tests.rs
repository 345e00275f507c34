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
fn a_field_that_is_not_known_and_a_setting_that_is_dangerous_are_warned_of() {
    let config = parse(
        "mirrors: {a.test: {endpoints: [x]}}\nextra: 1\nconfigs: {b.test: {tls: {insecure_skip_verify: true}, auth: {user: x}}, \
         '*': {auth: {username: joe, password: hunter2}}}",
    );
    let warnings = config.warnings().join("\n");
    for field in [
        "extra",
        "mirrors[a.test].endpoints",
        "configs[b.test].auth.user",
        "tls.insecure_skip_verify",
        "configs[*].auth",
    ] {
        assert!(warnings.contains(field), "{field} in {warnings}");
    }
    assert!(!warnings.contains("hunter2"), "{warnings}");
    let endpoints = config.endpoints(&"evil.test/app".parse().unwrap());
    assert!(endpoints[0].operator_credential.is_none(), "a wildcard is no leave to give the password to anybody");
}

#[test]
fn an_endpoint_is_understood_as_k3s_understands_it() {
    for (text, expected) in [
        ("m.test", "https://m.test/v2"),
        ("m.test:5000", "https://m.test:5000/v2"),
        ("http://m.test", "http://m.test/v2"),
        ("https://m.test/", "https://m.test/v2"),
        ("https://m.test/v2", "https://m.test/v2"),
        ("https://m.test/v2/", "https://m.test/v2"),
        ("https://m.test/Repository/docker_Proxy~1", "https://m.test/Repository/docker_Proxy~1"),
        ("localhost:5000", "http://localhost:5000/v2"),
        ("localhost:443", "https://localhost/v2"),
        ("localhost", "https://localhost/v2"),
        ("127.0.0.2:5000", "http://127.0.0.2:5000/v2"),
        ("[::1]:5000", "http://[::1]:5000/v2"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000/v2"),
    ] {
        assert_eq!(parse_endpoint("a.test", text).unwrap().as_str(), expected, "{text}");
    }
    let twice = parse("mirrors: {a.test: {endpoint: [m.test, 'https://m.test/v2']}}");
    assert_eq!(urls(&twice, "a.test/b").len(), 2, "once, and the registry itself");
}

#[test]
fn an_endpoint_on_a_nodes_loopback_is_left_out_with_a_warning_and_is_not_named() {
    let yaml = "mirrors: {'*': {endpoint: ['https://127.0.0.1:6443', 'localhost:5000', 'https://m.test']}, \
                '127.0.0.1:5001': {endpoint: ['http://127.0.0.1:5001']}}";
    let mut config = parse(yaml);
    config.leave_out_loopback(&[]);
    assert_eq!(urls(&config, "a.test/b").len(), 2, "{:?}", urls(&config, "a.test/b"));
    assert_eq!(config.warnings().len(), 2, "{:?}", config.warnings());
    assert!(config.warnings()[0].contains("127.0.0.1:6443"), "{:?}", config.warnings());
    let named: Vec<_> = config.named().collect();
    assert!(!named.contains(&("127.0.0.1".to_owned(), 6443)) && named.contains(&("127.0.0.1".to_owned(), 5001)));
    assert_eq!(urls(&config, "127.0.0.1:5001/b"), ["http://127.0.0.1:5001/v2/b/manifests/v1"]);
    let mut allowed = parse(yaml);
    allowed.leave_out_loopback(&["127.0.0.0/8".parse().unwrap()]);
    assert_eq!(urls(&allowed, "a.test/b").len(), 4);
}

#[test]
fn an_entry_of_signatures_that_is_no_place_is_refused() {
    for place in
        ["Origin", "", "sigs", "team/sigs", "sigs.test/", "sigs.test/a*", "sigs.test/a:v1", "https://sigs.test/a"]
    {
        let error = RegistriesConfig::parse(format!("signatures: {{a.test: ['{place}']}}").as_bytes()).unwrap_err();
        assert_eq!(error, RegistriesError::Signatures { registry: "a.test".to_owned() }, "{place}");
    }
}

#[test]
fn signatures_are_looked_for_in_the_places_that_the_file_names_after_the_endpoints() {
    let places = |yaml: &str, is_closed: bool| {
        let mut config = parse(yaml);
        if is_closed {
            config.disable_origins();
        }
        let (endpoints, is_last_word) = config.signature_endpoints(&"a.test/team/app".parse().unwrap());
        let urls: Vec<String> = endpoints.iter().map(|endpoint| endpoint.url("x", "y").to_string()).collect();
        (urls, is_last_word)
    };
    let mirror = "https://m.test/v2/team/app/x/y?ns=a.test";
    let origin = "https://a.test/v2/team/app/x/y";
    let mirrors = "mirrors: {a.test: {endpoint: [m.test]}}\n";
    let with = |signatures: &str| format!("{mirrors}signatures: {signatures}");
    for (yaml, is_closed, expected, is_last_word) in [
        (mirrors.to_owned(), false, vec![mirror, origin], true),
        (mirrors.to_owned(), true, vec![mirror], false),
        (with("{a.test: []}"), true, vec![mirror], true),
        (with("{a.test: [origin]}"), true, vec![mirror, origin], true),
        (with("{a.test: [origin]}"), false, vec![mirror, origin], true),
        (with("{'*': [sigs.test/all]}"), true, vec![mirror, "https://sigs.test/v2/all/x/y"], true),
        (with("{a.test: ['sigs.test/of/*']}"), true, vec![mirror, "https://sigs.test/v2/of/team/app/x/y"], true),
        (with("{a.test: ['sigs.test/*']}"), true, vec![mirror, "https://sigs.test/v2/team/app/x/y"], true),
        (with("{other.test: [sigs.test/all]}"), true, vec![mirror], false),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(places(&yaml, is_closed), (expected, is_last_word), "{yaml} closed {is_closed}");
    }
    let named: Vec<_> = parse("signatures: {a.test: [sigs.test/all]}").named().collect();
    assert!(named.contains(&("sigs.test".to_owned(), 443)));
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

/// With a matcher that goes back and tries again, this would take longer than there is time.
#[test]
fn a_rewrite_made_to_be_slow_takes_no_longer_than_others() {
    let path = format!("{}b", "a".repeat(200));
    for pattern in ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)(.*)(.*)(.*)(.*)x"] {
        let config = parse(&format!("mirrors: {{a.test: {{endpoint: [http://m.test], rewrite: {{'{pattern}': x}}}}}}"));
        let expected = format!("http://m.test/v2/{path}/manifests/v1?ns=a.test");
        assert_eq!(urls(&config, &format!("a.test/{path}"))[0], expected, "{pattern}");
    }
}

#[test]
fn a_rewrite_that_makes_no_path_leaves_the_mirror_out() {
    let config = parse("mirrors: {a.test: {endpoint: [http://m.test], rewrite: {'b': '../../x'}}}");
    assert_eq!(urls(&config, "a.test/b"), ["https://a.test/v2/b/manifests/v1"]);
}

#[test]
fn a_registry_that_is_not_to_be_asked_is_not_asked_where_no_mirror_can_be_either() {
    let mut loopback = parse("mirrors: {a.test: {endpoint: ['http://127.0.0.1:6443']}}");
    loopback.leave_out_loopback(&[]);
    let no_path = parse("mirrors: {a.test: {endpoint: [http://m.test], rewrite: {'b': '../../x'}}}");
    for mut config in [loopback, no_path] {
        assert_eq!(urls(&config, "a.test/b").len(), 1, "the registry itself");
        config.disable_origins();
        assert_eq!(urls(&config, "a.test/b"), [""; 0]);
    }
    let mut rules_alone = parse("mirrors: {a.test: {rewrite: {'x': 'y'}}}");
    rules_alone.disable_origins();
    assert_eq!(urls(&rules_alone, "a.test/b").len(), 1, "no mirror was named");
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
fn an_insecure_host_that_was_found_is_asked_over_http_and_not_named_and_the_file_comes_first() {
    let mut config = parse("mirrors: {m.test: {endpoint: ['https://mirror.test']}}");
    config.insecure_as_found("localhost:5000").unwrap();
    config.insecure_as_found("m.test").unwrap();
    assert!(urls(&config, "localhost:5000/a")[0].starts_with("http://localhost:5000/v2/"));
    let named: Vec<_> = config.named().collect();
    assert!(!named.contains(&("localhost".to_owned(), 5000)), "{named:?}");
    assert!(named.contains(&("mirror.test".to_owned(), 443)), "{named:?}");
    assert!(config.insecure_as_found("not a host").is_err());
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
    let both = parse(
        "configs: {docker.io: {auth: {username: name, password: x}}, registry-1.docker.io: {auth: {username: host, password: x}}}",
    );
    let hub = both.endpoints(&"nginx".parse().unwrap()).remove(0).operator_credential;
    assert!(matches!(hub, Some(Credential::Basic { username, .. }) if username == "host"));
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
