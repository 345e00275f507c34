// SPDX-License-Identifier: Apache-2.0
//! A layer around the client of the API server: notes every sign of life of a list or watch, and gives every request an
//! end, since the client itself waits for an answer for ever.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::http::{Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use kube::client::{Body, DynBody};
use tower::{BoxError, Layer, Service};

use crate::sight::Sight;

/// How long the API server may take to begin an answer: as long as it gives itself (`--request-timeout`).
const ANSWER_MOST: Duration = Duration::from_mins(1);

/// Makes a client notice signs of life.
#[derive(Clone, Debug)]
pub struct PulseLayer(pub Sight);

impl<S> Layer<S> for PulseLayer {
    type Service = Pulse<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Pulse { inner, sight: self.0.clone() }
    }
}

/// A client that notices signs of life.
#[derive(Clone, Debug)]
pub struct Pulse<S> {
    inner: S,
    sight: Sight,
}

impl<S> Service<Request<Body>> for Pulse<S>
where
    S: Service<Request<Body>, Response = Response<Box<DynBody>>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Box<DynBody>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let plural = (request.method() == Method::GET).then(|| last_segment(request.uri()));
        let (answer, sight) = (self.inner.call(request), self.sight.clone());
        Box::pin(async move {
            let Ok(answer) = tokio::time::timeout(ANSWER_MOST, answer).await else {
                return Err(format!("the API server did not answer within {} s", ANSWER_MOST.as_secs()).into());
            };
            let answer = answer?;
            let Some(plural) = plural.filter(|_| answer.status().is_success()) else { return Ok(answer) };
            sight.heard(&plural, Instant::now());
            Ok(answer.map(|body| -> Box<DynBody> {
                Box::new(body.map_frame(move |frame| {
                    sight.heard(&plural, Instant::now());
                    frame
                }))
            }))
        })
    }
}

/// What is listed or watched: the last part of the path, in which nothing follows the plural of the kind.
fn last_segment(uri: &Uri) -> String {
    uri.path().rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;

    fn request(uri: &str) -> Request<Body> {
        Request::get(uri).body(Body::empty()).expect("a request")
    }

    /// Asks a server that answers with this status, after a fault with pods was noted; gives whether it still stands.
    async fn fault_stands(uri: &str, status: u16) -> bool {
        let sight = Sight::new(Duration::from_secs(195));
        sight.failed("Pod", crate::sight::Fault { sentence: "forbidden".into(), forbidden: true });
        let server = tower::service_fn(move |_: Request<Body>| async move {
            let body: Box<DynBody> = Box::new(Empty::new().map_err(BoxError::from));
            Response::builder().status(status).body(body).map_err(BoxError::from)
        });
        PulseLayer(sight.clone()).layer(server).call(request(uri)).await.expect("an answer");
        sight.refusal("Pod").is_some()
    }

    #[tokio::test]
    async fn only_a_good_answer_to_a_list_or_watch_is_a_sign_of_life() {
        assert!(!fault_stands("https://kube/api/v1/pods?limit=500", 200).await);
        assert!(!fault_stands("https://kube/api/v1/namespaces/aio/pods?watch=true", 200).await);
        assert!(fault_stands("https://kube/api/v1/pods?limit=500", 403).await);
        assert!(fault_stands("https://kube/api/v1/pods?limit=500", 503).await);
        assert!(fault_stands("https://kube/api/v1/namespaces/aio/pods/one", 200).await);
        assert!(fault_stands("https://kube/api/v1/configmaps", 200).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_never_answers_is_given_up() {
        let server = tower::service_fn(|_: Request<Body>| std::future::pending());
        let answer = PulseLayer(Sight::new(Duration::from_secs(195))).layer(server).call(request("/version")).await;
        let why = answer.map(drop).expect_err("no answer").to_string();
        assert_eq!(why, "the API server did not answer within 60 s");
    }
}
