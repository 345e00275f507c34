// SPDX-License-Identifier: Apache-2.0
//! What a registry asks for with 401: RFC 9110, section 11, and the distribution project's token specification. Pure.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::limits::{MAX_CHALLENGE_PARAMETERS, MAX_HEADER_BYTES};

/// A way to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password.
    Basic,
    /// A token from a token server.
    Bearer {
        /// The token server's URL, as it was sent.
        realm: String,
        /// The name under which the token server knows the registry.
        service: Option<String>,
        /// What the token should allow.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The first challenge of a kind that we can meet, `Bearer` before `Basic`.
    pub(super) fn find(headers: &HeaderMap) -> Option<Self> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<Self> = texts.filter(|text| text.len() <= MAX_HEADER_BYTES).flat_map(parse).collect();
        let bearer = challenges.iter().find(|challenge| matches!(challenge, Self::Bearer { .. }));
        bearer.or_else(|| challenges.first()).cloned()
    }
}

/// The challenges of one header line.
fn parse(text: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for item in split_commas(text).take(MAX_CHALLENGE_PARAMETERS) {
        // Each item is `scheme`, `scheme name=value` or `name=value`.
        let (scheme, parameter) = match item.split_once(char::is_whitespace) {
            Some((scheme, rest)) if !scheme.contains('=') => (Some(scheme), rest.trim()),
            _ if item.contains('=') => (None, item),
            _ => (Some(item), ""),
        };
        if let Some(scheme) = scheme {
            match scheme.to_ascii_lowercase().as_str() {
                "basic" => challenges.push(Challenge::Basic),
                "bearer" => challenges.push(Challenge::Bearer { realm: String::new(), service: None, scope: None }),
                // Parameters of a scheme that we do not know must not be taken for those of the one before it.
                _ => return finished(challenges),
            }
        }
        if let (Some((name, value)), Some(Challenge::Bearer { realm, service, scope })) =
            (parameter.split_once('='), challenges.last_mut())
        {
            let value = unquote(value.trim());
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" if realm.is_empty() => *realm = value,
                "service" if service.is_none() => *service = Some(value),
                "scope" if scope.is_none() => *scope = Some(value),
                _ => {}
            }
        }
    }
    finished(challenges)
}

/// A bearer challenge without a realm cannot be met.
fn finished(mut challenges: Vec<Challenge>) -> Vec<Challenge> {
    challenges.retain(|challenge| !matches!(challenge, Challenge::Bearer { realm, .. } if realm.is_empty()));
    challenges
}

/// Splits at commas outside of quoted strings.
fn split_commas(text: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c| {
        let was_escaped = is_escaped;
        is_escaped = is_quoted && c == '\\' && !was_escaped;
        is_quoted ^= c == '"' && !was_escaped;
        c == ',' && !is_quoted
    })
    .map(str::trim)
    .filter(|item| !item.is_empty())
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut is_escaped = false;
    inner
        .chars()
        .filter(|c| {
            is_escaped = *c == '\\' && !is_escaped;
            !is_escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn find(lines: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(line).unwrap());
        }
        Challenge::find(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let (service, scope) = (service.map(str::to_owned), scope.map(str::to_owned));
        Challenge::Bearer { realm: realm.to_owned(), service, scope }
    }

    #[test]
    fn a_challenge_that_cannot_be_met_is_none() {
        for lines in [&[][..], &[""], &["Negotiate"], &["Bearer"], &[r#"Bearer realm="""#], &["realm=x"], &[",,,"]] {
            assert_eq!(find(lines), None, "{lines:?}");
        }
        let long = format!(r#"Bearer realm="{}""#, "x".repeat(MAX_HEADER_BYTES));
        assert_eq!(find(&[&long]), None);
    }

    #[test]
    fn parameters_of_an_unknown_scheme_belong_to_nobody() {
        assert_eq!(find(&[r#"Basic, Digest realm="http://x", service=y"#]), Some(Challenge::Basic));
    }

    #[test]
    fn bearer_is_preferred_and_its_parameters_are_read() {
        let line = r#"Bearer realm="https://a.test/token",service="a.test",scope="repository:x:pull,push""#;
        let expected = bearer("https://a.test/token", Some("a.test"), Some("repository:x:pull,push"));
        assert_eq!(find(&[line]).as_ref(), Some(&expected));
        assert_eq!(find(&[r#"Basic realm="x""#, line]).as_ref(), Some(&expected));
        assert_eq!(find(&[&format!(r#"Basic realm="x", {line}"#)]), Some(expected));
        assert_eq!(find(&["bearer REALM=https://a.test , realm=b"]), Some(bearer("https://a.test", None, None)));
        assert_eq!(find(&[r#"Bearer realm="a\"b\\c""#]), Some(bearer(r#"a"b\c"#, None, None)));
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(text in "((Bearer|Basic|realm|scope)|[ =,\"\\\\a]){0,40}") {
            let _ = parse(&text);
        }
    }
}
