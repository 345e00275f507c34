// SPDX-License-Identifier: Apache-2.0

//! The rules of the API, as a real API server applies them.
//!
//! Each file of `api_table/good` is a document that must be accepted. Each of `api_table/bad` is one that must be
//! refused, for exactly the reasons of its lines `# expect: …`: a message that contains the rest of the line, and no
//! other message. The numbers in the names are those of Notation's rules.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Error, ResourceExt as _};
use sealwatch_api::{ImageVerification, TrustPolicy};
use sealwatch_e2e::testenv::{self, Cluster, Options, Result};
use serde_json::{Value, json};

/// The oldest Kubernetes version whose rules the pinned API server can be told to apply.
const EMULATED_VERSION: &str = "1.33";

/// Fewer documents than this mean that the folder was not found or read.
const LEAST_DOCUMENTS: usize = 100;

#[tokio::test]
async fn every_document_is_judged_as_the_table_says() -> Result<()> {
    let cluster = testenv::cluster().await?;
    judge_table(&cluster).await
}

#[tokio::test]
async fn every_document_is_judged_as_the_table_says_by_an_older_api_server() -> Result<()> {
    let test = "every_document_is_judged_as_the_table_says_by_an_older_api_server";
    if env::var_os("SEALWATCH_E2E_KUBECONFIG").is_some() {
        testenv::skipped(test, "the cluster that SEALWATCH_E2E_KUBECONFIG names has the version that it has");
        return Ok(());
    }
    let options = Options { emulated_version: Some(EMULATED_VERSION.to_owned()), ..Options::default() };
    judge_table(&testenv::cluster_with(options).await?).await
}

#[tokio::test]
async fn the_samples_are_good_documents() -> Result<()> {
    let cluster = testenv::cluster().await?;
    let server = Server::prepare(&cluster).await?;
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples/azure-iot-operations/trust_policy.yaml");
    let mut sample = read(&sample)?.document;
    // The test has a namespace of its own.
    sample["metadata"]["namespace"] = json!(server.namespace);
    assert_eq!(server.judge("config/samples/azure-iot-operations/trust_policy.yaml", &sample, &[]).await?, None);
    Ok(())
}

#[tokio::test]
async fn notations_own_policies_are_judged_as_notation_judges_them() -> Result<()> {
    let test = "notations_own_policies_are_judged_as_notation_judges_them";
    let Some(vectors) = env::var_os("SEALWATCH_VECTORS").map(PathBuf::from).filter(|folder| folder.is_dir()) else {
        testenv::skipped(test, "SEALWATCH_VECTORS does not name the folder of test vectors");
        return Ok(());
    };
    let cluster = testenv::cluster().await?;
    let server = Server::prepare(&cluster).await?;
    let mut surprises = Vec::new();
    for (file, expected) in NOTATION_POLICIES {
        let path = vectors.join("notation/test/e2e/testdata/config/trustpolicies").join(file);
        let policy: Value = serde_json::from_slice(&fs::read(&path).map_err(|error| format!("{file}: {error}"))?)?;
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        surprises.extend(server.judge(file, &with_trust_stores(&policy), &expected).await?);
    }
    assert!(surprises.is_empty(), "{} surprises:\n{}", surprises.len(), surprises.join("\n"));
    Ok(())
}

