//! Which lines of a log are wanted: by time, by generation, by what they say.
//!
//! Pure. A line that is too long to hold comes in pieces: what was decided about the first one counts for all.

use regex_lite::Regex;
use tenure_core::store::stamp::Stamp;

use super::lines::LinePiece;

/// The lines that a reader asked for. A line without a stamp belongs to them only if the reader asked for no time and no
/// generation.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Lines of this moment and later ones.
    pub(crate) since: Option<u64>,
    /// Lines before this moment.
    pub(crate) until: Option<u64>,
    /// Lines of this generation.
    pub(crate) generation: Option<u64>,
    /// Lines with a match of this, without their stamps.
    pub(crate) pattern: Option<Regex>,
}

/// A wanted line, or a piece of one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selected<'a> {
    /// Its stamp; none for the later pieces of a line.
    pub(crate) stamp: Option<Stamp>,
    /// The program's own bytes.
    pub(crate) bytes: &'a [u8],
    /// Whether this is the first piece of the line.
    pub(crate) begins: bool,
    /// Whether this is the last piece of the line.
    pub(crate) ends: bool,
}

/// Looks at the pieces of a log in their order.
#[derive(Debug)]
pub(crate) struct Selector<'a> {
    wanted: &'a Selection,
    /// Whether the line whose end has not come yet is wanted.
    open: Option<bool>,
}

impl Selection {
    /// Whether every line is wanted.
    pub(crate) fn is_all(&self) -> bool {
        !self.needs_stamps() && self.pattern.is_none()
    }

    /// Whether lines without a stamp are left out.
    pub(crate) fn needs_stamps(&self) -> bool {
        self.since.is_some() || self.until.is_some() || self.generation.is_some()
    }

    fn wants(&self, stamp: Option<Stamp>, bytes: &[u8]) -> bool {
        let timely = match stamp {
            Some(Stamp { at_ms, generation }) => {
                self.since.is_none_or(|since| at_ms >= since)
                    && self.until.is_none_or(|until| at_ms < until)
                    && self.generation.is_none_or(|wanted| generation == wanted)
            }
            None => !self.needs_stamps(),
        };
        timely
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&String::from_utf8_lossy(bytes)))
    }
}

impl<'a> Selector<'a> {
    /// Looks for `wanted` from the beginning of a line.
    pub(crate) fn new(wanted: &'a Selection) -> Self {
        Self { wanted, open: None }
    }

    /// The piece, if it is wanted.
    pub(crate) fn select<'piece>(&mut self, piece: LinePiece<'piece>) -> Option<Selected<'piece>> {
        let LinePiece { bytes, ends } = piece;
        let begins = self.open.is_none();
        let (stamp, bytes) = if begins { Stamp::split(bytes) } else { (None, bytes) };
        let wanted = self.open.unwrap_or_else(|| self.wanted.wants(stamp, bytes));
        self.open = (!ends).then_some(wanted);
        wanted.then_some(Selected { stamp, bytes, begins, ends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(wanted: &Selection, lines: &[(u64, u64, &str)]) -> Vec<String> {
        let mut selector = Selector::new(wanted);
        let text = |(at_ms, generation, text): &(u64, u64, &str)| {
            let line = format!("{}{text}", Stamp { at_ms: *at_ms, generation: *generation }.text());
            let piece = LinePiece { bytes: line.as_bytes(), ends: true };
            selector.select(piece).map(|one| String::from_utf8(one.bytes.to_vec()).expect("text"))
        };
        lines.iter().filter_map(text).collect()
    }

    const LINES: [(u64, u64, &str); 3] = [(10, 1, "one GET"), (20, 1, "two"), (30, 2, "three GET")];

    #[test]
    fn each_condition_leaves_lines_out() {
        let of = |wanted: Selection| selected(&wanted, &LINES);
        assert_eq!(of(Selection::default()).len(), 3);
        assert_eq!(of(Selection { since: Some(20), ..Selection::default() }), ["two", "three GET"]);
        assert_eq!(of(Selection { until: Some(20), ..Selection::default() }), ["one GET"]);
        assert_eq!(of(Selection { generation: Some(2), ..Selection::default() }), ["three GET"]);
        let pattern = Regex::new("GET$").ok();
        assert_eq!(of(Selection { since: Some(20), pattern, ..Selection::default() }), ["three GET"]);
        let stamp = Regex::new("1970").ok();
        assert!(
            of(Selection { pattern: stamp, ..Selection::default() }).is_empty(),
            "the stamp is not the program's"
        );
    }

    #[test]
    fn a_line_without_a_stamp_has_no_time() {
        let (all, timed) = (Selection::default(), Selection { since: Some(0), ..Selection::default() });
        let piece = LinePiece { bytes: b"old", ends: true };
        assert!(Selector::new(&all).select(piece).is_some());
        assert!(Selector::new(&timed).select(piece).is_none());
    }

    #[test]
    fn a_long_line_is_wanted_as_a_whole_or_not() {
        let wanted = Selection { pattern: Regex::new("start").ok(), ..Selection::default() };
        let mut selector = Selector::new(&wanted);
        let mut select = |bytes, ends| selector.select(LinePiece { bytes, ends }).is_some();
        assert!(select(b"start", false) && select(b"middle", false) && select(b"end", true));
        assert!(!select(b"other", false) && !select(b"start", true));
        assert!(select(b"start", true));
    }
}
