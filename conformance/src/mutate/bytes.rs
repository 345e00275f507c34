// SPDX-License-Identifier: Apache-2.0
//! Mutations of bytes of no known structure.

use crate::random::Random;

const TELLING: [u8; 12] = [0x00, 0x01, 0x7f, 0x80, 0xff, b'\n', b' ', b'"', b'=', b'\\', 0x30, 0x1f];

/// Changes something.
pub(super) fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.push(random.pick(&TELLING));
        return;
    }
    let at = random.below(bytes.len());
    match random.below(8) {
        0..=2 => bytes[at] ^= 1 << random.below(8),
        3 => bytes[at] = random.pick(&TELLING),
        4 => bytes.insert(at, random.pick(&TELLING)),
        5 => drop(bytes.remove(at)),
        6 => bytes.push(random.pick(&TELLING)),
        _ => {
            let end = (at + 1 + random.below(16)).min(bytes.len());
            if random.one_in(2) {
                drop(bytes.drain(at..end));
            } else {
                let copy: Vec<u8> = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
}
