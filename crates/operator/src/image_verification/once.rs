// SPDX-License-Identifier: Apache-2.0
//! One running image, looked at and judged once, by the very steps of a reconcile: without an object of its own, and
//! without anything that would be written.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use jiff::Timestamp;
use kube::api::ObjectMeta;
use sealwatch_api::{ImageVerification, ImageVerificationStatus, Reason};
use sealwatch_registry::{Credentials, HttpRegistry};
use sealwatch_verifier::{Freshness, Revocation, Verifier};

use super::{
    case::{Case, ParsedCase},
    judged::judge,
    look::{LEARN_MOST, LOOK_MOST, Look, failed},
    memory::Looks,
    recall,
};
use crate::{
    discover::{self, Found},
    policy::Policy,
    status::{
        image::{self as status, Conclusion},
        policy::Expiry,
    },
};

/// What asks and remembers: registries, and what certificates name about their revocation.
#[derive(Debug)]
pub struct Engine {
    /// Asks registries.
    pub verifier: Verifier<HttpRegistry>,
    /// Asks about revocation.
    pub revocation: Revocation,
}

/// What is said of one image.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the operator would write, had it never seen the image before.
    pub status: ImageVerificationStatus,
    /// The first thing that the verdict rests on and that ends.
    pub expiry: Option<Expiry>,
}

impl Answer {
    /// An answer that rests on no evidence.
    pub fn plain(found: &Found, reason: Reason, message: &str) -> Self {
        Self::of(found, &Conclusion::plain(reason, message), None, Timestamp::now())
    }

    fn of(found: &Found, conclusion: &Conclusion, expiry: Option<Expiry>, now: Timestamp) -> Self {
        let before = ImageVerificationStatus::default();
        Self { status: status::next(&before, conclusion, Some(&found.running), 0, now), expiry }
    }
}

/// Looks at an image of `found` with these credentials, asks about revocation, and judges it by the policy. What another
/// call has learnt of the same image with the same credentials is not asked again. Ends within 7 minutes, whoever does
/// not answer; a defect that one image meets becomes its answer.
pub async fn look(engine: &Engine, policy: &Arc<Policy>, found: &Found, credentials: &Credentials) -> Answer {
    let name = discover::name_of(&policy.name, &found.key);
    let metadata = ObjectMeta { name: Some(name), namespace: Some(policy.namespace.clone()), ..ObjectMeta::default() };
    let image = ImageVerification { metadata, spec: discover::spec(&policy.name, found), status: None };
    let case = Case { image: &image, policy, found: Some(found), ours: true }.parse();
    let looks = looked(engine, policy, &case, credentials).await;
    let now = Timestamp::now();
    let judged = judge(&case, &looks, &recall(&case, &looks, &engine.revocation, now), now);
    Answer::of(found, &judged.conclusion, judged.ends.into_iter().min(), now)
}

async fn looked(engine: &Engine, policy: &Arc<Policy>, case: &ParsedCase<'_>, credentials: &Credentials) -> Looks {
    let mut looks = Looks::default();
    let Some(reference) = case.reference.as_ref().ok().filter(|_| case.asks) else { return looks };
    let look = Look::new(case, reference, policy);
    let asked = async {
        let runs = look.named(&engine.verifier, credentials).await?;
        look.ask(&engine.verifier, runs, credentials).await
    };
    match tokio::time::timeout(LOOK_MOST, AssertUnwindSafe(asked).catch_unwind()).await {
        Ok(Ok(Ok(findings))) => looks.findings = Some(findings),
        Ok(Ok(Err(error))) => looks.error = Some(error),
        Ok(Err(_panic)) => {
            looks.error = Some(failed("the verification of this image ended in an internal error, which stands above"));
        }
        Err(_elapsed) => looks.error = Some(failed("the registry was not done after 300 s")),
    }
    let matter = looks.findings.as_ref().and_then(|findings| policy.matter(reference.repository(), findings));
    if let Some(matter) = matter {
        let freshness = Freshness { interval: policy.interval, since: None };
        let learn = AssertUnwindSafe(matter.learn(&engine.revocation, freshness)).catch_unwind();
        // What could not be learnt is found missing when it is judged.
        let _ = tokio::time::timeout(LEARN_MOST, learn).await;
    }
    looks
}
