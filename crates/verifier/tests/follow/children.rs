// SPDX-License-Identifier: Apache-2.0

//! An index runs, and its manifests are signed (cases 1, 5 and 18).

use std::collections::BTreeSet;

use sealwatch_registry::{Descriptor, Platform};
use sealwatch_verifier::{DigestMatching, Platforms, Reason, Verdict, Via};
use serde_json::{Value, json};

use crate::shop::{APP, By, INDEX, LIST, Scene, amd64, following, platform};

const VERIFIED: &str = "Verified SignatureValid PlatformManifest";

/// An index of images, each with its platform, in the order given.
fn index(scene: &Scene, children: &[(&str, Value)]) -> (Descriptor, Vec<Descriptor>) {
    let images: Vec<Descriptor> = children.iter().map(|(name, _)| scene.shop.image(APP, name)).collect();
    let listed: Vec<_> = images.iter().zip(children).map(|(image, (_, platform))| (image, platform.clone())).collect();
    (scene.shop.index(APP, INDEX, &listed), images)
}

/// DS-14.
#[tokio::test]
async fn a_signed_child_counts_for_its_index_only_if_the_policy_follows() {
    let scene = Scene::new();
    let (index, images) = index(&scene, &[("a", platform("linux", "amd64")), ("b", platform("linux", "arm64"))]);
    scene.shop.sign(&images[0], By::Trusted);
    let mut question = following(&index);
    let judgement = scene.look(&question).await;
    assert_eq!(judgement.verification.verdict, Verdict::Verified, "{}", judgement.verification.message);
    assert_eq!((judgement.via, &judgement.verified_digest), (Via::PlatformManifest, &images[0].digest));
    assert!(judgement.verification.message.contains("may run on linux/amd64"), "{}", judgement.verification.message);
    question.matching = DigestMatching::Exact;
    scene.shop.asked();
    assert_eq!(scene.verdict(&question).await, "Failed NoSignature Exact");
    assert_eq!(scene.shop.asked().len(), 1, "only the reported digest is asked about");
}

/// DS-14. What was found while the policy followed does not count once it no longer does, registry or not.
#[tokio::test]
async fn under_exact_nothing_counts_that_was_found_by_following() {
    let scene = Scene::new();
    let (index, images) = index(&scene, &[("a", platform("linux", "amd64"))]);
    scene.shop.sign(&images[0], By::Trusted);
    let mut question = following(&index);
    let findings = scene.find(&question).await.unwrap();
    assert_eq!(scene.judge(&question, &findings).verification.verdict, Verdict::Verified);
    question.matching = DigestMatching::Exact;
    let judgement = scene.judge(&question, &findings);
    assert_eq!((judgement.verification.reason, judgement.via), (Reason::NoSignature, Via::Exact));
}

/// DS-14. Nobody reports which of them the node took.
#[tokio::test]
async fn every_child_that_may_have_been_taken_has_to_pass() {
    for (by, expected) in [
        (None, "Failed NoSignature PlatformManifest"),
        (Some(By::Revoked), "Failed Revoked PlatformManifest"),
        (Some(By::Junk), "Failed IntegrityFailed PlatformManifest"),
        (Some(By::Trusted), VERIFIED),
    ] {
        for (os, architecture, variant) in [("linux", "amd64", "v3"), ("linux", "x86_64", ""), ("linux", "386", "")] {
            let scene = Scene::new();
            let other = json!({"os": os, "architecture": architecture, "variant": variant});
            let (index, images) = index(&scene, &[("a", platform("linux", "amd64")), ("b", other)]);
            scene.shop.sign(&images[0], By::Trusted);
            if let Some(by) = by {
                scene.shop.sign(&images[1], by);
            }
            assert_eq!(scene.verdict(&following(&index)).await, expected, "{by:?} {architecture}{variant}");
        }
    }
}

