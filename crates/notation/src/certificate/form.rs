// SPDX-License-Identifier: Apache-2.0
//! The form of extensions that have no meaning here (CC-9).
//!
//! The specification forbids to evaluate them, and nothing that they say counts. But a certificate in which one is
//! malformed is no certificate: Go's parser refuses it, and so notation does in every place. Checked is what that parser
//! checks, and that nothing follows.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::{Tag, Tagged};

use crate::asn1::{Elements, check_elements, context, is_shortest, primitive};

/// Errs with what is wrong with an extension, if Go would not read it.
pub(super) fn check(oid: &[u8], critical: bool, value: &[u8]) -> Result<(), &'static str> {
    const NEVER_CRITICAL: [ObjectIdentifier; 3] = [
        rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER,
        rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER,
        rfc5280::ID_PE_AUTHORITY_INFO_ACCESS,
    ];
    let is = |known: ObjectIdentifier| known.as_bytes() == oid;
    if critical && NEVER_CRITICAL.into_iter().any(is) {
        return Err("must not be critical");
    }
    let has_form = if is(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER) {
        is_one(value, Tag::OctetString)
    } else if is(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER) {
        check_elements(value).map(|()| true)
    } else if is(rfc5280::ID_CE_SUBJECT_ALT_NAME) {
        are_alternative_names(value)
    } else if is(rfc5280::ID_CE_NAME_CONSTRAINTS) {
        are_name_constraints(value)
    } else if is(rfc5280::ID_CE_CERTIFICATE_POLICIES) {
        are_policies(value)
    } else if is(rfc5280::ID_CE_POLICY_MAPPINGS) {
        are_policy_mappings(value)
    } else if is(rfc5280::ID_CE_POLICY_CONSTRAINTS) {
        are_policy_constraints(value)
    } else if is(rfc5280::ID_CE_INHIBIT_ANY_POLICY) {
        is_policy_depth(value)
    } else {
        Ok(true)
    };
    if has_form.unwrap_or(false) { Ok(()) } else { Err("is malformed") }
}

/// Whether the value is exactly one element of this type.
fn is_one(value: &[u8], tag: Tag) -> der::Result<bool> {
    let mut elements = Elements::inside(value)?;
    elements.value(tag)?;
    Ok(elements.is_empty())
}

const EMAIL: Tag = primitive(1);
const DNS: Tag = primitive(2);
const URL: Tag = primitive(6);
const IP: Tag = primitive(7);

/// `SubjectAltName` (RFC 5280 section 4.2.1.6).
fn are_alternative_names(value: &[u8]) -> der::Result<bool> {
    let mut names = Elements::of_sequence(value)?;
    while !names.is_empty() {
        let name = names.any()?;
        let text = name.value();
        let has_form = match name.tag() {
            EMAIL | DNS => text.is_ascii(),
            URL => std::str::from_utf8(text).is_ok_and(is_url),
            IP => matches!(text.len(), 4 | 16),
            _ => true,
        };
        if !has_form {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `NameConstraints` (RFC 5280 section 4.2.1.10).
fn are_name_constraints(value: &[u8]) -> der::Result<bool> {
    let mut fields = Elements::of_sequence(value)?;
    let subtrees = [fields.optional(context(0))?, fields.optional(context(1))?];
    fields.finish()?;
    let mut is_empty = true;
    for subtrees in subtrees.into_iter().flatten() {
        let mut subtrees = Elements::inside(subtrees)?;
        while !subtrees.is_empty() {
            is_empty = false;
            let base = Elements::inside(subtrees.value(Tag::Sequence)?)?.any()?;
            if !is_base(base.tag(), base.value()) {
                return Ok(false);
            }
        }
    }
    Ok(!is_empty)
}

fn is_base(tag: Tag, value: &[u8]) -> bool {
    let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii());
    match tag {
        EMAIL => text.is_some_and(|text| text.rsplit_once('@').map_or_else(|| is_domain_constraint(text), is_mailbox)),
        DNS => text.is_some_and(is_domain_constraint),
        URL => text.is_some_and(|text| text.parse::<IpAddr>().is_err() && is_domain_constraint(text)),
        IP => match value.len() {
            8 => is_mask(value.get(4..)),
            32 => is_mask(value.get(16..)),
            _ => false,
        },
        _ => true,
    }
}

/// One bits, then zero bits.
fn is_mask(mask: Option<&[u8]>) -> bool {
    let mut bytes = mask.unwrap_or_default().iter().skip_while(|byte| **byte == 0xff);
    bytes.next().is_none_or(|first| first.leading_ones().saturating_add(first.trailing_zeros()) >= 8)
        && bytes.all(|byte| *byte == 0)
}

/// A domain, or all below one if it begins with a dot.
fn is_domain_constraint(text: &str) -> bool {
    is_domain(if text.len() > 1 { text.strip_prefix('.').unwrap_or(text) } else { text })
}

/// Nothing, or labels of visible ASCII, as lax as Go: a port and brackets may be in it.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_graphic());
    text.is_empty() || text.split('.').all(is_label)
}

/// Stricter than Go: the part before the `@` is not quoted.
fn is_mailbox((local, domain): (&str, &str)) -> bool {
    let is_atom = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c);
    local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom)) && is_domain(domain)
}

