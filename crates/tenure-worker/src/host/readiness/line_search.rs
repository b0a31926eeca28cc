//! Looking for a line in output that comes in chunks.

use regex_lite::Regex;

/// Longest line that is looked at; the rest of a longer one is only written down.
const LONGEST_LINE: usize = 8 * 1024;

/// Looks for a line, over the borders of chunks.
pub(in crate::host) struct LineSearch {
    pattern: Regex,
    line: Vec<u8>,
}

impl LineSearch {
    pub(in crate::host) fn new(pattern: Regex) -> Self {
        Self { pattern, line: Vec::new() }
    }

    /// Whether a line matches that ends in these bytes.
    pub(in crate::host) fn finds_in(&mut self, bytes: &[u8]) -> bool {
        let mut pieces = bytes.split(|&byte| byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            // The last piece is not complete yet.
            if pieces.peek().is_some() {
                let found = self.pattern.is_match(&String::from_utf8_lossy(&self.line));
                self.line.clear();
                if found {
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_over_the_border_of_two_chunks() {
        let mut search = LineSearch::new(Regex::new("^listening on [0-9]+$").expect("a pattern"));
        assert!(!search.finds_in(b"starting\nlisten"));
        assert!(!search.finds_in(b"ing on 80"));
        assert!(search.finds_in(b"80\nserved\n"));
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut search = LineSearch::new(Regex::new("never").expect("a pattern"));
        for _ in 0..100 {
            assert!(!search.finds_in(&[b'x'; 1000]));
        }
        assert!(search.line.len() <= LONGEST_LINE);
    }
}