#[tokio::test]
async fn the_largest_policy_within_the_bounds_is_judged() -> Result<()> {
    // The API server bounds what rules may cost twice: by an estimate when it gets the definition, and by what an
    // object really costs. Only documents at all bounds show the second.
    let cluster = testenv::cluster().await?;
    let server = Server::prepare(&cluster).await?;
    let largest = largest_policy();
    let mut surprises: Vec<String> = server.judge("the largest policy", &largest, &[]).await?.into_iter().collect();
    for (changed, copied, expected) in [
        ("/trustPolicies/15/name", "/trustPolicies/14/name", "policy statements use the same name"),
        ("/trustPolicies/15/registryScopes/63", "/trustPolicies/14/registryScopes/63", "in multiple trust policy"),
        ("/trustPolicies/15/registryScopes/63", "/trustPolicies/15/registryScopes/62", "in multiple places of a"),
        ("/trustPolicies/15/trustStores/31", "/trustPolicies/15/name", "malformed trust store value;not defined"),
        ("/trustPolicies/15/trustedIdentities/31", "/trustPolicies/15/trustedIdentities/30", "has overlapping x509"),
        ("/trustStores/31/name", "/trustStores/30/name", "multiple trust stores are called;not defined"),
        ("/trustStores/31/certificates/15/sha256/31", "/version", "64 hexadecimal digits"),
    ] {
        let mut broken = largest.clone();
        let copied = largest.pointer(&format!("/spec{copied}")).ok_or(copied)?;
        *broken.pointer_mut(&format!("/spec{changed}")).ok_or(changed)? = copied.clone();
        let expected: Vec<String> = expected.split(';').map(str::to_owned).collect();
        surprises.extend(server.judge(changed, &broken, &expected).await?);
    }
    assert!(surprises.is_empty(), "{} surprises:\n{}", surprises.len(), surprises.join("\n"));
    Ok(())
}

#[tokio::test]
async fn the_spec_of_an_image_verification_cannot_be_changed() -> Result<()> {
    let cluster = testenv::cluster().await?;
    let server = Server::prepare(&cluster).await?;
    let images: Api<ImageVerification> = Api::namespaced(cluster.client(), &server.namespace);
    let image = |spec: Value| -> Value {
        json!({ "apiVersion": "sealwatch.dev/v1alpha1", "kind": "ImageVerification", "metadata": { "name": "app" },
                "spec": spec })
    };
    let spec = json!({ "image": "registry.example.com/app:1", "trustPolicyRef": { "name": "team" } });
    let apply = PatchParams::apply("api-table").force();
    images.patch("app", &apply, &Patch::Apply(image(spec.clone()))).await?;
    for (field, value) in [
        ("image", json!("registry.example.com/app:2")),
        ("digest", json!(format!("sha256:{}", "a".repeat(64)))),
        ("trustPolicyRef", json!({ "name": "other" })),
    ] {
        let mut changed = spec.clone();
        changed[field] = value;
        let answer = images.patch("app", &apply, &Patch::Apply(image(changed))).await;
        assert_eq!(surprise(field, &["spec is immutable".to_owned()], answer.err().as_ref()), None);
    }
    let labelled = json!({ "metadata": { "labels": { "team": "a" } } });
    images.patch("app", &PatchParams::default(), &Patch::Merge(labelled)).await?;
    Ok(())
}

#[tokio::test]
async fn a_good_policy_cannot_be_edited_into_a_bad_one() -> Result<()> {
    let cluster = testenv::cluster().await?;
    let server = Server::prepare(&cluster).await?;
    let policies: Api<TrustPolicy> = Api::namespaced(cluster.client(), &server.namespace);
    let good = read(&folder("good").join("the_documented_procedure.yaml"))?;
    let good: TrustPolicy = serde_json::from_value(good.document)?;
    policies.create(&PostParams::default(), &good).await?;
    let edit = json!({ "spec": { "trustPolicies": [{
        "name": "supplychain", "registryScopes": ["*"], "signatureVerification": { "level": "lenient" },
        "trustStores": ["ca:supplychain"], "trustedIdentities": ["*"],
    }] } });
    let answer = policies.patch(&good.name_any(), &PatchParams::default(), &Patch::Merge(edit)).await;
    let expected = ["invalid signature verification level".to_owned()];
    assert_eq!(surprise("level", &expected, answer.err().as_ref()), None);
    Ok(())
}

