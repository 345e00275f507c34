// SPDX-License-Identifier: Apache-2.0

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const DIGEST_A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const DIGEST_B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a time")
}

fn slim(pod: Value) -> SlimPod {
    serde_json::from_value(pod).expect("a pod as an API server sends it")
}

/// A pod with one container.
fn pod(uid: &str, name: &str, image: &str, image_id: &str) -> SlimPod {
    slim(json!({
        "metadata": {"namespace": "aio", "name": name, "uid": uid, "labels": {"app": name}},
        "spec": {"nodeName": "edge", "containers": [{"name": "main", "image": image}]},
        "status": {"phase": "Running", "containerStatuses": [
            {"name": "main", "image": image, "imageID": image_id, "state": {"running": {"startedAt": "2026-11-22T11:00:00Z"}}},
        ]},
    }))
}

fn images(index: &RunningIndex) -> Vec<String> {
    index.images("aio", |_| true, now()).images.keys().map(ToString::to_string).collect()
}

#[test]
fn one_image_in_many_pods_is_one_image() {
    let mut index = RunningIndex::default();
    let image_id = format!("registry.example/app@{DIGEST_A}");
    assert_eq!(index.apply(&pod("1", "a", "registry.example/app:1", &image_id)), Some("aio".into()));
    assert_eq!(index.apply(&pod("2", "b", "registry.example/app:latest", &image_id)), Some("aio".into()));
    let found = index.images("aio", |_| true, now());
    assert_eq!((found.pods, found.containers, found.images.len()), (2, 2, 1));
    let image = found.images.values().next().expect("one image");
    assert_eq!((image.pods, image.container_count), (2, 2));
    let references: Vec<_> = image.references.iter().map(String::as_str).collect();
    assert_eq!(references, ["registry.example/app:1", "registry.example/app:latest"]);
}

#[test]
fn a_tag_that_moved_between_replicas_is_two_images() {
    let mut index = RunningIndex::default();
    index.apply(&pod("1", "a", "registry.example/app:1", &format!("registry.example/app@{DIGEST_A}")));
    index.apply(&pod("2", "b", "registry.example/app:1", &format!("registry.example/app@{DIGEST_B}")));
    assert_eq!(
        images(&index),
        [format!("registry.example/app@{DIGEST_A}"), format!("registry.example/app@{DIGEST_B}")]
    );
}

#[test]
fn the_repository_is_the_one_that_the_pod_names_and_the_digest_the_one_that_runs() {
    let mut index = RunningIndex::default();
    index.apply(&pod("1", "a", "private.example/team/app:1", &format!("docker.io/library/app@{DIGEST_A}")));
    index.apply(&pod("2", "b", &format!("nginx@{DIGEST_A}"), &format!("docker.io/library/nginx@{DIGEST_B}")));
    assert_eq!(
        images(&index),
        [format!("docker.io/library/nginx@{DIGEST_B}"), format!("private.example/team/app@{DIGEST_A}")]
    );
}

#[test]
fn every_form_of_image_id_leads_to_the_same_digest() {
    for prefix in ["", "docker-pullable://", "docker://", "containerd://"] {
        let mut index = RunningIndex::default();
        index.apply(&pod(
            "1",
            "a",
            "registry.example:5000/app",
            &format!("{prefix}registry.example:5000/app@{DIGEST_A}"),
        ));
        assert_eq!(images(&index), [format!("registry.example:5000/app@{DIGEST_A}")], "{prefix}");
    }
}

/// As a kubelet reports an image that was pulled by digest, of a container that the pod does not have yet.
#[test]
fn a_configuration_that_stands_in_place_of_the_name_is_not_taken_for_a_repository() {
    let image_id = format!("registry.example/app@{DIGEST_A}");
    let mut early = pod("1", "a", "registry.example/app:1", &image_id);
    early.spec.containers.clear();
    early.status.container_statuses[0].image = DIGEST_B.to_owned();
    let mut index = RunningIndex::default();
    index.apply(&early);
    assert_eq!(images(&index), [image_id]);
}

