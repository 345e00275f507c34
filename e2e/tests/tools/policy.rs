// SPDX-License-Identifier: Apache-2.0

//! `sealwatch policy`: there and back with the real `notation` at both ends, and a real API server in between.

use std::fs;
use std::path::Path;

use sealwatch_e2e::cli::{Desk, Ran, run};
use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::stage;
use sealwatch_e2e::testenv::{Registry, Result, cluster};
use serde_json::{Value, json};

fn text(path: &Path) -> String {
    path.display().to_string()
}

async fn import(desk: &Desk, more: &[&str]) -> Result<Ran> {
    let configuration = text(&desk.notation.configuration());
    run(["policy", "import", &configuration].iter().chain(more)).await
}

/// What `notation verify` says about each image, but for the time that it takes.
async fn opinions(desk: &Desk, configuration: &Path) -> Result<Vec<(bool, String)>> {
    let mut opinions = Vec::new();
    for (_, image) in desk.images.iter() {
        let args = ["verify", "--insecure-registry", &image.by_digest()];
        let output = desk.notation.run_with(configuration, &args).await?;
        opinions.push((output.status.success(), String::from_utf8(output.stdout)?));
    }
    Ok(opinions)
}

#[tokio::test]
async fn a_policy_that_went_there_and_back_verifies_as_before() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &Signed::ALL).await?;
    let mut document = scene::seed_document();
    let statement = json!({
        "name": "lax", "registryScopes": [desk.images.of(Signed::Expired)?.repository], "trustStores": ["ca:supplychain"],
        "trustedIdentities": ["*"], "signatureVerification": {"level": "strict", "override": {"expiry": "log"}},
    });
    let skip = json!({
        "name": "skip", "registryScopes": [desk.images.of(Signed::Not)?.repository],
        "signatureVerification": {"level": "skip"},
    });
    document["trustPolicies"].as_array_mut().ok_or("no statements")?.extend([statement, skip]);
    desk.notation_policy(&document)?;
    let before = opinions(&desk, &desk.notation.configuration()).await?;
    let verified = before.iter().filter(|(is_verified, _)| *is_verified).count();
    assert!(verified > 3 && verified < before.len(), "{before:?}");

    let ran = import(&desk, &["--name", "microsoft"]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let policy = desk.write("imported.yaml", &ran.stdout)?;
    let images: Vec<String> = desk.images.iter().map(|(_, image)| image.by_digest()).collect();
    for (image, (is_verified, said)) in images.iter().zip(&before) {
        let ran = desk.verify_under(&["--policy".to_owned(), policy.clone()], &[image]).await?;
        assert_eq!(ran.code == Some(0), *is_verified, "{said}: {ran:?}");
    }

    let to = desk.folder().join("exported");
    let ran = run(["policy", "export", &policy, "--to", &text(&to)]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, format!("Wrote {}\n", to.display()));
    assert_eq!(opinions(&desk, &to).await?, before, "notation says the same under what was exported");
    // And a second time round nothing changes any more.
    let again = run(["policy", "import", &text(&to), "--name", "microsoft"]).await?;
    let statements = |text: &str| -> Result<Value> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(text)?;
        Ok(objects.into_iter().find(|object| object["kind"] == "TrustPolicy").ok_or("no TrustPolicy")?["spec"]["trustPolicies"].clone())
    };
    assert_eq!(statements(&again.stdout)?, statements(&fs::read_to_string(&policy)?)?);
    Ok(())
}

