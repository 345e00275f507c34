// SPDX-License-Identifier: Apache-2.0
//! Lists of referrers: OCI distribution specification 1.1, "Listing Referrers" and "Referrers Tag Schema".

use std::collections::HashSet;

use oci_client::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use reqwest::header::{ETAG, HeaderMap, HeaderValue, LINK};
use reqwest::{Method, Url};

use super::Inner;
use super::resolve::not_found;
use super::session::{Question, Reply};
use super::transport::{Answer, Limit, content_type};
use crate::credentials::{CredentialKey, Credentials};
use crate::descriptor::{Descriptor, RawDescriptor};
use crate::digest::Digest;
use crate::error::{At, Error};
use crate::index::{Candidates, IndexError, filter, parse_index};
use crate::limits::{
    FIRST_LOOK_AGAIN_AFTER, MAX_ETAG_BYTES, MAX_HEADER_BYTES, MAX_KEPT_LIST_BYTES, MAX_MANIFEST_BYTES,
    MAX_REFERRER_DESCRIPTORS, MAX_REFERRER_PAGES, REFERRERS_API_ABSENT_FOR,
};
use crate::mirrors::Endpoint;

/// The error code that says that the repository is missing, and not the Referrers API.
pub(super) const NAME_UNKNOWN: &str = "NAME_UNKNOWN";
/// The header in which a registry says which filters it applied.
const OCI_FILTERS_APPLIED: &str = "oci-filters-applied";

/// Where no Referrers API was found: registry, repository and credential set, not the registry alone. A registry may
/// answer 404 to somebody who must not see a repository, and that must not send everybody else to the tag schema, where
/// their signatures are not.
pub(super) type ApiKey = (String, String, CredentialKey);

/// A list of referrers as one set of credentials is shown it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ListKey {
    base: String,
    repository: String,
    credentials: CredentialKey,
    artifact_type: String,
    pub(super) subject: Digest,
}

impl ListKey {
    /// Whether it is a list of this endpoint.
    pub(super) fn is_at(&self, endpoint: &Endpoint) -> bool {
        self.base == endpoint.base().as_str() && self.repository == endpoint.repository.to_string()
    }

    fn api(&self) -> ApiKey {
        (self.base.clone(), self.repository.clone(), self.credentials)
    }
}

/// What the last look at a list found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    source: Source,
    was_empty: bool,
}

/// Which of the two ways lists referrers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Api,
    Tag,
}

/// A list, and its `ETag` if it came in one small piece with one.
#[derive(Clone, Default)]
pub(super) struct Listed {
    candidates: Candidates,
    etag: Option<HeaderValue>,
}

impl Listed {
    fn is_empty(&self) -> bool {
        self.candidates == Candidates::default()
    }
}

/// One question about referrers.
struct Search<'a> {
    at: &'a At,
    endpoint: &'a Endpoint,
    subject: &'a Digest,
    artifact_type: &'a str,
    credentials: &'a Credentials,
}

impl Inner {
    /// See [`crate::Registry::referrers`].
    pub(super) async fn referrers_at(
        &self,
        at: &At,
        endpoint: &Endpoint,
        subject: &Digest,
        artifact_type: &str,
        credentials: &Credentials,
    ) -> Result<Vec<Descriptor>, Error> {
        let search = Search { at, endpoint, subject, artifact_type, credentials };
        let key = ListKey {
            base: endpoint.base().to_string(),
            repository: endpoint.repository.to_string(),
            credentials: credentials.key(&endpoint.repository),
            artifact_type: artifact_type.to_owned(),
            subject: subject.clone(),
        };
        if let Some(found) = self.found.recall(&key)
            && let Some(listed) = self.look_again(&search, found, self.lists.recall(&key).as_ref()).await?
        {
            // Its life began with the first look: after a day, everything is looked at again.
            self.found.replace(&key, Found { was_empty: listed.is_empty(), ..found });
            self.keep(key, &listed);
            return checked(at, listed.candidates);
        }
        self.found.forget(&key);
        let (source, listed) = self.first_look(&search, &key).await?;
        self.found.remember(key.clone(), Found { source, was_empty: listed.is_empty() }, FIRST_LOOK_AGAIN_AFTER);
        self.keep(key, &listed);
        checked(at, listed.candidates)
    }

    fn keep(&self, key: ListKey, listed: &Listed) {
        if listed.etag.is_some() {
            self.lists.remember(key, listed.clone(), FIRST_LOOK_AGAIN_AFTER);
        } else {
            self.lists.forget(&key);
        }
    }

