// SPDX-License-Identifier: Apache-2.0

use std::collections::BTreeSet;

use sealwatch_api::{Anchor, Check, RevocationEvidence, Signature, Signer, Summary, Timestamp as Stamp, Verdict, Word};

use super::{
    super::{
        change::Change,
        release::{Compared, ListReport, NotRunning, State},
        report::{ExpiryReport, ImageReport, Report, Subject},
        table,
    },
    *,
};

/// What somebody may try: to begin an element, to end an attribute, to turn the direction of the text around, to steer a
/// terminal, to write over a line.
const HOSTILE: &str = "<evil a=\"b\" c='d'>&amp;\u{202e}\u{1b}[2J\r\u{0}";

fn hostile() -> String {
    HOSTILE.to_owned()
}

fn subject() -> Subject {
    Subject { image: hostile(), repository: hostile(), digest: Some(hostile()), pods: vec![hostile()] }
}

fn signature() -> Signature {
    let signer = Signer {
        common_name: Some(hostile()),
        subject: hostile(),
        issuer: hostile(),
        sha256: hostile(),
        not_before: None,
        not_after: None,
    };
    Signature {
        digest: Some(hostile()),
        media_type: Some(hostile()),
        scheme: Some(hostile()),
        timestamp: Some(Stamp { time: None, authority: hostile() }),
        signer: Some(signer),
        claimed_signer: Some(hostile()),
        anchor: Some(Anchor { store: hostile(), subject: hostile(), sha256: hostile() }),
        verified_digest: Some(hostile()),
        via: Some(Word::from(HOSTILE)),
        revocation: Some(RevocationEvidence { method: Some(Word::from(HOSTILE)), checked_at: None, next_update: None }),
        ..Signature::default()
    }
}

fn image(verdict: Verdict) -> ImageReport {
    let check = Check {
        type_: Some(Word::from(HOSTILE)),
        action: Some(Word::from(HOSTILE)),
        result: Some(Word::from(HOSTILE)),
        message: Some(hostile()),
    };
    ImageReport {
        subject: subject(),
        policy: Some(hostile()),
        verdict,
        reason: hostile(),
        message: hostile(),
        statement: Some(hostile()),
        level: Some(hostile()),
        checks: vec![check],
        signature: Some(signature()),
        next_expiry: Some(ExpiryReport { time: Timestamp::UNIX_EPOCH, kind: "SigningCertificate", subject: hostile() }),
        containers: 1,
        references: vec![hostile()],
        platforms: vec![hostile()],
    }
}

fn report() -> Report {
    Report {
        server: hostile(),
        context: Some(hostile()),
        namespace: Some(hostile()),
        time: Timestamp::UNIX_EPOCH,
        policy: Some(hostile()),
        warnings: vec![hostile()],
        summary: Summary::default(),
        images: None,
        changes: None,
        deployment_image_list: None,
    }
}

/// A report in which every text is somebody else's.
fn everything_hostile() -> Report {
    let verdicts = [Verdict::Failed, Verdict::Unknown, Verdict::Skipped, Verdict::Verified];
    let side = |verdict| Side { verdict, reason: hostile(), message: hostile() };
    let change =
        Change { subject: subject(), policy: hostile(), from: side(Verdict::Verified), to: side(Verdict::Failed) };
    let compared = Compared { subject: subject(), state: State::OtherDigest, message: hostile() };
    let missing = NotRunning { image: hostile(), digest: hostile(), namespaces: vec![hostile()] };
    Report {
        images: Some(verdicts.map(image).into()),
        changes: Some(vec![change]),
        deployment_image_list: Some(ListReport { file: hostile(), images: vec![compared], not_running: vec![missing] }),
        ..report()
    }
}

#[test]
fn nothing_that_somebody_else_wrote_becomes_markup() {
    let page = page(&everything_hostile());
    assert!(!page.contains("<evil") && !page.contains("a=\"b\"") && !page.contains("c='d'"), "{page}");
    assert!(page.matches("&lt;evil a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;amp;").count() > 60, "{page}");
    assert!(!page.contains(['\u{202e}', '\u{1b}', '\r', '\u{0}']), "{page}");
}

