//! Looking for a line in output that comes in chunks.
//!
//! A pattern is matched on what a person sees: without the escape sequences of a terminal, and with a carriage return
//! as the end of a line, because programs that show their progress write no other.

use anstream::adapter::StripBytes;
use regex_lite::Regex;

/// Longest line that is looked at; the rest of a longer one is only written down.
const LONGEST_LINE: usize = 8 * 1024;

/// Looks for a line, over the borders of chunks.
pub(in crate::host) struct LineSearch {
    pattern: Regex,
    escapes: StripBytes,
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed then ends no line of its own.
    after_return: bool,
}

impl LineSearch {
    pub(in crate::host) fn new(pattern: Regex) -> Self {
        Self { pattern, escapes: StripBytes::new(), line: Vec::new(), after_return: false }
    }

    /// Whether a line matches that ends in these bytes.
    pub(in crate::host) fn finds_in(&mut self, bytes: &[u8]) -> bool {
        let plain: Vec<u8> = self.escapes.strip_next(bytes).flatten().copied().collect();
        for byte in plain {
            let is_end = matches!(byte, b'\n' | b'\r');
            let belongs_to_return = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            if !is_end {
                if self.line.len() < LONGEST_LINE {
                    self.line.push(byte);
                }
                continue;
            }
            if belongs_to_return {
                continue;
            }
            let found = self.pattern.is_match(&String::from_utf8_lossy(&self.line));
            self.line.clear();
            if found {
                return true;
            }
        }
        false
    }
}

/// The lines of whole output, as patterns are matched on them.
pub(in crate::host) fn plain_lines(bytes: &[u8]) -> Vec<String> {
    let plain: Vec<u8> = StripBytes::new().strip_next(bytes).flatten().copied().collect();
    String::from_utf8_lossy(&plain).split(['\n', '\r']).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(pattern: &str) -> LineSearch {
        LineSearch::new(Regex::new(pattern).expect("a pattern"))
    }

    #[test]
    fn a_line_is_found_over_the_border_of_two_chunks() {
        let mut search = search("^listening on [0-9]+$");
        assert!(!search.finds_in(b"starting\nlisten"));
        assert!(!search.finds_in(b"ing on 80"));
        assert!(search.finds_in(b"80\nserved\n"));
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut search = search("never");
        for _ in 0..100 {
            assert!(!search.finds_in(&[b'x'; 1000]));
        }
        assert!(search.line.len() <= LONGEST_LINE);
    }

    #[test]
    fn colours_and_titles_are_not_part_of_a_line() {
        // As Vite writes it, cut in the middle of a sequence.
        let mut vite = search("^  ➜  Local:   http://localhost:[0-9]+/$");
        assert!(!vite.finds_in("  \u{1b}[32m➜\u{1b}[39m  \u{1b}[1mLocal\u{1b}[22m:   \u{1b}[3".as_bytes()));
        assert!(vite.finds_in(b"6mhttp://localhost:\x1b[1m5173\x1b[22m/\x1b[39m\r\n"));
        assert!(search("^up$").finds_in(b"\x1b]0;a title\x07up\n"));
    }

    #[test]
    fn a_carriage_return_ends_a_line() {
        let mut progress = search("^ready$");
        assert!(!progress.finds_in(b"loading 10%\rloading 20%\r"));
        assert!(progress.finds_in(b"ready\r"));
        // A carriage return and a line feed are one end.
        let mut empty = search("^$");
        assert!(!empty.finds_in(b"a line\r\nanother\r\n"));
        assert!(empty.finds_in(b"\r\n"));
    }
}