#[tokio::test]
async fn nothing_of_somebody_elses_status_survives_the_operators() -> Result<()> {
    let cluster = testenv::cluster().await?;
    let server = Server::prepare(&cluster).await?;
    let images: Api<ImageVerification> = Api::namespaced(cluster.client(), &server.namespace);
    let spec = json!({ "image": "registry.example.com/app:1", "trustPolicyRef": { "name": "team" } });
    let object = |part: &str, value: Value| {
        json!({ "apiVersion": "sealwatch.dev/v1alpha1", "kind": "ImageVerification", "metadata": { "name": "forged" },
                part: value })
    };
    let operator = PatchParams::apply(sealwatch_api::FIELD_MANAGER).force();
    images.patch("forged", &operator, &Patch::Apply(object("spec", spec))).await?;

    let forged = json!({ "verdict": "Verified", "signature": { "signer": { "subject": "CN=forged" } } });
    let somebody = PatchParams::apply("somebody").force();
    images.patch_status("forged", &somebody, &Patch::Apply(object("status", forged))).await?;
    let truth =
        json!({ "verdict": "Failed", "reason": "NoSignature", "signature": { "mediaType": "application/cose" } });
    images.patch_status("forged", &operator, &Patch::Apply(object("status", truth.clone()))).await?;

    let status = images.get("forged").await?.status.ok_or("the status is gone")?;
    assert_eq!(serde_json::to_value(status)?, truth);
    Ok(())
}

#[tokio::test]
async fn kubectl_prints_the_documented_tables() -> Result<()> {
    let cluster = testenv::cluster().await?;
    let server = Server::prepare(&cluster).await?;
    let images: Api<ImageVerification> = Api::namespaced(cluster.client(), &server.namespace);
    let policies: Api<TrustPolicy> = Api::namespaced(cluster.client(), &server.namespace);
    let digest = format!("sha256:{}", "0a".repeat(32));
    let image: ImageVerification = serde_json::from_value(json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "ImageVerification", "metadata": { "name": "app" },
        "spec": { "image": "registry.example.com/app:1", "digest": digest, "trustPolicyRef": { "name": "microsoft" } },
    }))?;
    images.create(&PostParams::default(), &image).await?;
    let status = json!({ "status": {
        "verdict": "Verified", "reason": "SignatureValid", "running": { "pods": 3 },
        "signature": { "signer": { "commonName": "Azure IoT Operations", "notAfter": "2031-01-02T03:04:05Z" } },
    } });
    images.patch_status("app", &PatchParams::default(), &Patch::Merge(status)).await?;
    let policy = read(&folder("good").join("the_documented_procedure.yaml"))?;
    policies.create(&PostParams::default(), &serde_json::from_value(policy.document)?).await?;
    let status = json!({ "status": {
        "summary": { "images": 29, "verified": 27, "failed": 1, "unknown": 1 },
        "conditions": [{ "type": "Ready", "status": "True", "reason": "Succeeded", "message": "",
                         "lastTransitionTime": "2026-01-02T03:04:05Z" }],
    } });
    policies.patch_status("microsoft", &PatchParams::default(), &Patch::Merge(status)).await?;

    let table = |arguments: &'static [&'static str]| {
        let (cluster, namespace) = (cluster.clone(), server.namespace.clone());
        async move {
            let arguments: Vec<&str> = ["get", "-n", &namespace].into_iter().chain(arguments.iter().copied()).collect();
            let output = cluster.kubectl(&arguments).await?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let lines: Vec<String> =
                text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            Result::<_>::Ok(lines)
        }
    };
    assert_eq!(
        table(&["iv"]).await?,
        [
            "NAME IMAGE VERDICT REASON SIGNER PODS SINCE",
            "app registry.example.com/app:1 Verified SignatureValid Azure IoT Operations 3"
        ]
    );
    let wide = table(&["imageverifications", "-o", "wide"]).await?;
    assert_eq!(wide[0], "NAME IMAGE VERDICT REASON SIGNER PODS SINCE POLICY DIGEST LAST VERIFIED SIGNER EXPIRES");
    assert!(wide[1].ends_with(&format!("microsoft {digest} 2031-01-02T03:04:05Z")), "{}", wide[1]);
    let policies = table(&["tp"]).await?;
    assert_eq!(policies[0], "NAME IMAGES VERIFIED FAILED UNKNOWN READY LAST SCAN AGE");
    assert!(policies[1].starts_with("microsoft 29 27 1 1 True "), "{}", policies[1]);
    let both = table(&["sealwatch", "-o", "name"]).await?;
    assert_eq!(both, ["imageverification.sealwatch.dev/app", "trustpolicy.sealwatch.dev/microsoft"]);
    Ok(())
}

