// SPDX-License-Identifier: Apache-2.0
//! Lists of referrers: OCI distribution specification 1.1, "Listing Referrers" and "Referrers Tag Schema".

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use oci_client::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, Url};
use tokio::time::Instant;

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
    MAX_CANDIDATES, MAX_HEADER_BYTES, MAX_MANIFEST_BYTES, MAX_REFERRER_DESCRIPTORS, MAX_REFERRER_PAGES, MAX_REMEMBERED,
    REFERRERS_API_ABSENT_FOR,
};
use crate::mirrors::Endpoint;

/// The error code that says that the repository is missing, and not the Referrers API.
const NAME_UNKNOWN: &str = "NAME_UNKNOWN";
/// The header in which a registry says which filters it applied.
const OCI_FILTERS_APPLIED: &str = "oci-filters-applied";

/// Where no Referrers API was found, and until when that is believed.
///
/// Kept per registry, repository and credential set, not per registry alone: a registry may answer 404 to somebody
/// who must not see a repository, and that must not send everybody else to the tag schema, where their signatures are
/// not.
#[derive(Default)]
pub(super) struct AbsentApis(Mutex<HashMap<AbsentKey, Instant>>);

type AbsentKey = (String, String, CredentialKey);

impl AbsentApis {
    fn is_absent(&self, key: &AbsentKey) -> bool {
        let absent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        absent.get(key).is_some_and(|end| *end > Instant::now())
    }

    fn remember(&self, key: AbsentKey) {
        let now = Instant::now();
        let mut absent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if absent.len() >= MAX_REMEMBERED {
            absent.retain(|_, end| *end > now);
        }
        if absent.len() >= MAX_REMEMBERED {
            absent.clear();
        }
        if let Some(end) = now.checked_add(REFERRERS_API_ABSENT_FOR) {
            absent.insert(key, end);
        }
    }
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
        let key = (endpoint.base().to_string(), endpoint.repository.to_string(), credentials.key(&endpoint.repository));
        if !self.absent_apis.is_absent(&key) {
            match self.by_api(at, endpoint, subject, artifact_type, credentials).await? {
                // Off-spec: some registries keep signatures that were pushed under the tag schema out of the API
                // (Google's, notation issue 1222; olareg), and `notation sign` uses the tag schema unless told
                // otherwise. So an empty list is no answer yet.
                Some(candidates) if candidates == Candidates::default() => {
                    return checked(at, self.by_tag(at, endpoint, subject, artifact_type, credentials).await?);
                }
                Some(candidates) => return checked(at, candidates),
                None => {}
            }
        }
        let candidates = self.by_tag(at, endpoint, subject, artifact_type, credentials).await?;
        // Only now: the registry has answered for this repository, so what was missing was the API.
        self.absent_apis.remember(key);
        checked(at, candidates)
    }

    /// DS-5, DS-6: the Referrers API; `None` if the registry does not have it.
    async fn by_api(
        &self,
        at: &At,
        endpoint: &Endpoint,
        subject: &Digest,
        artifact_type: &str,
        credentials: &Credentials,
    ) -> Result<Option<Candidates>, Error> {
        let mut url = endpoint.url("referrers", &subject.to_string());
        url.query_pairs_mut().append_pair("artifactType", artifact_type);
        let (mut candidates, mut listed) = (Candidates::default(), 0_usize);
        for page in 0..MAX_REFERRER_PAGES {
            let question = index_question(url.clone());
            let answer = match self.ask(at, endpoint, credentials, &question).await? {
                Reply::Found(answer) => answer,
                Reply::Missing { code: Some(NAME_UNKNOWN) } => {
                    return Err(not_found(at, endpoint, &subject.to_string()));
                }
                Reply::Missing { .. } | Reply::Unsupported if page == 0 => return Ok(None),
                Reply::Missing { .. } | Reply::Unsupported => {
                    return Err(Error::malformed(at, "page of referrers missing"));
                }
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
            match next_page(at, &url, &answer.headers)? {
                Some(next) => url = next,
                None => return Ok(Some(candidates)),
            }
        }
        Err(too_many(at, "pages of referrers", MAX_REFERRER_PAGES))
    }

    /// DS-6: the tag schema; a tag that is not there is an empty list.
    async fn by_tag(
        &self,
        at: &At,
        endpoint: &Endpoint,
        subject: &Digest,
        artifact_type: &str,
        credentials: &Credentials,
    ) -> Result<Candidates, Error> {
        let question = index_question(endpoint.url("manifests", &subject.referrers_tag()));
        match self.ask(at, endpoint, credentials, &question).await? {
            Reply::Missing { code: Some(NAME_UNKNOWN) } => Err(not_found(at, endpoint, &subject.to_string())),
            Reply::Missing { .. } => Ok(Candidates::default()),
            Reply::Unsupported => Err(Error::malformed(at, "registry refuses to serve manifests")),
            Reply::Found(answer) => {
                let is_index = content_type(&answer.headers).as_deref() == Some(OCI_IMAGE_INDEX_MEDIA_TYPE);
                if !is_index {
                    return Err(Error::malformed(at, "referrers tag is not an image index"));
                }
                Ok(filter(descriptors(at, &answer)?, artifact_type, false))
            }
        }
    }
}

fn index_question(url: Url) -> Question {
    Question {
        method: Method::GET,
        url,
        accept: OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned(),
        limit: Limit { bytes: MAX_MANIFEST_BYTES, what: "list of referrers" },
    }
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
    let mut distinct: Vec<Descriptor> = Vec::with_capacity(good.len().min(MAX_CANDIDATES));
    for descriptor in good {
        if distinct.iter().all(|known| known.digest != descriptor.digest) {
            distinct.push(descriptor);
        }
        if distinct.len() > MAX_CANDIDATES {
            return Err(too_many(at, "signatures", MAX_CANDIDATES));
        }
    }
    Ok(distinct)
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
