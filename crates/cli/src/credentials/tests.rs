// SPDX-License-Identifier: Apache-2.0

use std::fs;

use super::*;

fn of(variables: &[(&str, &str)]) -> Vec<String> {
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    places(variable).iter().map(|place| place.path.display().to_string()).collect()
}

#[test]
fn files_are_looked_for_where_docker_and_podman_keep_them() {
    let home = of(&[("HOME", "/h")]);
    assert_eq!(home, ["/h/.docker/config.json", "/h/.config/containers/auth.json"]);
    let all = [("HOME", "/h"), ("DOCKER_CONFIG", "/d"), ("XDG_RUNTIME_DIR", "/r"), ("XDG_CONFIG_HOME", "/c")];
    assert_eq!(of(&all), ["/d/config.json", "/r/containers/auth.json", "/c/containers/auth.json"]);
    let named: Vec<_> = all.into_iter().chain([("REGISTRY_AUTH_FILE", "/a.json")]).collect();
    assert_eq!(of(&named), ["/a.json"], "what podman's variable names stands alone");
    assert_eq!(of(&[]), [""; 0]);
}

fn helpers(config: &str) -> Helpers {
    serde_json::from_str(config).unwrap()
}

#[test]
fn a_registrys_own_helper_comes_before_the_general_one() {
    let config =
        helpers(r#"{"credsStore":"desktop","credHelpers":{"r.test":"own"},"auths":{"r.test":{},"s.test":{}}}"#);
    assert_eq!((config.of("r.test"), config.of("s.test"), config.of("t.test")), (Some("own"), Some("desktop"), None));
    let hub = helpers(r#"{"credsStore":"desktop","auths":{"https://index.docker.io/v1/":{}}}"#);
    assert_eq!(hub.of("docker.io"), Some("desktop"));
    assert_eq!(helpers("{}").of("r.test"), None);
}

#[test]
fn a_file_that_cannot_be_used_is_refused_without_quoting_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    for text in ["{\"auths\":{\"r.test\":{\"auth\":\"hunter2\"}}}", "{\"credHelpers\":\"hunter2\"}", "hunter2"] {
        fs::write(&path, text).unwrap();
        let error = read(&Place { path: path.clone(), variable: None }).err().unwrap();
        assert!(!error.contains("hunter2") && !error.contains("pull secret"), "{error}");
    }
}

#[test]
fn advice_names_the_helper_that_was_not_run() {
    let mut found = Found::default();
    assert!(found.advice("r.test").contains("config.json") && found.advice("r.test").contains("--registries"));
    found.held_back.insert("r.test".to_owned(), "desktop".to_owned());
    assert!(found.advice("r.test").contains("docker-credential-desktop"), "{}", found.advice("r.test"));
}
