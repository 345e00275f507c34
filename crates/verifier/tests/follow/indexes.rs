// SPDX-License-Identifier: Apache-2.0

//! A manifest runs, and an index that lists it is signed (case 2).

use sealwatch_registry::Descriptor;
use sealwatch_verifier::{DigestMatching, Question, Reason, Verdict, Via};
use serde_json::Value;

use crate::shop::{APP, By, INDEX, LIST, Scene, following, platform, reference};

const VERIFIED: &str = "Verified SignatureValid Index";
const UNSIGNED: &str = "Failed NoSignature Exact";

/// An image, and the index that lists it under the tag `1`.
fn listed(scene: &Scene) -> (Descriptor, Descriptor) {
    let image = scene.shop.image(APP, "a");
    let index = scene.shop.index(APP, INDEX, &[(&image, platform("linux", "amd64"))]);
    scene.shop.tag(APP, "1", &index);
    (image, index)
}

/// DS-14.
#[tokio::test]
async fn a_signed_index_that_the_pod_names_counts_for_its_child_only_if_the_policy_follows() {
    let scene = Scene::new();
    let (image, index) = listed(&scene);
    scene.shop.sign(&index, By::Trusted);
    let mut question = following(&image);
    let judgement = scene.look(&question).await;
    assert_eq!(judgement.verification.verdict, Verdict::Verified, "{}", judgement.verification.message);
    assert_eq!((judgement.via, &judgement.verified_digest), (Via::Index, &index.digest));
    assert!(judgement.verification.message.contains(&index.digest.to_string()));
    question.references = vec![reference(&format!("@{}", index.digest))];
    assert_eq!(scene.verdict(&question).await, VERIFIED, "by digest");
    question.matching = DigestMatching::Exact;
    assert_eq!(scene.verdict(&question).await, UNSIGNED);
}

#[tokio::test]
async fn dockers_manifest_list_counts_as_an_index() {
    let scene = Scene::new();
    let image = scene.shop.image(APP, "a");
    let list = scene.shop.index(APP, LIST, &[(&image, platform("linux", "amd64"))]);
    scene.shop.tag(APP, "1", &list);
    scene.shop.sign(&list, By::Trusted);
    assert_eq!(scene.verdict(&following(&image)).await, VERIFIED);
}

/// DS-14. Who may push can list anything in an index, but not sign it; and can sign nothing by listing it.
#[tokio::test]
async fn an_index_counts_only_for_what_its_own_bytes_list() {
    let scene = Scene::new();
    let (image, index) = listed(&scene);
    scene.shop.sign(&index, By::Trusted);
    let attackers = scene.shop.image(APP, "attacker");
    let judgement = scene.look(&following(&attackers)).await;
    assert_eq!((judgement.verification.reason, judgement.via), (Reason::NoSignature, Via::Exact));
    assert!(judgement.verification.message.contains("does not list it"), "{}", judgement.verification.message);
    // An index of their own lists it beside the good one, unsigned.
    let children = [(&image, platform("linux", "amd64")), (&attackers, platform("linux", "amd64"))];
    scene.shop.tag(APP, "1", &scene.shop.index(APP, INDEX, &children));
    assert_eq!(scene.verdict(&following(&attackers)).await, "Failed NoSignature Index");
    // One that lists the good index lists nothing that is in it.
    let nested = scene.shop.index(APP, INDEX, &[(&index, Value::Null)]);
    scene.shop.sign(&nested, By::Trusted);
    scene.shop.tag(APP, "1", &nested);
    assert_eq!(scene.verdict(&following(&image)).await, UNSIGNED);
}

#[tokio::test]
async fn an_index_of_another_repository_never_counts() {
    let scene = Scene::new();
    let (image, index) = listed(&scene);
    scene.shop.sign(&index, By::Trusted);
    let elsewhere = Question { references: vec!["registry.test/other:1".parse().unwrap()], ..following(&image) };
    assert_eq!(scene.verdict(&elsewhere).await, UNSIGNED);
}

/// DS-14. A revoked signature is not outweighed by a good one elsewhere.
#[tokio::test]
async fn a_failed_signature_of_its_own_stands_whatever_the_index_has() {
    for (by, expected) in [(By::Revoked, "Failed Revoked Exact"), (By::Junk, "Failed IntegrityFailed Exact")] {
        let scene = Scene::new();
        let (image, index) = listed(&scene);
        scene.shop.sign(&index, By::Trusted);
        scene.shop.sign(&image, by);
        assert_eq!(scene.verdict(&following(&image)).await, expected);
    }
}

