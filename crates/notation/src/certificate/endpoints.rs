// SPDX-License-Identifier: Apache-2.0
//! Where a certificate says that its revocation can be asked: authority information access (RFC 5280 section 4.2.2.1)
//! and CRL distribution points (section 4.2.1.13). Nothing is contacted here.

use const_oid::db::rfc5912;
use der::Tag;

use crate::asn1::{Elements, context, primitive};

/// Most distribution points of one extension, and most URLs of one point, that are kept; of more, one more. A limit of
/// ours: real ones have one or two, and more than [`MAX_URLS_PER_CERTIFICATE`](crate::MAX_URLS_PER_CERTIFICATE) are
/// never asked.
pub(crate) const MAX_POINTS: usize = 64;

/// What a certificate says about where its revocation can be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct RevocationEndpoints {
    /// One for each OCSP responder, as it stands there: of any scheme, and empty if it is not a URL at all.
    pub(crate) ocsp: Vec<String>,
    /// The points of the extension, if it is there; it may be empty.
    pub(crate) distribution_points: Option<Vec<DistributionPoint>>,
    /// Whether it names a delta list, which notation-go does not support in certificates.
    pub(crate) names_freshest_crl: bool,
}

/// One `DistributionPoint`: where one list is, by all the URLs of its full name, of any scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DistributionPoint {
    /// None if the point has no name, or one that is no URL.
    pub(crate) urls: Vec<String>,
}

/// The entries for OCSP of an authority information access extension.
pub(super) fn parse_ocsp_urls(value: &[u8]) -> der::Result<Vec<String>> {
    let mut urls = Vec::new();
    let mut elements = Elements::of_sequence(value)?;
    while !elements.is_empty() {
        let mut description = Elements::inside(elements.value(Tag::Sequence)?)?;
        let method = description.oid()?;
        let url = description.optional(URL)?.unwrap_or_default();
        if method == rfc5912::ID_AD_OCSP.as_bytes() {
            urls.push(String::from_utf8_lossy(url).into_owned());
        }
    }
    Ok(urls)
}

/// The points of a `CRLDistributionPoints` or `FreshestCRL` extension.
pub(crate) fn parse_distribution_points(value: &[u8]) -> der::Result<Vec<DistributionPoint>> {
    let mut points = Vec::new();
    let mut elements = Elements::of_sequence(value)?;
    while !elements.is_empty() {
        let mut fields = Elements::inside(elements.value(Tag::Sequence)?)?;
        let urls = match fields.optional(context(0))? {
            None => Vec::new(),
            // Go reads no name that is relative to the issuer of the list, and refuses what has one.
            Some(name) => parse_point_name(name)?.ok_or_else(|| RELATIVE_NAME.value_error())?,
        };
        if points.len() <= MAX_POINTS {
            points.push(DistributionPoint { urls });
        }
    }
    Ok(points)
}

/// The URLs of a `DistributionPointName`, no more than one beyond [`MAX_POINTS`]; none if it is relative to the issuer of the list.
pub(crate) fn parse_point_name(value: &[u8]) -> der::Result<Option<Vec<String>>> {
    let mut choice = Elements::inside(value)?;
    let Some(names) = choice.optional(context(0))? else { return Ok(None) };
    let mut urls = Vec::new();
    let mut names = Elements::inside(names)?;
    while !names.is_empty() {
        match names.optional(URL)? {
            Some(url) if url.is_ascii() && urls.len() > MAX_POINTS => {}
            Some(url) if url.is_ascii() => urls.push(String::from_utf8_lossy(url).into_owned()),
            Some(_) => return Err(Tag::Ia5String.value_error().into()),
            None => _ = names.any()?,
        }
    }
    Ok(Some(urls))
}

/// `uniformResourceIdentifier` of a `GeneralName`.
const URL: Tag = primitive(6);
/// `nameRelativeToCRLIssuer` of a `DistributionPointName`.
const RELATIVE_NAME: Tag = context(1);
