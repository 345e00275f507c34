// SPDX-License-Identifier: Apache-2.0

//! A wrong value is refused with a sentence that says what is wanted.

use std::fs;

use sealwatch_e2e::stage::finished;
use sealwatch_e2e::testenv::{Helm, Result};
use serde_json::Value;

use crate::manifests::{IMAGE, chart, in_repository, key, template};

/// What is set, where the complaint is, and the sentence.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "image.repository=",
        "/image/repository",
        "the repository that you pushed the image to, without tag and digest, such as registry.example.com/sealwatch",
    ),
    ("image.repository=registry.example.com/sealwatch:1.0", "/image/repository", "without tag and digest"),
    ("image.tag=a b", "/image/tag", "a tag: letters, digits, underscores, dots and dashes, at most 128"),
    ("image.digest=sha256:abc", "/image/digest", "a digest: sha256: and 64 hexadecimal digits"),
    ("image.pullPolicy=Sometimes", "/image/pullPolicy", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ("imagePullSecrets[0]=acr", "/imagePullSecrets/0", "got string, want object"),
    (
        "imagePullSecrets[0].name=A_B",
        "/imagePullSecrets/0/name",
        "the name of an object: small letters, digits, dashes and dots",
    ),
    (
        "fullnameOverride=Seal_Watch",
        "/fullnameOverride",
        "a name for all objects: small letters, digits and dashes, at most 52",
    ),
    (
        "watchNamespace=Azure_IoT",
        "/watchNamespace",
        "the name of one namespace (small letters, digits and dashes, at most 63), or empty for all namespaces",
    ),
    ("watchNamespace=a.b", "/watchNamespace", "the name of one namespace"),
    ("replicas=6", "/replicas", "a number from 1 to 5: one operator works, the others stand by"),
    ("replicas=0", "/replicas", "a number from 1 to 5"),
    (
        "replicas=2,cache.create=true",
        "",
        "cache.create and cache.existingClaim are for one operator: set replicas to 1, or leave them out",
    ),
    ("replicas=one", "/replicas", "got string, want integer"),
    ("collectAfter=10", "/collectAfter", "got number, want string"),
    ("collectAfter=10 minutes", "/collectAfter", "a duration in hours, minutes and seconds, such as 90s, 10m or 1h30m"),
    ("log.format=xml", "/log/format", "value must be one of 'json', 'text'"),
    ("cache.size=256 MB", "/cache/size", "a size in Mi or Gi, such as 256Mi or 1Gi"),
    ("cache.enabled=yes please", "/cache/enabled", "got string, want boolean"),
    (
        "cache.existingClaim=a,cache.create=true",
        "",
        "cache.create and cache.existingClaim are both given: give one of them",
    ),
    (
        "cache.enabled=false,cache.create=true",
        "",
        "cache.create and cache.existingClaim have no effect without cache.enabled",
    ),
    ("registries.config.mirror.a=b", "/registries/config", "additional properties 'mirror' not allowed"),
    (
        "registries.config.mirrors.a.endpoint={https://b},registries.existingSecret=c",
        "",
        "registries.config and registries.existingSecret are both given: give one of them",
    ),
    (
        "registries.disableDefaultEndpoint=true",
        "",
        "registries.disableDefaultEndpoint needs mirrors: give registries.config or registries.existingSecret",
    ),
    ("allowEgress={10.0.0.1}", "/allowEgress/0", "an address range such as 10.1.0.0/16 or fd00::/8"),
    ("allowEgress={10.0.0.0/33}", "/allowEgress/0", "an address range"),
    (
        "proxy.https=socks5://proxy.example.com",
        "/proxy/https",
        "the URL of an HTTP proxy, such as http://proxy.example.com:3128",
    ),
    (
        "proxy.https=http://p.example.com:1,proxy.existingSecret=s",
        "",
        "proxy.existingSecret is given beside proxy.http, proxy.https or proxy.exclude: give the Secret or the values",
    ),
    (
        "certificateAuthorities.pem=MIIB",
        "/certificateAuthorities/pem",
        "certificates in PEM: -----BEGIN CERTIFICATE----- and so on",
    ),
    (
        "certificateAuthorities.pem=-----BEGIN CERTIFICATE-----x-----END CERTIFICATE-----,certificateAuthorities.existingConfigMap=c",
        "",
        "certificateAuthorities.pem and certificateAuthorities.existingConfigMap are both given: give one of them",
    ),
    (
        "azure.workloadIdentity.enabled=true",
        "",
        "azure.workloadIdentity.enabled needs azure.workloadIdentity.clientId: the client id of the managed identity",
    ),
    (
        "azure.workloadIdentity.registries={a.azurecr.us}",
        "",
        "azure.workloadIdentity.registries has no effect without azure.workloadIdentity.enabled",
    ),
    ("azure.workloadIdentity.clientId=me", "/azure/workloadIdentity/clientId", "a client id: a UUID"),
    ("azure.workloadIdentity.tenantId=us", "/azure/workloadIdentity/tenantId", "a tenant id: a UUID"),
    (
        "azure.workloadIdentity.registries={https://a.azurecr.us}",
        "/azure/workloadIdentity/registries/0",
        "the host of a registry, or host:port",
    ),
    ("extraEnv[0].value=1", "/extraEnv/0", "missing property 'name'"),
    (
        "serviceAccount.create=false",
        "",
        "serviceAccount.create is false, so serviceAccount.name has to name an existing service account",
    ),
    ("serviceAccount.annotations.a=true", "/serviceAccount/annotations/a", "got boolean, want string"),
    ("resources.limit.memory=1Gi", "/resources", "additional properties 'limit' not allowed"),
    ("networkPolicy.ports={0}", "/networkPolicy/ports/0", "minimum: got 0, want 1"),
    ("networkPolicy.except={everything}", "/networkPolicy/except/0", "an address range"),
    ("serviceMonitor.interval=often", "/serviceMonitor/interval", "a duration"),
    ("replica=1", "", "additional properties 'replica' not allowed"),
];

