// SPDX-License-Identifier: Apache-2.0
//! The payload of an envelope: which artifact is signed (signature-specification.md, "Payload").

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};

use crate::envelope::EnvelopeError;
use crate::json::{Json, Object, check_case, parse_object};

/// Media type of the payload, and the only one: version 1.
pub(crate) const PAYLOAD_MEDIA_TYPE: &str = "application/vnd.cncf.notary.payload.v1+json";
/// Most bytes of a payload. A limit of ours: real ones have some hundred.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

const DESCRIPTOR_MEMBERS: [&str; 8] =
    ["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];
const PLATFORM_MEMBERS: [&str; 5] = ["architecture", "os", "os.version", "os.features", "variant"];

/// The artifact that a signature is about: the descriptor of its manifest. Two are the same artifact if all three
/// members are equal; annotations and other members of a descriptor play no part (OCI content descriptors).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetArtifact {
    /// Media type of the manifest.
    pub media_type: String,
    /// Digest of the manifest, `algorithm:hex`.
    pub digest: String,
    /// Size of the manifest in bytes.
    pub size: u64,
}

impl TargetArtifact {
    /// JW-17. Reads `targetArtifact` out of a payload. Other members of the payload are ignored.
    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self, EnvelopeError> {
        let malformed = |problem: String| EnvelopeError::malformed("payload", &problem);
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(EnvelopeError::PartTooLarge { part: "payload", max: MAX_PAYLOAD_BYTES });
        }
        let mut payload = parse_object(payload).map_err(malformed)?;
        check_case(payload.keys().map(String::as_str), &["targetArtifact"]).map_err(malformed)?;
        match payload.remove("targetArtifact") {
            Some(Json::Object(descriptor)) => Self::from_descriptor(&descriptor),
            Some(_) => Err(malformed("targetArtifact is not an object".to_owned())),
            None => Err(malformed("has no targetArtifact".to_owned())),
        }
    }

    fn from_descriptor(descriptor: &Object) -> Result<Self, EnvelopeError> {
        let malformed = |problem: String| EnvelopeError::malformed("payload", &problem);
        check_case(descriptor.keys().map(String::as_str), &DESCRIPTOR_MEMBERS)
            .map_err(|problem| malformed(format!("targetArtifact {problem}")))?;
        let string = |member: &str| match descriptor.get(member).and_then(Json::as_str) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(malformed(format!("targetArtifact.{member} is not a non-empty string"))),
        };
        let Some(Json::Natural(size)) = descriptor.get("size") else {
            return Err(malformed("targetArtifact.size is not a natural number".to_owned()));
        };
        if let Some(member) = ["urls", "annotations", "data", "platform", "artifactType"]
            .into_iter()
            .find(|member| descriptor.get(*member).is_some_and(|value| !fits_descriptor(member, value)))
        {
            return Err(malformed(format!("targetArtifact.{member} has the wrong type")));
        }
        Ok(Self { media_type: string("mediaType")?, digest: string("digest")?, size: *size })
    }
}

/// The annotations of the signed artifact: what a signer attached. None of a payload that cannot be read.
pub(crate) fn annotations(payload: &[u8]) -> BTreeMap<String, String> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return BTreeMap::new();
    }
    let target = parse_object(payload).ok().and_then(|mut payload| payload.remove("targetArtifact"));
    let Some(Json::Object(mut descriptor)) = target else { return BTreeMap::new() };
    let Some(Json::Object(annotations)) = descriptor.remove("annotations") else { return BTreeMap::new() };
    let text = |(name, value): (String, Json)| value.as_str().map(|value| (name, value.to_owned()));
    annotations.into_iter().filter_map(text).collect()
}

/// Whether an optional member of a descriptor has its type in the OCI image specification. Their contents say nothing
/// about which artifact is meant, but notation-go refuses a payload in which the types are wrong.
fn fits_descriptor(member: &str, value: &Json) -> bool {
    let is_string = |value: &Json| value.is_null() || value.as_str().is_some();
    let are_strings = |value: &Json| match value {
        Json::Null => true,
        Json::Array(elements) => elements.iter().all(is_string),
        _ => false,
    };
    match (member, value) {
        (_, Json::Null) => true,
        ("urls", value) => are_strings(value),
        ("annotations", Json::Object(members)) => members.values().all(is_string),
        ("data", Json::String(data)) => Base64::decode_vec(data).is_ok(),
        ("platform", Json::Object(members)) => {
            let is_typed = |(name, value): (&String, &Json)| match name.as_str() {
                "architecture" | "os" | "os.version" | "variant" => is_string(value),
                "os.features" => are_strings(value),
                _ => true,
            };
            check_case(members.keys().map(String::as_str), &PLATFORM_MEMBERS).is_ok() && members.iter().all(is_typed)
        }
        ("artifactType", value) => is_string(value),
        _ => false,
    }
}
