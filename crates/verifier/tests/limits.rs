// SPDX-License-Identifier: Apache-2.0
//! Every wait and bound of the schedule and the queues stands in `limits.rs`, with its source.

use std::fs;
use std::path::Path;

#[test]
fn every_limit_says_where_it_comes_from() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/limits.rs")).unwrap();
    let blocks = text.split("\npub const ").collect::<Vec<&str>>();
    for pair in blocks.windows(2) {
        let says = pair[0].rsplit("\n\n").next().unwrap().rsplit(";\n").next().unwrap();
        assert!(says.contains("Ours") || says.contains("Source:"), "{} {says}", pair[1]);
    }
    assert!(blocks.len() > 5);
}

#[test]
fn schedule_queue_and_judgement_define_no_limit() {
    for name in ["schedule.rs", "queue.rs", "judge.rs", "reason.rs", "lib.rs"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name)).unwrap();
        let shipped = text.split("\n#[cfg(test)]").next().unwrap();
        for line in shipped.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let defines = line.contains("const ")
                && [": usize", ": u64", ": u32", ": Duration"].iter().any(|kind| line.contains(kind));
            let bare = line.split("Duration::from_").skip(1).any(|rest| {
                rest.split_once('(').is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
            });
            assert!(!defines && !bare, "{name}: {line}");
        }
    }
}