/// Who may push can add a child of the node's platform to an index that nobody signed.
#[tokio::test]
async fn an_index_with_an_attackers_child_fails_and_names_it() {
    let scene = Scene::new();
    let attackers = scene.shop.image(APP, "attacker");
    let good = scene.shop.image(APP, "good");
    scene.shop.sign(&good, By::Trusted);
    let children = [(&good, platform("linux", "amd64")), (&attackers, platform("linux", "amd64"))];
    let judgement = scene.look(&following(&scene.shop.index(APP, INDEX, &children))).await;
    assert_eq!(judgement.verification.reason, Reason::NoSignature);
    let message = &judgement.verification.message;
    assert!(message.contains(&attackers.digest.to_string()) && message.contains("linux/amd64"), "{message}");
}

/// Runtimes choose by what the index says, so a child that lies about itself is taken as it is described; where the
/// index says nothing, the child's own configuration decides, which we do not believe.
#[tokio::test]
async fn a_child_that_lies_about_its_platform_counts_as_it_is_listed() {
    let scene = Scene::new();
    let good = scene.shop.image(APP, "good");
    scene.shop.sign(&good, By::Trusted);
    let liar = scene.shop.image(APP, r#"{"os":"linux","architecture":"arm64"}"#);
    for (claim, expected) in [
        (platform("linux", "amd64"), "Failed NoSignature PlatformManifest"),
        (Value::Null, "Failed NoSignature PlatformManifest"),
        (json!({}), "Failed NoSignature PlatformManifest"),
        (platform("linux", "arm64"), VERIFIED),
    ] {
        let index = scene.shop.index(APP, INDEX, &[(&good, platform("linux", "amd64")), (&liar, claim.clone())]);
        assert_eq!(scene.verdict(&following(&index)).await, expected, "{claim}");
    }
}

#[tokio::test]
async fn an_index_that_may_be_read_in_two_ways_is_not_followed() {
    let scene = Scene::new();
    let (index, images) = index(&scene, &[("a", platform("linux", "amd64"))]);
    scene.shop.sign(&images[0], By::Trusted);
    assert_eq!(scene.verdict(&following(&index)).await, VERIFIED);
    let child = |platform: &str| {
        let Descriptor { media_type, digest, size, .. } = &images[0];
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size},{platform}}}"#)
    };
    let two = r#""platform":{"os":"linux","architecture":"arm64"},"Platform":{"os":"linux","architecture":"amd64"}"#;
    let one = r#""platform":{"os":"linux","architecture":"amd64"}"#;
    let text = format!(r#"{{"mediaType":"{INDEX}","manifests":[{},{}]}}"#, child(one), child(two));
    let judgement = scene.look(&following(&scene.shop.put(APP, INDEX, &text))).await;
    assert_eq!((judgement.verification.reason, judgement.via), (Reason::NoSignature, Via::Exact));
    let message = judgement.verification.message;
    assert!(message.contains("cannot be followed") && message.contains("Platform"), "{message}");
}

#[tokio::test]
async fn a_signature_of_the_index_itself_decides_alone_for_better_and_for_worse() {
    for (by, expected) in [
        (By::Trusted, "Verified SignatureValid Exact"),
        (By::Revoked, "Failed Revoked Exact"),
        (By::Junk, "Failed IntegrityFailed Exact"),
    ] {
        let scene = Scene::new();
        let (index, images) = index(&scene, &[("a", platform("linux", "amd64"))]);
        scene.shop.sign(&images[0], if by == By::Trusted { By::Revoked } else { By::Trusted });
        scene.shop.sign(&index, by);
        assert_eq!(scene.verdict(&following(&index)).await, expected);
        scene.shop.asked();
        scene.look(&following(&index)).await;
        assert_eq!(scene.shop.asked().len(), 1, "nothing else is asked about");
    }
}

