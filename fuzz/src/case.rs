// SPDX-License-Identifier: Apache-2.0
//! A whole judgement in one input: parts, each a letter, its length in three bytes, and its bytes. What cannot be read
//! ends the case; what is missing is taken from the stage.

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An envelope in JSON.
    Jws,
    /// An envelope in CBOR.
    Cose,
    /// A trust policy document.
    Policy,
    /// A file of certificates: the trust store `ca:test`.
    Ca,
    /// Likewise `signingAuthority:test`.
    SigningAuthority,
    /// Likewise `tsa:test`.
    Tsa,
    /// What an OCSP responder says; the next question gets the next one.
    Ocsp,
    /// What is found where a revocation list should be; likewise.
    Crl,
    /// A revocation list that was brought.
    Brought,
    /// The time of the judgement, seconds since 1970 in eight bytes.
    Time,
}

const KINDS: [(u8, Kind); 10] = [
    (b'j', Kind::Jws),
    (b'c', Kind::Cose),
    (b'p', Kind::Policy),
    (b'a', Kind::Ca),
    (b's', Kind::SigningAuthority),
    (b't', Kind::Tsa),
    (b'o', Kind::Ocsp),
    (b'l', Kind::Crl),
    (b'b', Kind::Brought),
    (b'n', Kind::Time),
];

/// The trust stores that a case can have, by name.
pub const TRUST_STORES: [(Kind, &str); 3] =
    [(Kind::Ca, "ca:test"), (Kind::SigningAuthority, "signingAuthority:test"), (Kind::Tsa, "tsa:test")];

/// Most parts of one case.
const MAX_PARTS: usize = 32;

/// Reads a case.
pub fn decode(mut bytes: &[u8]) -> Vec<(Kind, Vec<u8>)> {
    let mut parts = Vec::new();
    while let [letter, a, b, c, rest @ ..] = bytes {
        let kind = KINDS.iter().find(|(known, _)| known == letter).map(|(_, kind)| *kind);
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let (Some(kind), Some((part, rest))) = (kind, rest.split_at_checked(length)) else { break };
        if parts.len() == MAX_PARTS {
            break;
        }
        parts.push((kind, part.to_vec()));
        bytes = rest;
    }
    parts
}

/// Writes a case.
pub fn encode(parts: &[(Kind, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, part) in parts {
        let letter = KINDS.iter().find(|(_, known)| known == kind).map_or(b'?', |(letter, _)| *letter);
        let [.., a, b, c] = part.len().to_be_bytes();
        bytes.extend([letter, a, b, c]);
        bytes.extend(part);
    }
    bytes
}

/// Changes one part of a case by `mutate`, libFuzzer's own way to change bytes, and returns the new length. What is no
/// case is changed as a whole.
pub fn mutate_part(
    bytes: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    mutate: fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut parts = decode(&bytes[..size]);
    let chosen = seed as usize % (parts.len() + 1);
    let Some((_, part)) = parts.get_mut(chosen) else { return mutate(bytes, size, max_size) };
    let length = part.len();
    let room = length + max_size.saturating_sub(size);
    part.resize(room.max(1), 0);
    let length = mutate(part, length, room.max(1));
    part.truncate(length);
    let encoded = encode(&parts);
    if encoded.len() > max_size {
        return mutate(bytes, size, max_size);
    }
    bytes[..encoded.len()].copy_from_slice(&encoded);
    encoded.len()
}
