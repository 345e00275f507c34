// SPDX-License-Identifier: Apache-2.0

//! Whether a program needs anything beside itself.

/// The type of a program header that names a loader (ELF gABI, `PT_INTERP`).
const INTERPRETER: u32 = 3;

/// Whether this is a 64-bit little-endian ELF program that names no loader: it runs where there are no libraries.
pub fn is_static(program: &[u8]) -> bool {
    let number = |at: usize, width: usize| -> Option<u64> {
        let bytes = program.get(at..at.checked_add(width)?)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let headers = || -> Option<bool> {
        if program.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        // e_phoff, e_phentsize, e_phnum
        let (offset, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        for index in 0..count {
            let at = usize::try_from(offset.checked_add(index.checked_mul(size)?)?).ok()?;
            if number(at, 4)? == u64::from(INTERPRETER) {
                return Some(false);
            }
        }
        Some(true)
    };
    headers().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header, and one program header of this type.
    fn program(kind: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (bytes[32], bytes[54], bytes[56]) = (64, 56, 1);
        bytes[64] = kind;
        bytes
    }

    #[test]
    fn a_program_with_a_loader_is_not_static() {
        assert!(is_static(&program(1)));
        assert!(!is_static(&program(3)));
    }

    #[test]
    fn what_is_no_program_or_ends_early_is_not_static() {
        assert!(!is_static(b"#!/bin/sh"));
        assert!(!is_static(&program(1)[..100][..60]));
        let mut far = program(1);
        far[39] = 0xff;
        assert!(!is_static(&far));
    }
}