#[tokio::test]
async fn where_the_platform_is_not_known_every_runnable_child_counts() {
    let scene = Scene::new();
    let children =
        [("a", platform("linux", "amd64")), ("b", platform("windows", "amd64")), ("c", platform("linux", "s390x"))];
    let (index, images) = index(&scene, &children);
    scene.shop.sign(&images[0], By::Trusted);
    let question = sealwatch_verifier::Question { platforms: Platforms::Unknown, ..following(&index) };
    assert_eq!(scene.verdict(&question).await, "Failed NoSignature PlatformManifest");
    for image in &images[1..] {
        scene.shop.sign(image, By::Trusted);
    }
    let judgement = scene.look(&question).await;
    assert_eq!(judgement.verification.verdict, Verdict::Verified);
    assert_eq!(judgement.others.len(), 3, "the verdict rests on each of them");
    assert!(judgement.verification.message.contains("are not known"), "{}", judgement.verification.message);
}

#[tokio::test]
async fn nodes_of_several_platforms_need_the_children_of_each() {
    let scene = Scene::new();
    let (index, images) = index(&scene, &[("a", platform("linux", "amd64")), ("b", platform("linux", "arm64"))]);
    scene.shop.sign(&images[0], By::Trusted);
    let both: BTreeSet<_> = ["amd64", "arm64"].iter().filter_map(|name| Platform::new("linux", name)).collect();
    let both = Platforms::Known(both);
    let question = sealwatch_verifier::Question { platforms: both.clone(), ..following(&index) };
    assert_eq!(scene.verdict(&question).await, "Failed NoSignature PlatformManifest");
    scene.shop.sign(&images[1], By::Trusted);
    assert_eq!(scene.verdict(&question).await, VERIFIED);
    // What was found for one platform says nothing about a further one.
    let findings = scene.find(&following(&index)).await.unwrap();
    assert!(findings.cover(&amd64()) && !findings.cover(&both) && !findings.cover(&Platforms::Unknown));
    assert!(scene.find(&question).await.unwrap().cover(&amd64()));
}

#[tokio::test]
async fn an_index_without_anything_for_the_node_is_not_verified_by_the_rest() {
    let scene = Scene::new();
    let (index, images) = index(&scene, &[("a", platform("linux", "arm64"))]);
    scene.shop.sign(&images[0], By::Trusted);
    let judgement = scene.look(&following(&index)).await;
    assert_eq!((judgement.verification.reason, judgement.via), (Reason::NoSignature, Via::Exact));
    assert!(judgement.verification.message.contains("lists nothing for linux/amd64"));
}

/// Case 18.
#[tokio::test]
async fn on_windows_every_version_of_the_system_counts() {
    let scene = Scene::new();
    let version = |version: &str| json!({"os": "windows", "architecture": "amd64", "os.version": version});
    let (index, images) = index(&scene, &[("a", version("10.0.20348.1")), ("b", version("10.0.17763.1"))]);
    let windows = Platforms::Known(Platform::new("windows", "amd64").into_iter().collect());
    let question = sealwatch_verifier::Question { platforms: windows, ..following(&index) };
    scene.shop.sign(&images[0], By::Trusted);
    assert_eq!(scene.verdict(&question).await, "Failed NoSignature PlatformManifest");
    scene.shop.sign(&images[1], By::Trusted);
    assert_eq!(scene.verdict(&question).await, VERIFIED);
}

#[tokio::test]
async fn dockers_manifest_list_is_followed_too() {
    let scene = Scene::new();
    let image = scene.shop.image(APP, "a");
    scene.shop.sign(&image, By::Trusted);
    let list = scene.shop.index(APP, LIST, &[(&image, platform("linux", "amd64"))]);
    assert_eq!(scene.verdict(&following(&list)).await, VERIFIED);
}

#[tokio::test]
async fn an_index_in_an_index_is_one_child_with_a_signature_of_its_own() {
    let scene = Scene::new();
    let image = scene.shop.image(APP, "a");
    scene.shop.sign(&image, By::Trusted);
    let nested = scene.shop.index(APP, INDEX, &[(&image, platform("linux", "amd64"))]);
    let outer = scene.shop.index(APP, INDEX, &[(&nested, Value::Null)]);
    assert_eq!(scene.verdict(&following(&outer)).await, "Failed NoSignature PlatformManifest");
    scene.shop.sign(&nested, By::Trusted);
    assert_eq!(scene.verdict(&following(&outer)).await, VERIFIED);
}

