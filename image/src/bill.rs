// SPDX-License-Identifier: Apache-2.0

//! What the program is made of, as a `CycloneDX` 1.6 bill of materials: every crate that is linked into it, with
//! version, licence and checksum, and which needs which. From Cargo.lock and `cargo metadata`, hence the same for the
//! same lock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Error, Result};

/// The crate that is the program.
const PROGRAM: &str = "sealwatch";
/// The crate whose certificates lie in the image as a file.
const CERTIFICATES: &str = "webpki-root-certs";

/// The crates of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// By name and version.
    crates: BTreeMap<(String, String), Crate>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Crate {
    license: Option<String>,
    checksum: Option<String>,
    needs: BTreeSet<(String, String)>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// Nothing for what is linked, else `dev` or `build`.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Bill {
    /// Asks cargo about the workspace in `folder`, for this target (`x86_64-unknown-linux-gnu`).
    ///
    /// # Errors
    /// Cargo refuses, or its answer is not as expected.
    pub fn of_workspace(folder: &Path, target: &str) -> Result<Self> {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target])
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Self::read(&output.stdout, &std::fs::read_to_string(folder.join("Cargo.lock"))?)
    }

    fn read(metadata: &[u8], lock: &str) -> Result<Self> {
        let metadata: Metadata = serde_json::from_slice(metadata)?;
        let lock: Lock = toml::from_str(lock)?;
        let checksums: BTreeMap<_, _> =
            lock.package.into_iter().map(|locked| ((locked.name, locked.version), locked.checksum)).collect();
        let packages: BTreeMap<&str, &Package> =
            metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let roots = metadata.packages.iter().filter(|package| [PROGRAM, CERTIFICATES].contains(&package.name.as_str()));

        let mut bill = Self::default();
        let mut open: Vec<&str> = roots.map(|package| package.id.as_str()).collect();
        while let Some(id) = open.pop() {
            let package = packages.get(id).ok_or_else(|| missing(id))?;
            let key = (package.name.clone(), package.version.clone());
            if bill.crates.contains_key(&key) {
                continue;
            }
            let mut needs = BTreeSet::new();
            for dependency in &nodes.get(id).ok_or_else(|| missing(id))?.deps {
                if dependency.dep_kinds.iter().any(|kind| kind.kind.is_none()) {
                    let needed = packages.get(dependency.pkg.as_str()).ok_or_else(|| missing(&dependency.pkg))?;
                    needs.insert((needed.name.clone(), needed.version.clone()));
                    open.push(&dependency.pkg);
                }
            }
            let checksum = checksums.get(&key).cloned().flatten();
            bill.crates.insert(key, Crate { license: package.license.clone(), checksum, needs });
        }
        if bill.program().is_none() {
            return Err(format!("the workspace has no crate {PROGRAM}").into());
        }
        Ok(bill)
    }

    /// The crates of several bills.
    pub fn union<'a>(bills: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for (key, of_one) in bills.into_iter().flat_map(|bill| &bill.crates) {
            let entry = all.crates.entry(key.clone()).or_insert_with(|| of_one.clone());
            entry.needs.extend(of_one.needs.iter().cloned());
        }
        all
    }

    fn program(&self) -> Option<&(String, String)> {
        self.crates.keys().find(|(name, _)| name == PROGRAM)
    }

    /// The bill as a document.
    ///
    /// # Errors
    /// The time is none, or there is no program in it.
    pub(crate) fn document(&self, epoch: u64) -> Result<Vec<u8>> {
        let program = self.program().ok_or("a bill without program")?;
        let made = jiff::Timestamp::from_second(i64::try_from(epoch)?)?.to_string();
        let others = self.crates.iter().filter(|(key, _)| *key != program);
        let components: Vec<Value> = others.map(|(key, of_one)| component(key, of_one, "library")).collect();
        let dependencies: Vec<Value> = self
            .crates
            .iter()
            .map(|(key, of_one)| {
                let needs: Vec<String> = of_one.needs.iter().map(url).collect();
                json!({"ref": url(key), "dependsOn": needs})
            })
            .collect();
        let document = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {
                "timestamp": made,
                "component": component(program, &self.crates[program], "application"),
            },
            "components": components,
            "dependencies": dependencies,
        });
        Ok(serde_json::to_vec(&document)?)
    }
}

fn missing(id: &str) -> Error {
    format!("cargo metadata does not say what {id} is").into()
}

/// The package URL.
fn url((name, version): &(String, String)) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

fn component(key: &(String, String), of_one: &Crate, kind: &str) -> Value {
    let mut value = json!({"type": kind, "bom-ref": url(key), "name": key.0, "version": key.1, "purl": url(key)});
    if let Some(license) = &of_one.license {
        // Older crates write "MIT/Apache-2.0", which is no SPDX expression.
        value["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    if let Some(checksum) = &of_one.checksum {
        value["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(target: &str) -> Bill {
        Bill::of_workspace(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")), target).expect("a bill")
    }

    #[test]
    fn the_bill_names_what_is_linked_with_its_checksum_and_nothing_that_only_tests_need() {
        let bill = workspace("x86_64-unknown-linux-gnu");
        let document: Value = serde_json::from_slice(&bill.document(0).expect("a document")).expect("JSON");
        let components = document["components"].as_array().expect("components");
        let named = |name: &str| components.iter().find(|component| component["name"] == name);
        for needed in ["kube-client", "aws-lc-sys", "rustls", "webpki-root-certs", "sealwatch-notation"] {
            assert!(named(needed).is_some(), "{needed} is not there");
        }
        for absent in ["proptest", "rcgen", "rsa", "sealwatch-fixtures", "windows-sys", "cc"] {
            assert!(named(absent).is_none(), "{absent} is there");
        }
        let foreign = components
            .iter()
            .filter(|component| !component["name"].as_str().is_some_and(|name| name.starts_with("sealwatch")));
        for component in foreign {
            assert!(component["hashes"][0]["content"].as_str().is_some_and(|hash| hash.len() == 64), "{component}");
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        }
        assert_eq!(document["metadata"]["component"]["name"], "sealwatch");
        assert_eq!(document["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn the_same_lock_gives_the_same_bill() {
        let document = |bill: &Bill| bill.document(1).expect("a document");
        let (one, other) = (workspace("aarch64-unknown-linux-gnu"), workspace("aarch64-unknown-linux-gnu"));
        assert_eq!(document(&one), document(&other));
        assert_eq!(Bill::union([&one, &other]), one);
    }

    #[test]
    fn an_answer_of_another_workspace_is_refused_in_words() {
        let error =
            Bill::read(br#"{"packages": [], "resolve": {"nodes": []}}"#, "package = []").unwrap_err().to_string();
        assert_eq!(error, "the workspace has no crate sealwatch");
    }
}
