// SPDX-License-Identifier: Apache-2.0

use oci_client::manifest::{IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use proptest::prelude::*;

use super::*;

const CONFIG: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn digest(letter: char) -> String {
    format!("sha256:{}", String::from(letter).repeat(64))
}

/// A descriptor of a manifest, with more members.
fn child(letter: char, more: &str) -> String {
    format!(r#"{{"mediaType":"{OCI_IMAGE_MEDIA_TYPE}","digest":"{}","size":7{more}}}"#, digest(letter))
}

fn platform(os: &str, architecture: &str) -> String {
    format!(r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#)
}

fn index(children: &[String]) -> String {
    let children = children.join(",");
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_IMAGE_INDEX_MEDIA_TYPE}","manifests":[{children}]}}"#)
}

fn parse(text: &str) -> Result<ImageDocument, ImageDocumentError> {
    ImageDocument::parse(text.as_bytes(), "")
}

fn children(text: &str) -> Vec<Child> {
    match parse(text) {
        Ok(ImageDocument::Index(children)) => children,
        other => panic!("{other:?}"),
    }
}

fn linux() -> [Platform; 1] {
    [Platform::new("linux", "amd64").unwrap()]
}

/// The letters of the digests that a node may have taken.
fn runnable(text: &str, nodes: Option<&[Platform]>) -> String {
    let children = children(text);
    let runnable = children.iter().filter(|child| child.may_run_on(nodes));
    runnable.filter_map(|child| child.descriptor.digest.hex().chars().next()).collect()
}

/// DS-14. Go matches names in any case and lets the last one win: to containerd the descriptor is of amd64 in all of these.
#[test]
fn what_go_would_read_otherwise_is_refused() {
    let amd64 = r#"{"os":"linux","architecture":"amd64"}"#;
    for more in [
        format!(r#"{},"Platform":{amd64}"#, platform("linux", "arm64")),
        format!(r#"{},"platform":{amd64}"#, platform("linux", "arm64")),
        format!(r#"{},"PLATFORM":{amd64}"#, platform("linux", "arm64")),
        r#","platform":{"os":"linux","architecture":"arm64","Architecture":"amd64"}"#.to_owned(),
        r#","platform":{"os":"linux","architecture":"arm64","architecture":"amd64"}"#.to_owned(),
        r#","platform":{"os":"windows","architecture":"amd64","oſ":"linux"}"#.to_owned(),
        format!(r#","Digest":"{}""#, digest('e')),
        r#","\u0044igest":"x""#.to_owned(),
    ] {
        let text = index(&[child('a', ""), child('b', &more)]);
        assert!(matches!(parse(&text), Err(ImageDocumentError::Malformed { .. })), "{text}");
    }
    let whole = index(&[child('a', "")]);
    for member in ["Manifests", "MANIFESTS", "manifeſts", "manifests"] {
        let text = whole.replacen('{', &format!(r#"{{"{member}":[{}],"#, child('e', "")), 1);
        assert!(matches!(parse(&text), Err(ImageDocumentError::Malformed { .. })), "{text}");
    }
}

/// Served to a node under another type, the same bytes would be an image.
#[test]
fn an_index_that_is_an_image_too_is_refused_in_any_case_of_its_members() {
    let config = child('c', "");
    for member in [r#""layers":[]"#, r#""Layers":[]"#, r#""fsLayers":[]"#, r#""Blobs":[]"#] {
        let text = index(&[child('a', "")]).replacen('{', &format!("{{{member},"), 1);
        assert!(matches!(parse(&text), Err(ImageDocumentError::Malformed { .. })), "{text}");
    }
    for member in ["config", "Config"] {
        let text = index(&[child('a', "")]).replacen('{', &format!(r#"{{"{member}":{config},"#), 1);
        assert!(matches!(parse(&text), Err(ImageDocumentError::Malformed { .. })), "{text}");
    }
}

#[test]
fn an_index_lists_its_children_in_either_shape() {
    let list = [child('a', &platform("linux", "amd64")), child('b', &platform("linux", "arm64"))];
    for media_type in [OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE] {
        let text = index(&list).replace(OCI_IMAGE_INDEX_MEDIA_TYPE, media_type);
        assert_eq!(runnable(&text, Some(&linux())), "a", "{media_type}");
        assert_eq!(runnable(&text, None), "ab", "{media_type}");
    }
    // Without a type of its own, the one under which it came counts.
    let untyped = index(&list).replace(&format!(r#""mediaType":"{OCI_IMAGE_INDEX_MEDIA_TYPE}","#), "");
    assert!(matches!(parse(&untyped), Err(ImageDocumentError::Malformed { .. })));
    assert!(ImageDocument::parse(untyped.as_bytes(), OCI_IMAGE_INDEX_MEDIA_TYPE).is_ok());
    assert!(ImageDocument::parse(untyped.as_bytes(), OCI_IMAGE_MEDIA_TYPE).is_err());
}

#[test]
fn a_child_whose_platform_says_nothing_may_run_anywhere() {
    for more in ["", r#","platform":null"#, r#","platform":{}"#, r#","platform":{"os":7,"architecture":[]}"#] {
        assert_eq!(runnable(&index(&[child('a', more)]), Some(&linux())), "a", "{more}");
    }
    let long = platform("linux", &"x".repeat(1_000));
    assert_eq!(runnable(&index(&[child('a', &long)]), Some(&linux())), "a");
    assert!(parse(&index(&[child('a', r#","platform":"linux/arm64""#)])).is_err());
}

#[test]
fn any_variant_and_any_version_of_the_system_may_run() {
    let variants = [
        child('a', r#","platform":{"os":"linux","architecture":"amd64","variant":"v3"}"#),
        child('b', r#","platform":{"os":"linux","architecture":"amd64","os.features":["sse4"]}"#),
        child('c', r#","platform":{"os":"windows","architecture":"amd64","os.version":"10.0.20348.1"}"#),
        child('d', r#","platform":{"os":"windows","architecture":"amd64","os.version":"10.0.17763.1"}"#),
    ];
    assert_eq!(runnable(&index(&variants), Some(&linux())), "ab");
    assert_eq!(runnable(&index(&variants), Some(&[Platform::new("windows", "amd64").unwrap()])), "cd");
}

#[test]
fn an_attestation_never_runs_and_nothing_becomes_one_by_its_annotation_alone() {
    let mark = r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
    let unknown = platform("unknown", "unknown");
    let list = [
        child('a', &platform("linux", "amd64")),
        child('b', &format!("{unknown}{mark}")),
        child('c', &unknown),
        child('d', &format!("{}{mark}", platform("linux", "amd64"))),
        child('e', mark),
    ];
    assert_eq!(runnable(&index(&list), Some(&linux())), "acde");
    assert_eq!(runnable(&index(&list), None), "acde");
}

#[test]
fn a_nested_index_is_one_descriptor_like_others() {
    let nested = child('a', "").replace(OCI_IMAGE_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE);
    let children = children(&index(&[nested, child('b', "")]));
    assert_eq!(children.iter().map(Child::is_index).collect::<Vec<_>>(), [true, false]);
    assert!(children.iter().all(|child| child.may_run_on(Some(&linux()))));
}

#[test]
fn a_broken_descriptor_and_one_too_many_refuse_the_index() {
    let broken = child('a', "").replace("sha256", "md5");
    assert!(matches!(parse(&index(&[child('b', ""), broken])), Err(ImageDocumentError::Descriptor(_))));
    let many = vec![child('a', ""); MAX_INDEX_CHILDREN + 1];
    assert_eq!(parse(&index(&many)), Err(ImageDocumentError::TooMany { limit: MAX_INDEX_CHILDREN }));
    assert_eq!(children(&index(&many[1..])).len(), MAX_INDEX_CHILDREN);
    for text in ["", "[]", "{}", "null", &index(&[]).replace("[]", "{}"), &index(&[]).replace("[]", "[7]")] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_manifest_tells_its_configuration_in_either_shape() {
    for media_type in [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE] {
        let config = format!(r#"{{"mediaType":"application/x","digest":"{CONFIG}","size":2}}"#);
        let text = format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[]}}"#);
        assert_eq!(parse(&text), Ok(ImageDocument::Manifest { config: CONFIG.parse().unwrap() }));
        let twice = text.replace(r#""layers""#, &format!(r#""Config":{},"layers""#, child('e', "")));
        assert!(matches!(parse(&twice), Err(ImageDocumentError::Malformed { .. })), "{twice}");
        assert!(parse(&text.replace("config", "conf")).is_err());
    }
}

/// What Go's reader takes for the platform: any case of the name, and the last of several.
fn as_go_reads(members: &[(&str, &str)]) -> Option<String> {
    let last = members.iter().rfind(|(name, _)| name.eq_ignore_ascii_case("platform"));
    last.map(|(_, architecture)| (*architecture).to_owned())
}

proptest! {
    #[test]
    fn what_is_accepted_is_read_as_go_reads_it(
        members in prop::collection::vec(
            (
                prop::sample::select(vec!["platform", "Platform", "PLATFORM", "platforms", "other"]),
                prop::sample::select(vec!["amd64", "arm64", "s390x"]),
            ),
            0..4,
        )
    ) {
        let member = |(name, architecture): &(&str, &str)| {
            format!(r#","{name}":{{"os":"linux","architecture":"{architecture}"}}"#)
        };
        let more = members.iter().map(member).collect::<Vec<_>>().concat();
        if let Ok(ImageDocument::Index(children)) = parse(&index(&[child('a', &more)])) {
            let read = children[0].platform.architecture.as_deref().map(str::to_owned);
            prop_assert_eq!(read, as_go_reads(&members), "{}", more);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ImageDocument::parse(&bytes, OCI_IMAGE_INDEX_MEDIA_TYPE);
    }

    #[test]
    fn no_json_makes_the_reader_panic(
        text in r#"\{("(manifests|Manifests|config|platform|digest|layers|x)":(\[\{?|\{|"a/b"|\}?\]|1e9|null|-1),?){0,8}\}"#
    ) {
        let _ = ImageDocument::parse(text.as_bytes(), OCI_IMAGE_INDEX_MEDIA_TYPE);
        let _ = ImageDocument::parse(text.as_bytes(), OCI_IMAGE_MEDIA_TYPE);
    }
}
