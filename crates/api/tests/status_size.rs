// SPDX-License-Identifier: Apache-2.0

//! The largest `ImageVerification` that the operator can write stays small enough to have thousands of, and the largest
//! status of a `TrustPolicy` leaves room for its spec.

use std::fmt::Write as _;

use jiff::Timestamp as Instant;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    Condition, FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time,
};
use sealwatch_api::image_verification::status::{CONTAINERS_MAX, PLATFORMS_MAX, REFERENCES_MAX, TRANSITIONS_MAX};
use sealwatch_api::text::{CHECK_MESSAGE_MAX_BYTES, MESSAGE_MAX_BYTES, REFERENCE_MAX_BYTES, clip};
use sealwatch_api::trust_policy::status::{CERTIFICATES_LISTED_MAX, FAILING_MAX};
use sealwatch_api::{
    Anchor, AppliedPolicy, CertificateSummary, Check, CheckAction, CheckResult, CheckType, ConditionStatus,
    ConditionType, ContainerState, ContainerType, ExpiryKind, ImageVerification, ImageVerificationSpec,
    ImageVerificationStatus, NextExpiry, Reason, RevocationEvidence, RevocationMethod, Running, RunningContainer,
    Signature, SignedVia, Signer, Summary, Timestamp, Transition, TrustPolicyReference, TrustPolicyStatus,
    TrustStoreStatus, Verdict,
};

/// Upper bound for one object as JSON, in bytes.
const LIMIT: usize = 16 * 1024;

/// A text of exactly `bytes` bytes.
fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// What a hostile certificate makes of a text that is cut to `bytes`: characters of four bytes.
fn supplied(bytes: usize) -> String {
    clip(&"\u{1f512}".repeat(100_000), bytes)
}

fn time() -> Option<Time> {
    Instant::from_second(1_800_000_000).ok().map(Time)
}

fn digest() -> String {
    format!("sha512:{}", text(128))
}

fn largest_signature() -> Signature {
    Signature {
        digest: Some(digest()),
        media_type: Some(text(64)),
        scheme: Some(text(64)),
        signing_time: time(),
        timestamp: Some(Timestamp { time: time(), authority: supplied(256) }),
        expiry: time(),
        signer: Some(Signer {
            common_name: Some(supplied(256)),
            subject: supplied(256),
            issuer: supplied(256),
            sha256: text(64),
            not_before: time(),
            not_after: time(),
        }),
        // Stands in place of the signer, never beside it, and is smaller.
        claimed_signer: None,
        anchor: Some(Anchor { store: text(256), subject: supplied(256), sha256: text(64) }),
        verified_digest: Some(digest()),
        via: Some(SignedVia::PlatformManifest.into()),
        revocation: Some(RevocationEvidence {
            method: Some(RevocationMethod::Ocsp.into()),
            checked_at: time(),
            next_update: time(),
        }),
    }
}

fn largest_running() -> Running {
    let container = RunningContainer {
        pod: text(253),
        container: text(63),
        type_: Some(ContainerType::EphemeralContainer.into()),
        state: Some(ContainerState::Terminated.into()),
    };
    Running {
        pods: u32::MAX,
        containers: vec![container; CONTAINERS_MAX],
        references: vec![text(REFERENCE_MAX_BYTES); REFERENCES_MAX],
        platforms: vec![text(64); PLATFORMS_MAX],
    }
}

fn largest_conditions() -> Vec<Condition> {
    ConditionType::ALL
        .iter()
        .map(|type_| Condition {
            type_: type_.to_string(),
            status: ConditionStatus::Unknown.to_string(),
            reason: Reason::NoApplicableTrustPolicy.to_string(),
            message: supplied(MESSAGE_MAX_BYTES),
            last_transition_time: time().unwrap(),
            observed_generation: Some(i64::MAX),
        })
        .collect()
}

fn largest_status() -> ImageVerificationStatus {
    let check = |type_: &CheckType| Check {
        type_: Some((*type_).into()),
        action: Some(CheckAction::Enforce.into()),
        result: Some(CheckResult::NotEvaluated.into()),
        message: Some(supplied(CHECK_MESSAGE_MAX_BYTES)),
    };
    let transition = Transition {
        time: time(),
        verdict: Some(Verdict::Verified.into()),
        reason: Some(Reason::NoApplicableTrustPolicy.into()),
    };
    ImageVerificationStatus {
        observed_generation: Some(i64::MAX),
        verdict: Some(Verdict::Verified.into()),
        reason: Some(Reason::NoApplicableTrustPolicy.into()),
        message: Some(supplied(MESSAGE_MAX_BYTES)),
        verdict_since: time(),
        last_verified_time: time(),
        checks: CheckType::ALL.iter().map(check).collect(),
        signature: Some(largest_signature()),
        policy: Some(AppliedPolicy {
            uid: text(36),
            generation: i64::MAX,
            statement: Some(supplied(256)),
            level: Some("permissive".into()),
            actions: CheckType::ALL.iter().map(|type_| (type_.to_string(), CheckAction::Enforce.into())).collect(),
            trust_hash: digest(),
        }),
        running: Some(largest_running()),
        transitions: vec![transition; TRANSITIONS_MAX],
        conditions: largest_conditions(),
        last_handled_requested_at: Some(text(256)),
    }
}

