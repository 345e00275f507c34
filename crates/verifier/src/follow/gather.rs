// SPDX-License-Identifier: Apache-2.0
//! Asking for what counts beside the reported digest. Each part is asked for by the rules of [`Verifier::gather`].

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sealwatch_registry::{
    Child, Credentials, Descriptor, Digest, Error as RegistryError, ImageDocument, ImageDocumentError, Reference,
    Registry, Target, is_index_type,
};

use sealwatch_registry::limits::MAX_FOLLOWED_BYTES;

use super::{DigestMatching, Findings, Followed, Path, Question, Runs, Via};
use crate::{
    bounded::Bounded,
    evidence::{Evidence, Subject},
    gather::{GatherError, Verifier},
    reason::Reason,
};

/// Manifests and indexes that are remembered as they were read; one of the largest takes 32 KiB.
const DOCUMENTS: usize = 512;
/// Manifests with one configuration that are looked at. Ours; that there are two is rare.
const SAME_CONFIG: usize = 4;

/// A document as it was read, by its digest and the type under which it came: none of them changes.
pub(crate) type Documents = Bounded<(Digest, String), Arc<Result<ImageDocument, ImageDocumentError>>>;

impl Default for Documents {
    fn default() -> Self {
        Self::new(DOCUMENTS)
    }
}

/// How to ask.
#[derive(Clone, Copy)]
struct Asking<'a> {
    question: &'a Question,
    credentials: &'a Credentials,
    max_age: Duration,
    now: Timestamp,
}

impl<R: Registry> Verifier<R> {
    /// Everything about one image that counts under its policy. Tags are resolved each time; manifests and indexes are
    /// asked for once, and each digest's signatures by the rules of [`Verifier::gather`].
    ///
    /// A steady pass makes one request for a digest with signatures. Where it has none, `FollowIndex` adds one for each
    /// manifest that may run, up to the first without signatures; or, the other way, one for the tag and one for the
    /// index. A configuration costs one for the tag and one for the manifest.
    ///
    /// # Errors
    /// When the registry does not have what runs or what counts for it, or could not be asked. No manifest with the
    /// reported configuration is [`Reason::DigestUnresolvable`].
    pub async fn investigate(
        &self,
        question: &Question,
        credentials: &Credentials,
        max_age: Duration,
        now: Timestamp,
    ) -> Result<Findings, GatherError> {
        let asking = Asking { question, credentials, max_age, now };
        match &question.runs {
            Runs::Digest(digest) => self.of_digest(asking, digest).await,
            Runs::Config(config) => self.of_config(asking, config).await,
        }
    }

    async fn of_digest(&self, asking: Asking<'_>, digest: &Digest) -> Result<Findings, GatherError> {
        let own = self.evidence(asking, digest).await?;
        let follows = asking.question.matching == DigestMatching::FollowIndex;
        let followed = match follows && own.candidates.is_empty() {
            false => None,
            true if is_index_type(&own.image.media_type) => Some(self.children(asking, &own.image).await?),
            true => Some(self.indexes(asking, digest).await?),
        };
        Ok(Findings { followed, ..Findings::exact(own) })
    }

