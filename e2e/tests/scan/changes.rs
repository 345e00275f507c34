// SPDX-License-Identifier: Apache-2.0

//! What would change if another policy took the place of the cluster's.

use sealwatch_e2e::scene::{self, OPERATIONS, Signed};
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::{self, Registry, Result};
use serde_json::json;

use crate::desk::{answer, policy_file, refusal, registries, scan};

#[tokio::test]
async fn only_images_whose_verdict_would_change_are_shown_with_both_reasons() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "scan-diff").await?;
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::BySecondIdentity, Signed::Not];
    let (pki, images) = stage.play("microsoft", &registry, true, &which).await?;
    // Another policy of the namespace, which no file takes the place of.
    let mut skip = scene::seed_document();
    skip["trustPolicies"][0] =
        json!({"name": "none", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}});
    stage.apply(&scene::trust_policy("lax", &skip)).await?;
    let registries = registries(&stage, &[&registry])?;
    let diff = async |policy: &str, more: &[&str]| {
        let flags = ["-n", &stage.namespace, "--registries", &registries, "--policy", policy, "--diff"];
        scan(stage.cluster.kubeconfig(), &[&flags[..], more].concat()).await
    };

    let same = policy_file(&stage, "microsoft", &scene::seed_document(), &pki)?;
    let ran = diff(&same, &[]).await?;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "no verdict would change\n", ""));

    let mut narrow = scene::seed_document();
    narrow["trustPolicies"][0]["trustedIdentities"] = json!([format!("x509.subject: {OPERATIONS}")]);
    let narrow = policy_file(&stage, "microsoft", &narrow, &pki)?;
    registry.clear_access_log();
    let ran = diff(&narrow, &["-o", "json"]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
    let found = answer(&ran)?;
    let changes = found["changes"].as_array().cloned().unwrap_or_default();
    assert_eq!(changes.len(), 1, "{found}");
    assert_eq!(changes[0]["digest"], images.of(Signed::BySecondIdentity)?.digest);
    assert_eq!(changes[0]["policy"], format!("{}/microsoft", stage.namespace));
    let side = |side: &str| (changes[0][side]["verdict"].clone(), changes[0][side]["reason"].clone());
    assert_eq!(side("from"), (json!("Verified"), json!("SignatureValid")));
    assert_eq!(side("to"), (json!("Failed"), json!("UntrustedIdentity")));
    assert!(found["images"].is_null(), "{found}");
    // Both sides rest on one look.
    let lists = registry.access_log().iter().filter(|request| request.path.contains("/referrers/")).count();
    assert_eq!(lists, which.len());

    let table = diff(&narrow, &[]).await?.stdout;
    let head = "FROM      TO      OLD REASON      NEW REASON         IMAGE";
    assert!(table.starts_with(head), "{table}");
    assert!(table.contains("\nVerified → Failed: "), "{table}");

    // As it comes out of the cluster, without what it names there.
    let alone = stage.kubectl(&["get", "tp", "microsoft", "-o", "yaml"]).await?;
    let file = stage.folder.path().join("alone.yaml").display().to_string();
    std::fs::write(&file, &alone)?;
    let ran = diff(&file, &[]).await?;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "no verdict would change\n", ""));
    std::fs::write(&file, alone.replace("microsoft-roots", "there-are-none"))?;
    let found = answer(&diff(&file, &["-o", "json"]).await?)?;
    let message = found["changes"][0]["to"]["message"].as_str().unwrap_or_default();
    assert_eq!(found["changes"][0]["to"]["reason"], "TrustStoreUnavailable", "{found}");
    assert!(message.contains("ConfigMap \"there-are-none\" does not exist in this namespace"), "{found}");

    // Under another name it would take the place of each.
    let other = policy_file(&stage, "tomorrow", &scene::seed_document(), &pki)?;
    let found = answer(&diff(&other, &["-o", "json"]).await?)?;
    let changes = found["changes"].as_array().cloned().unwrap_or_default();
    assert_eq!(changes.len(), which.len(), "{found}");
    assert!(changes.iter().all(|change| change["from"]["verdict"] == "Skipped"), "{found}");
    Ok(())
}

#[tokio::test]
async fn there_has_to_be_a_policy_to_compare_with() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "scan-diff-none").await?;
    let file = stage.folder.path().join("trustpolicy.json");
    let document = json!({"version": "1.0", "trustPolicies": [
        {"name": "none", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}}]});
    std::fs::write(&file, document.to_string())?;
    let flags = ["-n", &stage.namespace, "--policy", &file.display().to_string(), "--diff"];
    let ran = scan(stage.cluster.kubeconfig(), &flags).await?;
    assert!(refusal(&ran).starts_with("there is no TrustPolicy of namespace"), "{ran:?}");
    Ok(())
}
