//! What is known of a program that is not ready: what it is asked, what it answered last, and the one thing to change.
//!
//! Made by the host; launchers, `status` and `doctor` show it, and nothing decides on it. Data only.

use serde::{Deserialize, Serialize};

use crate::protocol::ends;
use crate::spec::amount::Span;

/// What is known of a program that is not ready.
///
/// ```
/// fn told(error: &tenure::Error) -> Option<&str> {
///     error.not_ready().and_then(|not_ready| not_ready.remedy.as_deref())
/// }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotReady {
    /// The kind of its `ready`: `http`, `tcp`, `exec`, `log`, `notify`, `fd` or `up`.
    pub check: String,
    /// What is asked or awaited, such as `GET http://127.0.0.1:3000/readyz`.
    pub target: String,
    /// The last answer, as words that follow the target: `was answered with 404`. None before the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Milliseconds since the answer has been this one; without an answer, since the program was first asked.
    #[serde(default)]
    pub for_ms: u64,
    /// What else was seen of the program when it failed, a fragment each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
    /// The one thing to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl NotReady {
    /// Nothing is known yet but what is asked or awaited.
    #[must_use]
    pub fn of(check: &str, target: impl Into<String>) -> Self {
        Self { check: check.to_owned(), target: target.into(), ..Self::default() }
    }

    /// Target and last answer, and what else was seen: `GET … was answered with 404; it listens on …`.
    #[must_use]
    pub fn line(&self) -> String {
        let answer = self.answer.as_deref().unwrap_or("has no answer yet");
        let first = [self.target.as_str(), answer].join(" ");
        let all = [first].into_iter().chain(self.seen.iter().cloned());
        all.collect::<Vec<_>>().join("; ")
    }

    /// The same with how long that has been so.
    #[must_use]
    pub fn line_with_time(&self) -> String {
        format!("{} (for {})", self.line(), Span::millis(self.for_ms))
    }

    /// The same, each text cut to what a record keeps.
    #[must_use]
    pub(crate) fn bounded(mut self) -> Self {
        let texts = [Some(&mut self.target), self.answer.as_mut(), self.remedy.as_mut()];
        texts.into_iter().flatten().chain(&mut self.seen).for_each(ends::cut);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_target_the_answer_and_what_was_seen() {
        let mut told = NotReady::of("http", "GET http://127.0.0.1:3000/");
        assert_eq!(told.line(), "GET http://127.0.0.1:3000/ has no answer yet");
        told.answer = Some("was answered with 404".to_owned());
        told.seen = vec!["it listens on 127.0.0.1:3001".to_owned()];
        told.for_ms = 2_000;
        assert_eq!(
            told.line_with_time(),
            "GET http://127.0.0.1:3000/ was answered with 404; it listens on 127.0.0.1:3001 (for 2s)"
        );
    }

    #[test]
    fn what_is_not_known_is_not_written() {
        let text = serde_json::to_string(&NotReady::of("tcp", "a")).expect("JSON");
        assert_eq!(text, r#"{"check":"tcp","target":"a","for_ms":0}"#);
    }
}
