// SPDX-License-Identifier: Apache-2.0

use proptest::prelude::*;

use super::*;

fn config(locations: &[(&str, &str)]) -> Credentials {
    let auths: serde_json::Map<String, serde_json::Value> = locations
        .iter()
        .map(|(location, user)| ((*location).to_owned(), serde_json::json!({"username": user, "password": "s3cret"})))
        .collect();
    Credentials::from_docker_config_json(serde_json::json!({ "auths": auths }).to_string().as_bytes()).unwrap()
}

fn users(credentials: &Credentials, repository: &str) -> Vec<String> {
    let repository = repository.parse().unwrap();
    let name = |credential: &&Credential| match credential {
        Credential::Basic { username, .. } => username.clone(),
        Credential::IdentityToken { .. } => "token".to_owned(),
    };
    credentials.for_repository(&repository).iter().map(name).collect()
}

#[test]
fn a_malformed_secret_is_refused_and_never_quoted() {
    let cases = [
        r#"{"auths":{"a.test":{"auth":"s3cret"}}}"#,
        r#"{"auths":{"a.test":{"auth":"!!s3cret!!"}}}"#,
        r#"{"auths":{"a.test":{"password":["s3cret"]}}}"#,
        r#"{"auths":{"a.test":"s3cret"}}"#,
        r#"["s3cret"]"#,
        "s3cret",
        "",
    ];
    for json in cases {
        let error = Credentials::from_docker_config_json(json.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let large = vec![b' '; MAX_CONFIG_BYTES + 1];
    let too_large = CredentialsError::TooLarge { limit: MAX_CONFIG_BYTES };
    assert_eq!(Credentials::from_docker_cfg(&large).unwrap_err(), too_large);
}

#[test]
fn no_debug_output_holds_a_secret() {
    let mut credentials = config(&[("a.test", "joe")]);
    let json = br#"{"b.test":{"identitytoken":"s3cret"}}"#;
    credentials.merge(Credentials::from_docker_cfg(json).unwrap());
    let key = credentials.key(&"a.test/x".parse().unwrap());
    let shown = format!("{credentials:?} {key:?} {:?}", credentials.for_repository(&"b.test/x".parse().unwrap()));
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("IdentityToken"), "{shown}");
}

#[test]
fn a_location_applies_to_its_own_host_port_and_path_only() {
    for (location, repository, applies) in [
        ("a.test", "a.test/x", true),
        ("https://a.test", "a.test/x", true),
        ("http://a.test/v1/", "a.test/x", true),
        ("a.test/v2/", "a.test/x", true),
        ("A.test", "a.test/x", true),
        ("a.test", "a.test.evil.test/x", false),
        ("a.test", "b.a.test/x", false),
        ("a.test", "a.test:5000/x", false),
        ("a.test:5000", "a.test:5000/x", true),
        ("a.test:5000", "a.test/x", false),
        ("a.test/team", "a.test/team/x", true),
        ("a.test/team", "a.test/teams", true), // the kubelet's prefix is one of characters
        ("a.test/team", "a.test/other", false),
        ("*.a.test", "b.a.test/x", true),
        ("*.a.test", "a.test/x", false),
        ("*.a.test", "c.b.a.test/x", false),
        ("*.azurecr.io", "x.azurecr.io.evil.test/x", false),
        ("b?.a.test", "b1.a.test/x", false), // a question mark starts a query
        ("x[a-c].test", "xb.test/x", true),
        ("x[^a-c].test", "xb.test/x", false),
        ("x[a-.test", "xa.test/x", false),
        ("[a-c]x.test", "bx.test/x", false),
        ("*b*.test", "abc.test/x", true),
        ("*b*.test", "ac.test/x", false),
        ("[::1]:5000", "[::1]:5000/x", true),
        ("user@a.test", "a.test/x", false),
        ("", "a.test/x", false),
    ] {
        let found = users(&config(&[(location, "joe")]), repository);
        assert_eq!(!found.is_empty(), applies, "{location} for {repository}");
    }
}

#[test]
fn docker_hubs_login_is_the_last_resort_for_docker_hub_alone() {
    let hub = config(&[("https://index.docker.io/v1/", "hub")]);
    assert_eq!(users(&hub, "nginx"), ["hub"]);
    assert!(users(&hub, "a.test/nginx").is_empty());
    let both = config(&[("https://index.docker.io/v1/", "hub"), ("docker.io/library", "library")]);
    assert_eq!(users(&both, "nginx"), ["library"]);
}

#[test]
fn the_most_specific_comes_first_then_the_order_of_the_secrets() {
    let mut credentials = config(&[("*.test", "glob"), ("a.test", "host"), ("a.test/team/x", "path")]);
    credentials.merge(config(&[("a.test", "second"), ("a.test/team", "team")]));
    assert_eq!(users(&credentials, "a.test/team/x"), ["path", "team", "host", "second", "glob"]);
    credentials.merge(config(&[("a.test", "host")]));
    assert_eq!(users(&credentials, "a.test/y"), ["host", "second", "glob"]);
}

#[test]
fn auth_wins_over_user_and_password_with_and_without_padding() {
    for auth in ["am9lOnMzY3JldDp4", "am9lOnMzY3JldDp4eA==", "am9lOnMzY3JldDp4eA"] {
        let json = format!(r#"{{"a.test":{{"auth":"{auth}","username":"other","email":"x"}}}}"#);
        assert_eq!(users(&Credentials::from_docker_cfg(json.as_bytes()).unwrap(), "a.test/x"), ["joe"], "{auth}");
    }
}

#[test]
fn the_key_tells_sets_of_credentials_apart_and_ignores_what_does_not_apply() {
    let repository: Repository = "a.test/x".parse().unwrap();
    let key = |credentials: &Credentials| credentials.key(&repository);
    let joe = config(&[("a.test", "joe")]);
    assert_eq!(key(&joe), key(&config(&[("a.test", "joe"), ("b.test", "ann")])));
    assert_ne!(key(&joe), key(&config(&[("a.test", "ann")])));
    assert_ne!(key(&joe), key(&Credentials::default()));
    assert_ne!(key(&joe), key(&joe.clone().without_operator_credentials()));
    let basic = |username: &str, password: &str| {
        CredentialKey::of(Some(&Credential::Basic { username: username.to_owned(), password: password.to_owned() }))
    };
    assert_ne!(basic("ab", "c"), basic("a", "bc"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Credentials::from_docker_config_json(&bytes);
        let _ = Credentials::from_docker_cfg(&bytes);
    }

    #[test]
    fn no_location_makes_the_matching_panic(location in "[a-z*?\\[\\]\\\\^.:/-]{0,30}") {
        let _ = users(&config(&[(location.as_str(), "joe")]), "abc.test/x");
    }
}