#[tokio::test]
async fn a_failed_signature_of_the_index_is_told_as_it_is() {
    let scene = Scene::new();
    let (image, index) = listed(&scene);
    scene.shop.sign(&index, By::Revoked);
    let judgement = scene.look(&following(&image)).await;
    assert_eq!((judgement.verification.reason.as_str(), judgement.via), ("Revoked", Via::Index));
    assert_eq!(judgement.verified_digest, index.digest);
}

#[tokio::test]
async fn a_tag_that_moved_names_what_it_names_now() {
    let scene = Scene::new();
    let (image, index) = listed(&scene);
    scene.shop.sign(&index, By::Trusted);
    assert_eq!(scene.verdict(&following(&image)).await, VERIFIED);
    let other = scene.shop.image(APP, "b");
    let moved = scene.shop.index(APP, INDEX, &[(&other, platform("linux", "amd64"))]);
    scene.shop.sign(&moved, By::Trusted);
    scene.shop.tag(APP, "1", &moved);
    assert_eq!(scene.verdict(&following(&image)).await, UNSIGNED);
    scene.shop.tag(APP, "1", &image);
    assert_eq!(scene.verdict(&following(&image)).await, UNSIGNED, "a tag that names the manifest names no index");
}

/// The digest that the tag gave is the one whose bytes and signatures are looked at.
#[tokio::test]
async fn a_tag_that_moves_between_two_look_ups_mixes_nothing_up() {
    let scene = Scene::new();
    let (image, index) = listed(&scene);
    let attackers = scene.shop.image(APP, "attacker");
    let theirs = scene.shop.index(APP, INDEX, &[(&attackers, platform("linux", "amd64"))]);
    scene.shop.sign(&index, By::Trusted);
    // The signed index by tag, then their own list of children under it.
    scene.shop.moves_after_look_up("1", &theirs);
    assert_eq!(scene.verdict(&following(&attackers)).await, UNSIGNED);
    // Their own index by tag, then the signed one under it.
    scene.shop.moves_after_look_up("1", &index);
    assert_eq!(scene.verdict(&following(&attackers)).await, "Failed NoSignature Index");
    assert_eq!(scene.verdict(&following(&image)).await, VERIFIED);
}

#[tokio::test]
async fn one_of_several_references_is_enough_and_few_are_tried() {
    let scene = Scene::new();
    let (image, index) = listed(&scene);
    scene.shop.sign(&index, By::Trusted);
    let references = |ends: &[&str]| ends.iter().map(|end| reference(end)).collect();
    let question = Question { references: references(&[":gone", ":1"]), ..following(&image) };
    assert_eq!(scene.verdict(&question).await, VERIFIED);
    let many = references(&[":g1", ":g2", ":g3", ":g4", ":1"]);
    let judgement = scene.look(&Question { references: many, ..following(&image) }).await;
    assert_eq!(judgement.verification.reason, Reason::NoSignature);
    assert!(judgement.verification.message.contains(":g1 is not in the registry"));
}

#[tokio::test]
async fn a_steady_pass_asks_for_the_manifest_the_tag_and_the_index() {
    let scene = Scene::new();
    let (image, index) = listed(&scene);
    scene.shop.sign(&index, By::Trusted);
    scene.look(&following(&image)).await;
    // Manifest: head and list; tag; index: itself, head, list, signature, envelope.
    assert_eq!(scene.shop.asked().len(), 2 + 1 + 5);
    scene.look(&following(&image)).await;
    let asked = scene.shop.asked();
    assert!(asked.len() == 3 && asked[1] == "tag 1", "{asked:?}");
    // With a signature of its own, the rest is not asked for.
    scene.shop.sign(&image, By::Trusted);
    scene.look(&following(&image)).await;
    scene.shop.asked();
    scene.look(&following(&image)).await;
    assert_eq!(scene.shop.asked().len(), 1);
}

/// Case 5: of a repository that a node pulled both as index and as manifest, it reports the smaller digest.
#[tokio::test]
async fn whichever_of_index_and_manifest_a_node_reports_one_signature_is_enough() {
    for signs_index in [true, false] {
        let scene = Scene::new();
        let (image, index) = listed(&scene);
        scene.shop.sign(if signs_index { &index } else { &image }, By::Trusted);
        for reported in [&image, &index] {
            let judgement = scene.look(&following(reported)).await;
            assert_eq!(judgement.verification.verdict, Verdict::Verified, "{}", judgement.verification.message);
        }
    }
}
