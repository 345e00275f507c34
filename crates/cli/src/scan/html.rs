// SPDX-License-Identifier: Apache-2.0
//! What a scan found, as one page that needs nothing beside itself: no script, no picture, no request.
//!
//! Whatever somebody else wrote (names of images and pods, texts of certificates and registries) gets into it through
//! [`escaped`] alone.

mod evidence;

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use sealwatch_api::{Reason, Verdict, Vocabulary as _, text::clip};

use super::{
    change::{Change, Side},
    release::{Compared, ListReport, State},
    report::{ImageReport, MESSAGE_MOST, Report, Subject},
    table::{day, plural},
};

const STYLE: &str = include_str!("html/style.css");
/// How many pods of an image are named.
const PODS_NAMED: usize = 20;
/// From how many days before its end on it is said how soon something ends.
const SOON_DAYS: i64 = 30;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let place = report
        .namespace
        .as_ref()
        .map_or_else(|| "All namespaces".to_owned(), |name| format!("Namespace {}", escaped(name)));
    let mut body = String::new();
    head(&mut body, report, &place);
    body.push_str("<main>\n");
    if let Some(images) = &report.images {
        images_of(&mut body, report, images);
    }
    if let Some(changes) = &report.changes {
        changes_of(&mut body, report, changes);
    }
    if let Some(list) = &report.deployment_image_list {
        list_of(&mut body, list);
    }
    body.push_str("</main>\n");
    foot(&mut body);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Sealwatch scan: {place}, {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        day(report.time)
    )
}

/// A text of somebody else's in a page: bounded, without what is invisible or changes directions, and with every
/// character that HTML gives a meaning to written as a reference, in attributes too.
fn escaped(text: &str) -> String {
    let mut written = String::new();
    for character in clip(text, 4 * MESSAGE_MOST).chars() {
        match character {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\'' => written.push_str("&#39;"),
            other => written.push(other),
        }
    }
    written
}

/// Writes markup whose arguments are escaped already.
macro_rules! put {
    ($to:expr, $($argument:tt)*) => {
        // Writing to a String cannot fail.
        { let _ = write!($to, $($argument)*); }
    };
}
use put;

fn head(body: &mut String, report: &Report, place: &str) {
    let time = report.time.strftime("%Y-%m-%d %H:%M:%S UTC");
    put!(body, "<header>\n<p class=\"brand\">Sealwatch scan</p>\n<h1>{place}</h1>\n<dl class=\"facts\">\n");
    put!(body, "<div><dt>Cluster</dt><dd>{}</dd></div>\n", escaped(&report.server));
    if let Some(context) = &report.context {
        put!(body, "<div><dt>Context</dt><dd>{}</dd></div>\n", escaped(context));
    }
    match (&report.policy, &report.deployment_image_list) {
        (Some(policy), _) => put!(body, "<div><dt>Policy</dt><dd>{}</dd></div>\n", escaped(policy)),
        (None, Some(_)) => {}
        (None, None) => put!(body, "<div><dt>Policy</dt><dd>the cluster’s TrustPolicies</dd></div>\n"),
    }
    put!(body, "<div><dt>Time</dt><dd>{time}</dd></div>\n</dl>\n");
    for warning in &report.warnings {
        put!(body, "<p class=\"note\">{}</p>\n", escaped(warning));
    }
    body.push_str("</header>\n");
}

fn foot(body: &mut String) {
    put!(
        body,
        "<footer><p>A verdict is about the digest that the kubelet reports as running, at the time above, under the \
         policy above. Failed rests on evidence; Unknown says that there was none to judge by.</p>\n<p>Made by \
         <code>sealwatch scan</code> {}.</p></footer>\n",
        env!("CARGO_PKG_VERSION")
    );
}

/// The class that gives a verdict its colour.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "verified",
        Verdict::Failed => "failed",
        Verdict::Unknown => "unknown",
        Verdict::Skipped => "skipped",
    }
}

fn images_of(body: &mut String, report: &Report, images: &[ImageReport]) {
    let summary = &report.summary;
    let parts = [
        ("failed", summary.failed, "Failed"),
        ("unknown", summary.unknown, "Unknown"),
        ("skipped", summary.skipped, "Skipped"),
        ("verified", summary.verified, "Verified"),
    ];
    let headline = match (summary.images, summary.failed, summary.unknown) {
        (0, ..) => "No image is running".to_owned(),
        (all, 0, 0) if summary.skipped == 0 => format!("{} verified", all_of(all, "is", "are")),
        (_, 0, 0) => "No image failed; some are not verified by the policy’s will".to_owned(),
        (_, 0, unknown) => format!("No image failed, and of {unknown} it could not be told"),
        (all, failed, _) => format!("{failed} of {} failed", plural(all, "image")),
    };
    let running = format!("{} of {}", plural(summary.containers, "container"), plural(summary.pods, "pod"));
    tally(body, &headline, &parts, &running);
    for (verdict, title) in [
        (Verdict::Failed, "Failed"),
        (Verdict::Unknown, "Unknown"),
        (Verdict::Skipped, "Skipped"),
        (Verdict::Verified, "Verified"),
    ] {
        let of: Vec<&ImageReport> = images.iter().filter(|image| image.verdict == verdict).collect();
        if of.is_empty() {
            continue;
        }
        put!(body, "<section>\n<h2>{title} <span class=\"count\">{}</span></h2>\n", of.len());
        if matches!(verdict, Verdict::Failed | Verdict::Unknown) {
            for image in of {
                card(body, report, image);
            }
        } else {
            sheet(body, report, &of);
        }
        body.push_str("</section>\n");
    }
}

