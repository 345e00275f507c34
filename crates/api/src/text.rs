// SPDX-License-Identifier: Apache-2.0

//! Text that registries and certificates supply, made fit for a status.

/// Most bytes of one text from a registry or a certificate that a status repeats.
pub const SUPPLIED_TEXT_MAX_BYTES: usize = 256;

/// Most bytes of a message of a verdict or condition.
pub const MESSAGE_MAX_BYTES: usize = 512;

/// Most bytes of the message of a single check.
pub const CHECK_MESSAGE_MAX_BYTES: usize = 256;

/// Most bytes of an image reference in `status.running.references`.
pub const REFERENCE_MAX_BYTES: usize = 256;

/// The text without control characters and without characters that change the direction or visibility of others, cut
/// at a character's border to what takes at most `max_bytes` bytes in JSON as the API server writes it, which never is
/// less than the text itself has. A cut text ends in `…`, which counts.
///
/// Bytes and not characters, so that the size of a status is bounded whatever a certificate says and in what script.
pub fn clip(text: &str, max_bytes: usize) -> String {
    const ELLIPSIS: char = '…';
    let mut kept = String::new();
    let mut size = 0_usize;
    let mut fits_with_ellipsis = 0;
    for character in text.chars().filter(|c| is_printable(*c)) {
        size = size.saturating_add(size_in_json(character));
        if size > max_bytes {
            kept.truncate(fits_with_ellipsis);
            if max_bytes >= ELLIPSIS.len_utf8() {
                kept.push(ELLIPSIS);
            }
            return kept;
        }
        kept.push(character);
        if size.saturating_add(ELLIPSIS.len_utf8()) <= max_bytes {
            fits_with_ellipsis = kept.len();
        }
    }
    kept
}

/// Bytes of a printable character within a JSON string that Go's encoder writes: it escapes what could end a string,
/// and what HTML gives a meaning to.
fn size_in_json(character: char) -> usize {
    match character {
        '"' | '\\' => 2,
        '<' | '>' | '&' => 6,
        other => other.len_utf8(),
    }
}

/// Whether a character may stand in a status: neither a control character nor one of Unicode's invisible formatting
/// characters, with which a certificate could make its subject look like another one in a terminal.
fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_do_not_reach_a_status() {
        assert_eq!(clip("CN=a\u{1b}[31m\nb\u{202e}c\u{0}\u{85}\u{200b}", 256), "CN=a[31mbc");
    }

    #[test]
    fn a_cut_text_stays_within_its_bytes_and_says_that_it_was_cut() {
        let text = "ü".repeat(300);
        for max in 0..300 {
            let clipped = clip(&text, max);
            assert!(clipped.len() <= max, "{max}: {} bytes", clipped.len());
            assert!(max < 3 || clipped.ends_with('…'), "{max}: {clipped}");
        }
        assert_eq!(clip("abcdef", 5), "ab…");
        assert_eq!(clip(&"<".repeat(300), 20), "<<…");
        assert_eq!(clip("\"\"\"\"", 7), "\"\"…");
        assert_eq!(clip("abcde", 5), "abcde");
    }
}
