// SPDX-License-Identifier: Apache-2.0

use super::*;

fn parse(text: &str) -> Result<DistinguishedName, DistinguishedNameError> {
    DistinguishedName::parse(text)
}

fn values(text: &str) -> Vec<(String, String)> {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).attributes.into_iter().collect()
}

fn value_of_o(text: &str) -> Option<String> {
    parse(&format!("C=US,ST=WA,O={text},L=x"))
        .ok()?
        .attributes
        .into_iter()
        .find(|(name, _)| name == "O")
        .map(|(_, value)| value)
}

/// DN-1, CVE-2023-25656.
#[test]
fn an_encoded_value_is_refused_wherever_it_stands() {
    for text in ["C=US,ST=WA,O=#1303666f6f", "C=US,ST=WA,O=a=#b", "C=US,ST=WA,O=x,1.2.3=#0500"] {
        assert_eq!(parse(text), Err(DistinguishedNameError::EncodedValue), "{text}");
    }
    // A space between, or an escape, makes it plain text.
    assert_eq!(value_of_o(r"\#a").as_deref(), Some("#a"));
    assert_eq!(value_of_o(" #a").as_deref(), Some("#a"));
}

/// DN-2.
#[test]
fn comma_and_semicolon_separate_and_plus_is_refused() {
    assert_eq!(parse("C=US;ST=WA,O=x").ok(), parse("C=US,ST=WA;O=x").ok());
    assert_eq!(parse("C=US,ST=WA+O=x"), Err(DistinguishedNameError::MultiValued));
    assert_eq!(value_of_o(r"a\+b").as_deref(), Some("a+b"));
}

/// DN-3.
#[test]
fn spaces_around_types_and_values_do_not_count_unless_escaped() {
    assert_eq!(values(" C = US , ST=WA,  O =  a b  "), values("C=US,ST=WA,O=a b"));
    assert_eq!(value_of_o(r"\ a\ ").as_deref(), Some(" a "));
    assert_eq!(value_of_o(r"\ a\   ").as_deref(), Some(" a "));
    assert_eq!(value_of_o(r"a\\").as_deref(), Some(r"a\"));
    // go-ldap makes the value `a\ ` of this.
    assert_eq!(value_of_o(r"a\\ "), None);
    assert_eq!(values(r"C=US,ST=WA,O=a\ "), values(r"O=\61\20,C=US,ST=WA"), "also at the very end");
    assert!(parse("\nC=US,ST=WA,O=x").is_err(), "a line break belongs to the type");
    assert_eq!(value_of_o("x\t").as_deref(), Some("x\t"), "a tab belongs to the value");
    assert_ne!(values("C=US,ST=WA,O=x\n"), values("C=US,ST=WA,O=x"));
}

/// DN-4.
#[test]
fn only_the_escapes_of_rfc_4514_are_known() {
    assert_eq!(value_of_o(r#"\"\#\+\,\;\<\=\>\\"#).as_deref(), Some(r##""#+,;<=>\"##));
    assert_eq!(value_of_o(r"\c3\A9t\20").as_deref(), Some("ét "));
    for text in [r"\x", r"\4", r"\4g", r"\é1", r"\ff", r"a\n"] {
        assert_eq!(value_of_o(text), None, "{text}");
    }
    for text in ["C=US,ST=WA,O=x,", ",C=US,ST=WA,O=x", "C=US,ST=WA,O", "C=US,ST=WA,=x", "C=US,,ST=WA,O=x"] {
        assert!(matches!(parse(text), Err(DistinguishedNameError::Malformed { .. })), "{text}");
    }
    assert_eq!(value_of_o("a=b").as_deref(), Some("a=b"));
    assert_eq!(value_of_o(r#"a"b<c>"#).as_deref(), Some(r#"a"b<c>"#));
}

/// DN-5.
#[test]
fn types_are_compared_with_case_and_s_means_st() {
    assert_eq!(values("C=US,S=WA,O=x"), values("C=US,ST=WA,O=x"));
    for text in ["c=US,ST=WA,O=x", "C=US,st=WA,O=x", "C=US,s=WA,O=x", "C=US,ST=WA,o=x"] {
        assert!(matches!(parse(text), Err(DistinguishedNameError::MandatoryMissing { .. })), "{text}");
    }
}

/// DN-6.
#[test]
fn a_repeated_type_is_refused_also_by_alias_or_after_an_empty_value() {
    for text in ["C=US,ST=WA,O=x,O=x", "C=US,ST=WA,S=WA,O=x", "C=US,ST=WA,O=x,CN=,CN=y"] {
        assert!(matches!(parse(text), Err(DistinguishedNameError::Repeated { .. })), "{text}");
    }
}

/// DN-7.
#[test]
fn country_state_and_organization_are_mandatory() {
    for (text, attribute) in [
        ("ST=WA,O=x", "C"),
        ("C=US,O=x", "ST"),
        ("C=US,ST=WA", "O"),
        ("C=,ST=WA,O=x", "C"),
        ("C=US,ST=  ,O=x", "ST"),
        ("", "C"),
        ("   ", "C"),
    ] {
        assert_eq!(parse(text), Err(DistinguishedNameError::MandatoryMissing { attribute }), "{text}");
    }
}

/// DN-8.
#[test]
fn a_name_matches_every_name_that_has_at_least_its_attributes() {
    let subset = |a: &str, b: &str| parse(a).expect(a).is_subset_of(&parse(b).expect(b));
    let full = "CN=n,O=x,L=l,ST=WA,C=US";
    assert!(subset(full, full));
    assert!(subset("C=US,O=x,ST=WA", full));
    assert!(!subset(full, "C=US,O=x,ST=WA"));
    assert!(!subset("C=US,O=X,ST=WA", full));
    assert!(!subset("C=US,O=x,ST=WA,OU=", full), "an empty value is not an absent one");
    // No normalisation: composed and decomposed letters differ.
    assert!(!subset("C=US,ST=WA,O=\u{e9}", "C=US,ST=WA,O=e\u{301}"));
}

/// DN-8: stricter than notation-go.
#[test]
fn an_identity_with_an_empty_value_is_refused() {
    let name = "C=US,ST=WA,O=x,CN=";
    let error = Identity::subject(&format!("x509.subject:{name}"), name);
    assert_eq!(error, Err(DistinguishedNameError::EmptyValue { attribute: "CN".to_owned() }));
}

/// TP-28.
#[test]
fn only_names_cover_each_other() {
    let name = |text: &str| Identity::subject(text, text).expect(text);
    assert!(name("C=US,ST=WA,O=x").covers(&name("C=US,ST=WA,O=x,CN=n")));
    assert!(!name("C=US,ST=WA,O=x,CN=n").covers(&name("C=US,ST=WA,O=x")));
    assert!(!Identity::foreign("arn:a").covers(&Identity::foreign("arn:a")));
    assert!(!Identity::any().covers(&name("C=US,ST=WA,O=x")));
    assert!(Identity::any().is_any() && !Identity::foreign("arn:a").is_any());
}

/// DN-5, DN-10.
#[test]
fn a_type_that_no_subject_is_written_with_is_named() {
    let never = |text: &str| parse(text).expect(text).never_written().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(never("CN=n,OU=u,O=x,L=l,STREET=s,POSTALCODE=p,SERIALNUMBER=1,S=WA,C=US"), [""; 0]);
    assert_eq!(never("cn=n,O=x,ST=WA,C=US,DC=test,emailAddress=a@b"), ["DC", "cn", "emailAddress"]);
}