/// What the API server notes about who owns which field: one entry for the object, one for its status, which is atomic
/// and therefore short.
fn managed_fields() -> Vec<ManagedFieldsEntry> {
    let entry = |subresource: Option<&str>, fields: serde_json::Value| ManagedFieldsEntry {
        api_version: Some("sealwatch.dev/v1alpha1".into()),
        fields_type: Some("FieldsV1".into()),
        fields_v1: Some(FieldsV1(fields)),
        manager: Some("sealwatch".into()),
        operation: Some("Apply".into()),
        subresource: subresource.map(Into::into),
        time: time(),
    };
    let object = serde_json::json!({
        "f:metadata": {
            "f:labels": { "f:app.kubernetes.io/managed-by": {}, "f:sealwatch.dev/trust-policy": {} },
            "f:ownerReferences": { (format!("k:{{\"uid\":\"{}\"}}", text(36))): {} },
        },
        "f:spec": { "f:digest": {}, "f:image": {}, "f:trustPolicyRef": { "f:name": {} } },
    });
    vec![entry(None, object), entry(Some("status"), serde_json::json!({ "f:status": {} }))]
}

#[test]
fn the_largest_image_verification_has_at_most_16_kib() {
    let owner = OwnerReference {
        api_version: "sealwatch.dev/v1alpha1".into(),
        kind: "TrustPolicy".into(),
        name: text(63),
        uid: text(36),
        controller: Some(true),
        block_owner_deletion: None,
    };
    let labels = [("sealwatch.dev/trust-policy", text(63)), ("app.kubernetes.io/managed-by", "sealwatch".into())];
    let largest = ImageVerification {
        metadata: ObjectMeta {
            name: Some(text(253)),
            namespace: Some(text(63)),
            uid: Some(text(36)),
            resource_version: Some(u64::MAX.to_string()),
            generation: Some(i64::MAX),
            creation_timestamp: time(),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
            annotations: Some([("sealwatch.dev/requestedAt".to_owned(), text(256))].into()),
            owner_references: Some(vec![owner]),
            managed_fields: Some(managed_fields()),
            ..ObjectMeta::default()
        },
        spec: ImageVerificationSpec {
            image: text(1024),
            digest: Some(digest()),
            trust_policy_ref: TrustPolicyReference { name: text(63) },
        },
        status: Some(largest_status()),
    };
    let bytes = serde_json::to_vec(&largest).unwrap().len();
    assert!(bytes <= LIMIT, "{bytes} bytes:\n{}", sizes(&largest));
    // A bound that is far off would hide a forgotten field.
    assert!(bytes > LIMIT / 2, "{bytes} bytes only");
}

/// Upper bound for the status of a policy as JSON, in bytes: a tenth of what etcd takes of one object.
const POLICY_LIMIT: usize = 160 * 1024;

#[test]
fn the_largest_status_of_a_policy_has_at_most_160_kib_however_many_images_run() {
    let certificate =
        CertificateSummary { subject: supplied(256), sha256: text(64), not_before: time(), not_after: time() };
    let store = |certificates: usize| TrustStoreStatus {
        name: text(256),
        certificates: vec![certificate.clone(); certificates],
        message: Some(supplied(MESSAGE_MAX_BYTES)),
    };
    let stores = 32;
    let listed = CERTIFICATES_LISTED_MAX / stores;
    let largest = TrustPolicyStatus {
        observed_generation: Some(i64::MAX),
        conditions: largest_conditions(),
        summary: Some(Summary {
            images: u32::MAX,
            verified: u32::MAX,
            logged: u32::MAX,
            failed: u32::MAX,
            unknown: u32::MAX,
            skipped: u32::MAX,
            pods: u32::MAX,
            containers: u32::MAX,
        }),
        trust_stores: vec![store(listed); stores],
        failing: vec![text(253); FAILING_MAX],
        next_expiry: Some(NextExpiry {
            time: time(),
            kind: Some(ExpiryKind::SigningCertificate.into()),
            subject: supplied(256),
            images: u32::MAX,
        }),
        last_scan_time: time(),
        last_handled_requested_at: Some(text(256)),
    };
    let bytes = serde_json::to_vec(&largest).unwrap().len();
    assert!(bytes <= POLICY_LIMIT, "{bytes} bytes");
    // A bound that is far off would hide a forgotten field.
    assert!(bytes > POLICY_LIMIT / 2, "{bytes} bytes only");
}

/// The parts of the status by size, to see what to cut.
fn sizes(object: &ImageVerification) -> String {
    let status = serde_json::to_value(&object.status).unwrap();
    let mut report = String::new();
    for (field, value) in status.as_object().unwrap() {
        writeln!(report, "{field}: {}", value.to_string().len()).unwrap();
    }
    report
}