    /// From an index to what the nodes may have taken.
    async fn children(&self, asking: Asking<'_>, index: &Descriptor) -> Result<Followed, GatherError> {
        let document = self.document(asking, index).await?;
        let children = match &*document {
            Ok(ImageDocument::Index(children)) => children,
            Ok(ImageDocument::Manifest { .. }) => return Ok(nowhere("the registry calls it an index, and it is none")),
            Err(error) => return Ok(nowhere(format!("its index cannot be followed: {error}"))),
        };
        let platforms = &asking.question.platforms;
        let nodes = platforms.list();
        let runnable: Vec<&Child> = children.iter().filter(|child| child.may_run_on(nodes.as_deref())).collect();
        if runnable.is_empty() {
            return Ok(nowhere(format!("its index lists nothing for {platforms}")));
        }
        let (mut evidence, mut claimed, mut missing) = (Vec::new(), Vec::new(), None);
        for child in &runnable {
            match self.evidence(asking, &child.descriptor.digest).await {
                Ok(found) => {
                    let is_unsigned = found.candidates.is_empty();
                    if is_unsigned {
                        // Enough to fail, whatever the others have.
                        evidence.clear();
                        claimed.clear();
                        missing = None;
                    }
                    evidence.push(found);
                    claimed.push(child.platform.to_string());
                    if is_unsigned {
                        break;
                    }
                }
                // Mirrors often hold some manifests of an index only. One without signatures would still be telling.
                Err(error) if error.reason == Reason::ImageNotFound => {
                    let named = format!("the index lists {} for {}", child.descriptor.digest, child.platform);
                    missing.get_or_insert(GatherError { message: format!("{named}: {}", error.message), ..error });
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = missing {
            return Err(error);
        }
        let path = Path::Children { platforms: platforms.clone(), claimed, count: runnable.len() };
        Ok(Followed { path, evidence })
    }

    /// From a manifest to the indexes that the pods name and that list it.
    async fn indexes(&self, asking: Asking<'_>, digest: &Digest) -> Result<Followed, GatherError> {
        let (mut evidence, mut misses): (Vec<Arc<Evidence>>, Vec<String>) = (Vec::new(), Vec::new());
        for reference in asking.question.references() {
            let Some(named) = self.named(asking, reference).await? else {
                misses.push(format!("{reference} is not in the registry"));
                continue;
            };
            let is_known = evidence.iter().any(|known| known.image.digest == named.digest);
            if is_known {
                continue;
            }
            if named.digest == *digest || !is_index_type(&named.media_type) {
                misses.push(format!("{reference} names no index"));
                continue;
            }
            let lists = match &*self.document(asking, &named).await? {
                Ok(ImageDocument::Index(children)) => children.iter().any(|child| child.descriptor.digest == *digest),
                _ => false,
            };
            if lists {
                evidence.push(self.evidence(asking, &named.digest).await?);
            } else {
                misses.push(format!("{reference} names the index {}, which does not list it", named.digest));
            }
        }
        if evidence.is_empty() {
            let why = if misses.is_empty() { "no reference names an index".to_owned() } else { misses.join("; ") };
            return Ok(nowhere(why));
        }
        Ok(Followed { path: Path::Indexes, evidence })
    }

    /// From a configuration to the manifests that have it, by what the pods' references name now.
    async fn of_config(&self, asking: Asking<'_>, config: &Digest) -> Result<Findings, GatherError> {
        let (mut matches, mut index, mut misses) = (Vec::new(), None, Vec::new());
        for reference in asking.question.references() {
            let Some(named) = self.named(asking, reference).await? else {
                misses.push(format!("{reference} is not in the registry"));
                continue;
            };
            let found = self.with_config(asking, &named, config).await?;
            if found.is_empty() {
                misses.push(format!("{reference} names {}, which is another image", named.digest));
            } else {
                index = is_index_type(&named.media_type).then_some(named.digest);
                matches = found;
                break;
            }
        }
        let mut all = Vec::new();
        for digest in &matches {
            all.push(self.evidence(asking, digest).await?);
        }
        let is_unsigned = all.iter().all(|evidence| evidence.candidates.is_empty());
        let mut all = all.into_iter();
        let Some(own) = all.next() else { return Err(unresolvable(config, &misses)) };
        let follows = asking.question.matching == DigestMatching::FollowIndex;
        let followed = match index.filter(|_| follows && is_unsigned) {
            Some(index) => Some(Followed { path: Path::Indexes, evidence: vec![self.evidence(asking, &index).await?] }),
            None => None,
        };
        Ok(Findings { own, same_config: all.collect(), own_via: Via::PlatformManifest, followed })
    }

    /// The manifests that have this configuration: what is named, or what it lists directly.
    async fn with_config(
        &self,
        asking: Asking<'_>,
        named: &Descriptor,
        config: &Digest,
    ) -> Result<Vec<Digest>, GatherError> {
        let has = |document: &Result<ImageDocument, ImageDocumentError>| matches!(document, Ok(ImageDocument::Manifest { config: own }) if own == config);
        let document = self.document(asking, named).await?;
        let Ok(ImageDocument::Index(children)) = &*document else {
            return Ok(if has(&document) { vec![named.digest.clone()] } else { Vec::new() });
        };
        let nodes = asking.question.platforms.list();
        let runnable = children.iter().filter(|child| !child.is_index() && child.may_run_on(nodes.as_deref()));
        let (mut found, mut read) = (Vec::new(), 0_u64);
        for child in runnable {
            read = read.saturating_add(child.descriptor.size);
            if read > MAX_FOLLOWED_BYTES {
                break;
            }
            match self.document(asking, &child.descriptor).await {
                Ok(document) if has(&document) => found.push(child.descriptor.digest.clone()),
                Ok(_) => {}
                // A mirror with some manifests of the index only.
                Err(error) if error.reason == Reason::ImageNotFound => {}
                Err(error) => return Err(error),
            }
            if found.len() == SAME_CONFIG {
                break;
            }
        }
        Ok(found)
    }

    async fn evidence(&self, asking: Asking<'_>, digest: &Digest) -> Result<Arc<Evidence>, GatherError> {
        let subject = Subject { repository: asking.question.repository.clone(), digest: digest.clone() };
        self.gather(&subject, asking.credentials, asking.max_age, asking.now).await
    }

    /// What a reference names now; `None` if the registry does not have it.
    async fn named(&self, asking: Asking<'_>, reference: &Reference) -> Result<Option<Descriptor>, GatherError> {
        let target = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Target::Digest(digest.clone()),
            (None, Some(tag)) => Target::Tag(tag.to_owned()),
            (None, None) => return Ok(None),
        };
        match self.described(&asking.question.repository, &target, asking.credentials).await {
            Ok(descriptor) => Ok(Some(descriptor)),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(GatherError::from(&error)),
        }
    }

    /// A manifest or an index, from memory or from the registry.
    ///
    /// It is remembered whoever asked: who names the digest of a document has either been shown it by the registry
    /// under the same credentials, or read it in another document that was.
    async fn document(
        &self,
        asking: Asking<'_>,
        wanted: &Descriptor,
    ) -> Result<Arc<Result<ImageDocument, ImageDocumentError>>, GatherError> {
        let key = (wanted.digest.clone(), wanted.media_type.clone());
        if let Some(document) = self.documents.fetch(&key) {
            return Ok(document);
        }
        let queue = self.hosts.queue(asking.question.repository.registry());
        let _place = queue.enter().await;
        let bytes = self.registry.manifest(&asking.question.repository, wanted, asking.credentials).await;
        let bytes = bytes.map_err(|error| GatherError::from(&error))?;
        let document = Arc::new(ImageDocument::parse(&bytes, &wanted.media_type));
        self.documents.store(key, Arc::clone(&document));
        Ok(document)
    }
}

fn nowhere(why: impl Into<String>) -> Followed {
    Followed { path: Path::Nowhere(why.into()), evidence: Vec::new() }
}

fn unresolvable(config: &Digest, misses: &[String]) -> GatherError {
    let found = if misses.is_empty() { "no reference of a pod names anything".to_owned() } else { misses.join("; ") };
    let message = format!(
        "the node reports only the image configuration {config}, as for an image that was loaded from a file, and no \
         manifest with it is found: {found}; push the image under the pods' reference, or remove it from the node, so that \
         it is pulled"
    );
    GatherError { reason: Reason::DigestUnresolvable, message, retry_after: None }
}