#[tokio::test]
async fn a_child_that_the_registry_does_not_have_is_no_child_without_signature() {
    let scene = Scene::new();
    let (index, images) = index(&scene, &[("a", platform("linux", "amd64")), ("b", platform("linux", "amd64"))]);
    scene.shop.sign(&images[0], By::Trusted);
    scene.shop.forget(APP, &images[1].digest);
    let error = scene.find(&following(&index)).await.unwrap_err();
    assert_eq!(error.reason, Reason::ImageNotFound);
    assert!(error.message.contains(&images[1].digest.to_string()), "{}", error.message);
    // One that is there without signature is known to be so.
    scene.shop.unsign(&images[0]);
    assert_eq!(scene.verdict(&following(&index)).await, "Failed NoSignature PlatformManifest");
}

#[tokio::test]
async fn a_registry_that_goes_away_half_way_is_no_answer() {
    let scene = Scene::new();
    let (index, images) = index(&scene, &[("a", platform("linux", "amd64"))]);
    scene.shop.sign(&images[0], By::Trusted);
    scene.look(&following(&index)).await;
    scene.shop.goes_down();
    assert_eq!(scene.find(&following(&index)).await.unwrap_err().reason, Reason::RegistryUnavailable);
}

#[tokio::test]
async fn a_steady_pass_asks_for_the_index_and_for_each_child_that_counts() {
    let scene = Scene::new();
    let children =
        [("a", platform("linux", "amd64")), ("b", platform("linux", "386")), ("c", platform("linux", "arm64"))];
    let (index, images) = index(&scene, &children);
    for image in &images {
        scene.shop.sign(image, By::Trusted);
    }
    scene.look(&following(&index)).await;
    // Index: head, list, itself; each child: head, list, signature and envelope. That of the third is not asked for.
    assert_eq!(scene.shop.asked().len(), 3 + 2 * 4);
    scene.look(&following(&index)).await;
    let asked = scene.shop.asked();
    assert!(asked.len() == 3 && asked.iter().all(|asked| asked.starts_with("referrers")), "{asked:?}");
}

#[tokio::test]
async fn the_first_child_without_signature_ends_the_walk() {
    let scene = Scene::new();
    let children: Vec<(String, Value)> = (0..50).map(|n| (n.to_string(), platform("linux", "amd64"))).collect();
    let children: Vec<(&str, Value)> = children.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let (index, _) = index(&scene, &children);
    assert_eq!(scene.verdict(&following(&index)).await, "Failed NoSignature PlatformManifest");
    scene.shop.asked();
    scene.look(&following(&index)).await;
    assert_eq!(scene.shop.asked().len(), 2, "the index and one child");
}

/// Types come from the registry where the index names none: one that lies about it harms nobody else.
#[tokio::test]
async fn an_index_that_one_registry_calls_something_else_is_read_anew_elsewhere() {
    let scene = Scene::new();
    let image = scene.shop.image(APP, "a");
    scene.shop.sign(&image, By::Trusted);
    let Descriptor { media_type, digest, size, .. } = &image;
    let text = format!(
        r#"{{"manifests":[{{"mediaType":"{media_type}","digest":"{digest}","size":{size},"platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#
    );
    let listed = scene.shop.put("registry.test/other", LIST, &text);
    let elsewhere =
        sealwatch_verifier::Question { repository: "registry.test/other".parse().unwrap(), ..following(&listed) };
    scene.shop.put("registry.test/other", &image.media_type, &text);
    scene.find(&elsewhere).await.unwrap();
    assert_eq!(scene.verdict(&following(&scene.shop.put(APP, INDEX, &text))).await, VERIFIED);
}
