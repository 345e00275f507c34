// SPDX-License-Identifier: Apache-2.0

//! A scripted registry with images, indexes, tags and signatures; it writes down what it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::pki::{Signer, Template};
use sealwatch_fixtures::revocation::List;
use sealwatch_fixtures::{NOW, TARGET_MEDIA_TYPE};
use sealwatch_notation::{RevocationList, TrustPolicyDocument, TrustStore, TrustStores, parse_certificates};
use sealwatch_registry::digest::Algorithm;
use sealwatch_registry::error::{At, Operation};
use sealwatch_registry::{
    Credentials, Descriptor, Digest, Error, PlainFetcher, Platform, Reference, Registry, RegistryOptions, Repository,
    Target,
};
use sealwatch_verifier::{
    BroughtLists, DigestMatching, Findings, FollowedMatter, GatherError, Judgement, Platforms, Question, Revocation,
    Runs, Verifier,
};
use serde_json::{Value, json};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const SIGNATURE: &str = "application/vnd.cncf.notary.signature";

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Somebody whom the policy trusts.
    Trusted,
    /// The same authority's, whose certificate was revoked.
    Revoked,
    /// Nobody: the envelope is none.
    Junk,
}

#[derive(Default)]
struct Stock {
    documents: BTreeMap<(String, String), (String, Bytes)>,
    tags: BTreeMap<(String, String), Digest>,
    signatures: BTreeMap<String, Vec<Bytes>>,
    blobs: Vec<Bytes>,
    asked: Vec<String>,
    down: bool,
    /// What happens right after a tag was resolved.
    meanwhile: Option<(String, Digest)>,
}

/// The registry.
#[derive(Clone, Default)]
pub(crate) struct Shop(Arc<Mutex<Stock>>);

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::of_bytes(Algorithm::Sha256, bytes)
}

fn described(media_type: &str, bytes: &[u8]) -> Descriptor {
    let (media_type, size) = (media_type.to_owned(), u64::try_from(bytes.len()).unwrap());
    Descriptor { media_type, digest: digest(bytes), size, artifact_type: None, annotations: BTreeMap::new() }
}

pub(crate) fn platform(os: &str, architecture: &str) -> Value {
    json!({"os": os, "architecture": architecture})
}

impl Shop {
    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.0.lock().unwrap()
    }

    /// What it was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.stock().asked)
    }

    pub(crate) fn goes_down(&self) {
        self.stock().down = true;
    }

    /// Takes in a document as it is.
    pub(crate) fn put(&self, repository: &str, media_type: &str, document: &str) -> Descriptor {
        let descriptor = described(media_type, document.as_bytes());
        let key = (repository.to_owned(), descriptor.digest.to_string());
        self.stock().documents.insert(key, (media_type.to_owned(), Bytes::from(document.to_owned())));
        descriptor
    }

    pub(crate) fn forget(&self, repository: &str, digest: &Digest) {
        self.stock().documents.remove(&(repository.to_owned(), digest.to_string()));
    }

    /// An image whose configuration is this text.
    pub(crate) fn image(&self, repository: &str, config: &str) -> Descriptor {
        self.rebuilt(repository, config, "")
    }

    /// An image with that configuration and yet another digest.
    pub(crate) fn rebuilt(&self, repository: &str, config: &str, note: &str) -> Descriptor {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": TARGET_MEDIA_TYPE, "layers": [], "annotations": {"note": note},
            "config": {"mediaType": "application/x", "digest": digest(config.as_bytes()), "size": config.len()},
        });
        self.put(repository, TARGET_MEDIA_TYPE, &manifest.to_string())
    }

    pub(crate) fn index(&self, repository: &str, media_type: &str, children: &[(&Descriptor, Value)]) -> Descriptor {
        let child = |(child, platform): &(&Descriptor, Value)| {
            json!({
                "mediaType": child.media_type, "digest": child.digest, "size": child.size, "platform": platform,
            })
        };
        let children: Vec<Value> = children.iter().map(child).collect();
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": children});
        self.put(repository, media_type, &index.to_string())
    }

    pub(crate) fn tag(&self, repository: &str, tag: &str, named: &Descriptor) {
        self.stock().tags.insert((repository.to_owned(), tag.to_owned()), named.digest.clone());
    }

    /// Somebody moves the tag as soon as it was resolved.
    pub(crate) fn moves_after_look_up(&self, tag: &str, to: &Descriptor) {
        self.stock().meanwhile = Some((tag.to_owned(), to.digest.clone()));
    }

    pub(crate) fn sign(&self, subject: &Descriptor, by: By) {
        let serial = if by == By::Revoked { vec![1] } else { vec![2] };
        let signer = Signer::with_leaf(&Template { serial, ..Template::leaf() });
        let target = json!({"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size});
        let jws = Jws { payload: json!({"targetArtifact": target}).to_string().into_bytes(), ..Jws::new(&signer) };
        let envelope = if by == By::Junk { b"no envelope".to_vec() } else { jws.sign() };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": TARGET_MEDIA_TYPE, "artifactType": SIGNATURE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2},
            "layers": [{"mediaType": "application/jose+json", "digest": digest(&envelope), "size": envelope.len()}],
            "subject": target,
        });
        let mut stock = self.stock();
        stock.blobs.push(envelope.into());
        stock.signatures.entry(subject.digest.to_string()).or_default().push(manifest.to_string().into());
    }

    pub(crate) fn unsign(&self, subject: &Descriptor) {
        self.stock().signatures.remove(&subject.digest.to_string());
    }

    fn note(&self, what: &str, named: &str) -> Result<MutexGuard<'_, Stock>, Error> {
        let mut stock = self.stock();
        let short: String = named.chars().take(12).collect();
        stock.asked.push(format!("{what} {short}"));
        if stock.down {
            return Err(Error::Unavailable { at: at(), detail: "down".to_owned(), retry_after: None });
        }
        Ok(stock)
    }
}