#[test]
fn the_page_needs_nothing_beside_itself_and_runs_nothing() {
    let page = page(&everything_hostile());
    for word in [
        "<script",
        "<img",
        "<link",
        "<iframe",
        "<form",
        "<a ",
        "src=",
        "href=",
        "url(",
        "@import",
        "http-equiv=\"refresh",
    ] {
        assert!(!page.contains(word), "{word} in {page}");
    }
    assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
    assert!(page.contains("@media (prefers-color-scheme: dark)") && page.contains("@media print"));
}

#[test]
fn every_element_that_is_opened_is_closed() {
    let page = page(&everything_hostile());
    for element in [
        "html", "body", "main", "section", "article", "table", "tbody", "tr", "td", "dl", "dt", "dd", "details", "div",
        "p", "h2", "h3", "ul", "li", "span",
    ] {
        let (opened, closed) = (format!("<{element}"), format!("</{element}>"));
        let opened: usize = [" ", ">"].iter().map(|end| page.matches(&format!("{opened}{end}")).count()).sum();
        assert_eq!(opened, page.matches(&closed).count(), "{element}");
    }
}

#[test]
fn what_ends_soon_is_told_with_the_days() {
    let at = |hours: i64| {
        let time = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let mut image = image(Verdict::Verified);
        image.next_expiry = Some(ExpiryReport { time, kind: "Signature", subject: String::new() });
        ends(&image, Timestamp::UNIX_EPOCH)
    };
    assert_eq!(at(24 * 31), "1970-02-01");
    assert_eq!(at(24 * 30), "1970-01-31<span class=\"soon\">in 30 days</span>");
    assert_eq!(at(25), "1970-01-02<span class=\"soon\">in 1 day</span>");
    assert_eq!(at(1), "1970-01-01<span class=\"soon\">within a day</span>");
    assert_eq!(at(-1), "1969-12-31<span class=\"soon\">ended</span>");
}

#[test]
fn of_many_pods_some_are_named_and_all_are_counted() {
    let mut report = report();
    report.namespace = Some("n".into());
    let pods: BTreeSet<String> = (0..50).map(|number| format!("n/pod-{number:02}")).collect();
    let mut body = String::new();
    super::pods(&mut body, &report, &Subject { pods: pods.into_iter().collect(), ..subject() });
    assert!(body.contains("<code>pod-19</code> and 30 more</p>") && !body.contains("pod-20"), "{body}");
}

#[test]
fn a_terminal_is_not_steered_by_the_table_either() {
    let text = table::draw(&everything_hostile());
    assert!(text.lines().count() > 20 && !text.contains(['\u{1b}', '\r', '\u{202e}', '\u{0}']), "{text}");
}

#[test]
fn the_worst_of_all_parts_decides_the_exit_code() {
    let code = |images: &[Verdict], states: &[State]| {
        let compared = |state: &State| Compared { subject: subject(), state: *state, message: String::new() };
        let images = Some(images.iter().copied().map(image).collect());
        let images_of_list = states.iter().map(compared).collect();
        let list = ListReport { file: String::new(), images: images_of_list, not_running: Vec::new() };
        Report { images, deployment_image_list: Some(list), ..report() }.exit_code()
    };
    assert_eq!(code(&[], &[]), 0);
    assert_eq!(code(&[Verdict::Verified, Verdict::Skipped], &[State::AsReleased]), 0);
    assert_eq!(code(&[Verdict::Verified, Verdict::Unknown], &[State::AsReleased]), 3);
    assert_eq!(code(&[Verdict::Verified], &[State::Unknown]), 3);
    assert_eq!(code(&[Verdict::Unknown], &[State::NotInList]), 1);
    assert_eq!(code(&[Verdict::Failed, Verdict::Unknown], &[]), 1);
    assert_eq!(code(&[Verdict::Verified], &[State::OtherDigest]), 1);
}
