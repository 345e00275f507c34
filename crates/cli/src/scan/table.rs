// SPDX-License-Identifier: Apache-2.0
//! What a scan found, for a terminal.

use std::fmt::Write as _;

use jiff::Timestamp;
use sealwatch_api::{Verdict, text::clip};

use super::{
    change::Change,
    release::{ListReport, State},
    report::{ImageReport, MESSAGE_MOST, Report, Subject},
};
use crate::{output::TEXT_MOST, table};

/// Tables, with what is wrong in sentences below.
pub(super) fn draw(report: &Report) -> String {
    let mut parts = Vec::new();
    parts.extend(report.images.as_ref().map(|images| of_images(report, images)));
    parts.extend(report.changes.as_ref().map(|changes| of_changes(changes)));
    parts.extend(report.deployment_image_list.as_ref().map(of_list));
    parts.join("\n")
}

fn of_images(report: &Report, images: &[ImageReport]) -> String {
    let row = |image: &ImageReport| {
        [
            image.verdict.as_str().to_owned(),
            clip(&image.reason, TEXT_MOST),
            image.subject.name(),
            image.subject.short_digest(),
            image.subject.pods.len().to_string(),
            clip(image.signer().unwrap_or("-"), TEXT_MOST),
            image.ends().map_or_else(|| "-".to_owned(), day),
        ]
    };
    let head = ["VERDICT", "REASON", "IMAGE", "DIGEST", "PODS", "SIGNER", "EXPIRES"];
    let mut text = if images.is_empty() { String::new() } else { table::draw(head, images.iter().map(row).collect()) };
    let wrong = images.iter().filter(|image| matches!(image.verdict, Verdict::Failed | Verdict::Unknown));
    for image in wrong {
        text.push('\n');
        sentence(&mut text, image.verdict.as_str(), &image.subject, &image.message);
    }
    let summary = &report.summary;
    let counts = [
        (summary.verified, "verified"),
        (summary.failed, "failed"),
        (summary.unknown, "unknown"),
        (summary.skipped, "skipped"),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    let newline = if images.is_empty() { "" } else { "\n" };
    let place = report
        .namespace
        .as_ref()
        .map_or_else(|| "all namespaces".to_owned(), |name| format!("namespace {}", clip(name, TEXT_MOST)));
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{newline}{} in {} of {place}{counts}",
        plural(summary.images, "image"),
        plural(summary.pods, "pod")
    );
    text
}

fn of_changes(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "no verdict would change\n".to_owned();
    }
    let row = |change: &Change| {
        [
            change.from.verdict.as_str().to_owned(),
            change.to.verdict.as_str().to_owned(),
            clip(&change.from.reason, TEXT_MOST),
            clip(&change.to.reason, TEXT_MOST),
            change.subject.name(),
            change.subject.short_digest(),
            change.subject.pods.len().to_string(),
            clip(&change.policy, TEXT_MOST),
        ]
    };
    let head = ["FROM", "TO", "OLD REASON", "NEW REASON", "IMAGE", "DIGEST", "PODS", "POLICY"];
    let mut text = table::draw(head, changes.iter().map(row).collect());
    for change in changes {
        let verdicts = format!("{} → {}", change.from.verdict.as_str(), change.to.verdict.as_str());
        text.push('\n');
        sentence(&mut text, &verdicts, &change.subject, &change.to.message);
    }
    text
}

fn of_list(list: &ListReport) -> String {
    let row = |image: &super::release::Compared| {
        let subject = &image.subject;
        let state = image.state.as_str().to_owned();
        [state, subject.name(), subject.short_digest(), subject.pods.len().to_string(), clip(&image.message, TEXT_MOST)]
    };
    let running = list.images.iter().map(row);
    let missing = list.not_running.iter().map(|entry| {
        let digest = clip(entry.digest.split_once(':').map_or("-", |(_, hex)| hex), TEXT_MOST)
            .chars()
            .take(12)
            .collect::<String>();
        let place = if entry.namespaces.is_empty() { "-".to_owned() } else { entry.namespaces.join(", ") };
        let place = clip(&place, TEXT_MOST);
        ["NotRunning".to_owned(), clip(&entry.image, TEXT_MOST), digest, "0".to_owned(), format!("namespace {place}")]
    });
    let mut text =
        table::draw(["STATE", "IMAGE", "DIGEST", "PODS", "DEPLOYMENT IMAGE LIST"], running.chain(missing).collect());
    let count = |state: State| list.images.iter().filter(|image| image.state == state).count();
    let _ = writeln!(
        text,
        "\n{} as released, {} with another digest, {} not in the list, {} that cannot be told; {} of the list not running",
        count(State::AsReleased),
        count(State::OtherDigest),
        count(State::NotInList),
        count(State::Unknown),
        list.not_running.len()
    );
    text
}

fn sentence(text: &mut String, kind: &str, subject: &Subject, message: &str) {
    let pods: Vec<String> = subject.pods.iter().take(3).map(|pod| clip(pod, TEXT_MOST)).collect();
    let more = subject.pods.len().saturating_sub(pods.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = clip(message, MESSAGE_MOST);
    let _ = writeln!(text, "{kind}: {}\n  {message}\n  in {}{more}", subject.name(), pods.join(", "));
}

pub(super) fn plural(count: u32, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// The day of a moment in UTC.
pub(super) fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d").to_string()
}
