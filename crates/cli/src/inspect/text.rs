// SPDX-License-Identifier: Apache-2.0
//! The answer for people: a tree, in the order in which `notation inspect` draws it.

use super::report::{Attribute, ImageReport, IntactReport, Looked, Read, TimestampReport};
use crate::output::CertificateReport;
use crate::tree::Node;

/// One image and its signatures. All texts of a report are fit for a terminal.
pub(super) fn draw(report: &ImageReport) -> String {
    match &report.looked {
        Looked::Failed { error } => {
            Node::with(report.image.clone(), vec![Node::new(format!("could not be looked up: {error}"))]).draw()
        }
        Looked::Found { digest, signatures, not_looked_at, .. } => {
            let mut root = Node::new(format!("{}@{digest}", report.repository));
            if signatures.is_empty() {
                root.push(Node::new("no signature"));
            }
            for signature in signatures {
                let below = match &signature.read {
                    Read::Intact(intact) => intact_nodes(intact),
                    Read::Broken(broken) => vec![Node::new(format!("broken: {}", broken.error))],
                };
                root.push(Node::with(signature.digest.clone(), below));
            }
            if *not_looked_at > 0 {
                root.push(Node::new(format!("{not_looked_at} more, which are not looked at")));
            }
            root.draw()
        }
    }
}

fn intact_nodes(intact: &IntactReport) -> Vec<Node> {
    let line = |name: &str, value: &str| Node::new(format!("{name}: {value}"));
    let signed = &intact.signed_attributes;
    let mut signed_nodes =
        vec![line("signing scheme", &signed.signing_scheme), line("signing time", &signed.signing_time)];
    signed_nodes.extend(signed.expiry.iter().map(|expiry| line("expiry", expiry)));
    signed_nodes.extend(signed.extended.iter().map(attribute));
    let unsigned = &intact.unsigned_attributes;
    let agent = unsigned.signing_agent.iter().map(|agent| line("signing agent", agent));
    let unsigned_nodes = agent.chain(unsigned.timestamp.iter().map(timestamp)).collect();
    let artifact = &intact.signed_artifact;
    let is_image = if artifact.is_image { "" } else { " (not this image)" };
    vec![
        line("media type", &intact.media_type),
        line("signature algorithm", intact.signature_algorithm),
        Node::with("signed attributes", signed_nodes),
        Node::with("user defined attributes", or_none(intact.user_defined_attributes.iter().map(attribute).collect())),
        Node::with("unsigned attributes", or_none(unsigned_nodes)),
        Node::with("certificates", intact.certificates.iter().map(certificate).collect()),
        Node::with(
            "signed artifact",
            vec![
                line("media type", &artifact.media_type),
                Node::new(format!("digest: {}{is_image}", artifact.digest)),
                line("size", &artifact.size.to_string()),
            ],
        ),
    ]
}

fn or_none(nodes: Vec<Node>) -> Vec<Node> {
    if nodes.is_empty() { vec![Node::new("(none)")] } else { nodes }
}

fn attribute(attribute: &Attribute) -> Node {
    let value = attribute.value.as_deref().unwrap_or("(not a text)");
    let critical = if attribute.critical { " (critical)" } else { "" };
    Node::new(format!("{}: {value}{critical}", attribute.name))
}

fn certificate(certificate: &CertificateReport) -> Node {
    Node::with(
        format!("SHA-256 thumbprint: {}", certificate.sha256),
        vec![
            Node::new(format!("subject: {}", certificate.subject)),
            Node::new(format!("issuer: {}", certificate.issuer)),
            Node::new(format!("valid: {} to {}", certificate.not_before, certificate.not_after)),
        ],
    )
}

fn timestamp(timestamp: &TimestampReport) -> Node {
    match timestamp {
        TimestampReport::Unsound { error } => Node::new(format!("timestamp: broken: {error}")),
        TimestampReport::Sound { time, accuracy_seconds, authority, certificates } => {
            let mut below = Vec::new();
            if *accuracy_seconds > 0.0 {
                below.push(Node::new(format!("accuracy: {accuracy_seconds} s")));
            }
            below.extend(authority.iter().map(|authority| Node::new(format!("authority: {authority}"))));
            below.push(Node::with("certificates", or_none(certificates.iter().map(certificate).collect())));
            Node::with(format!("timestamp: {time}"), below)
        }
    }
}
