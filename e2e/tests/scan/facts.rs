// SPDX-License-Identifier: Apache-2.0

//! The command says what the operator says.

use base64ct::{Base64, Encoding as _};
use sealwatch_e2e::cli::Desk;
use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::pki::{KeyKind, Root};
use sealwatch_e2e::testenv::pods::{self, ContainerSpec, Place};
use sealwatch_e2e::testenv::{self, ACCOUNT, Door, Registry, Result, SignOptions, Software};
use serde_json::{Value, json};

use crate::desk::{answer, image, policy_file, registries, scan, scan_with, user};

/// What a status and an answer of the command have in common, without the times of the looks.
fn facts(of: &Value) -> Value {
    let mut signature = of["signature"].clone();
    if let Some(revocation) = signature.get_mut("revocation").and_then(Value::as_object_mut) {
        revocation.remove("checkedAt");
    }
    let checks = of["checks"].as_array().cloned().unwrap_or_default();
    json!({"verdict": of["verdict"], "reason": of["reason"], "message": of["message"], "checks": checks,
           "signature": signature})
}

#[tokio::test]
async fn every_verdict_and_its_evidence_are_those_of_the_operator() -> Result<()> {
    for registry in [Registry::olareg().await?, Registry::distribution().await?] {
        let stage = Stage::set(testenv::cluster().await?, "scan-facts").await?;
        let (pki, images) = stage.play("microsoft", &registry, registry.has_referrers_api(), &Signed::ALL).await?;
        stage.run_pod("second", images.of(Signed::Cose)?).await?;
        let _operator = stage.operator(&[&registry], &[]).await?;
        let seen = stage
            .until("a verdict on each image", |seen| {
                let summary = seen.policy("microsoft").summary.unwrap_or_default();
                let is_judged = |signed: &Signed| seen.reason(signed.short()) == signed.expected();
                (summary.pods, summary.unknown) == (9, 0) && Signed::ALL.iter().all(is_judged)
            })
            .await?;
        let registries = registries(&stage, &[&registry])?;
        let file = policy_file(&stage, "microsoft", &scene::seed_document(), &pki)?;
        let flags = ["-n", &stage.namespace, "--registries", &registries, "-o", "json"];
        for policy in [None, Some(file.as_str())] {
            let policy: Vec<&str> = policy.into_iter().flat_map(|file| ["--policy", file]).collect();
            let ran = scan(stage.cluster.kubeconfig(), &[&flags[..], &policy].concat()).await?;
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
            let found = answer(&ran)?;
            for signed in Signed::ALL {
                let status = serde_json::to_value(seen.status(signed.short()))?;
                assert!(status["verdict"].is_string(), "{status}");
                let ours = image(&found, signed.repository());
                assert_eq!(facts(ours), facts(&status), "{signed:?} with {policy:?}");
                assert_eq!(ours["pods"].as_array().map(Vec::len), Some(if signed == Signed::Cose { 2 } else { 1 }));
            }
            let of_policy = serde_json::to_value(seen.policy("microsoft").summary.unwrap_or_default())?;
            assert_eq!(found["summary"], of_policy, "{found}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn yaml_says_what_json_says_and_the_table_has_the_worst_first_and_a_signer_only_where_it_is_a_fact() -> Result<()>
{
    let stage = Stage::set(testenv::cluster().await?, "scan-forms").await?;
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::Not, Signed::ByOtherRoot];
    let (_, images) = stage.play("microsoft", &registry, true, &which).await?;
    let registries = registries(&stage, &[&registry])?;
    let flags = ["-n", &stage.namespace, "--registries", &registries];
    let form = async |form: &str| scan(stage.cluster.kubeconfig(), &[&flags[..], &["-o", form]].concat()).await;
    let without_time = |text: &str| -> Result<Value> {
        let mut value: Value = serde_saphyr::from_str(text)?;
        value["time"] = Value::Null;
        Ok(value)
    };
    assert_eq!(without_time(&form("json").await?.stdout)?, without_time(&form("yaml").await?.stdout)?);
    let ran = form("table").await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
    let lines: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
    let cells = |line: usize| -> Vec<&str> { lines[line].iter().copied().filter(|cell| !cell.is_empty()).collect() };
    assert_eq!(cells(0), ["VERDICT", "REASON", "IMAGE", "DIGEST", "PODS", "SIGNER", "EXPIRES"]);
    let name = |signed| Ok::<_, testenv::Error>(images.of(signed)?.reference.clone());
    let digest = |signed| Ok::<_, testenv::Error>(images.of(signed)?.digest[7..19].to_owned());
    let unsigned = [&name(Signed::Not)?, &digest(Signed::Not)?, "1", "-", "-"];
    assert_eq!(cells(1), [&["Failed", "NoSignature"][..], &unsigned].concat());
    let foreign = [&name(Signed::ByOtherRoot)?, &digest(Signed::ByOtherRoot)?, "1", "-", "-"];
    assert_eq!(cells(2), [&["Failed", "UntrustedChain"][..], &foreign].concat());
    let row = cells(3);
    assert_eq!(row[..2], ["Verified", "SignatureValid"]);
    assert_eq!(row[5], "Azure IoT Operations");
    assert!(row[6].len() == 10 && row[6].starts_with("20"), "{row:?}");
    assert!(ran.stdout.contains(&format!("\nFailed: {}\n  ", name(Signed::Not)?)), "{ran:?}");
    assert!(ran.stdout.contains(&format!("\n  in {}/{}-0\n", stage.namespace, Signed::Not.short())), "{ran:?}");
    let last = format!("\n3 images in 3 pods of namespace {}: 1 verified, 2 failed\n", stage.namespace);
    assert!(ran.stdout.ends_with(&last), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn every_kind_of_container_counts_each_digest_once_and_what_names_none_is_unknown() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "scan-kinds").await?;
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose, Signed::Jws]).await?;
    let (cose, jws) = (desk.images.of(Signed::Cose)?, desk.images.of(Signed::Jws)?);
    let by_tag_alone = |name: &str| ContainerSpec::new(name, &cose.reference, "garbage that no runtime reports");
    let containers = [
        ContainerSpec::new("main", &cose.reference, cose.by_digest()),
        ContainerSpec::new("init", &jws.reference, jws.by_digest()).at(Place::Init),
        ContainerSpec::new("sidecar", cose.by_digest(), cose.by_digest()).at(Place::Sidecar),
        by_tag_alone("strange"),
    ];
    pods::run(&stage.client(), &stage.namespace, "web", &containers).await?;
    // What is still pulled does not run yet.
    let pulling = [ContainerSpec::new("main", &cose.reference, "")];
    pods::run(&stage.client(), &stage.namespace, "pulling", &pulling).await?;
    let policy = policy_file(&stage, "microsoft", &scene::seed_document(), &desk.pki)?;
    let registries = registries(&stage, &[&registry])?;
    let flags = ["-n", &stage.namespace, "--policy", &policy, "--registries", &registries, "-o", "json"];
    let ran = scan(stage.cluster.kubeconfig(), &flags).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{ran:?}");
    let found = answer(&ran)?;
    let reasons: Vec<_> = found["images"].as_array().into_iter().flatten().map(|image| &image["reason"]).collect();
    assert_eq!(reasons, ["DigestUnresolvable", "SignatureValid", "SignatureValid"], "{found}");
    assert_eq!(found["images"][0]["digest"], Value::Null);
    assert_eq!((&found["summary"]["pods"], &found["summary"]["containers"]), (&json!(1), &json!(4)));
    Ok(())
}

#[tokio::test]
async fn the_pods_pull_secrets_open_a_registry_and_without_the_right_to_read_them_the_users_own_do() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "scan-secrets").await?;
    let authority = Root::new(&scene::name("Private CA of a registry"), KeyKind::EcP256)?;
    let registry = Registry::behind(Software::Distribution, Door::Basic, &authority).await?;
    let desk = Desk::set(&registry, false, &[]).await?;
    let pushed = registry.push_image("team/app", "1", "behind a door").await?;
    let options = SignOptions { referrers_api: false, ..SignOptions::default() };
    desk.notation.entering(&registry).sign(&pushed.by_digest(), &desk.pki.operations, &options).await?;
    let auths =
        json!({registry.host(): {"auth": Base64::encode_string(format!("{}:{}", ACCOUNT.0, ACCOUNT.1).as_bytes())}});
    stage.pull_secret("door", &auths).await?;
    stage.run_pod_with("web", &pushed, &["door"]).await?;
    let policy = policy_file(&stage, "microsoft", &scene::seed_document(), &desk.pki)?;
    let registries = registries(&stage, &[&registry])?;
    let flags = ["-n", &stage.namespace, "--policy", &policy, "--registries", &registries];
    let ran = scan(stage.cluster.kubeconfig(), &flags).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let reader = user(&stage, "reader", &["get", "list"]).await?;
    let warning = format!(
        "sealwatch: warning: the pull secrets door of namespace {} may not be read; the credentials of docker and podman \
         are used in their place\n",
        stage.namespace
    );
    let ran = scan(&reader, &flags).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), warning.as_str()), "{ran:?}");
    assert!(ran.stdout.contains("RegistryUnauthorized") && ran.stdout.contains("~/.docker/config.json"), "{ran:?}");
    let own = stage.folder.path().join("docker");
    std::fs::create_dir(&own)?;
    std::fs::write(own.join("config.json"), json!({"auths": auths}).to_string())?;
    let own = own.display().to_string();
    let ran = scan_with(&reader, &flags, &[("DOCKER_CONFIG", &own)]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), warning.as_str()), "{ran:?}");
    for secret in [ACCOUNT.1, auths[registry.host()]["auth"].as_str().unwrap_or_default()] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret));
    }
    Ok(())
}

