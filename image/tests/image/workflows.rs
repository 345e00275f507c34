// SPDX-License-Identifier: Apache-2.0

//! What GitHub runs is what everybody can run, and nothing that somebody else may exchange.

use std::collections::BTreeSet;
use std::fs;

use sealwatch_image::Result;
use serde_json::Value;

use crate::{in_repository, text};

/// The only actions that may be used, for what no recipe can do.
const ACTIONS: [&str; 2] = ["actions/checkout", "actions/setup-go"];

fn workflows() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(in_repository(".github/workflows"))? {
        let entry = entry?;
        found.push((entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?));
    }
    found.sort();
    Ok(found)
}

/// The names of the recipes of a justfile: lines such as `image folder="build/image": needs`.
fn recipes(justfile: &str) -> BTreeSet<&str> {
    let lines = justfile.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let lines = lines.filter(|line| line.contains(':') && !line.contains(":=") && !line.starts_with("set "));
    lines.filter_map(|line| line.split([' ', ':']).next()).collect()
}

/// What is wrong with a workflow.
fn complaints(text: &str, recipes: &BTreeSet<&str>) -> Result<Vec<String>> {
    let workflow: Value = serde_saphyr::from_str(text)?;
    let mut found = Vec::new();
    if workflow["permissions"] != serde_json::json!({"contents": "read"}) {
        found.push("permissions of the workflow are more than to read its contents".to_owned());
    }
    if !workflow["on"]["pull_request_target"].is_null() {
        found.push("pull_request_target runs a stranger's code with our rights".to_owned());
    }
    let jobs = workflow["jobs"].as_object().ok_or("jobs")?;
    for (name, job) in jobs {
        if job["timeout-minutes"].is_null() {
            found.push(format!("{name}: has no timeout-minutes"));
        }
        for step in job["steps"].as_array().ok_or("steps")? {
            match (step["uses"].as_str(), step["run"].as_str()) {
                (Some(action), None) => found.extend(of_action(action, text)),
                (None, Some(script)) => found.extend(script.lines().filter_map(|line| of_line(line, recipes))),
                _ => found.push(format!("{name}: a step neither uses an action nor runs a recipe: {step}")),
            }
        }
    }
    Ok(found)
}

fn of_action(action: &str, text: &str) -> Option<String> {
    let Some((name, commit)) = action.split_once('@') else { return Some(format!("{action}: is not pinned")) };
    if !ACTIONS.contains(&name) {
        return Some(format!("{name}: is none of the actions that may be used"));
    }
    if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(format!("{action}: is pinned by something that can be moved, not by a commit"));
    }
    let said = text.lines().filter(|line| line.contains(action)).all(|line| line.contains(&format!("{action} # v")));
    (!said).then(|| format!("{action}: no comment says which version that is"))
}

fn of_line(line: &str, recipes: &BTreeSet<&str>) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./=".contains(&byte));
    match words.as_slice() {
        [".ci/run"] => None,
        ["./just", recipe, rest @ ..] if recipes.contains(recipe) && rest.iter().all(plain) => None,
        ["./just", recipe, ..] if !recipes.contains(recipe) => Some(format!("{line}: there is no recipe {recipe}")),
        _ => Some(format!("{line}: is no recipe")),
    }
}

#[test]
fn workflows_run_recipes_only_and_use_pinned_actions_with_the_least_rights() -> Result<()> {
    let justfile = text("justfile")?;
    let recipes = recipes(&justfile);
    assert!(recipes.contains("release") && recipes.contains("image-twice") && !recipes.contains("set"), "{recipes:?}");
    let workflows = workflows()?;
    assert_eq!(workflows.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["ci.yml", "release.yml"]);
    for (name, text) in &workflows {
        assert_eq!(complaints(text, &recipes)?, Vec::<String>::new(), "{name}");
    }
    Ok(())
}

#[test]
fn a_tag_releases_nothing_before_everything_that_must_hold_was_run() -> Result<()> {
    let text = text(".github/workflows/release.yml")?;
    let position = |line: &str| text.find(&format!("run: {line}\n")).ok_or_else(|| format!("no step {line}"));
    let steps = [".ci/run", "./just image-twice", "./just image-e2e", "./just release", "./just release-draft"];
    let positions = steps.map(position).into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    assert!(positions.is_sorted(), "{positions:?}");
    Ok(())
}

#[test]
fn everything_else_in_a_workflow_is_noticed() -> Result<()> {
    let recipes = BTreeSet::from(["test"]);
    let commit = "08c6903cd8c0fde910a37f88322edcfb5dd907a8";
    let good = format!(
        "permissions: {{contents: read}}\non: push\njobs:\n  a:\n    timeout-minutes: 1\n    steps:\n      \
         - uses: actions/checkout@{commit} # v5.0.0\n      - run: ./just test\n"
    );
    assert_eq!(complaints(&good, &recipes)?, Vec::<String>::new());
    for (from, to, complaint) in [
        ("./just test", "cargo test", "cargo test: is no recipe"),
        ("./just test", "./just deploy", "./just deploy: there is no recipe deploy"),
        ("./just test", "./just test ${{ github.event.issue.title }}", "./just test ${{"),
        ("./just test", "./just test; id", "./just test; id: there is no recipe test;"),
        (commit, "v5", "actions/checkout@v5: is pinned by something that can be moved"),
        ("actions/checkout", "somebody/checkout", "somebody/checkout: is none of the actions"),
        (" # v5.0.0", "", "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8: no comment"),
        ("contents: read", "contents: write", "permissions of the workflow"),
        ("on: push", "on: {pull_request_target: {branches: [main]}}", "pull_request_target"),
        ("    timeout-minutes: 1\n", "", "a: has no timeout-minutes"),
    ] {
        let found = complaints(&good.replace(from, to), &recipes)?;
        assert!(found.len() == 1 && found[0].starts_with(complaint), "{from} → {to}: {found:?}");
    }
    Ok(())
}
