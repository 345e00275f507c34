// SPDX-License-Identifier: Apache-2.0

//! The documentation says what is so: its links lead somewhere, its documents are valid, its commands exist, and what
//! it says to run is run.

mod markdown;
mod recorded;
mod runnable;
mod shell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use kube::core::cel::validate_cel;
use sealwatch_api::{ImageVerification, TrustPolicy};
use sealwatch_e2e::testenv::{OperatorProcess, Result};
use sealwatch_notation::TrustPolicyDocument;
use serde::Serialize;
use serde_json::{Value, json};

use markdown::Page;

/// Fewer pages than this mean that the folder was not found.
const LEAST_PAGES: usize = 12;
/// The program's commands.
const COMMANDS: [&str; 12] = [
    "scan",
    "verify",
    "inspect",
    "policy import",
    "policy export",
    "policy lint",
    "crl fetch",
    "mirror",
    "operator",
    "check",
    "crds",
    "completions",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page of `docs`, of the project's top folder and of the tests on real parts, by its path.
fn pages() -> Result<BTreeMap<PathBuf, Page>> {
    let mut pages = BTreeMap::new();
    for folder in ["", "docs", "docs/adr", "e2e"] {
        for entry in fs::read_dir(root().join(folder))? {
            let path = Path::new(folder).join(entry?.file_name());
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(root().join(&path))?;
                pages.insert(path, Page::parse(&text));
            }
        }
    }
    assert!(pages.len() >= LEAST_PAGES, "{} pages only", pages.len());
    Ok(pages)
}

/// What `sealwatch COMMAND --help` says, by command.
fn help() -> Result<BTreeMap<&'static str, String>> {
    let binary = OperatorProcess::binary()?;
    let mut help = BTreeMap::new();
    for command in COMMANDS {
        let output = Command::new(&binary).args(command.split(' ')).arg("--help").output()?;
        assert!(output.status.success(), "sealwatch {command} --help: {}", output.status);
        help.insert(command, String::from_utf8(output.stdout)?);
    }
    Ok(help)
}