/// The names of registries come from whoever may start a pod.
#[tokio::test]
async fn a_registry_at_an_address_that_only_a_pod_names_is_not_asked_even_insecurely() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "scan-egress").await?;
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose]).await?;
    stage.run_pod("web", desk.images.of(Signed::Cose)?).await?;
    let policy = policy_file(&stage, "microsoft", &scene::seed_document(), &desk.pki)?;
    registry.clear_access_log();
    for flag in [&["--insecure-registry"][..], &[]] {
        let flags = [&["-n", &stage.namespace, "--policy", &policy][..], flag].concat();
        let ran = scan(stage.cluster.kubeconfig(), &flags).await?;
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stdout.contains("EgressRefused") && ran.stdout.contains("--registries"), "{ran:?}");
    }
    assert_eq!(registry.access_log(), []);
    let allowed =
        ["-n", &stage.namespace, "--policy", &policy, "--insecure-registry", "--allow-egress", "127.0.0.1/32"];
    let ran = scan(stage.cluster.kubeconfig(), &allowed).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    Ok(())
}

/// "All are verified" is said of all that runs.
#[tokio::test]
async fn an_image_that_no_policy_selects_is_unknown_and_a_suspended_policy_is_not_obeyed_in_silence() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "scan-selects").await?;
    let document = json!({"version": "1.0", "trustPolicies": [
        {"name": "none", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}}]});
    let mut policy = scene::trust_policy("some", &document);
    policy["spec"].as_object_mut().ok_or("no spec")?.remove("trustStores");
    policy["spec"]["podSelector"] = json!({"matchLabels": {"app": "chosen"}});
    policy["spec"]["suspend"] = true.into();
    stage.apply(&policy).await?;
    let container = |name: &str| {
        let repository = format!("registry.test/team/{name}");
        let digest = format!("sha256:{}", "a".repeat(64));
        [ContainerSpec::new("main", format!("{repository}:1"), format!("{repository}@{digest}"))]
    };
    pods::run(&stage.client(), &stage.namespace, "passed-over", &container("passed-over")).await?;
    let labels = [("app".to_owned(), "chosen".to_owned())];
    pods::run_as(&stage.client(), &stage.namespace, "chosen", &container("chosen"), |pod| {
        pod.metadata.labels = Some(labels.into());
    })
    .await?;
    let ran = scan(stage.cluster.kubeconfig(), &["-n", &stage.namespace, "-o", "json"]).await?;
    let warning = format!(
        "sealwatch: warning: TrustPolicy {}/some is suspended; its images are looked at all the same\n",
        stage.namespace
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), warning.as_str()), "{ran:?}");
    let found = answer(&ran)?;
    let passed_over = image(&found, "passed-over");
    assert_eq!(passed_over["reason"], "TrustPolicyNotFound", "{found}");
    assert!(passed_over["message"].as_str().is_some_and(|text| text.contains("selects the pods")), "{found}");
    assert_eq!(image(&found, "chosen")["verdict"], "Skipped", "{found}");
    Ok(())
}