#[test]
fn a_lone_configuration_digest_is_not_taken_for_a_manifest() {
    let mut index = RunningIndex::default();
    index.apply(&pod("1", "a", "registry.example/app:1", DIGEST_A));
    index.apply(&pod("2", "b", "registry.example/other:1", &DIGEST_B["sha256:".len()..]));
    let found = index.images("aio", |_| true, now());
    assert!(found.images.keys().all(|image| matches!(image.digest, RunningDigest::Config(_))), "{found:?}");
    assert_eq!(found.images.len(), 2);
}

#[test]
fn an_unreadable_image_id_is_kept_as_an_image_and_loses_no_other() {
    let mut index = RunningIndex::default();
    index.apply(&pod(
        "1",
        "a",
        "registry.example/app:1",
        &format!("registry.example/app@sha256:\u{7}{}", "zz".repeat(4_000)),
    ));
    index.apply(&pod("2", "b", "::not a reference::", &format!("registry.example/app@{DIGEST_A}")));
    let found = index.images("aio", |_| true, now());
    assert_eq!(found.images.len(), 2);
    let unreadable: Vec<_> =
        found.images.keys().filter(|image| matches!(image.digest, RunningDigest::Unreadable(_))).collect();
    let [unreadable] = unreadable[..] else { panic!("{found:?}") };
    assert!(unreadable.digest.to_string().chars().count() <= TEXT_MOST);
    assert!(!unreadable.digest.to_string().contains('\u{7}'));
}

#[test]
fn init_sidecar_and_debug_containers_are_all_found() {
    let mut index = RunningIndex::default();
    let status = |name: &str, state: Value| json!({"name": name, "image": "x", "imageID": format!("registry.example/{name}@{DIGEST_A}"), "state": state});
    index.apply(&slim(json!({
        "metadata": {"namespace": "aio", "name": "pod", "uid": "1"},
        "spec": {
            "containers": [{"name": "main", "image": "registry.example/main"}],
            "initContainers": [
                {"name": "init", "image": "registry.example/init"},
                {"name": "sidecar", "image": "registry.example/sidecar", "restartPolicy": "Always"},
            ],
            "ephemeralContainers": [{"name": "debug", "image": "registry.example/debug"}],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [status("main", json!({"running": {}}))],
            "initContainerStatuses": [
                status("init", json!({"terminated": {"exitCode": 0, "finishedAt": "2026-11-22T10:00:00Z"}})),
                status("sidecar", json!({"running": {}})),
            ],
            "ephemeralContainerStatuses": [status("debug", json!({"running": {}}))],
        },
    })));
    let found = index.images("aio", |_| true, now());
    let mut kinds: Vec<_> = found
        .images
        .values()
        .flat_map(|image| &image.containers)
        .map(|(_, found)| (found.name.as_str(), found.kind))
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            ("debug", ContainerKind::Ephemeral),
            ("init", ContainerKind::Init),
            ("main", ContainerKind::Container),
            ("sidecar", ContainerKind::Sidecar),
        ]
    );
}

#[test]
fn a_finished_debug_container_stops_counting_after_ten_minutes() {
    let mut index = RunningIndex::default();
    index.apply(&slim(json!({
        "metadata": {"namespace": "aio", "name": "pod", "uid": "1"},
        "spec": {"ephemeralContainers": [{"name": "debug", "image": "registry.example/debug"}]},
        "status": {"phase": "Running", "ephemeralContainerStatuses": [{
            "name": "debug", "image": "x", "imageID": format!("registry.example/debug@{DIGEST_A}"),
            "state": {"terminated": {"exitCode": 0, "finishedAt": "2026-11-22T12:00:00Z"}},
        }]},
    })));
    let end: Timestamp = "2026-11-22T12:10:00Z".parse().expect("a time");
    let before = index.images("aio", |_| true, end - Duration::from_millis(1));
    assert_eq!((before.images.len(), before.pods, before.next_change), (1, 1, Some(end)));
    let after = index.images("aio", |_| true, end);
    assert_eq!((after.images.len(), after.pods, after.next_change), (0, 0, None));
}

#[test]
fn a_pod_without_an_image_id_runs_nothing_yet() {
    let mut index = RunningIndex::default();
    assert_eq!(index.apply(&pod("1", "a", "registry.example/app:1", "")), None);
    assert_eq!(index.images("aio", |_| true, now()), NamespaceImages::default());
}