/// An absolute URI (RFC 3986) that Go reads: with a host that is a domain, if it has one, or an IPv6 address.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let Some(after) = rest.strip_prefix("//") else { return is_scheme && has_uri_characters(rest) };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let Some((authority, path)) = after.split_at_checked(end) else { return false };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    is_scheme
        && has_uri_characters(path)
        && has_uri_characters(user)
        && !user.contains(['[', ']', '/'])
        && is_host(host)
}

/// `host[:port]`. Escapes are only for what no domain may have.
fn is_host(text: &str) -> bool {
    let is_port = |port: &str| {
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if let Some((address, port)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok() && is_port(port);
    }
    let (host, port) = text.split_at_checked(text.find(':').unwrap_or(text.len())).unwrap_or_default();
    is_port(port) && !host.contains(['%', '[', ']', '@']) && has_uri_characters(host) && is_domain(text)
}

/// RFC 3986 section 2: unreserved and reserved characters, and whole escapes.
fn has_uri_characters(text: &str) -> bool {
    let is_character = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte);
    let is_escape = |escaped: &str| escaped.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    let mut parts = text.split('%');
    parts.next().is_none_or(|first| first.bytes().all(is_character))
        && parts.all(|part| is_escape(part) && part.bytes().all(is_character))
}

/// `CertificatePolicies` (RFC 5280 section 4.2.1.4): each policy once. Qualifiers are not looked at.
fn are_policies(value: &[u8]) -> der::Result<bool> {
    let mut seen = BTreeSet::new();
    let mut policies = Elements::of_sequence(value)?;
    while !policies.is_empty() {
        let oid = Elements::inside(policies.value(Tag::Sequence)?)?.value(Tag::ObjectIdentifier)?;
        if !is_object_identifier(oid) || !seen.insert(oid) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// With arcs of any length, other than those of extensions: policies are named by UUIDs too.
fn is_object_identifier(value: &[u8]) -> bool {
    let starts = std::iter::once(&0).chain(value).zip(value).filter(|(before, _)| *before & 0x80 == 0);
    value.last().is_some_and(|last| last & 0x80 == 0) && starts.into_iter().all(|(_, first)| *first != 0x80)
}

/// `PolicyMappings` (RFC 5280 section 4.2.1.5).
fn are_policy_mappings(value: &[u8]) -> der::Result<bool> {
    let mut mappings = Elements::of_sequence(value)?;
    while !mappings.is_empty() {
        let mut pair = Elements::inside(mappings.value(Tag::Sequence)?)?;
        pair.value(Tag::ObjectIdentifier)?;
        pair.value(Tag::ObjectIdentifier)?;
    }
    Ok(true)
}

/// `PolicyConstraints` (RFC 5280 section 4.2.1.11).
fn are_policy_constraints(value: &[u8]) -> der::Result<bool> {
    let mut fields = Elements::of_sequence(value)?;
    let depths = [fields.optional(primitive(0))?, fields.optional(primitive(1))?];
    fields.finish()?;
    Ok(depths.into_iter().flatten().all(is_integer))
}

/// `InhibitAnyPolicy` (RFC 5280 section 4.2.1.14).
fn is_policy_depth(value: &[u8]) -> der::Result<bool> {
    let mut elements = Elements::inside(value)?;
    let depth = elements.value(Tag::Integer)?;
    Ok(is_integer(depth) && elements.is_empty())
}

/// The shortest form of a number of 64 bits.
fn is_integer(value: &[u8]) -> bool {
    value.len() <= 8 && is_shortest(value)
}
