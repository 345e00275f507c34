// SPDX-License-Identifier: Apache-2.0

use proptest::prelude::*;
use serde_json::json;

use super::*;

const DIGEST: &str = "sha256:09cbca56a2149d624cdc4ec952abe9a92ee88c347790c6657e3dd2a0fcc12d10";

fn policy() -> TrustPolicy {
    serde_json::from_value(json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy",
        "metadata": {"name": "microsoft", "namespace": "aio", "uid": "policy-uid"},
        "spec": {"version": "1.0", "trustPolicies": []},
    }))
    .expect("a policy")
}

fn key(repository: &str) -> ImageKey {
    ImageKey { repository: repository.into(), digest: RunningDigest::Manifest(DIGEST.parse().expect("a digest")) }
}

fn running(repositories: &[&str]) -> NamespaceImages {
    let image = |repository: &&str| {
        let references = [format!("{repository}:1.2.36")].into();
        (key(repository), RunningImage { pods: 1, references, ..RunningImage::default() })
    };
    NamespaceImages { images: repositories.iter().map(image).collect(), ..NamespaceImages::default() }
}

fn existing(plan: &Plan) -> Vec<Arc<ImageVerification>> {
    plan.create.iter().cloned().map(Arc::new).collect()
}

const AFTER: Duration = Duration::from_mins(10);

#[test]
fn a_name_tells_image_and_digest_and_differs_by_policy_and_repository() {
    let image = key("mcr.microsoft.com/azureiotoperations/aio-operator");
    let name = name_of("microsoft", &image);
    assert!(name.starts_with("aio-operator-09cbca56a214-"), "{name}");
    assert_eq!(name.len(), "aio-operator-09cbca56a214-".len() + 5);
    assert_eq!(name, name_of("microsoft", &image), "a name is for ever");
    assert_ne!(name, name_of("other", &image));
    assert_ne!(name, name_of("microsoft", &key("mirror.example/azureiotoperations/aio-operator")));
}

#[test]
fn what_is_made_is_owned_without_blocking_its_owner() {
    let found = discovered("microsoft", &running(&["registry.example/app"]));
    let plan = plan(&policy(), &found, &[], &mut BTreeMap::new(), AFTER, Instant::now());
    let [image] = &plan.create[..] else { panic!("{plan:?}") };
    let owner = controller(image).expect("an owner");
    assert_eq!((owner.uid.as_str(), owner.block_owner_deletion), ("policy-uid", None));
    assert!(is_owned_by(image, "policy-uid"));
    assert_eq!(image.spec.image, "registry.example/app:1.2.36");
    assert_eq!(image.spec.digest.as_deref(), Some(DIGEST));
    assert_eq!(image.labels().get(LABEL_MANAGED_BY).map(String::as_str), Some(MANAGED_BY));
    assert!(image.finalizers().is_empty());
}

#[test]
fn what_is_there_is_not_made_again() {
    let found = discovered("microsoft", &running(&["registry.example/a", "registry.example/b"]));
    let first = plan(&policy(), &found, &[], &mut BTreeMap::new(), AFTER, Instant::now());
    let again = plan(&policy(), &found, &existing(&first), &mut BTreeMap::new(), AFTER, Instant::now());
    assert!(again.create.is_empty() && again.delete.is_empty() && again.next.is_none(), "{again:?}");
}

#[test]
fn what_stopped_running_is_deleted_after_the_grace_and_not_if_it_came_back() {
    let found = discovered("microsoft", &running(&["registry.example/a"]));
    let there = existing(&plan(&policy(), &found, &[], &mut BTreeMap::new(), AFTER, Instant::now()));
    let (gone, mut absent, start) = (discovered("microsoft", &running(&[])), BTreeMap::new(), Instant::now());
    let mut at = |found: &Discovered, after: u64| {
        plan(&policy(), found, &there, &mut absent, AFTER, start + Duration::from_secs(after))
    };
    assert_eq!(at(&gone, 0).next, Some(AFTER));
    assert!(at(&gone, 599).delete.is_empty());
    assert!(at(&found, 599).delete.is_empty());
    assert!(at(&gone, 601).delete.is_empty(), "it was running in between");
    assert_eq!(at(&gone, 1_202).delete.len(), 1);
}

#[test]
fn what_a_person_wrote_or_another_policy_owns_is_left_alone() {
    let handwritten: ImageVerification = serde_json::from_value(json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "ImageVerification",
        "metadata": {"name": "mine", "namespace": "aio"},
        "spec": {"image": "registry.example/a:1", "trustPolicyRef": {"name": "microsoft"}},
    }))
    .expect("an image verification");
    let mut other = handwritten.clone();
    other.metadata.name = Some("theirs".into());
    let owner = json!([{"apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy", "name": "microsoft",
        "uid": "an-older-policy", "controller": true}]);
    other.metadata.owner_references = serde_json::from_value(owner).expect("owners");
    let there = [Arc::new(handwritten), Arc::new(other)];
    let found = discovered("microsoft", &running(&[]));
    let plan = plan(&policy(), &found, &there, &mut BTreeMap::new(), Duration::ZERO, Instant::now());
    assert!(plan.delete.is_empty(), "{plan:?}");
}

#[test]
fn an_unreadable_image_has_an_object_too() {
    let image = ImageKey { repository: "::!".into(), digest: RunningDigest::Unreadable("nonsense".into()) };
    let images = [(image, RunningImage::default())].into();
    let found = discovered("microsoft", &NamespaceImages { images, ..NamespaceImages::default() });
    let plan = plan(&policy(), &found, &[], &mut BTreeMap::new(), AFTER, Instant::now());
    let [image] = &plan.create[..] else { panic!("{plan:?}") };
    assert!(image.name_any().starts_with("image-unreadable-"), "{}", image.name_any());
    assert_eq!(image.spec.digest, None);
}

proptest! {
    /// Whatever a pod calls its image, the object's name is one that an API server accepts (RFC 1123 subdomain).
    #[test]
    fn every_name_is_a_dns_name(policy in "[a-z0-9-]{1,63}", repository in ".{0,300}", text in ".{0,300}") {
        let name = name_of(&policy, &ImageKey { repository, digest: RunningDigest::Unreadable(text) });
        prop_assert!(name.len() <= 63);
        prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{}", name);
        prop_assert!(!name.starts_with('-') && !name.ends_with('-'), "{}", name);
    }
}

#[test]
fn an_image_without_a_digest_has_an_object_whose_tag_is_resolved() {
    let key = ImageKey { repository: "registry.example/data".into(), digest: RunningDigest::Tag("1".into()) };
    let mut images = running(&[]);
    let references = ["registry.example/data:1".to_owned()].into();
    images.images.insert(key.clone(), RunningImage { references, ..RunningImage::default() });
    let plan = plan(&policy(), &discovered("p", &images), &[], &mut BTreeMap::new(), Duration::ZERO, Instant::now());
    let [made] = &plan.create[..] else { panic!("{plan:?}") };
    assert_eq!((made.spec.image.as_str(), &made.spec.digest), ("registry.example/data:1", &None));
    assert_eq!(made.name_any(), name_of("p", &key));
    assert!(made.name_any().starts_with("data-tag-"), "{}", made.name_any());
    let other = ImageKey { digest: RunningDigest::Tag("2".into()), ..key.clone() };
    assert_ne!(name_of("p", &other), name_of("p", &key));
}