/// The flags in a text, long and short, without their values.
fn flags(text: &str) -> BTreeSet<&str> {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let words = text.split(|c: char| c.is_whitespace() || c == '[' || c == '(');
    let flags = words.filter(|word| word.starts_with('-')).map(|word| word.split(is_end).next().unwrap_or_default());
    flags.filter(|flag| flag.trim_start_matches('-').starts_with(|c: char| c.is_ascii_alphabetic())).collect()
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() -> Result<()> {
    let pages = pages()?;
    let (mut links, mut broken) = (0, Vec::new());
    for (path, page) in &pages {
        for link in page.links().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            links += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = path.parent().unwrap_or(Path::new(""));
            let target = if file.is_empty() { path.clone() } else { markdown::normalised(&folder.join(file)) };
            let is_there = root().join(&target).exists();
            let has_heading = heading.is_empty() || pages.get(&target).is_some_and(|page| page.has_heading(heading));
            if !is_there || !has_heading {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(links > 30, "{links} links only");
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    Ok(())
}

#[test]
fn the_index_leads_to_every_page() -> Result<()> {
    let pages = pages()?;
    let index = pages.get(Path::new("docs/README.md")).ok_or("there is no index")?;
    let linked: BTreeSet<_> = index.links().map(|link| markdown::normalised(&Path::new("docs").join(link))).collect();
    let missing: Vec<_> = pages.keys().filter(|path| path.starts_with("docs") && !linked.contains(*path)).collect();
    assert_eq!(missing, [Path::new("docs/README.md")], "pages that docs/README.md does not lead to");
    Ok(())
}

#[test]
fn every_document_shown_is_valid() -> Result<()> {
    let (mut shown, mut wrong) = (BTreeMap::<String, usize>::new(), Vec::new());
    for (path, page) in &pages()? {
        for block in page.blocks.iter().filter(|block| block.language == "yaml") {
            for document in serde_saphyr::from_multiple::<Value>(&block.text)? {
                if !document["apiVersion"].as_str().is_some_and(|version| version.starts_with("sealwatch.dev/")) {
                    continue;
                }
                let kind = document["kind"].as_str().unwrap_or_default().to_owned();
                wrong.extend(complaint(&kind, &document).map(|why| format!("{}: {kind}: {why}", path.display())));
                *shown.entry(kind).or_default() += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "documents that are not valid:\n{}", wrong.join("\n"));
    assert!(shown["TrustPolicy"] > 2 && shown["ImageVerification"] > 0, "{shown:?}");
    Ok(())
}

/// Why a document that users may copy would not work.
fn complaint(kind: &str, document: &Value) -> Option<String> {
    match kind {
        "TrustPolicy" => match serde_json::from_value::<TrustPolicy>(document.clone()) {
            Ok(policy) => misread(&document["spec"], &policy.spec)
                .or_else(|| validate_cel(&policy).err().map(|errors| format!("{errors:?}")))
                .or_else(|| {
                    let two_keys = json!({ "version": document["spec"]["version"],
                                           "trustPolicies": document["spec"]["trustPolicies"] });
                    TrustPolicyDocument::from_json(two_keys.to_string().as_bytes()).err().map(|error| error.to_string())
                }),
            Err(error) => Some(error.to_string()),
        },
        "ImageVerification" => match serde_json::from_value::<ImageVerification>(document.clone()) {
            Ok(image) => misread(&document["spec"], &image.spec)
                .or_else(|| validate_cel(&image).err().map(|errors| format!("{errors:?}"))),
            Err(error) => Some(error.to_string()),
        },
        _ => Some("there is no such kind".to_owned()),
    }
}

/// The first field that is written and not read, such as a misspelt one.
fn misread(written: &Value, read: &impl Serialize) -> Option<String> {
    fn missing(path: &str, written: &Value, read: &Value) -> Option<String> {
        match (written, read) {
            (Value::Object(written), Value::Object(read)) => written.iter().find_map(|(key, value)| {
                let path = format!("{path}.{key}");
                read.get(key).map_or_else(|| Some(format!("{path} is not known")), |read| missing(&path, value, read))
            }),
            (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
                written.iter().zip(read).find_map(|(written, read)| missing(&format!("{path}[]"), written, read))
            }
            _ => (written != read).then(|| format!("{path} is {written} and read as {read}")),
        }
    }
    serde_json::to_value(read).map_or_else(|error| Some(error.to_string()), |read| missing("spec", written, &read))
}

#[test]
fn every_flag_shown_exists() -> Result<()> {
    let help = help()?;
    let any: BTreeSet<&str> = help.values().flat_map(|text| flags(text)).collect();
    let (mut commands, mut wrong) = (0, Vec::new());
    for (path, page) in &pages()? {
        let mut complain = |what: &str| wrong.push(format!("{}: {what}", path.display()));
        for command in page.commands("sealwatch") {
            commands += 1;
            let words = || command.split_whitespace().skip(1);
            let names = [words().take(1).collect::<Vec<_>>().join(" "), words().take(2).collect::<Vec<_>>().join(" ")];
            let Some(known) = names.iter().find_map(|name| help.get(name.as_str())) else {
                complain(&format!("{command}: there is no such command"));
                continue;
            };
            let known = flags(known);
            flags(&command).into_iter().filter(|flag| !known.contains(flag)).for_each(|flag| {
                complain(&format!("{command}: there is no flag {flag}"));
            });
        }
        // Beside a command's name a flag may be any program's; alone, in the user's guide, it is ours.
        let is_guide = path.parent() == Some(Path::new("docs"));
        for span in page.spans.iter().filter(|span| is_guide && span.starts_with('-')) {
            flags(span).into_iter().filter(|flag| !any.contains(flag)).for_each(|flag| {
                complain(&format!("`{span}`: there is no flag {flag}"));
            });
        }
    }
    assert!(commands > 5, "{commands} commands only");
    assert!(wrong.is_empty(), "flags that do not exist:\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_flag_that_exists_is_documented() -> Result<()> {
    let page = fs::read_to_string(root().join("docs/cli.md"))?;
    for (command, text) in help()? {
        let chapter = page.split("\n## ").find(|chapter| chapter.starts_with(&format!("sealwatch {command}\n")));
        let documented = chapter.unwrap_or_default().replace('`', " ");
        let documented = flags(&documented);
        // A flag's line in the help begins with it; elsewhere it is an example's.
        let lines = text.lines().filter(|line| line.trim_start().starts_with('-'));
        let existing =
            lines.flat_map(|line| flags(line.split("  ").find(|part| !part.trim().is_empty()).unwrap_or("")));
        let missing: Vec<&str> =
            existing.filter(|flag| !matches!(*flag, "-h" | "--help") && !documented.contains(flag)).collect();
        assert!(missing.is_empty(), "docs/cli.md says nothing about {missing:?} of sealwatch {command}");
    }
    Ok(())
}

#[test]
fn whoever_is_on_call_finds_every_reason_and_every_alert() -> Result<()> {
    let read = |path: &str| fs::read_to_string(root().join(path));
    let (reasons, alerts) = (read("docs/reasons.md")?, read("config/monitoring/prometheus_rule.yaml")?);
    let reasons = reasons.lines().filter_map(|line| line.strip_prefix("### ")).map(|name| ("reasons", name));
    let alerts =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(|name| ("operations", name));
    let named: Vec<_> = reasons.chain(alerts).collect();
    let page = read("docs/on-call.md")?;
    let missing = named
        .iter()
        .filter(|(file, name)| !page.contains(&format!("[{name}]({file}.md#{})", name.to_ascii_lowercase())));
    let missing: Vec<&str> = missing.map(|(_, name)| *name).collect();
    assert!(named.len() > 35, "{named:?}");
    assert!(missing.is_empty(), "docs/on-call.md does not lead to {missing:?}");
    Ok(())
}

#[test]
fn every_recipe_shown_exists() -> Result<()> {
    let justfile = fs::read_to_string(root().join("justfile"))?;
    let recipes: BTreeSet<&str> = justfile
        .lines()
        .filter(|line| line.contains(':') && line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split([' ', ':']).next())
        .collect();
    assert!(recipes.contains("test"), "{recipes:?}");
    for (path, page) in &pages()? {
        for command in page.commands("./just") {
            let recipe = command.split_whitespace().nth(1).unwrap_or("test");
            let is_known = recipe.starts_with('-') || recipes.contains(recipe);
            assert!(is_known, "{}: {command}: there is no such recipe", path.display());
        }
    }
    Ok(())
}

#[test]
fn a_misspelt_field_or_a_broken_rule_would_be_noticed() {
    let policy = |statement: Value| {
        json!({ "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy", "metadata": { "name": "p" },
                "spec": { "version": "1.0", "trustPolicies": [statement] } })
    };
    let skip = json!({ "name": "a", "registryScopes": ["*"], "signatureVerification": { "level": "skip" } });
    assert_eq!(complaint("TrustPolicy", &policy(skip.clone())), None);
    let mut misspelt = skip.clone();
    misspelt["registryScope"] = json!(["*"]);
    assert!(complaint("TrustPolicy", &policy(misspelt)).is_some_and(|why| why.contains("registryScope is not known")));
    let mut broken = skip;
    broken["signatureVerification"]["level"] = json!("lax");
    assert!(complaint("TrustPolicy", &policy(broken)).is_some());
}