/// Notation's test policies and what its own suite says of each (suite/trustpolicy/*.go, notation 2a558558); those that
/// only a verification can judge are good documents, and so are those whose distinguished names have to be parsed.
const NOTATION_POLICIES: [(&str, &[&str]); 42] = [
    ("any_registry_scope_trust_policy.json", &[]),
    ("audit_trustpolicy.json", &[]),
    ("blob_trust_policy.json", &["field not declared in schema"]),
    ("empty_registry_scope_trustpolicy.json", &["has zero registry scopes"]),
    ("empty_trusted_identity_trustpolicy.json", &["has an empty trusted identity"]),
    ("generate_test_trustpolicy.json", &[]),
    ("invalid_registry_scope_trustpolicy.json", &[]),
    (
        "invalid_trust_store_trustpolicy.json",
        &["a trust store that is not defined in spec.trustStores: ca:invalid_store"],
    ),
    ("invalid_trusted_identity_trustpolicy.json", &[]),
    ("malformed_registry_scope_trustpolicy.json", &["is not valid, it must be a registry and a repository"]),
    ("malformed_trust_store_trustpolicy.json", &["uses an unsupported trust store name", "not defined"]),
    ("malformed_trusted_identity_trustpolicy.json", &["missing separator"]),
    ("missing_country_trusted_identity_trustpolicy.json", &[]),
    ("missing_organization_trusted_identity_trustpolicy.json", &[]),
    ("missing_state_trusted_identity_trustpolicy.json", &[]),
    (
        "multi_statements_with_multi_wildcard_registry_scope_trustpolicy.json",
        &["registry scope '*' is present in multiple trust policy statements"],
    ),
    (
        "multi_statements_with_the_same_name_trustpolicy.json",
        &["multiple trust policy statements use the same name 'e2e'"],
    ),
    (
        "multi_statements_with_the_same_registry_scope_trustpolicy.json",
        &["registry scope 'localhost:5000/test-repo8' is present in multiple trust policy statements"],
    ),
    ("multi_statements_with_wildcard_registry_scope_trustpolicy.json", &[]),
    ("multiple_registry_scope_trustpolicy.json", &[]),
    ("multiple_trust_store_trustpolicy.json", &[]),
    ("multiple_trusted_identity_trustpolicy.json", &[]),
    ("overlapped_registry_scope_trustpolicy.json", &["is present in multiple"]),
    ("overlapped_trust_store_trustpolicy.json", &[]),
    ("overlapped_trusted_identity_trustpolicy.json", &[]),
    ("override_audit_trustpolicy.json", &[]),
    ("override_integrity_for_permissive_trustpolicy.json", &["'integrity' can not be overridden"]),
    ("override_permissive_trustpolicy.json", &[]),
    ("override_strict_trustpolicy.json", &[]),
    ("permissive_trustpolicy.json", &[]),
    ("quickstart_trustpolicy.json", &[]),
    ("registry_scope_trustpolicy.json", &[]),
    ("skip_trustpolicy.json", &[]),
    ("timestamp_after_cert_expiry_trustpolicy.json", &[]),
    ("timestamp_trustpolicy.json", &[]),
    ("unset_trust_store_trustpolicy.json", &["is either missing trust stores or trusted identities"]),
    ("unset_trusted_identity_trustpolicy.json", &["is either missing trust stores or trusted identities"]),
    ("wildcard_plus_other_registry_scope_trustpolicy.json", &["uses wildcard registry scope '*'"]),
    ("wildcard_plus_other_trusted_identity_trustpolicy.json", &["uses a wildcard trusted identity '*'"]),
    ("wildcard_trust_store_trustpolicy.json", &["has malformed trust store value '*'", "not defined"]),
    ("trustpolicy.json", &[]),
    ("valid_trusted_identity_trustpolicy.json", &[]),
];