    /// Asks where the list was the last time, with one request. `None` if that is not enough: it is not there any more,
    /// or has become empty.
    async fn look_again(
        &self,
        search: &Search<'_>,
        found: Found,
        kept: Option<&Listed>,
    ) -> Result<Option<Listed>, Error> {
        let listed = match found.source {
            Source::Api => match self.by_api(search, kept).await? {
                Some(listed) => listed,
                None => return Ok(None),
            },
            Source::Tag => self.by_tag(search, kept).await?,
        };
        // A pull-through mirror may list nothing by the API and have the tag of its origin by now.
        let is_enough = !listed.is_empty() || found.was_empty && !search.endpoint.is_mirror();
        Ok(is_enough.then_some(listed))
    }

    /// Asks the API, and the tag where there is no API or it lists nothing.
    async fn first_look(&self, search: &Search<'_>, key: &ListKey) -> Result<(Source, Listed), Error> {
        let api = key.api();
        if self.absent_apis.recall(&api).is_none() {
            match self.by_api(search, None).await? {
                // Off-spec: some registries keep signatures that were pushed under the tag schema out of the API
                // (Google's, notation issue 1222; olareg), and `notation sign` uses the tag schema unless told
                // otherwise. So an empty list is no answer yet.
                Some(listed) if listed.is_empty() => {
                    let by_tag = self.by_tag(search, None).await?;
                    return Ok(if by_tag.is_empty() { (Source::Api, listed) } else { (Source::Tag, by_tag) });
                }
                Some(listed) => return Ok((Source::Api, listed)),
                None => {}
            }
        }
        let listed = self.by_tag(search, None).await?;
        // Only now: the registry has answered for this repository, so what was missing was the API.
        self.absent_apis.remember(api, (), REFERRERS_API_ABSENT_FOR);
        Ok((Source::Tag, listed))
    }

    /// DS-5, DS-6: the Referrers API; `None` if the registry does not have it. `known` is what it listed the last time.
    async fn by_api(&self, search: &Search<'_>, known: Option<&Listed>) -> Result<Option<Listed>, Error> {
        let Search { at, endpoint, subject, artifact_type, credentials } = *search;
        let mut url = endpoint.url("referrers", &subject.to_string());
        url.query_pairs_mut().append_pair("artifactType", artifact_type);
        let (mut candidates, mut listed) = (Candidates::default(), 0_usize);
        for page in 0..MAX_REFERRER_PAGES {
            let known = known.filter(|_| page == 0);
            let question = index_question(url.clone(), known);
            let answer = match (self.ask(at, endpoint, credentials, &question).await?, known) {
                (Reply::Found(answer), _) => answer,
                (Reply::Unchanged, Some(known)) => return Ok(Some(known.clone())),
                (Reply::Missing { code: Some(NAME_UNKNOWN) }, _) => {
                    return Err(not_found(at, endpoint, &subject.to_string()));
                }
                _ if page == 0 => return Ok(None),
                _ => return Err(Error::malformed(at, "page of referrers missing")),
            };
            if content_type(&answer.headers).as_deref() != Some(OCI_IMAGE_INDEX_MEDIA_TYPE) {
                return if page == 0 { Ok(None) } else { Err(Error::malformed(at, "page of referrers is no index")) };
            }
            let list = descriptors(at, &answer)?;
            listed = listed.saturating_add(list.len());
            if listed > MAX_REFERRER_DESCRIPTORS {
                return Err(too_many(at, "referrers", MAX_REFERRER_DESCRIPTORS));
            }
            let found = filter(list, artifact_type, is_filtered(&answer.headers));
            candidates.good.extend(found.good);
            candidates.broken = candidates.broken.saturating_add(found.broken);
            let Some(next) = next_page(at, &url, &answer.headers)? else {
                // The ETag of the first page says nothing of the others.
                let etag = if page == 0 { etag(&answer) } else { None };
                return Ok(Some(Listed { candidates, etag }));
            };
            url = next;
        }
        Err(too_many(at, "pages of referrers", MAX_REFERRER_PAGES))
    }

