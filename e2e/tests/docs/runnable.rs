// SPDX-License-Identifier: Apache-2.0

//! The pages are played: what they say to run is run, in their order, and what they show is what comes of it.
//!
//! Names of the pages that nobody here may ask for stand for what runs here: `mcr.microsoft.com` is a mirror of
//! registries.yaml (and the registry itself is never asked), `mirror.example.com` another registry.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::PostParams;
use sealwatch_e2e::scene::{self, Images, Pki, Signed};
use sealwatch_e2e::stage::finished;
use sealwatch_e2e::testenv::pki::{KeyKind, Validity};
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{
    self, Cluster, Door, Flavour, Format, Options, PushedImage, Registry, Result, SignOptions, Software,
};
use serde_json::{Value, json};

use crate::shell::Shell;

/// Played on one cluster, one after the other: what one page installs, the next finds.
const ON_A_CLUSTER: [&str; 6] = [
    "docs/install.md",
    "docs/quick-start.md",
    "docs/verdicts.md",
    "docs/operations.md",
    "docs/on-call.md",
    "docs/gitops.md",
];
/// Played in one shell with two registries.
const BY_HAND: [&str; 2] = ["docs/by-hand.md", "docs/air-gap.md"];
/// Played alone, with the demo.
const DEMO: &str = "README.md";

/// Blocks that nobody plays, by page and beginning, and why. A beginning that is empty stands for the whole page.
const NOT_PLAYED: [(&str, &str, &str); 19] = [
    ("CONTRIBUTING.md", "./just", "builds and tests everything"),
    ("README.md", "./just demo    #", "the first is played below, the second runs this test"),
    ("docs/air-gap.md", "mkdir lists", "asks Microsoft's hosts"),
    ("docs/air-gap.md", "sealwatch crl fetch", "asks Microsoft's hosts; revocation.rs fetches from hosts of its own"),
    ("docs/air-gap.md", "jq", "a Deployment Image List is downloaded from outside"),
    ("docs/air-gap.md", "kubectl create configmap", "this page is played without a cluster"),
    ("docs/air-gap.md", "kubectl get iv", "this page is played without a cluster"),
    ("docs/cli.md", "", "reference: IMAGE, FILE and DIGEST are yours"),
    ("docs/evidence-cache.md", "sealwatch operator", "writes to /var/lib"),
    ("docs/install.md", "./just image", "builds for minutes; image.rs tests the image"),
    ("docs/install.md", "helm install", "the second way: a release for one namespace beside one for all"),
    ("docs/install.md", "kubectl apply -k", "the second way: parity.rs compares it with the first"),
    ("docs/install.md", "oras cp", "oras is not among the pinned tools"),
    ("docs/operations.md", "grep VmRSS", "figures of the moment"),
    ("docs/quick-start.md", "cargo build", "builds for minutes"),
    ("docs/quick-start.md", "kubectl apply -k config/samples", "Microsoft's roots sign nothing here"),
    ("docs/reasons.md", "", "reference: NAME and NAMESPACE are yours"),
    (
        "docs/releasing.md",
        "git tag",
        "tags this repository and builds for an hour; image/tests/image/scripts.rs tries it",
    ),
    ("e2e/README.md", "./just", "runs these tests"),
];

/// The registry of the pages.
const ORIGIN: &str = "mcr.microsoft.com";
/// The mirror of the pages.
const MIRROR: &str = "mirror.example.com";
/// What runs on the pages: signed in both formats, by both identities, and not at all.
const RUNNING: [Signed; 4] = [Signed::Cose, Signed::Jws, Signed::BySecondIdentity, Signed::Not];

