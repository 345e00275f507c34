// SPDX-License-Identifier: Apache-2.0

//! The ways in which an image comes to a node, and what has to come of each. docs/running-images.md shows the same.

use std::collections::BTreeSet;

use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::node::Node;
use sealwatch_e2e::testenv::{PushedImage, Result};

use crate::images::Workshop;
use crate::pods::{self, Case, Place};
use crate::{FOLLOW, POLICY};

/// A verdict on exactly the digest that is reported, whichever that is.
pub(crate) const EXACT: &str = "SignatureValid Exact {digest}";

/// The same under the policy that follows indexes.
fn followed(case: Case) -> Case {
    Case { policy: FOLLOW, ..case }
}

/// A container of a pod of its own.
fn alone(what: &'static str, name: &str, image: &str, image_ids: &[String], verdict: &str) -> Case {
    Case {
        what,
        policy: POLICY,
        pod: name.to_owned(),
        container: "main",
        place: Place::Main,
        image: image.to_owned(),
        image_ids: image_ids.to_vec(),
        verdict: verdict.to_owned(),
    }
}

/// Pushes, signs and runs everything.
pub(crate) async fn run(stage: &Stage, workshop: &Workshop<'_>, node: &Node) -> Result<Vec<Case>> {
    let mut cases = pulled(workshop).await?;
    cases.extend(loaded(workshop, node).await?);
    let mut created = BTreeSet::new();
    for case in &cases {
        if created.insert(&case.pod) {
            pods::create(stage, &[case]).await?;
        }
    }
    for index_first in [true, false] {
        cases.extend(one_repository_two_digests(stage, workshop, index_first).await?);
    }
    cases.extend(one_image_two_repositories(stage, workshop).await?);
    cases.extend(places(stage, workshop).await?);
    cases.push(static_pod(stage, workshop, node).await?);
    Ok(cases)
}

/// From the registry, by every kind of name.
async fn pulled(workshop: &Workshop<'_>) -> Result<Vec<Case>> {
    let (tag, index, pinned) =
        (workshop.multi("tag").await?, workshop.multi("index").await?, workshop.multi("pinned").await?);
    let (platform, follow) = (workshop.multi("platform").await?, workshop.multi("follow").await?);
    let (single, unsigned) = (workshop.single("single").await?, workshop.single("unsigned").await?);
    let signed = [&tag.index, &index.index, &pinned.index, &platform.manifest, &follow.manifest, &single];
    for image in signed {
        workshop.sign(image).await?;
    }
    let by = |image: &PushedImage| vec![image.by_digest()];
    let missing = format!("{}/missing:1", workshop.registry.host());
    let tag_and_digest = format!("{}@{}", pinned.index.reference, pinned.index.digest);
    let via_manifest = format!("SignatureValid PlatformManifest {}", follow.manifest.digest);
    Ok(vec![
        alone("by tag, two architectures", "tag", &tag.index.reference, &by(&tag.index), EXACT),
        alone("by the digest of an index", "index", &index.index.by_digest(), &by(&index.index), EXACT),
        alone("by tag and digest of an index", "pinned", &tag_and_digest, &by(&pinned.index), EXACT),
        alone(
            "by the digest of one architecture's manifest",
            "platform",
            &platform.manifest.by_digest(),
            &by(&platform.manifest),
            EXACT,
        ),
        alone("by tag, one architecture", "single", &single.reference, &by(&single), EXACT),
        alone("by tag, not signed", "unsigned", &unsigned.reference, &by(&unsigned), "NoSignature"),
        followed(alone(
            "by tag, only the node's architecture is signed, `FollowIndex`",
            "follow",
            &follow.index.reference,
            &by(&follow.index),
            &via_manifest,
        )),
        alone("the same, `Exact`", "follow", &follow.index.reference, &by(&follow.index), "NoSignature"),
        alone("an image that the registry does not have", "missing", &missing, &[], ""),
    ])
}

/// From a file, without the registry's knowledge.
async fn loaded(workshop: &Workshop<'_>, node: &Node) -> Result<Vec<Case>> {
    let known = workshop.single("loaded").await?;
    workshop.sign(&known).await?;
    let image = workshop.image("loaded");
    node.import(&image.archive(&known.reference), None).await?;
    let by_manifest = format!("SignatureValid PlatformManifest {}", known.digest);
    let strange = workshop.image("nowhere");
    let nowhere = format!("{}/nowhere:1", workshop.registry.host());
    node.import(&strange.archive(&nowhere), None).await?;
    let (kept, saved) = (workshop.single("kept").await?, workshop.single("saved").await?);
    let (with_digest, without) = (workshop.image("kept"), workshop.image("saved"));
    for image in [&kept, &saved] {
        workshop.sign(image).await?;
    }
    node.import(&with_digest.archive(&kept.reference), Some(&kept.repository)).await?;
    node.import(&without.docker_archive(&saved.reference), Some(&saved.repository)).await?;
    let made = node.digest_of(&saved.reference).await?;
    workshop.names.add(&made, "MADE-ANEW");
    let made_anew = format!("{}@{made}", saved.repository);
    Ok(vec![
        alone("loaded with `ctr images import`", "loaded", &known.reference, &[image.config_digest()], &by_manifest),
        alone(
            "loaded with `ctr images import`, not in the registry",
            "nowhere",
            &nowhere,
            &[strange.config_digest()],
            "DigestUnresolvable",
        ),
        alone("loaded with its digest, OCI archive", "kept", &kept.reference, &[kept.by_digest()], EXACT),
        alone("loaded with its digest, docker archive", "saved", &saved.reference, &[made_anew], "ImageNotFound"),
    ])
}