#[test]
fn a_pod_that_ended_runs_nothing_and_a_pod_being_deleted_still_does() {
    let image_id = format!("registry.example/app@{DIGEST_A}");
    let mut index = RunningIndex::default();
    let mut running = pod("1", "a", "registry.example/app:1", &image_id);
    running.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    index.apply(&running);
    assert_eq!(images(&index).len(), 1);
    for phase in ["Succeeded", "Failed"] {
        index.apply(&running);
        let mut ended = running.clone();
        ended.status.phase = Some(phase.into());
        assert_eq!(index.apply(&ended), Some("aio".into()));
        assert!(images(&index).is_empty(), "{phase}");
    }
}

#[test]
fn a_status_that_changes_no_image_is_no_change() {
    let mut index = RunningIndex::default();
    let first = pod("1", "a", "registry.example/app:1", &format!("registry.example/app@{DIGEST_A}"));
    assert!(index.apply(&first).is_some());
    let mut again = first.clone();
    again.metadata.resource_version = Some("2".into());
    assert_eq!(index.apply(&again), None);
}

#[test]
fn a_pod_that_takes_the_place_of_another_replaces_its_images() {
    let mut index = RunningIndex::default();
    index.apply(&pod("1", "a", "registry.example/app:1", &format!("registry.example/app@{DIGEST_A}")));
    // The deletion of uid 1 was never seen.
    index.apply(&pod("2", "a", "registry.example/app:2", &format!("registry.example/app@{DIGEST_B}")));
    assert_eq!(images(&index), [format!("registry.example/app@{DIGEST_B}")]);
    assert_eq!(index.pod_count(), 1);
}

#[test]
fn a_new_list_forgets_what_it_does_not_name() {
    let mut index = RunningIndex::default();
    let kept = pod("1", "a", "registry.example/app:1", &format!("registry.example/app@{DIGEST_A}"));
    index.apply(&kept);
    index.apply(&pod("2", "b", "registry.example/app:2", &format!("registry.example/app@{DIGEST_B}")));
    index.list_begins();
    assert_eq!(index.apply(&kept), None);
    assert_eq!(index.list_ends(), BTreeSet::from(["aio".to_owned()]));
    assert_eq!(images(&index), [format!("registry.example/app@{DIGEST_A}")]);
}

#[test]
fn only_pods_that_the_selector_chooses_count() {
    let mut index = RunningIndex::default();
    index.apply(&pod("1", "a", "registry.example/app:1", &format!("registry.example/app@{DIGEST_A}")));
    index.apply(&pod("2", "b", "registry.example/app:2", &format!("registry.example/app@{DIGEST_B}")));
    let found = index.images("aio", |labels| labels.get("app").is_some_and(|app| app == "b"), now());
    assert_eq!((found.pods, found.images.len()), (1, 1));
    assert_eq!(index.images("elsewhere", |_| true, now()), NamespaceImages::default());
}

/// A small world of pods in which names and uids collide.
#[derive(Clone, Debug)]
enum Step {
    Apply { uid: u8, name: u8, image: u8, phase: u8 },
    Delete { uid: u8 },
    Relist { kept: Vec<u8> },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u8..6, 0_u8..3, 0_u8..4, 0_u8..5).prop_map(|(uid, name, image, phase)| Step::Apply { uid, name, image, phase }),
        2 => (0_u8..6).prop_map(|uid| Step::Delete { uid }),
        1 => proptest::collection::vec(0_u8..6, 0..4).prop_map(|kept| Step::Relist { kept }),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    /// After any events, the index holds just what a fresh index holds that saw only the final pods.
    #[test]
    fn the_index_depends_on_the_final_pods_only(steps in steps()) {
        let mut index = RunningIndex::default();
        let mut world: BTreeMap<u8, SlimPod> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Apply { uid, name, image, phase } => {
                    let mut applied = pod(&uid.to_string(), &name.to_string(), &format!("registry.example/app{image}:1"),
                        &format!("registry.example/app{image}@{DIGEST_A}"));
                    applied.status.phase = Some(if phase == 0 { "Failed".into() } else { "Running".into() });
                    // An API server has one pod of a name at a time, and a pod keeps its name.
                    world.retain(|other, pod| *other != uid && pod.metadata.name != applied.metadata.name);
                    index.apply(&applied);
                    world.insert(uid, applied);
                }
                Step::Delete { uid } => {
                    if let Some(pod) = world.remove(&uid) {
                        index.delete(&pod);
                    }
                }
                Step::Relist { kept } => {
                    world.retain(|uid, _| kept.contains(uid));
                    index.list_begins();
                    for pod in world.values() {
                        index.apply(pod);
                    }
                    index.list_ends();
                }
            }
        }
        // One missed deletion is seen by the next list at the latest.
        index.list_begins();
        for pod in world.values() {
            index.apply(pod);
        }
        index.list_ends();
        let mut fresh = RunningIndex::default();
        for pod in world.values() {
            fresh.apply(pod);
        }
        prop_assert_eq!(index.images("aio", |_| true, now()), fresh.images("aio", |_| true, now()));
        prop_assert_eq!(index.pod_count(), fresh.pod_count());
    }

    #[test]
    fn no_text_in_a_pod_stops_the_index(image in ".{0,300}", image_id in ".{0,300}") {
        let mut index = RunningIndex::default();
        index.apply(&pod("1", "a", &image, &image_id));
        prop_assert_eq!(index.images("aio", |_| true, now()).images.len(), usize::from(index.pod_count() == 1));
    }
}

