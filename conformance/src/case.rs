// SPDX-License-Identifier: Apache-2.0
//! One question to both verifiers, and what each says.

use base64ct::{Base64, Encoding};
use sealwatch_notation::{MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, TargetArtifact};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The repository that cases are about.
pub const REPOSITORY: &str = "registry.example/app";

/// Everything that decides an outcome. In JSON it is what the oracle reads, and what is kept of a disagreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// The number that the oracle's answer carries.
    #[serde(default)]
    pub id: u64,
    /// What is special about it, for people.
    #[serde(default)]
    pub name: String,
    /// The time of the judgement, RFC 3339; not before the year 2000, where the oracle's clock begins.
    pub now: String,
    /// Media type of the envelope.
    pub media_type: String,
    /// The envelope.
    pub envelope: Bytes,
    /// The trust policy document.
    pub policy: Bytes,
    /// All trust stores there are.
    pub stores: Vec<Store>,
    /// The image's repository, which selects the statement.
    pub repository: String,
    /// The image.
    pub subject: Subject,
    /// What OCSP responders answer, by their URL; all others answer 404.
    pub ocsp: Vec<Answer>,
    /// What is at the URLs of revocation lists; everywhere else is nothing.
    pub crl: Vec<Answer>,
}

/// A trust store: files of certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// `ca`, `signingAuthority` or `tsa`.
    pub r#type: String,
    /// Its name.
    pub name: String,
    /// The contents of its files.
    pub files: Vec<Bytes>,
}

/// The descriptor of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Media type.
    pub media_type: String,
    /// Digest.
    pub digest: String,
    /// Size in bytes.
    pub size: u64,
}

/// What is at a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Where.
    pub url: String,
    /// The body of the response.
    pub body: Bytes,
}

/// Bytes, in base64 when written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Base64::decode_vec(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Case {
    /// A case about the artifact of the fixtures, with nothing in it yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            id: 0,
            name: name.into(),
            now: sealwatch_fixtures::NOW.to_owned(),
            media_type: String::new(),
            envelope: Bytes::default(),
            policy: Bytes::default(),
            stores: Vec::new(),
            repository: REPOSITORY.to_owned(),
            subject: Subject {
                media_type: sealwatch_fixtures::TARGET_MEDIA_TYPE.to_owned(),
                digest: sealwatch_fixtures::target_digest(),
                size: sealwatch_fixtures::TARGET_SIZE,
            },
            ocsp: Vec::new(),
            crl: Vec::new(),
        }
    }

    /// With this JWS.
    #[must_use]
    pub fn jws(mut self, envelope: Vec<u8>) -> Self {
        MEDIA_TYPE_JWS.clone_into(&mut self.media_type);
        self.envelope = envelope.into();
        self
    }

    /// With this COSE envelope.
    #[must_use]
    pub fn cose(mut self, envelope: Vec<u8>) -> Self {
        MEDIA_TYPE_COSE.clone_into(&mut self.media_type);
        self.envelope = envelope.into();
        self
    }

    /// With this policy document.
    #[must_use]
    pub fn policy(mut self, document: impl Into<Vec<u8>>) -> Self {
        self.policy = Bytes(document.into());
        self
    }

    /// With one more store, `type:name`, of these files.
    ///
    /// # Panics
    /// If there is no colon.
    #[must_use]
    pub fn store(mut self, reference: &str, files: &[&[u8]]) -> Self {
        let (r#type, name) = reference.split_once(':').expect("type:name");
        let files = files.iter().map(|file| Bytes::from(*file)).collect();
        self.stores.push(Store { r#type: r#type.to_owned(), name: name.to_owned(), files });
        self
    }

    /// With an answer of an OCSP responder.
    #[must_use]
    pub fn ocsp(mut self, url: &str, body: Vec<u8>) -> Self {
        self.ocsp.push(Answer { url: url.to_owned(), body: body.into() });
        self
    }

    /// With a revocation list.
    #[must_use]
    pub fn crl(mut self, url: &str, body: Vec<u8>) -> Self {
        self.crl.push(Answer { url: url.to_owned(), body: body.into() });
        self
    }

    /// At another time.
    #[must_use]
    pub fn at(mut self, now: &str) -> Self {
        now.clone_into(&mut self.now);
        self
    }

    pub(crate) fn target(&self) -> TargetArtifact {
        let Subject { media_type, digest, size } = self.subject.clone();
        TargetArtifact { media_type, digest, size }
    }
}

/// What a verifier says about a case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Opinion {
    /// The number of the case.
    pub id: u64,
    /// Where it ended.
    pub end: End,
    /// Why, if it did not end well.
    #[serde(default)]
    pub error: String,
    /// Whether the verifier panicked.
    #[serde(default)]
    pub panic: bool,
    /// The checks that were evaluated.
    #[serde(default)]
    pub checks: Vec<CheckOpinion>,
}

/// Where a verification ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The policy document is refused.
    Policy,
    /// No statement of it is about the image.
    Statement,
    /// The level is `skip`: accepted unseen.
    Skipped,
    /// Refused, or undecided.
    Failed,
    /// Accepted.
    Verified,
}

/// One check, by the names of trust policies.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckOpinion {
    /// Which.
    pub r#type: String,
    /// `enforce` or `log`.
    pub action: String,
    /// Why it did not pass; empty if it did.
    #[serde(default)]
    pub error: String,
}