#[tokio::test]
async fn what_the_pages_do_in_a_cluster_comes_out_as_they_show_it() -> Result<()> {
    const NAMESPACE: &str = "azure-iot-operations";
    let test = "what_the_pages_do_in_a_cluster_comes_out_as_they_show_it";
    if env::var_os("SEALWATCH_E2E_KUBECONFIG").is_some_and(|value| !value.is_empty()) {
        testenv::skipped(test, "the pages install and uninstall, which is not for an existing cluster");
        return Ok(());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    if !env::split_paths(&path).any(|folder| folder.join("curl").is_file()) {
        testenv::skipped(test, "there is no curl, by which a page asks for metrics");
        return Ok(());
    }
    let cluster = testenv::cluster_with(Options { name: Some("docs".to_owned()), ..Options::default() }).await?;
    if cluster.flavour() != Flavour::Pinned {
        testenv::skipped(test, "the pages' namespaces need the pinned control plane with its controller manager");
        return Ok(());
    }
    let registry = Registry::olareg().await?;
    let mut shell = Shell::begin()?;
    let images = deliver(&mut shell, &Pki::new(KeyKind::EcP256)?, &registry, &[]).await?;
    run_images(&cluster, NAMESPACE, &registry, &images).await?;
    for (tool, name) in [("kube", "kubectl"), ("helm", "helm")] {
        shell.program(name, &testenv::program(tool, name).await?)?;
    }
    fs::create_dir(shell.home().join(".kube"))?;
    fs::copy(cluster.kubeconfig(), shell.home().join(".kube/config"))?;
    // The registry that stands for the pages' is on a loopback, which is a node's unless told otherwise.
    shell.set("SEALWATCH_ALLOW_EGRESS", "127.0.0.0/8");
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    shell.call(&free.to_string(), "127.0.0.1:8080");
    for page in ON_A_CLUSTER {
        let played = play(&mut shell, page).await;
        tell(played.map_err(|error| format!("{error}\nThe operator's log:\n{}", shell.log()).into()));
        shell.assert_nothing_ended()?;
    }
    Ok(())
}

#[tokio::test]
async fn what_the_pages_do_by_hand_comes_out_as_they_show_it() -> Result<()> {
    let (origin, pki) = (Registry::olareg().await?, Pki::new(KeyKind::EcP256)?);
    let mirror = Registry::behind(Software::Olareg, Door::Tls, &pki.root).await?;
    let mut shell = Shell::begin()?;
    let images = deliver(&mut shell, &pki, &origin, &[&mirror]).await?;
    for (signed, image) in images.iter() {
        // Copied as many tools do: the image without what refers to it.
        let contents = format!("{} {}", signed.repository(), signed.caption());
        let path = signed.repository().replace("azureiotoperations/", "aio-mirror/");
        let copy = mirror.push_image(&path, "1.2.36", &contents).await?;
        assert_eq!(copy.digest, image.digest, "{signed:?}");
    }
    sign_listed(&mut shell, &pki, &mirror).await?;
    let authority = mirror.authority_file().ok_or("the mirror speaks TLS")?;
    fs::copy(&authority, shell.work().join("ca.pem"))?;
    shell.set("SSL_CERT_FILE", &authority.display().to_string());
    shell.call(&mirror.host(), MIRROR);
    shell.notation_configuration(&scene::seed_document())?;
    shell.program("notation", &testenv::program("notation", "notation").await?)?;
    for page in BY_HAND {
        tell(play(&mut shell, page).await);
    }
    Ok(())
}

/// An image at the mirror whose signer's certificate names a revocation list that is out of reach, and that list in the
/// reader's folder.
async fn sign_listed(shell: &mut Shell, pki: &Pki, mirror: &Registry) -> Result<()> {
    // Nobody listens there any more.
    let silent = TcpListener::bind("127.0.0.2:0")?.local_addr()?;
    shell.set("SEALWATCH_ALLOW_EGRESS", "127.0.0.2/32");
    shell.call(&silent.to_string(), "crl.example.com");
    let (name, list) = (scene::name("Microsoft SCD Products RSA Signing"), format!("http://{silent}/scd.crl"));
    let key = pki.root.issue_listed(&name, KeyKind::EcP256, Validity::default(), Some(&list))?;
    let image = mirror.push_image("aio-mirror/diagnostics-service", "1.2.36", "diagnostics-service").await?;
    let notation = shell.notation().await?.entering(mirror);
    notation.sign(&image.by_digest(), &key, &SignOptions::format(Format::Cose)).await?;
    fs::create_dir(shell.work().join("lists"))?;
    Ok(fs::write(shell.work().join("lists/scd.crl"), pki.root.list(&[], Duration::from_hours(24 * 30))?)?)
}

/// An error as it is meant to be read: a page's lines as lines.
fn tell(played: Result<()>) {
    if let Err(error) = played {
        panic!("{error}");
    }
}

#[tokio::test]
async fn the_demo_prints_what_the_readme_shows() -> Result<()> {
    let mut shell = Shell::begin()?;
    let demo = env::current_exe()?.ancestors().nth(2).ok_or("no target folder")?.join("demo");
    if !demo.is_file() {
        return Err("there is no demo beside the tests; build it with `cargo build -p sealwatch-e2e --bins`".into());
    }
    shell.call(&demo.display().to_string(), "./just demo");
    // It takes its tools from the cache of whoever runs the tests.
    for name in ["HOME", "XDG_CACHE_HOME", "SEALWATCH_E2E_KUBECONFIG", "KUBEBUILDER_ASSETS", "PATH"] {
        if let Ok(value) = env::var(name) {
            shell.set(name, &value);
        }
    }
    tell(play(&mut shell, DEMO).await);
    Ok(())
}

async fn play(shell: &mut Shell, path: &str) -> Result<()> {
    let pages = crate::pages()?;
    let page = pages.get(Path::new(path)).ok_or_else(|| format!("there is no page {path}"))?;
    assert!(page.blocks.iter().any(|block| block.is("runnable")), "{path} has nothing to play");
    shell.play(Path::new(path), page).await
}

/// Pushes and signs the images, puts the root where the reader has downloaded it, and says in registries.yaml where the
/// registry of the pages is.
async fn deliver(shell: &mut Shell, pki: &Pki, origin: &Registry, others: &[&Registry]) -> Result<Images> {
    let images = Images::push(origin, &shell.notation().await?, pki, &RUNNING, true).await?;
    fs::write(shell.work().join("msft_signing_cert.crt"), pki.root.certificate_der())?;
    let mut registries = scene::registries(others);
    registries["mirrors"][ORIGIN] = json!({ "endpoint": [origin.url()] });
    // What the registry that stands for it does not have is nowhere.
    registries["signatures"] = json!({ ORIGIN: [] });
    let file = scene::write_registries(&shell.home(), &registries, others)?;
    shell.set("SEALWATCH_REGISTRIES", &file.display().to_string());
    shell.set("SEALWATCH_DISABLE_DEFAULT_REGISTRY_ENDPOINT", "true");
    Ok(images)
}

/// A pod for each image, which the pod and its kubelet call as the pages do.
async fn run_images(cluster: &Cluster, namespace: &str, registry: &Registry, images: &Images) -> Result<()> {
    let object =
        |kind: &str, name: &str| -> Value { json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } }) };
    let made: Namespace = serde_json::from_value(object("Namespace", namespace))?;
    Api::<Namespace>::all(cluster.client()).create(&PostParams::default(), &made).await?;
    // Pods are refused before their service account is there.
    let account = object("ServiceAccount", "default").to_string();
    finished("kubectl apply", &cluster.kubectl_with_input(&["apply", "-n", namespace, "-f", "-"], &account).await?)?;
    for (signed, PushedImage { reference, repository, digest, .. }) in images.iter() {
        let [reference, repository] = [reference, repository].map(|name| name.replace(&registry.host(), ORIGIN));
        let container = ContainerSpec::new("main", reference, format!("{repository}@{digest}"));
        pods::run(&cluster.client(), namespace, &format!("{}-0", signed.short()), &[container]).await?;
    }
    Ok(())
}

