// SPDX-License-Identifier: Apache-2.0

//! The test environment itself keeps its promises.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use sealwatch_e2e::testenv::pki::{KeyKind, Root, Validity};
use sealwatch_e2e::testenv::pods::{self, ContainerSpec, Place};
use sealwatch_e2e::testenv::{self, Format, Identity, Notation, Options, Registry, Result, SignOptions};
use serde_json::json;

const MICROSOFT: [(&str, &str); 5] = [
    ("C", "US"),
    ("ST", "Washington"),
    ("L", "Redmond"),
    ("O", "Microsoft Corporation"),
    ("CN", "Azure IoT Operations"),
];

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[tokio::test]
async fn kubectl_and_the_client_reach_the_same_cluster() -> Result<()> {
    let cluster = testenv::cluster().await?;
    let namespace = cluster.namespace("hello").await?;
    let manifest =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "note" }, "data": { "a": "b" } });
    let applied = cluster.kubectl_with_input(&["apply", "-n", &namespace, "-f", "-"], &manifest.to_string()).await?;
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), &namespace);
    assert_eq!(maps.get("note").await?.data.and_then(|data| data.get("a").cloned()).as_deref(), Some("b"));
    Ok(())
}

#[tokio::test]
async fn a_pod_is_reported_as_a_kubelet_does_it() -> Result<()> {
    let cluster = testenv::cluster().await?;
    let namespace = cluster.namespace("pods").await?;
    let image_id = format!("registry.example/app@{DIGEST}");
    let containers = [
        ContainerSpec::new("app", "registry.example/app:1", &image_id),
        ContainerSpec::new("setup", "registry.example/setup:1", &image_id).at(Place::Init),
        ContainerSpec::new("mesh", "registry.example/mesh:1", &image_id).at(Place::Sidecar),
        ContainerSpec::new("debug", "registry.example/debug:1", &image_id).at(Place::Ephemeral),
        ContainerSpec::new("slow", "registry.example/slow:1", "").at(Place::Ephemeral),
    ];
    pods::run(&cluster.client(), &namespace, "web", &containers).await?;

    let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
    let status = pods.get("web").await?.status.unwrap_or_default();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let ids = |statuses: Option<Vec<k8s_openapi::api::core::v1::ContainerStatus>>| {
        statuses.unwrap_or_default().into_iter().map(|status| (status.name, status.image_id)).collect::<Vec<_>>()
    };
    let named = |name: &str, id: &str| (name.to_owned(), id.to_owned());
    assert_eq!(ids(status.container_statuses), [named("app", &image_id)]);
    assert_eq!(ids(status.init_container_statuses), [named("setup", &image_id), named("mesh", &image_id)]);
    assert_eq!(ids(status.ephemeral_container_statuses), [named("debug", &image_id), named("slow", "")]);

    pods::delete(&cluster.client(), &namespace, "web").await?;
    assert!(pods.get_opt("web").await?.is_none(), "the pod is gone at once");
    Ok(())
}

#[tokio::test]
async fn a_service_account_has_the_rights_it_was_given_and_no_others() -> Result<()> {
    let cluster = testenv::cluster().await?;
    let namespace = cluster.namespace("rbac").await?;
    let identity = Identity::ServiceAccount { namespace: &namespace, name: "reader" };
    let client = cluster.client_for(identity).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let refused = pods.list(&kube::api::ListParams::default()).await;
    assert!(matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403), "{refused:?}");

    let subject = format!("--serviceaccount={namespace}:reader");
    let role = ["create", "role", "reader", "--verb=list", "--resource=pods", "-n", &namespace];
    let binding = ["create", "rolebinding", "reader", "--role=reader", &subject, "-n", &namespace];
    for args in [&role[..], &binding[..]] {
        let output = cluster.kubectl(args).await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // The authorizer learns of it through a watch.
    let mut allowed = pods.list(&kube::api::ListParams::default()).await;
    for _ in 0..100 {
        if allowed.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        allowed = pods.list(&kube::api::ListParams::default()).await;
    }
    allowed?;
    let elsewhere: Api<Pod> = Api::namespaced(client, "kube-system");
    assert!(elsewhere.list(&kube::api::ListParams::default()).await.is_err(), "the right ends with the namespace");
    Ok(())
}

#[tokio::test]
async fn an_owned_object_goes_with_its_owner() -> Result<()> {
    let cluster = testenv::cluster().await?;
    if !cluster.flavour().has_controller_manager() {
        testenv::skipped("an_owned_object_goes_with_its_owner", "the control plane has no controller manager");
        return Ok(());
    }
    let namespace = cluster.namespace("owned").await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), &namespace);
    let owner: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": "owner" } }))?;
    let owner = maps.create(&PostParams::default(), &owner).await?;
    let reference = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid });
    let dependent: ConfigMap =
        serde_json::from_value(json!({ "metadata": { "name": "owned", "ownerReferences": [reference] } }))?;
    maps.create(&PostParams::default(), &dependent).await?;

    maps.delete("owner", &DeleteParams::background()).await?;
    for _ in 0..300 {
        if maps.get_opt("owned").await?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the owned object is still there".into())
}