/// The box with the numbers and the bar.
fn tally(body: &mut String, headline: &str, parts: &[(&str, u32, &str)], beside: &str) {
    put!(body, "<section class=\"summary\">\n<p class=\"headline\">{headline}</p>\n<div class=\"bar\">");
    for (class, count, _) in parts.iter().filter(|(_, count, _)| *count > 0) {
        put!(body, "<span class=\"{class}\" style=\"flex:{count}\"></span>");
    }
    body.push_str("</div>\n<ul class=\"tally\">\n");
    for (class, count, word) in parts.iter().filter(|(_, count, _)| *count > 0) {
        put!(body, "<li class=\"{class}\"><span class=\"dot\"></span><b>{count}</b> {word}</li>\n");
    }
    put!(body, "<li class=\"quiet\">{beside}</li>\n</ul>\n</section>\n");
}

fn card(body: &mut String, report: &Report, image: &ImageReport) {
    let (class, verdict) = (class(image.verdict), image.verdict.as_str());
    put!(body, "<article class=\"card {class}\">\n<span class=\"badge\">{verdict}</span>");
    put!(body, "<span class=\"reason\">{}</span>\n", escaped(&image.reason));
    name(body, &image.subject);
    put!(body, "<p class=\"message\">{}</p>\n", escaped(&image.message));
    if let Some(meaning) = Reason::parse(&image.reason).map(Reason::doc) {
        put!(body, "<p class=\"quiet\">{}</p>\n", escaped(meaning));
    }
    pods(body, report, &image.subject);
    evidence::details(body, image);
    body.push_str("</article>\n");
}

fn sheet(body: &mut String, report: &Report, images: &[&ImageReport]) {
    body.push_str(
        "<div class=\"sheet\"><table>\n<thead><tr><th>Image</th><th>Signer</th><th>Ends</th><th class=\"number\">Pods\
         </th></tr></thead>\n<tbody>\n",
    );
    for image in images {
        body.push_str("<tr><td>");
        name(body, &image.subject);
        if image.reason != Reason::SignatureValid.as_str() {
            put!(body, "<p class=\"quiet\">{}: {}</p>", escaped(&image.reason), escaped(&image.message));
        }
        put!(body, "</td><td data-label=\"Signer\">{}</td>", escaped(image.signer().unwrap_or("–")));
        put!(body, "<td class=\"date\" data-label=\"Ends\">{}</td>", ends(image, report.time));
        put!(body, "<td class=\"number\" data-label=\"Pods\">{}</td></tr>\n", image.subject.pods.len());
        body.push_str("<tr class=\"more\"><td colspan=\"4\">");
        evidence::details(body, image);
        body.push_str("</td></tr>\n");
    }
    body.push_str("</tbody>\n</table></div>\n");
}

/// When something ends, and how soon if that is soon.
fn ends(image: &ImageReport, now: Timestamp) -> String {
    let Some(time) = image.ends() else { return "–".to_owned() };
    let left = time.duration_since(now);
    let days = left.as_hours() / 24;
    let soon = match days {
        _ if left < SignedDuration::ZERO => "<span class=\"soon\">ended</span>".to_owned(),
        0 => "<span class=\"soon\">within a day</span>".to_owned(),
        1 => "<span class=\"soon\">in 1 day</span>".to_owned(),
        days if days <= SOON_DAYS => format!("<span class=\"soon\">in {days} days</span>"),
        _ => String::new(),
    };
    format!("{}{soon}", day(time))
}

/// The image: its host stands back, its digest below.
fn name(body: &mut String, subject: &Subject) {
    let name = subject.name();
    let (host, path) = name.split_once('/').map_or(("", name.as_str()), |(host, path)| (host, path));
    let host = if host.is_empty() { String::new() } else { format!("<span class=\"host\">{}/</span>", escaped(host)) };
    put!(body, "<h3>{host}{}</h3>", escaped(path));
    let digest = subject.digest.as_deref().unwrap_or("no digest is reported");
    put!(body, "<p class=\"digest\">{}</p>\n", escaped(digest));
}

fn pods(body: &mut String, report: &Report, subject: &Subject) {
    // In a page about one namespace its name need not be said again.
    let own = report.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let names = subject.pods.iter().take(PODS_NAMED).map(|pod| escaped(pod.strip_prefix(&own).unwrap_or(pod)));
    let names: Vec<String> = names.map(|name| format!("<code>{name}</code>")).collect();
    let more = subject.pods.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    put!(body, "<p class=\"quiet\">Runs in {}{more}</p>\n", names.join(", "));
}

