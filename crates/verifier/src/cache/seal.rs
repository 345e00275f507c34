// SPDX-License-Identifier: Apache-2.0
//! Names that tell nothing, and entries that only this cache can have made.
//!
//! Both hang on a random key that lies beside the entries: whoever reads a copy of the folder without it cannot try out
//! passwords against the names, and damage to an entry, or a move to another name, is found when it is read.

use aws_lc_rs::hmac;
use sealwatch_registry::lower_hex;

/// Bytes of the key.
pub(super) const KEY_BYTES: usize = 32;
/// What an entry begins with: its format, and the version of that.
const MAGIC: &[u8; 8] = b"sealwtc1";
/// Bytes of a seal.
const TAG_BYTES: usize = 32;
/// What an entry has beside its content, in bytes.
pub(super) const SEAL_BYTES: usize = MAGIC.len() + TAG_BYTES;

/// The key of a cache.
pub(super) struct Seal(hmac::Key);

impl Seal {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The name of an entry of this kind about these things: lower-case hexadecimal digits. Lengths keep `("ab", "c")`
    /// and `("a", "bc")` apart.
    pub(super) fn name(&self, kind: &str, about: &[&[u8]]) -> String {
        let mut hash = hmac::Context::with_key(&self.0);
        for field in [b"name".as_slice(), kind.as_bytes()].iter().chain(about) {
            update(&mut hash, field);
        }
        lower_hex(hash.sign().as_ref())
    }

    /// The entry of this name with this content, which comes in two parts.
    pub(super) fn seal(&self, name: &str, content: [&[u8]; 2]) -> Vec<u8> {
        let content = content.concat();
        [MAGIC, self.context(name, &content).sign().as_ref(), &content].concat()
    }

    /// The content of an entry that was sealed under this name, by this key, in this version, and is whole.
    pub(super) fn open<'a>(&self, name: &str, entry: &'a [u8]) -> Option<&'a [u8]> {
        let (tag, content) = entry.strip_prefix(MAGIC)?.split_at_checked(TAG_BYTES)?;
        // A cache is no oracle for anybody, so that comparing may take a time that depends on where they differ.
        (self.context(name, content).sign().as_ref() == tag).then_some(content)
    }

    fn context(&self, name: &str, content: &[u8]) -> hmac::Context {
        let mut hash = hmac::Context::with_key(&self.0);
        for field in [b"entry".as_slice(), MAGIC, name.as_bytes(), content] {
            update(&mut hash, field);
        }
        hash
    }
}

fn update(hash: &mut hmac::Context, field: &[u8]) {
    hash.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_is_cut_flipped_moved_or_of_another_key_is_none() {
        let seal = Seal::new(&[7; KEY_BYTES]);
        let entry = seal.seal("name", [b"what was ", b"learnt"]);
        assert_eq!(seal.open("name", &entry), Some(b"what was learnt".as_slice()));
        for length in 0..entry.len() {
            assert_eq!(seal.open("name", &entry[..length]), None, "cut to {length}");
        }
        for place in 0..entry.len() {
            for bit in 0..8 {
                let mut flipped = entry.clone();
                flipped[place] ^= 1 << bit;
                assert_eq!(seal.open("name", &flipped), None, "bit {bit} of byte {place}");
            }
        }
        assert_eq!(seal.open("other", &entry), None);
        assert_eq!(Seal::new(&[8; KEY_BYTES]).open("name", &entry), None);
        assert_eq!(seal.open("name", &[entry.as_slice(), b"x"].concat()), None);
    }

    #[test]
    fn names_depend_on_the_key_the_kind_and_every_field_and_show_none_of_them() {
        let seal = Seal::new(&[7; KEY_BYTES]);
        let name = seal.name("list", &[b"ab", b"c"]);
        assert!(name.len() == 64 && name.bytes().all(|digit| digit.is_ascii_hexdigit()), "{name}");
        assert_eq!(name, seal.name("list", &[b"ab", b"c"]));
        for other in [
            seal.name("list", &[b"a", b"bc"]),
            seal.name("list", &[b"ab", b"c", b""]),
            seal.name("answer", &[b"ab", b"c"]),
            Seal::new(&[8; KEY_BYTES]).name("list", &[b"ab", b"c"]),
        ] {
            assert_ne!(name, other);
        }
    }
}
