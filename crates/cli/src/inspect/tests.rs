// SPDX-License-Identifier: Apache-2.0

use super::{report::ImageReport, *};
use crate::credentials::Found;

fn report(error: Error) -> ImageReport {
    let (asked, reference) = parse("r.test/a:1").unwrap();
    ImageReport::new(&asked, &reference, Err(error), &Found::default())
}

fn at() -> sealwatch_registry::At {
    sealwatch_registry::At { registry: "r.test".to_owned(), operation: sealwatch_registry::Operation::Resolve }
}

#[test]
fn an_image_that_cannot_be_looked_up_is_no_image_without_signatures() {
    let missing = report(Error::NotFound { at: at(), what: "r.test/a:1".to_owned() });
    assert_eq!(exit_code(std::slice::from_ref(&missing)), EXIT_UNKNOWN);
    assert!(text::draw(&missing).contains("└── could not be looked up: r.test: could not resolve"));
    assert!(!output::json(&[missing]).unwrap().contains("signatures"));
}

#[test]
fn who_is_refused_is_told_where_credentials_come_from() {
    let refused = report(Error::Unauthorized { at: at(), detail: String::new() });
    assert!(
        text::draw(&refused).contains("; credentials are read from ~/.docker/config.json"),
        "{}",
        text::draw(&refused)
    );
}

#[test]
fn who_speaks_tls_to_nobody_is_told_of_the_flag() {
    let unavailable = |detail: &str| Error::Unavailable { at: at(), detail: detail.to_owned(), retry_after: None };
    let by_tls = Found { is_by_tls: true, ..Found::default() };
    let said = by_tls.failure(&unavailable("connection failed: corrupt message"), "r.test");
    assert!(said.ends_with("; a registry without TLS needs --insecure-registry"), "{said}");
    for said in [
        by_tls.failure(&unavailable("status 503"), "r.test"),
        Found::default().failure(&unavailable("connection failed"), "r.test"),
    ] {
        assert!(!said.contains("--insecure"), "{said}");
    }
}