/// One repository, pulled by the digest of a manifest and then by a tag: the node reports the digest that sorts first
/// for both pods. Signed is the other one, which only `FollowIndex` finds.
async fn one_repository_two_digests(stage: &Stage, workshop: &Workshop<'_>, index_first: bool) -> Result<Vec<Case>> {
    let name = if index_first { "index-first" } else { "manifest-first" };
    let both = workshop.sorted(name, index_first).await?;
    let (reported, signed, via) = if index_first {
        (&both.index, &both.manifest, "PlatformManifest")
    } else {
        (&both.manifest, &both.index, "Index")
    };
    workshop.sign(signed).await?;
    let reported = [reported.by_digest()];
    let followed_to = format!("SignatureValid {via} {}", signed.digest);
    let pinned = both.manifest.by_digest();
    let (by_tag, by_digest) = (format!("{name}-by-tag"), format!("{name}-by-digest"));
    let cases = if index_first {
        vec![
            alone(
                "by a manifest's digest, pulled by its index too; the manifest is signed",
                &by_digest,
                &pinned,
                &reported,
                "NoSignature",
            ),
            followed(alone("the same, `FollowIndex`", &by_digest, &pinned, &reported, &followed_to)),
        ]
    } else {
        let tag = &both.index.reference;
        vec![
            alone(
                "by tag, pulled by a manifest's digest too; the index is signed",
                &by_tag,
                tag,
                &reported,
                "NoSignature",
            ),
            followed(alone("the same, `FollowIndex`", &by_tag, tag, &reported, &followed_to)),
        ]
    };
    // Only when both names are known does the node choose, so the pod that is looked at comes last.
    let mut all = [
        followed(alone("", &by_digest, &pinned, &reported, "")),
        followed(alone("", &by_tag, &both.index.reference, &reported, "")),
    ];
    if index_first {
        all.reverse();
    }
    for case in all {
        pods::create(stage, &[&case]).await?;
        pods::reported(stage, &case).await?;
    }
    Ok(cases)
}

/// The same image in two repositories, the second of which is signed: the node may report either name for both.
async fn one_image_two_repositories(stage: &Stage, workshop: &Workshop<'_>) -> Result<Vec<Case>> {
    let image = workshop.image("shared");
    let first = workshop.registry.push("a/shared", "1", &image).await?;
    let second = workshop.registry.push("b/shared", "1", &image).await?;
    workshop.sign(&second).await?;
    let either = [first.by_digest(), second.by_digest()];
    let cases = vec![
        alone("one image in two repositories: not signed here", "shared-a", &first.reference, &either, "NoSignature"),
        alone("one image in two repositories: signed here", "shared-b", &second.reference, &either, EXACT),
    ];
    for case in &cases {
        pods::create(stage, &[case]).await?;
        // One after the other, so that the node knows the first name when it reports the second.
        pods::reported(stage, case).await?;
    }
    Ok(cases)
}

/// A pod that the kubelet runs from a file, and tells the API server about.
async fn static_pod(stage: &Stage, workshop: &Workshop<'_>, node: &Node) -> Result<Case> {
    let image = workshop.single("static").await?;
    workshop.sign(&image).await?;
    let name = Node::static_pod_name("static");
    let case = alone("as a static pod", &name, &image.reference, &[image.by_digest()], EXACT);
    let mut pod = pods::pod("static", &[&case]);
    pod["metadata"]["namespace"] = stage.namespace.as_str().into();
    node.run_static(&pod)?;
    pods::created(stage, &case).await?;
    Ok(case)
}

/// An init container, a sidecar, a container and a debug container of one pod, each with an image of its own.
async fn places(stage: &Stage, workshop: &Workshop<'_>) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (what, name, place) in [
        ("as init container", "init", Place::Init),
        ("as native sidecar", "sidecar", Place::Sidecar),
        ("beside both", "main", Place::Main),
        ("as debug container", "debugger", Place::Ephemeral),
    ] {
        let image = workshop.multi(name).await?.index;
        workshop.sign(&image).await?;
        let case = alone(what, "places", &image.reference, &[image.by_digest()], EXACT);
        cases.push(Case { container: name, place, ..case });
    }
    let [.., main, debugger] = &cases[..] else { return Ok(cases) };
    let all: Vec<&Case> = cases.iter().collect();
    pods::create(stage, &all).await?;
    pods::reported(stage, main).await?;
    pods::debug(stage, debugger).await?;
    Ok(cases)
}