fn changes_of(body: &mut String, report: &Report, changes: &[Change]) {
    let count = |verdict: Verdict| {
        u32::try_from(changes.iter().filter(|change| change.to.verdict == verdict).count()).unwrap_or(u32::MAX)
    };
    let parts = [
        ("failed", count(Verdict::Failed), "would be Failed"),
        ("unknown", count(Verdict::Unknown), "would be Unknown"),
        ("skipped", count(Verdict::Skipped), "would be Skipped"),
        ("verified", count(Verdict::Verified), "would be Verified"),
    ];
    let headline = match changes.len() {
        0 => "No verdict would change".to_owned(),
        1 => "1 verdict would change".to_owned(),
        many => format!("{many} verdicts would change"),
    };
    tally(body, &headline, &parts, &format!("{} looked at", plural(report.summary.pods, "pod")));
    if changes.is_empty() {
        return;
    }
    body.push_str("<section>\n<h2>What would change</h2>\n");
    for change in changes {
        put!(body, "<article class=\"card {}\">\n", class(change.to.verdict));
        side(body, &change.from);
        body.push_str("<span class=\"arrow\">→</span>");
        side(body, &change.to);
        name(body, &change.subject);
        put!(body, "<p class=\"message\">{}</p>\n", escaped(&change.to.message));
        put!(
            body,
            "<p class=\"quiet\">Now, under TrustPolicy {}: {}</p>\n",
            escaped(&change.policy),
            escaped(&change.from.message)
        );
        pods(body, report, &change.subject);
        body.push_str("</article>\n");
    }
    body.push_str("</section>\n");
}

fn side(body: &mut String, side: &Side) {
    let (class, verdict) = (class(side.verdict), side.verdict.as_str());
    put!(body, "<span class=\"badge {class}\">{verdict}</span><span class=\"reason\">{}</span>", escaped(&side.reason));
}

fn list_of(body: &mut String, list: &ListReport) {
    let count = |state: State| {
        u32::try_from(list.images.iter().filter(|image| image.state == state).count()).unwrap_or(u32::MAX)
    };
    let (other, unlisted) = (count(State::OtherDigest), count(State::NotInList));
    let parts = [
        ("failed", other, "Other digest"),
        ("unknown", unlisted, "Not in the list"),
        ("skipped", count(State::Unknown), "Cannot be told"),
        ("verified", count(State::AsReleased), "As released"),
    ];
    let headline = match (other, unlisted) {
        (0, 0) => "What runs is what was released".to_owned(),
        (0, unlisted) => format!("{} not in the list", all_are(unlisted)),
        (other, _) => format!("{} with another digest than the list", plural(other, "image")),
    };
    body.push_str("<h2>Deployment Image List</h2>\n");
    put!(body, "<p class=\"quiet\">{}</p>\n", escaped(&list.file));
    tally(body, &headline, &parts, &format!("{} of the list not running", list.not_running.len()));
    body.push_str(
        "<section>\n<h2>Running images</h2>\n<div class=\"sheet\"><table>\n<thead><tr><th>Image</th><th>State</th>\
         <th>The list</th><th class=\"number\">Pods</th></tr></thead>\n<tbody>\n",
    );
    list.images.iter().for_each(|image| listed(body, image));
    body.push_str("</tbody>\n</table></div>\n</section>\n");
    if list.not_running.is_empty() {
        return;
    }
    put!(body, "<section>\n<h2>Not running <span class=\"count\">{}</span></h2>\n", list.not_running.len());
    body.push_str("<div class=\"sheet\"><table>\n<thead><tr><th>Image</th><th>Namespace</th></tr></thead>\n<tbody>\n");
    for entry in &list.not_running {
        put!(body, "<tr><td><h3>{}</h3><p class=\"digest\">{}</p></td>", escaped(&entry.image), escaped(&entry.digest));
        put!(body, "<td>{}</td></tr>\n", escaped(&entry.namespaces.join(", ")));
    }
    body.push_str("</tbody>\n</table></div>\n</section>\n");
}

fn listed(body: &mut String, image: &Compared) {
    let class = match image.state {
        State::OtherDigest => "failed",
        State::NotInList => "unknown",
        State::Unknown => "skipped",
        State::AsReleased => "verified",
    };
    body.push_str("<tr><td>");
    name(body, &image.subject);
    put!(body, "</td><td class=\"{class}\"><span class=\"badge\">{}</span></td>", image.state.as_str());
    put!(body, "<td>{}</td>", escaped(&image.message));
    put!(body, "<td class=\"number\" data-label=\"Pods\">{}</td></tr>\n", image.subject.pods.len());
}

fn all_of(count: u32, one: &str, many: &str) -> String {
    if count == 1 { format!("The one image {one}") } else { format!("All {count} images {many}") }
}

fn all_are(count: u32) -> String {
    if count == 1 { "1 image is".to_owned() } else { format!("{count} images are") }
}

#[cfg(test)]
mod tests;