    /// DS-6: the tag schema; a tag that is not there is an empty list. `known` is what it listed the last time.
    async fn by_tag(&self, search: &Search<'_>, known: Option<&Listed>) -> Result<Listed, Error> {
        let Search { at, endpoint, subject, artifact_type, credentials } = *search;
        let question = index_question(endpoint.url("manifests", &subject.referrers_tag()), known);
        match (self.ask(at, endpoint, credentials, &question).await?, known) {
            (Reply::Missing { code: Some(NAME_UNKNOWN) }, _) => Err(not_found(at, endpoint, &subject.to_string())),
            (Reply::Missing { .. }, _) => Ok(Listed::default()),
            (Reply::Unchanged, Some(known)) => Ok(known.clone()),
            (Reply::Found(answer), _) => {
                let is_index = content_type(&answer.headers).as_deref() == Some(OCI_IMAGE_INDEX_MEDIA_TYPE);
                if !is_index {
                    return Err(Error::malformed(at, "referrers tag is not an image index"));
                }
                let candidates = filter(descriptors(at, &answer)?, artifact_type, false);
                Ok(Listed { candidates, etag: etag(&answer) })
            }
            _ => Err(Error::malformed(at, "registry refuses to serve manifests")),
        }
    }
}

fn index_question(url: Url, known: Option<&Listed>) -> Question {
    Question {
        method: Method::GET,
        url,
        accept: OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned(),
        unless: known.and_then(|known| known.etag.clone()),
        limit: Limit { bytes: MAX_MANIFEST_BYTES, what: "list of referrers" },
        body: None,
    }
}

fn etag(answer: &Answer) -> Option<HeaderValue> {
    let etag = answer.headers.get(ETAG).filter(|etag| !etag.is_empty() && etag.len() <= MAX_ETAG_BYTES);
    etag.filter(|_| answer.body.len() <= MAX_KEPT_LIST_BYTES && !answer.is_foreign).cloned()
}

fn descriptors(at: &At, answer: &Answer) -> Result<Vec<RawDescriptor>, Error> {
    parse_index(&answer.body).map_err(|error| match error {
        IndexError::TooMany { limit } => too_many(at, "referrers", limit),
        other => Error::malformed(at, format!("list of referrers: {other}")),
    })
}

/// The candidates, none twice. If all that there was is broken, the list is: "no signatures" would be a lie.
fn checked(at: &At, candidates: Candidates) -> Result<Vec<Descriptor>, Error> {
    let Candidates { good, broken } = candidates;
    if good.is_empty() && broken > 0 {
        return Err(Error::malformed(at, format!("list of referrers: all {broken} descriptors are malformed")));
    }
    let mut seen = HashSet::new();
    // With another size it is another claim: a false one must not hide the true one behind it.
    Ok(good.into_iter().filter(|descriptor| seen.insert((descriptor.digest.clone(), descriptor.size))).collect())
}

/// DS-5.
fn is_filtered(headers: &HeaderMap) -> bool {
    headers
        .get_all(OCI_FILTERS_APPLIED)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .any(|filter| filter.trim() == "artifactType")
}

/// DS-7: the URL of `Link: <…>; rel="next"` (RFC 8288), which must have the origin of the page that it stands on
/// (GHSA-h7vf-4x9w-h99v).
fn next_page(at: &At, page: &Url, headers: &HeaderMap) -> Result<Option<Url>, Error> {
    for value in headers.get_all(LINK) {
        let text = value.to_str().ok().filter(|text| text.len() <= MAX_HEADER_BYTES);
        let text = text.ok_or_else(|| Error::malformed(at, "Link header is too long or not text"))?;
        if let Some(target) = next_target(text) {
            let next = page.join(target).map_err(|_| Error::malformed(at, "Link header is not a URL"))?;
            if next.origin() != page.origin() || !next.username().is_empty() || next.password().is_some() {
                return Err(Error::malformed(at, "Link header leads to another origin"));
            }
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// The first `<target>` of a header line whose parameters have `rel=next`.
fn next_target(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let (parameters, following) = match after.split_once(',') {
            Some((parameters, following)) => (parameters, following),
            None => (after, ""),
        };
        let is_next = parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
            let values = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel") && values.split_whitespace().any(|v| v.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target);
        }
        rest = following;
    }
}

fn too_many(at: &At, what: &'static str, limit: usize) -> Error {
    Error::LimitExceeded { at: at.clone(), what, limit }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_rel_next_is_a_next_page() {
        for (text, expected) in [
            (r#"</v2/x?last=1>; rel="next""#, Some("/v2/x?last=1")),
            ("<a>;rel=next", Some("a")),
            (r#"<a>; rel="prev", <b>; title="x"; rel="last next""#, Some("b")),
            (r#"<a>; rel="prev""#, None),
            (r#"<a>; title="next""#, None),
            ("<a>", None),
            ("<a", None),
            ("", None),
        ] {
            assert_eq!(next_target(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_link_makes_the_parser_panic(text in "((rel|next)|[<>;,=\" a]){0,40}") {
            let _ = next_target(&text);
        }
    }
}
