// SPDX-License-Identifier: Apache-2.0
//! Every limit stands in `limits.rs`, with its source: nothing else of the crate defines one.

use std::fs;
use std::path::{Path, PathBuf};

/// Numbers that are facts of a format and no limits, by the constant's name.
const FACTS: [&str; 1] = ["HEADER_OVERHEAD"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// What of a file ships: all before its tests.
fn shipped(text: &str) -> &str {
    text.split("\n#[cfg(test)]").next().unwrap()
}

/// The lines that define a number, a size or a duration, or use a bare one where limits are used.
fn offences(text: &str) -> Vec<&str> {
    let is_number = |kind: &str| {
        ["u8", "u16", "u32", "u64", "u128", "usize", "i32", "i64", "f64", "Duration"].contains(&kind.trim())
    };
    let is_constant = |line: &str| {
        let (_, definition) = line.split_once("const ")?;
        let (name, rest) = definition.split_once(':')?;
        let (kind, _) = rest.split_once('=')?;
        (is_number(kind) && !FACTS.contains(&name)).then_some(())
    };
    let bare = [
        "Duration::from_secs(",
        "Duration::from_millis(",
        "Duration::from_mins(",
        ".take(",
        "with_capacity(",
        "Semaphore::new(",
    ];
    let is_bare = |line: &str| {
        bare.iter().any(|start| line.split(start).skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
            || line.contains("* 1024")
    };
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.filter(|line| is_constant(line).is_some() || is_bare(line)).collect()
}

#[test]
fn no_other_file_of_the_crate_defines_a_limit() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 20, "{files:?}");
    for file in files.iter().filter(|file| !file.ends_with("limits.rs")) {
        let text = fs::read_to_string(file).unwrap();
        assert_eq!(offences(shipped(&text)), [""; 0], "{}", file.display());
    }
}

#[test]
fn every_limit_says_where_it_comes_from() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/limits.rs")).unwrap();
    let mut says = String::new();
    let mut count = 0;
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("///") {
            says.push_str(words);
        } else if line.starts_with("pub const") {
            let has_source = ["Ours", "Source:", "See ["].iter().any(|word| says.contains(word));
            assert!(has_source, "{line}: {says}");
            count += 1;
            says.clear();
        } else {
            says.clear();
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn a_limit_elsewhere_would_be_found() {
    for line in [
        "const MOST: usize = 8;",
        "    pub(super) const PAUSE: Duration = SOME;",
        "    list.take(8)",
        "let pause = Duration::from_secs(5);",
        "let room = 64 * 1024;",
    ] {
        assert_eq!(offences(line), [line]);
    }
    for line in
        ["const NAME: &str = \"x\";", "// const MOST: usize = 8;", "list.take(MOST)", "Duration::from_secs(wish)"]
    {
        assert_eq!(offences(line), [""; 0]);
    }
}
