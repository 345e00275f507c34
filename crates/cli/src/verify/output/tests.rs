// SPDX-License-Identifier: Apache-2.0

use sealwatch_registry::Reference;
use sealwatch_verifier::{GatherError, Reason, Verification};
use serde_json::Value;

use super::*;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn answer(image: &str, message: &str) -> Answer {
    let reference: Reference = image.parse().unwrap();
    let error = GatherError { reason: Reason::RegistryUnavailable, message: message.into(), retry_after: None };
    let digest = reference.digest().cloned();
    Answer::new(image, &reference, digest, Verification::without_evidence(&error, None))
}

#[test]
fn text_from_a_registry_never_reaches_the_terminal_raw() {
    let hostile = format!("a\u{1b}[2J\r\nSuccessfully verified signature for b\u{202e}{}", "x".repeat(10_000));
    for format in [OutputFormat::Text, OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml] {
        let text = render(&[answer("r.test/a:1", &hostile)], format).unwrap();
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{format:?}: {text}");
        assert!(!text.lines().any(|line| line.starts_with("Successfully")), "{format:?}: {text}");
        assert!(text.len() < 2_000, "{format:?}: {} bytes", text.len());
    }
}

#[test]
fn an_image_is_named_by_its_digest_where_that_is_known() {
    assert_eq!(answer("r.test/a", "").image(), "r.test/a:latest");
    assert_eq!(answer("nginx:1", "").image(), "docker.io/library/nginx:1");
    assert_eq!(answer(&format!("r.test/a:1@{DIGEST}"), "").image(), format!("r.test/a@{DIGEST}"));
}

#[test]
fn a_sentence_for_each_image_in_order() {
    let text = render(&[answer("r.test/b:1", "one"), answer("r.test/a:1", "two")], OutputFormat::Text).unwrap();
    let expected = "Unknown: r.test/b:1: RegistryUnavailable: one\nUnknown: r.test/a:1: RegistryUnavailable: two\n";
    assert_eq!(text, expected);
}

#[test]
fn the_columns_of_a_table_stand_below_each_other() {
    let text = render(&[answer("r.test/a:1", "one"), answer("r.test/longer:1", "two")], OutputFormat::Table).unwrap();
    let expected = "\
IMAGE            VERDICT  REASON               SIGNER  MESSAGE
r.test/a:1       Unknown  RegistryUnavailable  -       one
r.test/longer:1  Unknown  RegistryUnavailable  -       two
";
    assert_eq!(text, expected);
}

#[test]
fn json_and_yaml_say_the_same() {
    let answers = [answer(&format!("r.test/a@{DIGEST}"), "yes: no, \"12:30:45\" # {"), answer("r.test/b:1", "- on")];
    let json: Value = serde_json::from_str(&render(&answers, OutputFormat::Json).unwrap()).unwrap();
    let yaml: Value = serde_saphyr::from_str(&render(&answers, OutputFormat::Yaml).unwrap()).unwrap();
    assert_eq!(json, yaml);
    assert_eq!(json[0]["digest"], DIGEST);
    assert_eq!(json[0]["repository"], "r.test/a");
    assert_eq!(json[0]["message"], "yes: no, \"12:30:45\" # {");
    assert_eq!(json[1]["image"], "r.test/b:1");
    assert_eq!(json[1]["digest"], Value::Null);
}
