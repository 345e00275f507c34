// SPDX-License-Identifier: Apache-2.0

//! What cannot be scanned is said in one sentence with a remedy, and nothing hangs.

use std::time::Duration;

use sealwatch_e2e::cli::{self, Desk};
use sealwatch_e2e::scene::{self, Pki, Signed};
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{self, Options, Registry, Result, write_stranger_kubeconfig};

use serde_json::Value;

use crate::desk::{answer, image, policy_file, refusal, registries, scan, user};

/// Longer than all that the command waits for, so that only a command that hangs is ended by it.
const HANGS: Duration = Duration::from_mins(2);

#[tokio::test]
async fn an_api_server_that_does_not_answer_is_named_with_what_to_check() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    // It takes connections and says nothing.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    write_stranger_kubeconfig(&kubeconfig, &url)?;
    let list = list(&folder)?;
    let flags = ["-n", "a", "--deployment-image-list", &list];
    let ran = tokio::time::timeout(HANGS, scan(&kubeconfig, &flags)).await??;
    let expected = format!("the API server at {url} could not be asked for the pods: it did not answer within 15 s");
    assert!(refusal(&ran).starts_with(&expected), "{ran:?}");
    assert!(refusal(&ran).contains("check --kubeconfig, --context"), "{ran:?}");
    // Nobody is there at all.
    drop(listener);
    let ran = tokio::time::timeout(HANGS, scan(&kubeconfig, &["-n", "a"])).await??;
    assert!(refusal(&ran).contains("could not be asked for the pods: "), "{ran:?}");
    Ok(())
}

/// A Deployment Image List that is one.
fn list(folder: &tempfile::TempDir) -> Result<String> {
    let path = folder.path().join("list.json");
    let digest = format!("sha256:{}", "a".repeat(64));
    std::fs::write(&path, format!("{{\"images\": [{{\"repo\": \"r.test/a\", \"digest\": \"{digest}\"}}]}}"))?;
    Ok(path.display().to_string())
}

#[tokio::test]
async fn a_context_or_kubeconfig_that_is_not_there_is_named_before_anybody_is_asked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    let ran = scan(&kubeconfig, &[]).await?;
    assert!(refusal(&ran).starts_with(&format!("--kubeconfig {}: ", kubeconfig.display())), "{ran:?}");
    // It holds tokens, so nothing of it is quoted.
    std::fs::write(&kubeconfig, "users: secret-token-of-somebody\n")?;
    let ran = scan(&kubeconfig, &[]).await?;
    assert!(refusal(&ran).ends_with("it is no kubeconfig: line 1, column 8 cannot be understood"), "{ran:?}");
    assert!(!ran.stderr.contains("secret-token"), "{ran:?}");
    write_stranger_kubeconfig(&kubeconfig, "http://127.0.0.1:9")?;
    let ran = scan(&kubeconfig, &["--context", "edge"]).await?;
    assert!(refusal(&ran).starts_with("--context edge: "), "{ran:?}");
    assert!(refusal(&ran).ends_with("has no such context; it has testenv"), "{ran:?}");
    let ran = cli::run(["scan", "-A", "-n", "a"]).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    let ran = cli::run(["scan", "--diff"]).await?;
    assert!(ran.code == Some(2) && ran.stderr.contains("--policy"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_is_not_there_and_one_without_a_trust_policy_are_told_apart() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "scan-bare").await?;
    let kubeconfig = stage.cluster.kubeconfig();
    let ran = scan(kubeconfig, &["-n", "there-is-none-such"]).await?;
    assert!(refusal(&ran).starts_with("-n there-is-none-such: the cluster at https://"), "{ran:?}");
    assert!(refusal(&ran).contains("kubectl get namespaces"), "{ran:?}");
    let ran = scan(kubeconfig, &["-n", &stage.namespace]).await?;
    let expected =
        format!("there is no TrustPolicy of namespace {}; name a policy with --policy FILE", stage.namespace);
    assert_eq!(refusal(&ran), expected);
    // An empty namespace is no failure.
    let pki = Pki::new(KeyKind::EcP256)?;
    let policy = policy_file(&stage, "microsoft", &scene::seed_document(), &pki)?;
    let ran = scan(kubeconfig, &["-n", &stage.namespace, "--policy", &policy]).await?;
    let expected = format!("0 images in 0 pods of namespace {}\n", stage.namespace);
    assert_eq!((ran.code, ran.stdout, ran.stderr.as_str()), (Some(0), expected, ""));
    Ok(())
}