/// The same documents with the trust stores that notation's suite has in its configuration directory.
fn with_trust_stores(policy: &Value) -> Value {
    let stores = [("ca", "e2e"), ("ca", "e2e-new"), ("tsa", "e2e"), ("ca", "sKey"), ("ca", "wabbit-networks.io")];
    let stores = stores.map(|(type_, name)| {
        json!({ "type": type_, "name": name, "certificates": [{ "configMapKeyRef": { "name": "roots", "key": name } }] })
    });
    let mut spec = policy.clone();
    spec["trustStores"] = json!(stores);
    json!({ "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy", "metadata": { "name": "notation" },
            "spec": spec })
}

/// A policy at every bound: 16 statements with 64 scopes, 32 trust stores and 32 identities each, which differ only at
/// their ends, where a comparison costs most.
fn largest_policy() -> Value {
    let long = |start: &str, length: usize, number: usize| {
        let number = format!("{number:04}");
        format!("{start}{}{number}", "a".repeat(length - start.len() - number.len()))
    };
    let store = |number| long("", 238, number);
    let statement = |statement: usize| {
        json!({
            "name": long("", 256, statement),
            "registryScopes": (0..64).map(|n| long("registry.example.com/", 255, statement * 64 + n)).collect::<Vec<_>>(),
            "signatureVerification": {
                "level": "strict", "verifyTimestamp": "afterCertExpiry",
                "override": { "authenticity": "log", "authenticTimestamp": "log", "expiry": "log", "revocation": "skip" },
            },
            "trustStores": (0..32).map(|n| format!("ca:{}", store(n))).collect::<Vec<_>>(),
            "trustedIdentities":
                (0..32).map(|n| long("x509.subject: C=US,ST=WA,O=Example,CN=", 1024, n)).collect::<Vec<_>>(),
        })
    };
    let expressions =
        json!([{ "key": "tier", "operator": "In", "values": (0..32).map(|n| long("", 63, n)).collect::<Vec<_>>() }]);
    json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy", "metadata": { "name": "n".repeat(63) },
        "spec": {
            "version": "1.0",
            "trustPolicies": (0..16).map(statement).collect::<Vec<_>>(),
            "trustStores": (0..32).map(|n| json!({
                "type": "ca", "name": store(n),
                "certificates": (0..16).map(|_| json!({
                    "configMapKeyRef": { "name": "roots", "key": "root.crt" }, "sha256": vec!["ab".repeat(32); 32],
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "interval": "99999h9999999m999999999s", "staleAfter": "99999h9999999m999999999s",
            "podSelector": { "matchExpressions": expressions },
        },
    })
}

/// A document of the table.
struct Row {
    document: Value,
    expected: Vec<String>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api_table").join(name)
}

fn read(path: &Path) -> Result<Row> {
    let text = fs::read_to_string(path)?;
    let expected = text.lines().filter_map(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect();
    let document = serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Row { document, expected })
}

async fn judge_table(cluster: &Cluster) -> Result<()> {
    let server = Server::prepare(cluster).await?;
    let (mut surprises, mut documents) = (Vec::new(), 0);
    for kind in ["good", "bad"] {
        for entry in fs::read_dir(folder(kind))? {
            let path = entry?.path();
            let name = format!("{kind}/{}", path.file_name().unwrap_or_default().to_string_lossy());
            let row = read(&path)?;
            if (kind == "good") != row.expected.is_empty() {
                surprises.push(format!("{name}: expects {} messages", row.expected.len()));
            }
            surprises.extend(server.judge(&name, &row.document, &row.expected).await?);
            documents += 1;
        }
    }
    assert!(documents >= LEAST_DOCUMENTS, "only {documents} documents");
    assert!(surprises.is_empty(), "{} surprises in {documents} documents:\n{}", surprises.len(), surprises.join("\n"));
    Ok(())
}

/// An API server that knows the two kinds, and a namespace in it.
struct Server {
    client: Client,
    namespace: String,
}

impl Server {
    /// Applies the definitions and waits until the API server acts by them.
    async fn prepare(cluster: &Cluster) -> Result<Self> {
        let client = cluster.client();
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for crd in sealwatch_api::crds::crds() {
            let name = crd.name_any();
            definitions.patch(&name, &PatchParams::apply("sealwatch-e2e").force(), &Patch::Apply(&crd)).await?;
            let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
            tokio::time::timeout(Duration::from_secs(30), established).await??;
        }
        let server = Self { client, namespace: cluster.namespace("api-table").await? };
        server.wait_until_served().await?;
        Ok(server)
    }

    /// A definition is established before every handler has it.
    async fn wait_until_served(&self) -> Result<()> {
        let probe = read(&folder("good").join("image_verification.yaml"))?;
        let mut answer = None;
        for _ in 0..60 {
            answer = self.judge("probe", &probe.document, &[]).await?;
            if answer.is_none() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Err(answer.unwrap_or_default().into())
    }

    /// What is surprising about the API server's judgement of a document, when it is applied as by `kubectl apply
    /// --server-side` and when it is created, without leaving it there.
    async fn judge(&self, name: &str, document: &Value, expected: &[String]) -> Result<Option<String>> {
        let object: DynamicObject = serde_json::from_value(document.clone())?;
        let kind = document["kind"].as_str().unwrap_or_default();
        let resource =
            ApiResource::from_gvk(&GroupVersionKind::gvk(sealwatch_api::GROUP, sealwatch_api::VERSION, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let apply = PatchParams::apply("api-table").dry_run();
        let applied = api.patch(&object.name_any(), &apply, &Patch::Apply(document)).await;
        if let Some(surprise) = surprise(name, expected, applied.err().as_ref()) {
            return Ok(Some(format!("{surprise} (applied)")));
        }
        if expected.iter().any(|text| text.contains("field not declared in schema")) {
            // Only server-side apply refuses a misspelt field; a plain create answers with a warning.
            return Ok(None);
        }
        let create = PostParams { dry_run: true, ..PostParams::default() };
        let created = api.create(&create, &object).await;
        Ok(surprise(name, expected, created.err().as_ref()).map(|surprise| format!("{surprise} (created)")))
    }
}

/// Compares what was expected with the answer: each message must be expected, and each expectation met.
fn surprise(name: &str, expected: &[String], error: Option<&Error>) -> Option<String> {
    let messages = match error {
        None => Vec::new(),
        Some(Error::Api(status)) => {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            // Beside messages of the schema stands a note that the rules were therefore not looked at.
            let causes = causes.filter(|cause| !cause.message.contains("some validation rules were not checked"));
            let messages: Vec<String> = causes.map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
            if messages.is_empty() { vec![status.message.clone()] } else { messages }
        }
        Some(other) => vec![other.to_string()],
    };
    let unmet: Vec<_> =
        expected.iter().filter(|text| !messages.iter().any(|message| message.contains(*text))).collect();
    let noise: Vec<_> = messages.iter().filter(|message| !expected.iter().any(|text| message.contains(text))).collect();
    (!unmet.is_empty() || !noise.is_empty()).then(|| format!("{name}: missing {unmet:?}, besides {noise:?}"))
}