#[tokio::test]
async fn a_namespace_goes_with_its_cluster_value_pods_included() -> Result<()> {
    let keeper = testenv::cluster().await?;
    let cluster = testenv::cluster().await?;
    let namespace = cluster.namespace("gone").await?;
    let container = ContainerSpec::new("app", "registry.example/app:1", format!("registry.example/app@{DIGEST}"));
    pods::run(&cluster.client(), &namespace, "web", &[container]).await?;
    drop(cluster);

    let namespaces: Api<Namespace> = Api::all(keeper.client());
    for _ in 0..300 {
        match namespaces.get_opt(&namespace).await? {
            None => return Ok(()),
            // Without a controller manager it stays like this.
            Some(found) if !keeper.flavour().has_controller_manager() => {
                assert!(found.metadata.deletion_timestamp.is_some());
                return Ok(());
            }
            Some(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Err("the namespace is still there".into())
}

#[tokio::test]
async fn a_control_plane_can_behave_as_an_older_version() -> Result<()> {
    if std::env::var_os("SEALWATCH_E2E_KUBECONFIG").is_some() {
        testenv::skipped("a_control_plane_can_behave_as_an_older_version", "the cluster is not ours");
        return Ok(());
    }
    let options = Options { emulated_version: Some("1.33".into()), ..Options::default() };
    let cluster = testenv::cluster_with(options).await?;
    let version = cluster.client().apiserver_version().await?;
    assert_eq!(version.emulation_minor.as_deref(), Some("33"), "{version:?}");
    let other = testenv::cluster().await?;
    assert_ne!(other.api_server_url(), cluster.api_server_url(), "it is a control plane of its own");
    Ok(())
}

#[tokio::test]
async fn a_stopped_registry_refuses_connections_and_keeps_its_log() -> Result<()> {
    let mut registry = Registry::olareg().await?;
    let image = registry.push_image("app", "1", "contents").await?;
    assert_ne!(image.digest, registry.push_image("app", "2", "other contents").await?.digest);
    let log = registry.access_log();
    assert!(log.iter().any(|request| request.method == "PUT" && request.path == "/v2/app/manifests/1"), "{log:#?}");
    registry.stop();
    let address = registry.host();
    assert!(std::net::TcpStream::connect(address).is_err());
    assert_eq!(registry.access_log(), log);
    Ok(())
}

#[tokio::test]
async fn notation_signs_and_verifies_through_the_referrers_api() -> Result<()> {
    let registry = Registry::olareg().await?;
    signs_and_verifies(&registry, true).await?;
    let log = registry.access_log();
    let answered =
        |prefix: &str| log.iter().filter(|request| request.path.contains(prefix) && request.status == 200).count();
    assert!(answered("/referrers/sha256:") > 0, "{log:#?}");
    assert_eq!(log.iter().filter(|request| request.path.contains("/manifests/sha256-")).count(), 0, "{log:#?}");
    assert!(log.iter().any(|request| request.user_agent.contains("notation")), "{log:#?}");
    Ok(())
}

#[tokio::test]
async fn notation_signs_and_verifies_through_the_tag_schema() -> Result<()> {
    let registry = Registry::distribution().await?;
    signs_and_verifies(&registry, false).await?;
    let log = registry.access_log();
    assert!(log.iter().any(|request| request.path.contains("/referrers/") && request.status == 404), "{log:#?}");
    assert!(log.iter().any(|request| request.path.contains("/manifests/sha256-") && request.status == 200), "{log:#?}");
    Ok(())
}

/// Signs one image in each format with a trusted key and one with another root's key, and verifies all three.
async fn signs_and_verifies(registry: &Registry, referrers_api: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let notation = Notation::new(folder.path()).await?;
    let root = Root::new(&[("C", "US"), ("O", "Test"), ("CN", "Test Root")], KeyKind::Rsa2048)?;
    let stranger = Root::new(&[("C", "US"), ("O", "Test"), ("CN", "Other Root")], KeyKind::EcP384)?;
    let policy = json!({ "version": "1.0", "trustPolicies": [{
        "name": "test", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
        "trustStores": ["ca:test"],
        "trustedIdentities": ["x509.subject: CN=Azure IoT Operations,O=Microsoft Corporation,L=Redmond,ST=Washington,C=US"],
    }] });
    notation.trust(&policy.to_string(), &[("ca:test", root.certificate_pem())])?;

    let cases = [
        ("jws", Format::Jws, root.issue(&MICROSOFT, KeyKind::EcP256, Validity::default())?, true),
        ("cose", Format::Cose, root.issue(&MICROSOFT, KeyKind::Rsa2048, Validity::default())?, true),
        ("stranger", Format::Cose, stranger.issue(&MICROSOFT, KeyKind::EcP256, Validity::default())?, false),
    ];
    for (name, format, key, trusted) in cases {
        let image = registry.push_image("team/app", name, name).await?;
        let options = SignOptions { format, referrers_api, ..SignOptions::default() };
        notation.sign(&image.by_digest(), &key, &options).await?;
        let output = notation.verify(&image.by_digest()).await?;
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.success(), trusted, "{name}: {text}");
    }
    Ok(())
}
