// SPDX-License-Identifier: Apache-2.0
//! The verification plugin that a signature asks for (signature-specification.md, "Extended attributes").

use std::collections::BTreeMap;

const NAME: &str = "io.cncf.notary.verificationPlugin";
const MINIMUM_VERSION: &str = "io.cncf.notary.verificationPluginMinVersion";

/// A verification plugin that a signature asks for. This verifier runs none, so such a signature fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerificationPlugin {
    /// The plugin's name; none if the attribute is not there or not text.
    pub name: Option<String>,
    /// The least version asked for; none if the attribute is not there or not text.
    pub minimum_version: Option<String>,
    /// What is wrong with the two attributes themselves, for messages: any verifier would refuse them (PL-1).
    pub problem: Option<&'static str>,
}

impl VerificationPlugin {
    /// The plugin that these attributes ask for, if they do. A version alone asks for one too.
    pub(super) fn find(attributes: &BTreeMap<String, Option<String>>, critical: &[String]) -> Option<Self> {
        let (name, version) = (attributes.get(NAME), attributes.get(MINIMUM_VERSION));
        let is_critical = |attribute: &str| critical.iter().any(|listed| listed == attribute);
        let problem = match (name, version) {
            (None, None) => return None,
            (None, Some(_)) => Some("a version is asked for, and no plugin"),
            (Some(_), _) if !is_critical(NAME) => Some("the plugin's name is not critical"),
            (Some(None), _) => Some("the plugin's name is not text"),
            (Some(Some(name)), _) if name.trim().is_empty() => Some("the plugin's name is blank"),
            (_, Some(_)) if !is_critical(MINIMUM_VERSION) => Some("the plugin's version is not critical"),
            (_, Some(None)) => Some("the plugin's version is not text"),
            (_, Some(Some(version))) if !is_semantic_version(version) => Some("the plugin's version is no SemVer"),
            _ => None,
        };
        Some(Self { name: name.cloned().flatten(), minimum_version: version.cloned().flatten(), problem })
    }

    /// Whether an attribute is one of the two that this is about.
    pub(super) fn is_asked_for_by(attribute: &str) -> bool {
        matches!(attribute, NAME | MINIMUM_VERSION)
    }
}

/// A version of Semantic Versioning 2.0.0.
fn is_semantic_version(text: &str) -> bool {
    let is_identifier =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = |part: &str| is_digits(part) && (part == "0" || !part.starts_with('0'));
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, before) = rest.split_once('-').map_or((rest, None), |(core, before)| (core, Some(before)));
    core.split('.').count() == 3
        && core.split('.').all(is_number)
        && before.is_none_or(|before| {
            before.split('.').all(|part| is_identifier(part) && (!is_digits(part) || is_number(part)))
        })
        && build.is_none_or(|build| build.split('.').all(is_identifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PL-1: the examples of semver.org.
    #[test]
    fn versions_are_those_of_semantic_versioning() {
        for good in [
            "0.0.4",
            "1.2.3",
            "1.0.0-alpha.beta",
            "1.0.0-0A.is.legal",
            "1.0.0--",
            "1.1.2-rc.1+meta-valid",
            "1.0.0+0.build.1-rc.10000aaa-kk-0.1",
        ] {
            assert!(is_semantic_version(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "01.1.1",
            "1.1.01",
            "v1.2.3",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3+",
            "1.2.3+a+b",
            "1.2.3-a_b",
            "1.2.-3",
            " 1.2.3",
            "1.2.x",
            "1.2.٣",
        ] {
            assert!(!is_semantic_version(bad), "{bad}");
        }
    }
}