/// What Helm says to values that it refuses.
async fn complaint(helm: &Helm, set: &str) -> Result<String> {
    let output = helm.run(&["template", "sealwatch", &chart(), "--set", IMAGE, "--set", set]).await?;
    assert!(!output.status.success(), "{set} is accepted");
    assert!(output.stdout.is_empty(), "{set}: something is rendered all the same");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_wrong_value_is_refused_with_its_place_and_a_sentence() -> Result<()> {
    let helm = Helm::without_cluster().await?;
    for (set, place, sentence) in WRONG {
        let said = complaint(&helm, set).await?;
        let fits =
            |line: &str| line.contains(sentence) && (place.is_empty() || line.contains(&format!("at '{place}'")));
        assert!(said.lines().any(fits), "{set}: expected '{sentence}' at '{place}' in\n{said}");
    }
    Ok(())
}

#[tokio::test]
async fn helm_finds_nothing_to_complain_about_in_the_chart() -> Result<()> {
    let helm = Helm::without_cluster().await?;
    let output = helm.run(&["lint", "--strict", &chart(), "--set", IMAGE]).await?;
    let said = finished("helm lint", &output)?;
    assert!(said.contains("1 chart(s) linted, 0 chart(s) failed"), "{said}");
    Ok(())
}

/// The sentences of the schema: constants of branches that nothing can satisfy.
fn sentences(schema: &Value, found: &mut Vec<String>) {
    if let Some(sentence) = schema.pointer("/then/const").and_then(Value::as_str) {
        found.push(sentence.to_owned());
    }
    match schema {
        Value::Object(map) => map.values().for_each(|value| sentences(value, found)),
        Value::Array(list) => list.iter().for_each(|value| sentences(value, found)),
        _ => {}
    }
}

#[test]
fn every_sentence_of_the_schema_and_the_templates_is_seen_by_a_test() -> Result<()> {
    let schema = fs::read_to_string(in_repository("charts/sealwatch/values.schema.json"))?;
    let mut all = Vec::new();
    sentences(&serde_json::from_str(&schema)?, &mut all);
    assert!(all.len() >= 10, "{all:?}");
    let checks = fs::read_to_string(in_repository("charts/sealwatch/templates/_checks.tpl"))?;
    all.extend(checks.split("fail \"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    for sentence in all {
        assert!(WRONG.iter().any(|(_, _, wanted)| *wanted == sentence), "no test sees '{sentence}'");
    }
    Ok(())
}

/// The file of values that sets everything.
pub(crate) fn everything() -> String {
    in_repository("e2e/tests/chart/everything.yaml").display().to_string()
}

#[tokio::test]
async fn every_value_can_be_set_and_arrives() -> Result<()> {
    let helm = Helm::without_cluster().await?;
    let objects = template(&helm, &["--values", &everything()]).await?;
    let mut keys: Vec<String> = objects.iter().map(key).collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "ConfigMap sealwatch-system/seals-certificates",
            "ConfigMap sealwatch-system/seals-dashboard",
            "CustomResourceDefinition /imageverifications.sealwatch.dev",
            "CustomResourceDefinition /trustpolicies.sealwatch.dev",
            "Deployment sealwatch-system/seals",
            "NetworkPolicy sealwatch-system/seals",
            "PersistentVolumeClaim sealwatch-system/seals-cache",
            "Pod sealwatch-system/seals-check",
            "PodDisruptionBudget sealwatch-system/seals",
            "PrometheusRule sealwatch-system/seals",
            "Role edge/seals",
            "RoleBinding edge/seals",
            "Secret sealwatch-system/seals-registries",
            "Service sealwatch-system/seals",
            "ServiceAccount sealwatch-system/watcher",
            "ServiceMonitor sealwatch-system/seals",
        ]
    );
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").ok_or("a Deployment")?;
    let pod = &deployment["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["image"], format!("registry.example.com/sealwatch@sha256:{}", "a".repeat(64)));
    let args: Vec<&str> = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(
        args,
        [
            "operator",
            "--log-format=text",
            "--collect-after=1h30m",
            "--metrics-per-image",
            "--cache-dir=/var/cache/sealwatch",
            "--cache-dir-max-bytes=805306368",
            "--watch-namespace=edge",
            "--registries=/etc/sealwatch/registries/registries.yaml",
            "--disable-default-registry-endpoint",
            "--allow-egress=10.1.0.0/16",
            "--allow-egress=fd00::/8",
            "--azure-identity",
            "--azure-registry=edge.azurecr.us",
        ]
    );
    let env: Vec<String> = container["env"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|variable| ["name", "value"].map(|part| variable[part].as_str().unwrap_or_default()).join("="))
        .collect();
    assert_eq!(
        env,
        [
            "RUST_LOG=info,sealwatch_operator=debug",
            "SSL_CERT_DIR=/etc/ssl/certs:/etc/sealwatch/certificates",
            "HTTP_PROXY=http://proxy.example.com:3128",
            "HTTPS_PROXY=http://proxy.example.com:3128/",
            "NO_PROXY=10.0.0.0/8,.svc",
            "SEALWATCH_LISTEN=[::]:8080",
        ]
    );
    assert_eq!(pod["metadata"]["labels"]["azure.workload.identity/use"], "true");
    assert_eq!(pod["metadata"]["labels"]["team"], "edge");
    assert_eq!(pod["spec"]["priorityClassName"], "system-cluster-critical");
    assert_eq!(pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"], "seals-cache");
    let account = objects.iter().find(|object| object["kind"] == "ServiceAccount").ok_or("a ServiceAccount")?;
    let annotations = &account["metadata"]["annotations"];
    assert_eq!(annotations["azure.workload.identity/client-id"], "00000000-0000-0000-0000-000000000001");
    assert_eq!(annotations["azure.workload.identity/tenant-id"], "00000000-0000-0000-0000-000000000002");
    assert_eq!(annotations["note"], "yes");
    Ok(())
}

#[tokio::test]
async fn what_lies_in_the_cluster_already_is_used_and_not_made() -> Result<()> {
    let helm = Helm::without_cluster().await?;
    let set = "registries.existingSecret=r,certificateAuthorities.existingConfigMap=c,proxy.existingSecret=p,\
               cache.existingClaim=v,serviceAccount.create=false,serviceAccount.name=a,rbac.create=false,crds.install=false";
    let objects = template(&helm, &["--set", set]).await?;
    let mut kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["Deployment", "Pod", "Service"]);
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").ok_or("a Deployment")?;
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "a");
    assert_eq!(pod["containers"][0]["envFrom"][0]["secretRef"]["name"], "p");
    assert_eq!(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "v");
    assert_eq!(pod["volumes"][1]["secret"]["secretName"], "r");
    assert_eq!(pod["volumes"][2]["configMap"]["name"], "c");
    Ok(())
}