#[test]
fn every_command_shown_is_played_or_has_a_reason() -> Result<()> {
    let played: BTreeSet<&str> = ON_A_CLUSTER.into_iter().chain(BY_HAND).chain([DEMO]).collect();
    let (mut count, mut wrong, mut used) = (0, Vec::new(), BTreeSet::new());
    for (path, page) in &crate::pages()? {
        let path = path.display().to_string();
        for block in page.blocks.iter().filter(|block| block.language == "console") {
            if block.is("runnable") {
                count += 1;
                if !played.contains(path.as_str()) {
                    wrong.push(format!("{path}:{}: marked as runnable, and nobody plays this page", block.line));
                }
                continue;
            }
            let reason = NOT_PLAYED.iter().position(|(page, beginning, _)| {
                *page == path && block.text.trim_start_matches("$ ").starts_with(beginning)
            });
            match reason {
                Some(index) => _ = used.insert(index),
                None => wrong.push(format!("{path}:{}: neither runnable nor in NOT_PLAYED", block.line)),
            }
        }
    }
    let stale = NOT_PLAYED.iter().enumerate().filter(|(index, _)| !used.contains(index));
    wrong.extend(stale.map(|(_, (page, beginning, _))| format!("{page}: no block begins with {beginning:?}")));
    assert!(wrong.is_empty(), "blocks:\n{}", wrong.join("\n"));
    assert!(count > 30, "{count} blocks are played only");
    Ok(())
}