#[tokio::test]
async fn an_api_server_accepts_what_is_imported() -> Result<()> {
    let cluster = cluster().await?;
    stage::install(&cluster).await?;
    let namespace = cluster.namespace("import").await?;
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[]).await?;
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["trustStores"] = json!(["ca:supplychain", "tsa:Supply_Chain", "signingAuthority:a.b"]);
    let pem = desk.pki.root.certificate_pem();
    let stores = [("ca:supplychain", pem), ("tsa:Supply_Chain", pem), ("signingAuthority:a.b", pem)];
    desk.notation.trust(&document.to_string(), &stores)?;
    let ran = import(&desk, &["--name", "microsoft", "-n", &namespace]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let args = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
    let applied = cluster.kubectl_with_input(&args, &ran.stdout).await?;
    let said = stage::finished("kubectl apply", &applied)?;
    assert_eq!(said.lines().count(), 4, "{said}");
    assert!(said.lines().all(|line| line.ends_with("serverside-applied (server dry run)")), "{said}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_imported_or_exported_is_one_sentence_and_nothing_is_written() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[]).await?;
    desk.notation_policy(&scene::seed_document())?;
    let refused = |ran: &Ran, named: &[&str]| {
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        for name in named {
            assert!(ran.stderr.contains(name), "{name}: {ran:?}");
        }
    };
    let key = desk.notation.configuration().join("truststore/x509/ca/supplychain/signing.key");
    fs::write(&key, &desk.pki.operations.key_pem)?;
    refused(&import(&desk, &[]).await?, &["ca:supplychain", "signing.key: is a private key"]);
    let lint = run(["policy", "lint", &text(&desk.notation.configuration())]).await?;
    refused(&lint, &["ca:supplychain", "signing.key: is a private key"]);
    fs::remove_file(&key)?;
    refused(&run(["policy", "import", "/absent"]).await?, &["/absent: No such file"]);
    refused(&import(&desk, &["--name", "Big"]).await?, &["--name \"Big\""]);

    let policy = desk.write("policy.yaml", &scene::trust_policy("alone", &scene::seed_document()).to_string())?;
    let to = text(&desk.folder().join("exported"));
    refused(&run(["policy", "export", &policy, "--to", &to]).await?, &["ca:supplychain", scene::ROOTS.0]);
    let full = text(desk.folder());
    let whole = desk.trust_policy(&scene::seed_document())?;
    refused(&run(["policy", "export", &whole[1], "--to", &full]).await?, &["--to", "is not empty"]);
    let left: Vec<String> = fs::read_dir(desk.folder())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with('.') || name == "exported")
        .collect();
    assert_eq!(left, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn lint_says_with_a_code_what_is_unwise_and_when_certificates_in_use_end() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose]).await?;
    let image = desk.images.of(Signed::Cose)?;
    desk.notation_policy(&scene::seed_document())?;
    let configuration = text(&desk.notation.configuration());
    let ran = run(["policy", "lint", &configuration, "-o", "json"]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.stdout)?;
    assert_eq!(answer["findings"].as_array().map(Vec::len), Some(1), "{answer}");
    let finding = &answer["findings"][0];
    assert_eq!((&finding["code"], &finding["statement"]), (&json!("L006"), &json!("supplychain")));
    assert!(finding["message"].as_str().is_some_and(|text| text.contains("of its anchors")), "{finding}");
    assert!(finding["remedy"].as_str().is_some_and(|text| text.contains("tsa")), "{finding}");

    let args = ["policy", "lint", &configuration, "--insecure-registry", "--image", &image.by_digest()];
    let ran = run(args).await?;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains(&format!("(behind {}, the first to end is \"CN=", image.by_digest())), "{ran:?}");
    assert!(ran.stdout.starts_with("L006 statement \"supplychain\": "), "{ran:?}");

    // The same for a TrustPolicy; and of one without fault nothing is said.
    let mut document = scene::seed_document();
    let policy = desk.trust_policy(&document)?;
    let ran = run(["policy", "lint", &policy[1]]).await?;
    assert!(ran.code == Some(1) && ran.stdout.starts_with("L006 "), "{ran:?}");
    document["trustPolicies"][0]["trustStores"] = json!(["ca:supplychain", "tsa:supplychain"]);
    let other = sealwatch_e2e::testenv::TimestampAuthority::root_pem();
    let stores = [("ca:supplychain", desk.pki.root.certificate_pem()), ("tsa:supplychain", other.as_str())];
    desk.notation.trust(&document.to_string(), &stores)?;
    let ran = run(["policy", "lint", &configuration]).await?;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "No finding\n", ""));
    let absent = format!("{}:absent", image.repository);
    let ran = run(["policy", "lint", &configuration, "--insecure-registry", "--image", &absent]).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), "No finding\n"), "{ran:?}");
    assert!(ran.stderr.contains(&absent), "{ran:?}");
    let broken = desk.write("broken.json", r#"{"version": "2.0", "trustPolicies": []}"#)?;
    let ran = run(["policy", "lint", &broken]).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    Ok(())
}
