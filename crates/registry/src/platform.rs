// SPDX-License-Identifier: Apache-2.0
//! Which manifests of an index a node may have taken. Pure, and wide on purpose: what is left out here is what no
//! container runtime would run there.

use std::fmt;

use crate::limits::MAX_PLATFORM_BYTES;

/// Operating systems by the names that Go has for them (`GOOS`), which are those of nodes and of indexes.
const SYSTEMS: [&str; 13] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
];
/// Architectures by the names that Go has for them (`GOARCH`). WebAssembly is left out: runtimes of any node may take it.
const ARCHITECTURES: [&str; 13] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x",
];
/// What a node of the first architecture takes where an index has nothing better for it. Source: `platformVector` of
/// containerd/platforms.
const ALSO_RUNS: [(&str, &str); 2] = [("amd64", "386"), ("arm64", "arm")];

/// The platform of a node, as its kubelet reports it: `os/architecture`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    os: Box<str>,
    architecture: Box<str>,
}

impl Platform {
    /// `None` if either part is empty, longer than [`MAX_PLATFORM_BYTES`], or not made of lower-case letters, digits and
    /// the signs `.`, `_` and `-`.
    pub fn new(os: &str, architecture: &str) -> Option<Self> {
        let is_name = |text: &str| {
            let is_sign = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
            !text.is_empty() && text.len() <= MAX_PLATFORM_BYTES && text.bytes().all(is_sign)
        };
        let platform = Self { os: os.into(), architecture: architecture.into() };
        (is_name(os) && is_name(architecture)).then_some(platform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// What an index says of the platform of one of its descriptors; a part that is missing or no short text is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimedPlatform {
    /// `platform.os`
    pub os: Option<Box<str>>,
    /// `platform.architecture`
    pub architecture: Option<Box<str>>,
}

impl ClaimedPlatform {
    /// Whether a node of that platform may run what is described so.
    ///
    /// Only what is certain excludes: another operating system or architecture by its exact name. Other spellings
    /// (`x86_64`, `Linux`) count, because runtimes fold them; so does what says nothing, which runtimes take for
    /// anything. Variant, `os.version` and `os.features` never exclude, since no node reports its own.
    pub fn may_run_on(&self, node: &Platform) -> bool {
        let is_other_system = self.os.as_deref().is_some_and(|os| SYSTEMS.contains(&os) && *os != *node.os);
        let is_other_architecture = self.architecture.as_deref().is_some_and(|architecture| {
            ARCHITECTURES.contains(&architecture) && !runs(&node.architecture, architecture)
        });
        match &*node.os {
            "linux" => !is_other_system && !is_other_architecture,
            // Windows runs programs of other architectures by itself.
            "windows" => !is_other_system,
            _ => true,
        }
    }

    /// Whether both parts are `unknown`: so `BuildKit` describes what is no image.
    pub(crate) fn is_unknown(&self) -> bool {
        self.os.as_deref() == Some("unknown") && self.architecture.as_deref() == Some("unknown")
    }
}

impl fmt::Display for ClaimedPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &Option<Box<str>>| part.as_deref().unwrap_or("?").to_owned();
        write!(f, "{}/{}", part(&self.os), part(&self.architecture))
    }
}

/// Whether programs of an architecture run on a node of another one. An architecture that we do not know runs anything.
fn runs(node: &str, architecture: &str) -> bool {
    !ARCHITECTURES.contains(&node) || node == architecture || ALSO_RUNS.contains(&(node, architecture))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claimed(os: &str, architecture: &str) -> ClaimedPlatform {
        ClaimedPlatform { os: Some(os.into()), architecture: Some(architecture.into()) }
    }

    fn node(os: &str, architecture: &str) -> Platform {
        Platform::new(os, architecture).unwrap()
    }

    #[test]
    fn only_another_system_or_architecture_by_its_exact_name_is_excluded() {
        let node = node("linux", "amd64");
        for (os, architecture) in
            [("windows", "amd64"), ("linux", "arm64"), ("linux", "s390x"), ("darwin", "arm64"), ("freebsd", "amd64")]
        {
            assert!(!claimed(os, architecture).may_run_on(&node), "{os}/{architecture}");
        }
        for (os, architecture) in [("linux", "amd64"), ("wasip1", "wasm"), ("unknown", "unknown"), ("", "")] {
            assert!(claimed(os, architecture).may_run_on(&node), "{os}/{architecture}");
        }
    }

    /// containerd folds them all into linux/amd64.
    #[test]
    fn a_platform_that_is_spelt_otherwise_or_not_at_all_may_run() {
        let node = node("linux", "amd64");
        for (os, architecture) in [("linux", "x86_64"), ("linux", "x86-64"), ("Linux", "AMD64"), ("LINUX", "Amd64")] {
            assert!(claimed(os, architecture).may_run_on(&node), "{os}/{architecture}");
        }
        assert!(ClaimedPlatform::default().may_run_on(&node));
        assert!(ClaimedPlatform { os: None, architecture: Some("amd64".into()) }.may_run_on(&node));
        assert!(!ClaimedPlatform { os: None, architecture: Some("arm64".into()) }.may_run_on(&node));
    }

    /// An index may have amd64 for newer processors only; a node without one takes its 386.
    #[test]
    fn a_node_may_fall_back_to_the_smaller_architecture_that_it_runs() {
        assert!(claimed("linux", "386").may_run_on(&node("linux", "amd64")));
        assert!(claimed("linux", "arm").may_run_on(&node("linux", "arm64")));
        assert!(!claimed("linux", "amd64").may_run_on(&node("linux", "386")));
        assert!(!claimed("linux", "arm64").may_run_on(&node("linux", "arm")));
    }

    #[test]
    fn a_windows_node_takes_windows_of_any_version_and_architecture() {
        for architecture in ["amd64", "arm64", "386"] {
            assert!(claimed("windows", architecture).may_run_on(&node("windows", "amd64")), "{architecture}");
        }
        assert!(!claimed("linux", "amd64").may_run_on(&node("windows", "amd64")));
    }

    #[test]
    fn on_a_platform_that_we_do_not_know_anything_may_run() {
        assert!(claimed("linux", "amd64").may_run_on(&node("freebsd", "amd64")));
        assert!(claimed("linux", "amd64").may_run_on(&node("linux", "sparc64")));
    }

    #[test]
    fn what_is_no_short_name_is_no_platform_of_a_node() {
        for (os, architecture) in [("", "amd64"), ("linux", ""), ("linux", "amd 64"), ("Linux", "amd64"), ("l/x", "a")]
        {
            assert_eq!(Platform::new(os, architecture), None, "{os}/{architecture}");
        }
        assert_eq!(Platform::new("linux", &"a".repeat(MAX_PLATFORM_BYTES + 1)), None);
        assert_eq!(node("linux", "amd64").to_string(), "linux/amd64");
    }

    proptest! {
        #[test]
        fn a_node_may_always_run_its_own_platform(os in "[a-z0-9]{1,10}", architecture in "[a-z0-9_]{1,10}") {
            let node = node(&os, &architecture);
            prop_assert!(claimed(&os, &architecture).may_run_on(&node));
        }
    }
}