fn node(name: &str, os: &str, architecture: &str) -> (String, Option<Platform>) {
    let node = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/arch": "wrong"}},
        "status": {"nodeInfo": {"operatingSystem": os, "architecture": architecture, "kubeletVersion": "v1"}},
    });
    let node: node::SlimNode = serde_json::from_value(node).expect("a node as an API server sends it");
    (name.to_owned(), node.platform())
}

fn on(mut pod: SlimPod, node: Option<&str>) -> SlimPod {
    pod.spec.node_name = node.map(str::to_owned);
    pod
}

fn platforms(index: &RunningIndex) -> String {
    let images = index.images("aio", |_| true, now());
    images.images.values().map(|image| image.platforms().to_string()).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_platforms_of_an_image_are_those_of_all_nodes_that_run_it_or_unknown() {
    let mut index = RunningIndex::default();
    let image_id = format!("registry.example/app@{DIGEST_A}");
    index.apply(&on(pod("1", "a", "registry.example/app", &image_id), Some("n1")));
    assert!(platforms(&index).contains("not known"), "{}", platforms(&index));
    let (name, platform) = node("n1", "linux", "amd64");
    assert_eq!(index.apply_node(&name, platform.clone()), ["aio".to_owned()].into());
    assert_eq!(index.apply_node(&name, platform), BTreeSet::new(), "a heartbeat is no news");
    assert_eq!(platforms(&index), "linux/amd64");
    index.apply(&on(pod("2", "b", "registry.example/app", &image_id), Some("n2")));
    assert!(platforms(&index).contains("not known"), "one node is not known");
    let (name, platform) = node("n2", "linux", "arm64");
    index.apply_node(&name, platform);
    assert_eq!(platforms(&index), "linux/amd64, linux/arm64");
    index.apply(&on(pod("3", "c", "registry.example/app", &image_id), None));
    assert!(platforms(&index).contains("not known"), "a pod without a node");
}

#[test]
fn a_node_that_is_gone_or_tells_no_platform_is_not_known() {
    let mut index = RunningIndex::default();
    index.apply(&on(pod("1", "a", "registry.example/app", &format!("x/app@{DIGEST_A}")), Some("n1")));
    for gone in [node("n1", "", ""), node("n1", "li nux", "amd64"), ("n1".to_owned(), None)] {
        let (name, platform) = node("n1", "windows", "amd64");
        index.apply_node(&name, platform);
        assert_eq!(platforms(&index), "windows/amd64");
        index.apply_node(&gone.0, gone.1);
        assert!(platforms(&index).contains("not known"));
    }
    let (name, platform) = node("n1", "linux", "amd64");
    index.apply_node(&name, platform);
    index.node_list_begins();
    let (other, platform) = node("n2", "linux", "amd64");
    assert_eq!(index.apply_node(&other, platform), BTreeSet::new(), "no pod runs there");
    assert_eq!(index.node_list_ends(), ["aio".to_owned()].into());
    assert!(platforms(&index).contains("not known"));
}

/// A pod with one container and these volumes; `reported` is the status of its mounts.
fn with_volumes(volumes: &Value, reported: &Value) -> SlimPod {
    slim(json!({
        "metadata": {"namespace": "aio", "name": "pod", "uid": "1"},
        "spec": {"nodeName": "edge", "containers": [{"name": "main", "image": "registry.example/app"}], "volumes": volumes},
        "status": {"phase": "Running", "containerStatuses": [{
            "name": "main", "image": "x", "imageID": format!("registry.example/app@{DIGEST_A}"),
            "state": {"running": {}}, "volumeMounts": reported,
        }]},
    }))
}

fn volumes(pod: &SlimPod) -> Vec<String> {
    let mut index = RunningIndex::default();
    index.apply(pod);
    let found = index.images("aio", |_| true, now());
    assert_eq!((found.pods, found.containers), (1, 1), "a volume is no container");
    let containers = found.images.values().flat_map(|image| &image.containers).map(|(_, container)| container);
    let volumes = containers.filter(|container| container.kind == ContainerKind::Volume);
    volumes.map(|volume| format!("{} {}", volume.name, volume.image)).collect()
}

/// KEP-5365 names the field.
#[test]
fn an_image_volume_is_what_the_kubelet_reports() {
    let written = json!([
        {"name": "data", "image": {"reference": "registry.example/data:1", "pullPolicy": "Always"}},
        {"name": "other", "emptyDir": {}},
    ]);
    let reported = json!([
        {"name": "other", "mountPath": "/o"},
        {"name": "data", "mountPath": "/d", "readOnly": true,
         "volumeStatus": {"image": {"imageRef": format!("docker.io/library/data@{DIGEST_B}")}}},
        {"name": "data", "mountPath": "/e",
         "volumeStatus": {"image": {"imageRef": format!("registry.example/data@{DIGEST_B}")}}},
    ]);
    assert_eq!(volumes(&with_volumes(&written, &reported)), [format!("data registry.example/data@{DIGEST_B}")]);
    let config = json!([{"name": "data", "mountPath": "/d", "volumeStatus": {"image": {"imageRef": DIGEST_B}}}]);
    let mut index = RunningIndex::default();
    index.apply(&with_volumes(&written, &config));
    let found = index.images("aio", |_| true, now());
    assert!(found.images.keys().any(|image| matches!(image.digest, RunningDigest::Config(_))), "{found:?}");
}

#[test]
fn an_image_volume_of_which_no_digest_is_reported_is_what_its_reference_names() {
    let written = |reference: &str| json!([{"name": "data", "image": {"reference": reference}}]);
    let unreported = json!([{"name": "data", "mountPath": "/d"}]);
    for (reference, expected) in [
        (format!("registry.example/data@{DIGEST_B}"), format!("data registry.example/data@{DIGEST_B}")),
        ("registry.example/data:1".to_owned(), "data registry.example/data@1".to_owned()),
        ("data".to_owned(), "data docker.io/library/data@latest".to_owned()),
        ("::no reference::".to_owned(), "data ::no reference::@::no reference::".to_owned()),
    ] {
        assert_eq!(volumes(&with_volumes(&written(&reference), &unreported)), [expected], "{reference}");
    }
    assert_eq!(volumes(&with_volumes(&written(""), &unreported)), [""; 0]);
}

#[test]
fn an_image_volume_counts_once_a_container_of_its_pod_runs() {
    let written = json!([{"name": "data", "image": {"reference": "registry.example/data:1"}}]);
    let mut pod = with_volumes(&written, &json!([]));
    pod.status.container_statuses[0].image_id = String::new();
    assert_eq!(RunningIndex::default().apply(&pod), None);
}

/// Case 16: the API server shows them as mirror pods.
#[test]
fn a_static_pod_is_found_as_any_other() {
    let mut mirror = pod("1", "etcd-edge", "registry.example/etcd:3", &format!("registry.example/etcd@{DIGEST_A}"));
    mirror.metadata.annotations = Some([("kubernetes.io/config.mirror".to_owned(), "hash".to_owned())].into());
    let mut index = RunningIndex::default();
    index.apply(&mirror);
    assert_eq!(images(&index), [format!("registry.example/etcd@{DIGEST_A}")]);
}