fn at() -> At {
    At { registry: "registry.test".to_owned(), operation: Operation::Manifest }
}

fn found<T>(thing: Option<T>, what: &str) -> Result<T, Error> {
    thing.ok_or_else(|| Error::NotFound { at: at(), what: what.to_owned() })
}

impl Registry for Shop {
    async fn resolve(&self, repository: &Repository, target: &Target, _: &Credentials) -> Result<Descriptor, Error> {
        let repository = repository.to_string();
        let (what, named) = match target {
            Target::Tag(tag) => ("tag", tag.clone()),
            Target::Digest(digest) => ("head", digest.to_string()),
        };
        let mut stock = self.note(what, &named)?;
        let digest = match target {
            Target::Tag(tag) => found(stock.tags.get(&(repository.clone(), tag.clone())).cloned(), tag)?,
            Target::Digest(digest) => digest.clone(),
        };
        let document = stock.documents.get(&(repository.clone(), digest.to_string())).cloned();
        if let Target::Tag(_) = target
            && let Some((tag, digest)) = stock.meanwhile.take()
        {
            stock.tags.insert((repository, tag), digest);
        }
        found(document, &named).map(|(media_type, bytes)| described(&media_type, &bytes))
    }

    async fn referrers(
        &self,
        _: &Repository,
        subject: &Digest,
        _: &str,
        _: &Credentials,
    ) -> Result<Vec<Descriptor>, Error> {
        let stock = self.note("referrers", &subject.to_string())?;
        let signatures = stock.signatures.get(&subject.to_string()).cloned().unwrap_or_default();
        Ok(signatures.iter().map(|bytes| described(TARGET_MEDIA_TYPE, bytes)).collect())
    }

    async fn manifest(&self, repository: &Repository, wanted: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        let stock = self.note("manifest", &wanted.digest.to_string())?;
        let signature = stock.signatures.values().flatten().find(|bytes| wanted.digest.matches(bytes)).cloned();
        let document = stock.documents.get(&(repository.to_string(), wanted.digest.to_string()));
        found(signature.or_else(|| document.map(|(_, bytes)| bytes.clone())), "manifest")
    }

    async fn blob(&self, _: &Repository, wanted: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        let stock = self.note("blob", &wanted.digest.to_string())?;
        found(stock.blobs.iter().find(|bytes| wanted.digest.matches(bytes)).cloned(), "blob")
    }
}

/// A shop, what looks at it, and the policy: one authority, whose first leaf is revoked.
pub(crate) struct Scene {
    pub(crate) shop: Shop,
    pub(crate) verifier: Verifier<Shop>,
    revocation: Revocation,
    document: TrustPolicyDocument,
    stores: TrustStores,
    brought: BroughtLists,
}

pub(crate) const APP: &str = "registry.test/app";

/// Linux on amd64.
pub(crate) fn amd64() -> Platforms {
    Platforms::Known(Platform::new("linux", "amd64").into_iter().collect())
}

/// A question about a digest that runs under the tag `1` of [`APP`] on linux/amd64.
pub(crate) fn following(runs: &Descriptor) -> Question {
    Question {
        repository: APP.parse().unwrap(),
        runs: Runs::Digest(runs.digest.clone()),
        references: vec![reference(":1")],
        matching: DigestMatching::FollowIndex,
        platforms: amd64(),
    }
}

pub(crate) fn reference(end: &str) -> Reference {
    format!("{APP}{end}").parse().unwrap()
}

impl Scene {
    pub(crate) fn new() -> Self {
        let shop = Shop::default();
        let json = br#"{"version":"1.0","trustPolicies":[{"name":"test","registryScopes":["*"],
            "signatureVerification":{"level":"strict"},"trustStores":["ca:test"],"trustedIdentities":["*"]}]}"#;
        let mut stores = TrustStores::new();
        let roots = parse_certificates(&Template::root().issue()).unwrap();
        stores.insert(TrustStore::new("ca:test".parse().unwrap(), roots).unwrap());
        let list = RevocationList::from_der(List::revoking(&[]).issue()).unwrap();
        Self {
            verifier: Verifier::new(shop.clone()),
            shop,
            revocation: Revocation::new(PlainFetcher::new(&RegistryOptions::default()).unwrap()),
            document: TrustPolicyDocument::from_json(json).unwrap(),
            stores,
            brought: BroughtLists { lists: vec![list], unread: Vec::new() },
        }
    }

    pub(crate) async fn find(&self, question: &Question) -> Result<Findings, GatherError> {
        let now = NOW.parse().unwrap();
        self.verifier.investigate(question, &Credentials::default(), Duration::ZERO, now).await
    }

    pub(crate) fn judge(&self, question: &Question, findings: &Findings) -> Judgement {
        let Self { document, stores, brought, .. } = self;
        let (repository, matching) = (&question.repository, question.matching);
        let matter = FollowedMatter { repository, findings, matching, document, stores, brought };
        let now = NOW.parse().unwrap();
        matter.judge(&matter.recall(&self.revocation, Duration::MAX, now), now)
    }

    pub(crate) async fn look(&self, question: &Question) -> Judgement {
        let findings = self.find(question).await.unwrap();
        self.judge(question, &findings)
    }

    /// Verdict, reason, and how the digest that decided relates to what runs.
    pub(crate) async fn verdict(&self, question: &Question) -> String {
        let judgement = self.look(question).await;
        let verification = &judgement.verification;
        format!("{} {} {}", verification.verdict, verification.reason, judgement.via.as_str())
    }
}