#[tokio::test]
async fn who_may_not_list_pods_is_told_and_who_may_needs_nothing_else() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "scan-user").await?;
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose, Signed::Not]).await?;
    for (signed, image) in desk.images.iter() {
        stage.run_pod(signed.short(), image).await?;
    }
    let policy = policy_file(&stage, "microsoft", &scene::seed_document(), &desk.pki)?;
    let registries = registries(&stage, &[&registry])?;
    let flags = ["-n", &stage.namespace, "--policy", &policy, "--registries", &registries];
    let nobody = user(&stage, "nobody", &["get"]).await?;
    let ran = scan(&nobody, &flags).await?;
    let expected = format!("the pods of namespace {} may not be listed (pods is forbidden: ", stage.namespace);
    assert!(refusal(&ran).starts_with(&expected), "{ran:?}");
    assert!(refusal(&ran).contains("ask for the right to get and list pods"), "{ran:?}");
    let reader = user(&stage, "reader", &["get", "list"]).await?;
    let ran = scan(&reader, &[&flags[..], &["-o", "json"]].concat()).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
    let found = answer(&ran)?;
    assert_eq!(image(&found, Signed::Cose.repository())["reason"], "SignatureValid", "{found}");
    assert_eq!(image(&found, Signed::Not.repository())["reason"], "NoSignature", "{found}");
    // A token of yesterday is told from a right that is missing.
    let mut stranger: Value = serde_json::from_str(&std::fs::read_to_string(&reader)?)?;
    stranger["users"][0]["user"]["token"] = "yesterday".into();
    let expired = stage.folder.path().join("expired.kubeconfig");
    std::fs::write(&expired, stranger.to_string())?;
    let ran = scan(&expired, &flags).await?;
    assert!(refusal(&ran).contains("does not accept the credentials of the kubeconfig"), "{ran:?}");
    assert!(refusal(&ran).contains("log in again"), "{ran:?}");
    // That is no right to see all namespaces, nor the policies of the cluster.
    let ran = scan(&reader, &["-A", "--policy", &policy]).await?;
    assert!(refusal(&ran).starts_with("the pods of all namespaces may not be listed"), "{ran:?}");
    assert!(refusal(&ran).contains("name one namespace with -n"), "{ran:?}");
    let ran = scan(&reader, &["-n", &stage.namespace]).await?;
    assert!(refusal(&ran).contains("name a policy with --policy FILE"), "{ran:?}");
    assert!(refusal(&ran).starts_with("the TrustPolicies of namespace"), "{ran:?}");
    Ok(())
}

/// In place of "nothing installed": this control plane is nobody else's, and knows no kind of ours.
#[tokio::test]
async fn a_cluster_without_our_kinds_is_scanned_with_a_policy_and_says_so_without() -> Result<()> {
    let options = Options { name: Some("nothing-installed".into()), ..Options::default() };
    let cluster = testenv::cluster_with(options).await?;
    let namespace = cluster.namespace("scan-nothing").await?;
    let folder = tempfile::tempdir()?;
    let stage = Stage { cluster, namespace, folder };
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Jws]).await?;
    stage.run_pod("web", desk.images.of(Signed::Jws)?).await?;
    let kubeconfig = stage.cluster.kubeconfig();
    let ran = scan(kubeconfig, &["-n", &stage.namespace]).await?;
    assert!(refusal(&ran).contains("does not know the kind TrustPolicy; name a policy with --policy FILE"), "{ran:?}");
    let registries = registries(&stage, &[&registry])?;
    let policy = desk.notation_policy(&scene::seed_document())?;
    let flags: Vec<&str> = policy.iter().map(String::as_str).chain(["--registries", &registries]).collect();
    let ran = scan(kubeconfig, &[&flags[..], &["-A"]].concat()).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.stdout.ends_with("\n1 image in 1 pod of all namespaces: 1 verified\n"), "{ran:?}");
    // The same image elsewhere is the same image.
    let other = stage.cluster.namespace("scan-nothing-else").await?;
    let image = desk.images.of(Signed::Jws)?;
    let container = ContainerSpec::new("main", &image.reference, image.by_digest());
    pods::run(&stage.client(), &other, "web", &[container]).await?;
    let ran = scan(kubeconfig, &[&flags[..], &["-A"]].concat()).await?;
    assert!(ran.stdout.ends_with("\n1 image in 2 pods of all namespaces: 1 verified\n"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn a_list_that_is_none_and_a_policy_that_is_none_are_one_sentence() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    write_stranger_kubeconfig(&kubeconfig, "http://127.0.0.1:9")?;
    let file = folder.path().join("list.json");
    let path = file.display().to_string();
    for (text, named) in [
        ("<html>", "is not a Deployment Image List: expected value"),
        ("{}", "missing field `images`"),
        ("{\"images\": []}", "images has 0 entries"),
        ("{\"images\": [{\"repo\": \"r.test/a\", \"digest\": \"latest\"}]}", "images[0].digest: "),
        ("{\"images\": [{\"repo\": \"R.test/A b\", \"digest\": \"sha256:a\"}]}", "images[0].repo: "),
        ("{\"images\": [{\"digest\": \"sha256:a\"}]}", "images[0]: missing field `repo`"),
        ("{\"images\": [{\"repo\": 7, \"digest\": \"sha256:a\"}]}", "images[0].repo: "),
    ] {
        std::fs::write(&file, text)?;
        let ran = scan(&kubeconfig, &["--deployment-image-list", &path]).await?;
        assert!(refusal(&ran).starts_with(&format!("--deployment-image-list {path}: ")), "{text}: {ran:?}");
        assert!(refusal(&ran).contains(named), "{text}: {ran:?}");
        assert!(refusal(&ran).contains("; take aio-customer-dil-VERSION.json"), "{text}: {ran:?}");
    }
    let ran = scan(&kubeconfig, &["--policy", &path]).await?;
    assert!(refusal(&ran).starts_with(&format!("--policy {path}: ")), "{ran:?}");
    Ok(())
}
