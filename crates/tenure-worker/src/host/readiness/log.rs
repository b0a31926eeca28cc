//! `log`: a line of the program's output that matches a pattern. The reader of the output looks for it.

use regex_lite::Regex;

use super::kind::ReadinessKind;
use super::line_search::LineSearch;

/// The pattern.
pub(super) struct Log(pub(super) Regex);

impl ReadinessKind for Log {
    fn awaited(&self) -> (String, &'static str) {
        (format!("a line of the output that matches {:?}", self.0.as_str()), "was not written")
    }

    fn line_search(&self) -> Option<LineSearch> {
        Some(LineSearch::new(self.0.clone()))
    }
}
