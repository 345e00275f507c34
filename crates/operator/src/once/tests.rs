// SPDX-License-Identifier: Apache-2.0

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use kube::client::Body;
use serde_json::json;

use super::*;

/// A cluster whose API server answers each request by its path and query.
fn cluster(answer: impl Fn(&str) -> (u16, serde_json::Value) + Send + Sync + 'static) -> Cluster {
    let answer = Arc::new(answer);
    let server = tower::service_fn(move |request: axum::http::Request<Body>| {
        let asked = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let (code, body) = answer(&asked);
        let response = axum::http::Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
        std::future::ready(response)
    });
    Cluster { client: Client::new(server, "default"), url: String::new() }
}

fn page(names: &[&str], next: &str) -> serde_json::Value {
    let digest = format!("sha256:{}", "a".repeat(64));
    let pod = |name: &&str| {
        json!({
            "metadata": {"name": name, "namespace": "n", "uid": name},
            "spec": {"containers": [{"name": "c", "image": "r.test/a:1"}]},
            "status": {"containerStatuses": [{"name": "c", "image": "r.test/a:1", "imageID": format!("r.test/a@{digest}")}]},
        })
    };
    let items: Vec<_> = names.iter().map(pod).collect();
    json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"continue": next}, "items": items})
}

fn refusal(code: u16, message: &str) -> (u16, serde_json::Value) {
    let reason = if code == 403 { "Forbidden" } else { "Unauthorized" };
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code}),
    )
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_nodes_that_may_not_be_seen_stop_nobody() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let cluster = cluster(move |path| {
        seen.lock().unwrap().push(path.to_owned());
        match path {
            path if path.contains("/nodes") => refusal(403, "no nodes"),
            path if path.contains("continue=second") => (200, page(&["b"], "")),
            _ => (200, page(&["a"], "second")),
        }
    });
    assert_eq!(cluster.running(Some("n")).await.unwrap().pod_count(), 2);
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|path| path.contains("limit=500")), "{asked:?}");
    assert_eq!(asked.len(), 3, "{asked:?}");
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let cluster = cluster(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        (200, page(&[], "more"))
    });
    let error = cluster.running(None).await.unwrap_err().to_string();
    assert_eq!(error, "its list does not end after 2000 pages");
    assert_eq!(count.load(Ordering::Relaxed), PAGES_MOST);
}

#[tokio::test]
async fn who_may_not_ask_is_told_from_what_is_not_there() {
    let forbidden = cluster(|_| refusal(403, "pods is forbidden"));
    assert_eq!(forbidden.running(None).await.unwrap_err(), AskError::Forbidden("pods is forbidden".into()));
    assert_eq!(forbidden.has_namespace("n").await, Ok(None));
    let stranger = cluster(|_| refusal(401, "Unauthorized"));
    assert_eq!(stranger.running(None).await.unwrap_err(), AskError::Unauthorized("Unauthorized".into()));
    let pulled = forbidden.pull_secrets("n", &["acr".to_owned()]).await.unwrap();
    assert_eq!(pulled.forbidden, BTreeSet::from(["acr".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_says_nothing_is_not_waited_for() {
    let server = tower::service_fn(|_: axum::http::Request<Body>| {
        std::future::pending::<Result<axum::http::Response<Body>, std::convert::Infallible>>()
    });
    let cluster = Cluster { client: Client::new(server, "default"), url: String::new() };
    assert_eq!(cluster.running(None).await.unwrap_err(), AskError::Silent);
}
