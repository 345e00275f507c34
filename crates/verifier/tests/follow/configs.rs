// SPDX-License-Identifier: Apache-2.0

//! A node knows an image by its configuration only (cases 6 and 9).

use sealwatch_registry::Descriptor;
use sealwatch_verifier::{DigestMatching, Platforms, Question, Reason, Runs, Verdict, Via};

use crate::shop::{APP, By, INDEX, Scene, digest, following, platform, reference};

const VERIFIED: &str = "Verified SignatureValid PlatformManifest";

/// An image with the configuration `side`, which runs.
fn loaded(image: &Descriptor) -> Question {
    let runs = Runs::Config(digest(b"side"));
    Question { runs, matching: DigestMatching::Exact, ..following(image) }
}

#[tokio::test]
async fn a_configuration_leads_to_the_manifest_that_has_it() {
    let scene = Scene::new();
    let image = scene.shop.image(APP, "side");
    scene.shop.tag(APP, "1", &image);
    assert_eq!(scene.verdict(&loaded(&image)).await, "Failed NoSignature PlatformManifest");
    scene.shop.sign(&image, By::Trusted);
    let judgement = scene.look(&loaded(&image)).await;
    assert_eq!(judgement.verification.verdict, Verdict::Verified);
    assert_eq!((judgement.via, judgement.verified_digest), (Via::PlatformManifest, image.digest));
}

#[tokio::test]
async fn a_configuration_leads_to_the_child_of_the_index_that_has_it() {
    for platforms in [crate::shop::amd64(), Platforms::Unknown] {
        let scene = Scene::new();
        let (other, image) = (scene.shop.image(APP, "other"), scene.shop.image(APP, "side"));
        let children = [(&other, platform("linux", "arm64")), (&image, platform("linux", "amd64"))];
        let index = scene.shop.index(APP, INDEX, &children);
        scene.shop.tag(APP, "1", &index);
        let mut question = Question { platforms, ..loaded(&image) };
        // The index is no proof under Exact: its signature says nothing about what runs.
        scene.shop.sign(&index, By::Trusted);
        assert_eq!(scene.verdict(&question).await, "Failed NoSignature PlatformManifest");
        question.matching = DigestMatching::FollowIndex;
        assert_eq!(scene.verdict(&question).await, "Verified SignatureValid Index");
        scene.shop.sign(&image, By::Trusted);
        assert_eq!(scene.verdict(&question).await, VERIFIED);
        scene.shop.unsign(&image);
        scene.shop.sign(&image, By::Revoked);
        assert_eq!(scene.verdict(&question).await, "Failed Revoked PlatformManifest", "its own failure stands");
    }
}

#[tokio::test]
async fn a_signed_image_under_the_tag_is_nothing_to_another_configuration() {
    let scene = Scene::new();
    let image = scene.shop.image(APP, "another");
    scene.shop.sign(&image, By::Trusted);
    scene.shop.tag(APP, "1", &image);
    let error = scene.find(&loaded(&image)).await.unwrap_err();
    assert_eq!(error.reason, Reason::DigestUnresolvable);
    for part in ["only the image configuration", "which is another image", "push the image"] {
        assert!(error.message.contains(part), "{}", error.message);
    }
    let nothing = Question { references: vec![reference(":none")], ..loaded(&image) };
    let error = scene.find(&nothing).await.unwrap_err();
    assert_eq!(error.reason, Reason::DigestUnresolvable);
    assert!(error.message.contains(":none is not in the registry"), "{}", error.message);
}

#[tokio::test]
async fn the_configuration_of_an_image_in_another_repository_is_not_found() {
    let scene = Scene::new();
    let elsewhere = scene.shop.image("registry.test/other", "side");
    scene.shop.sign(&elsewhere, By::Trusted);
    scene.shop.tag("registry.test/other", "1", &elsewhere);
    let here = scene.shop.image(APP, "another");
    scene.shop.tag(APP, "1", &here);
    let both = vec!["registry.test/other:1".parse().unwrap(), reference(":1")];
    let error = scene.find(&Question { references: both, ..loaded(&here) }).await.unwrap_err();
    assert_eq!(error.reason, Reason::DigestUnresolvable);
}

/// Who may push can have an image refer to the configuration of a signed one; it is still not signed.
#[tokio::test]
async fn another_manifest_with_the_same_configuration_borrows_no_signature_and_hides_none() {
    let scene = Scene::new();
    let good = scene.shop.image(APP, "side");
    scene.shop.sign(&good, By::Trusted);
    let forged = scene.shop.rebuilt(APP, "side", "forged");
    scene.shop.tag(APP, "1", &forged);
    assert_eq!(scene.verdict(&loaded(&forged)).await, "Failed NoSignature PlatformManifest");
    let children = [(&forged, platform("linux", "amd64")), (&good, platform("linux", "amd64"))];
    scene.shop.tag(APP, "1", &scene.shop.index(APP, INDEX, &children));
    let judgement = scene.look(&loaded(&good)).await;
    assert_eq!((judgement.verification.verdict, judgement.verified_digest), (Verdict::Verified, good.digest));
}

#[tokio::test]
async fn a_registry_that_is_away_leaves_it_open_whether_there_is_such_a_manifest() {
    let scene = Scene::new();
    let image = scene.shop.image(APP, "side");
    scene.shop.goes_down();
    assert_eq!(scene.find(&loaded(&image)).await.unwrap_err().reason, Reason::RegistryUnavailable);
}

#[tokio::test]
async fn a_steady_pass_asks_for_the_tag_and_for_the_manifest() {
    let scene = Scene::new();
    let image = scene.shop.image(APP, "side");
    scene.shop.sign(&image, By::Trusted);
    let index = scene.shop.index(APP, INDEX, &[(&image, platform("linux", "amd64"))]);
    scene.shop.tag(APP, "1", &index);
    scene.look(&loaded(&image)).await;
    // Tag; index and manifest; manifest: head, list, signature, envelope.
    assert_eq!(scene.shop.asked().len(), 1 + 2 + 4);
    scene.look(&loaded(&image)).await;
    assert_eq!(scene.shop.asked().len(), 2);
}

#[tokio::test]
async fn manifests_that_are_too_large_in_all_are_not_read_through() {
    let scene = Scene::new();
    let image = scene.shop.image(APP, "side");
    scene.shop.sign(&image, By::Trusted);
    let large = Descriptor { size: 3 * 1024 * 1024, ..scene.shop.image(APP, "another") };
    let small =
        |n: usize| (0..n).map(|_| (&large, platform("linux", "amd64"))).chain([(&image, platform("linux", "amd64"))]);
    let index = scene.shop.index(APP, INDEX, &small(6).collect::<Vec<_>>());
    scene.shop.tag(APP, "1", &index);
    assert_eq!(scene.find(&loaded(&image)).await.unwrap_err().reason, Reason::DigestUnresolvable);
    let index = scene.shop.index(APP, INDEX, &small(5).collect::<Vec<_>>());
    scene.shop.tag(APP, "1", &index);
    assert_eq!(scene.verdict(&loaded(&image)).await, VERIFIED);
}
