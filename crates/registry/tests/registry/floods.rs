// SPDX-License-Identifier: Apache-2.0
//! More than anybody needs: signatures, pages and other referrers without end.

use sealwatch_registry::limits::{MAX_REFERRER_DESCRIPTORS, MAX_REFERRER_PAGES};
use sealwatch_registry::{Descriptor, Error, Registry};
use serde_json::{Value, json};

use crate::fixture::{INDEX, MANIFEST, NOTATION, Signed, anonymous, app, client, digest, list};
use crate::scripted::{Body, Script, Seen, Server};

fn signatures(number: usize, from: usize) -> Vec<Value> {
    let entry = |n: usize| {
        let digest = digest(format!("signature {}", n + from).as_bytes());
        json!({"mediaType": MANIFEST, "digest": digest, "size": 700, "artifactType": NOTATION})
    };
    (0..number).map(entry).collect()
}

/// A registry whose list has a million signatures on pages of so many, each page leading to another one that was not
/// seen before.
async fn pages_of(size: usize) -> (Result<Vec<Descriptor>, Error>, usize) {
    let signed = Signed::new();
    let path = signed.referrers_path();
    let server = Server::start("127.0.0.1", move |seen: &Seen| {
        let page: usize = seen.target.rsplit_once("last=").map_or(0, |(_, page)| page.parse().unwrap());
        let next = format!("<{path}?last={}>; rel=\"next\"", page + 1);
        list(&signatures(size, page * size)).with("Link", next)
    })
    .await;
    let listed = client(&[&server]).referrers(&app(&server), &Signed::new().subject(), NOTATION, &anonymous()).await;
    (listed, server.seen().len())
}

// CVE-2023-33957.
#[tokio::test]
async fn a_million_signatures_on_endless_pages_end_at_the_limits() {
    let (listed, requests) = pages_of(MAX_REFERRER_DESCRIPTORS).await;
    assert!(matches!(listed, Err(Error::LimitExceeded { what: "referrers", .. })), "{listed:?}");
    assert_eq!(requests, 2);
    for size in [0, 1, 99] {
        let (listed, requests) = pages_of(size).await;
        assert!(matches!(listed, Err(Error::LimitExceeded { what: "pages of referrers", .. })), "{size}: {listed:?}");
        assert_eq!(requests, MAX_REFERRER_PAGES, "{size}");
    }
}

#[tokio::test]
async fn a_million_signatures_on_one_page_are_cut_at_its_bytes() {
    // A list of a million entries has 250 MB; it is sent without a length, and no more than the limit of it is read.
    let entry = signatures(1, 0)[0].to_string() + ",";
    let chunk = entry.repeat(200).into_bytes();
    let server = Server::start("127.0.0.1", move |_: &Seen| {
        Script::new(200, INDEX, "").body(Body::Chunked { chunk: chunk.clone(), times: 5_000 })
    })
    .await;
    let listed = client(&[&server]).referrers(&app(&server), &Signed::new().subject(), NOTATION, &anonymous()).await;
    assert!(matches!(listed, Err(Error::TooLarge { .. })), "{listed:?}");
    assert_eq!(server.seen().len(), 1);
}

// Kyverno gives up where there are more than 50 referrers of whatever type.
#[tokio::test]
async fn hundreds_of_other_referrers_hide_no_signature() {
    let signed = Signed::new();
    for is_first in [true, false] {
        let mut entries: Vec<Value> = signatures(999, 0);
        for entry in &mut entries {
            entry["artifactType"] = json!("application/spdx+json");
        }
        entries.insert(if is_first { 0 } else { 999 }, signed.referrer());
        let server = Server::start("127.0.0.1", move |_: &Seen| list(&entries)).await;
        let listed = client(&[&server]).referrers(&app(&server), &signed.subject(), NOTATION, &anonymous()).await;
        assert_eq!(listed.unwrap().len(), 1);
    }
}

// GHSA-298f-872v-2rcx.
#[tokio::test]
async fn links_that_lead_in_a_circle_end_at_the_limit_of_pages() {
    for length in [1, 2, 3] {
        let signed = Signed::new();
        let path = signed.referrers_path();
        let server = Server::start("127.0.0.1", move |seen: &Seen| {
            let page: usize = seen.target.rsplit_once("last=").map_or(0, |(_, page)| page.parse().unwrap());
            list(&signatures(1, page)).with("Link", format!("<{path}?last={}>; rel=next", (page + 1) % length))
        })
        .await;
        let listed = client(&[&server]).referrers(&app(&server), &signed.subject(), NOTATION, &anonymous()).await;
        assert!(matches!(listed, Err(Error::LimitExceeded { what: "pages of referrers", .. })), "{length}: {listed:?}");
        assert_eq!(server.seen().len(), MAX_REFERRER_PAGES, "{length}");
    }
}

// GHSA-h7vf-4x9w-h99v: everything that is another origin, and what is no URL.
#[tokio::test]
async fn a_link_leads_to_the_same_origin_or_nowhere() {
    let other = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let port = other.local_addr().unwrap().port();
    for target in [
        format!("http://127.0.0.2:{port}/v2/"),
        format!("//127.0.0.2:{port}/v2/"),
        format!("https://127.0.0.2:{port}/v2/"),
        format!("http://joe@127.0.0.2:{port}/"),
        format!("\\\\127.0.0.2:{port}\\v2"),
        "file:///etc/passwd".to_owned(),
        "https://[".to_owned(),
        "data:application/json,{}".to_owned(),
        format!("/{}", "x".repeat(9_000)),
    ] {
        let signed = Signed::new();
        let (registry, link) = (signed.clone(), format!("<{target}>; rel=\"next\""));
        let server =
            Server::start("127.0.0.1", move |_: &Seen| list(&[registry.referrer()]).with("Link", link.clone())).await;
        let listed = client(&[&server]).referrers(&app(&server), &signed.subject(), NOTATION, &anonymous()).await;
        assert!(matches!(listed, Err(Error::Malformed { .. })), "{target}: {listed:?}");
        assert_eq!(server.seen().len(), 1, "{target}");
    }
    assert!(other.accept().is_err());
}
