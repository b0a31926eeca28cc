//! What stands before each line of a program's log: when it was read, and the generation of the worker that read it.
//!
//! ```text
//! 2026-11-28T12:51:27.123Z g7 listening on 127.0.0.1:8080
//! ```
//!
//! Pure. What follows the stamp are the program's own bytes. A line without a stamp is of an older `tenure`, or of a
//! worker's own log.

use crate::deadline::wall_millis;
use crate::utc;

/// When a line was read, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Wall clock, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The generation of the worker.
    pub generation: u64,
}

impl Stamp {
    /// The stamp of lines that are read now.
    #[must_use]
    pub fn now(generation: u64) -> Self {
        Self { at_ms: wall_millis(), generation }
    }

    /// The stamp as it stands before a line, with the blank behind it.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{} g{} ", utc::text(self.at_ms), self.generation)
    }

    /// The stamp of a line, where it has one, and the rest.
    #[must_use]
    pub fn split(line: &[u8]) -> (Option<Self>, &[u8]) {
        match Self::parse(line) {
            Some((stamp, rest)) => (Some(stamp), rest),
            None => (None, line),
        }
    }

    fn parse(line: &[u8]) -> Option<(Self, &[u8])> {
        let (time, rest) = line.split_at_checked(utc::LENGTH)?;
        let rest = rest.strip_prefix(b" g").filter(|_| time.ends_with(b"Z"))?;
        // No number of a generation is longer.
        let end = rest.iter().take(21).position(|byte| *byte == b' ')?;
        let (number, rest) = rest.split_at(end);
        let number =
            std::str::from_utf8(number).ok().filter(|text| text.bytes().all(|one| one.is_ascii_digit()));
        let at_ms = utc::parse(std::str::from_utf8(time).ok()?)?;
        Some((Self { at_ms, generation: number?.parse().ok()? }, &rest[1..]))
    }
}

/// Puts a stamp before each line that begins in `bytes`. `open` says that they go on with a line that has begun.
#[must_use]
pub fn stamped(bytes: &[u8], stamp: &Stamp, mut open: bool) -> Vec<u8> {
    let text = stamp.text();
    let mut stamped = Vec::with_capacity(bytes.len() + 4 * text.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if !open {
            stamped.extend_from_slice(text.as_bytes());
        }
        stamped.extend_from_slice(line);
        open = false;
    }
    stamped
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { at_ms: 1_767_225_599_999, generation: 12 };

    #[test]
    fn every_line_gets_a_stamp_and_keeps_its_bytes() {
        let lines = stamped(b"a\n\n\xff\r\nrest", &STAMP, false);
        let wanted: [&[u8]; 4] = [b"a\n", b"\n", b"\xff\r\n", b"rest"];
        let each: Vec<_> = lines.split_inclusive(|byte| *byte == b'\n').map(Stamp::split).collect();
        assert_eq!(each, wanted.map(|line| (Some(STAMP), line)));
        assert!(lines.starts_with(b"2025-12-31T23:59:59.999Z g12 a\n"));
    }

    #[test]
    fn what_goes_on_with_a_line_gets_none() {
        assert_eq!(stamped(b"on\n", &STAMP, true), b"on\n");
        assert!(stamped(b"on\nnext", &STAMP, true).starts_with(b"on\n2025-"));
        assert!(stamped(b"", &STAMP, false).is_empty());
    }

    #[test]
    fn a_line_of_an_older_tenure_is_whole() {
        for line in [
            &b"listening"[..],
            b"",
            b"2025-12-31T23:59:59.999Z",
            b"2025-12-31T23:59:59.999Z g12",
            b"2025-12-31T23:59:59.999Z gx text",
            b"2025-12-31T23:59:59.999Z g text",
            b"2025-12-31T23:59:59,999Z g1 text",
            b"2025-12-31T23:59:59.999Z INFO text",
        ] {
            assert_eq!(Stamp::split(line), (None, line));
        }
    }

    #[test]
    fn a_program_that_writes_a_stamp_itself_keeps_it() {
        let own = STAMP.text();
        let line = stamped(own.as_bytes(), &Stamp { generation: 3, ..STAMP }, false);
        assert_eq!(Stamp::split(&line).1, own.as_bytes());
    }
}
