// SPDX-License-Identifier: Apache-2.0

//! The stage of `./just bench-scan`: signed images in a registry, run by the pods of a namespace for each number of images
//! that is asked for. It says where all is in a line of JSON, then counts requests when asked by a line, and ends with its standard input.
#![expect(clippy::print_stdout, reason = "what it prints is read by a program")]

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use sealwatch_e2e::scene::{self, Pki};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{
    self, Cluster, Format, Notation, OperatorProcess, PushedImage, Registry, Result, SignOptions,
};
use serde_json::json;

/// How many containers a pod has.
const CONTAINERS: usize = 5;
/// How many images are signed at once.
const SIGNED_AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> ExitCode {
    match stage().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is there to be told if this fails.
            let _ = writeln!(std::io::stderr(), "bench-scan: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn stage() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("sealwatch-bench-").tempdir()?;
    let cluster = testenv::cluster().await?;
    let registry = Registry::olareg().await?;
    let notation = Notation::new(&folder.path().join("notation")).await?;
    let pki = Pki::new(KeyKind::Rsa3072)?;
    // How many images run in each namespace.
    let counts: Vec<usize> = std::env::args().skip(1).map(|count| count.parse()).collect::<Result<_, _>>()?;
    let most = counts.iter().copied().max().unwrap_or_default();
    let signed = stream::iter(0..most).map(|number| signed(&registry, &notation, &pki, number));
    let images: Vec<PushedImage> = signed.buffered(SIGNED_AT_ONCE).try_collect().await?;

    let mut runs = Vec::new();
    for count in counts {
        let namespace = cluster.namespace(&format!("bench-{count}")).await?;
        let images: Vec<&PushedImage> = images.iter().take(count).collect();
        run(&cluster, &namespace, &images).await?;
        let references: Vec<String> = images.iter().map(|image| image.by_digest()).collect();
        runs.push(json!({"namespace": namespace, "images": references}));
    }
    let document = scene::seed_document().to_string();
    notation.trust(&document, &[("ca:supplychain", pki.root.certificate_pem())])?;
    let configuration = notation.configuration();
    let registries = scene::write_registries(folder.path(), &scene::registries(&[&registry]), &[&registry])?;
    println!(
        "{}",
        json!({
            "sealwatch": OperatorProcess::binary()?, "kubeconfig": cluster.kubeconfig(), "registries": registries,
            "policy": configuration.join("trustpolicy.json"), "trustStore": configuration.join("truststore/x509"),
            "notation": notation.program(), "configuration": configuration, "runs": runs,
        })
    );
    registry.clear_access_log();
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("{}", registry.access_log().len());
        registry.clear_access_log();
    }
    Ok(())
}

async fn signed(registry: &Registry, notation: &Notation, pki: &Pki, number: usize) -> Result<PushedImage> {
    let repository = format!("azureiotoperations/image-{number}");
    let image = registry.push_image(&repository, "1.2.36", &repository).await?;
    let format = if number.is_multiple_of(2) { Format::Cose } else { Format::Jws };
    notation.sign(&image.by_digest(), &pki.operations, &SignOptions::format(format)).await?;
    Ok(image)
}

async fn run(cluster: &Cluster, namespace: &str, images: &[&PushedImage]) -> Result<()> {
    for (number, images) in images.chunks(CONTAINERS).enumerate() {
        let container = |(place, image): (usize, &&PushedImage)| {
            ContainerSpec::new(format!("c{place}"), &image.reference, image.by_digest())
        };
        let containers: Vec<ContainerSpec> = images.iter().enumerate().map(container).collect();
        pods::run(&cluster.client(), namespace, &format!("pod-{number}"), &containers).await?;
    }
    Ok(())
}
