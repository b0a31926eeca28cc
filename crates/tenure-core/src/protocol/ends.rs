//! How an app ended after its worker had served, where nobody had asked for it, and what that says of the next start.
//!
//! The rows stand in the ledger, so whoever holds the lease writes them: the worker itself, or, where it was killed,
//! the launcher that finds it dead and has the lease by then. A few are kept, across generations: a program that ends
//! once an hour shows in them, however often it was started again in between.

use std::time::Duration;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::deadline::{Moment, wall_millis};
use crate::spec::Spec;
use crate::spec::amount::Span;

/// Rows kept: enough to see that something repeats, few enough to read at a glance.
const KEPT: usize = 8;

/// Lines of last words in a row, and bytes in each: the head of an error, in a record that each start reads.
const WORDS: usize = 5;
const LONGEST_WORD: usize = 300;

/// A worker that gives up, or is done, so soon after it was ready has hardly served: again at once is no better.
const SOON: Duration = Duration::from_mins(1);

/// One end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct End {
    /// When it was noted.
    pub at: Moment,
    /// The same by the wall clock, in milliseconds since the Unix epoch: for people.
    pub at_ms: u64,
    /// The generation that it happened in.
    pub generation: u64,
    /// The version of that generation.
    pub version: Option<Version>,
    /// Digest of the spec that it was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
    /// The process that ended: the program's, or the worker's.
    pub pid: Option<u32>,
    /// What came of it.
    pub how: EndKind,
    /// How it ended, in words: status, signal, reason.
    pub why: String,
    /// How long it had served; none where it was started again and was not ready, or where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_ms: Option<u64>,
    /// What it said last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_words: Vec<String>,
}

/// What came of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EndKind {
    /// Its host starts the program again.
    StartsAgain,
    /// It serves no more: the policy has no restart for this, or the limit is spent, or the app says so.
    GaveUp,
    /// It was done: exit status 0, which the policy does not restart.
    Done,
    /// The worker was found dead; what ended it is not known.
    FoundDead,
    /// Its successor failed, and it could not take its scope back. Nothing is held against its own version for that.
    RollbackFailed,
    /// Something that a newer `tenure` knows.
    #[serde(other)]
    Other,
}

impl End {
    /// An end at this moment of a worker of `spec`, with nothing told of its process, its service or its words.
    #[must_use]
    pub fn now(generation: u64, spec: &Spec, how: EndKind, why: String) -> Self {
        Self {
            at: Moment::now(),
            at_ms: wall_millis(),
            generation,
            version: Some(spec.version.clone()),
            spec: Some(spec.digest()),
            pid: None,
            how,
            why,
            served_ms: None,
            last_words: Vec::new(),
        }
    }

    /// Whether the worker went with it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.how != EndKind::StartsAgain
    }

    /// The end in a sentence without its subject: `ended by itself and gave up after 40s of service: …`.
    #[must_use]
    pub fn line(&self) -> String {
        let how = match self.how {
            EndKind::StartsAgain => "ended and was started again",
            EndKind::GaveUp => "ended by itself and gave up",
            EndKind::Done => "ended by itself, done",
            EndKind::FoundDead => "was found dead",
            EndKind::RollbackFailed => "could not serve again after a takeover that failed",
            EndKind::Other => "ended",
        };
        let served = self.served_ms.map(|ms| format!(" after {} of service", Span::millis(ms)));
        let words = self.last_words.last().map(|word| format!("; last words: {word}"));
        format!("{how}{}: {}{}", served.unwrap_or_default(), self.why, words.unwrap_or_default())
    }

    fn is_soon(&self) -> bool {
        self.served_ms.is_none_or(|ms| Duration::from_millis(ms) < SOON)
    }

    fn is_like(&self, other: &Self) -> bool {
        self.version == other.version && self.spec == other.spec
    }
}

/// Adds an end, with its last words cut to what is kept.
pub fn push(ends: &mut Vec<End>, mut end: End) {
    let surplus = end.last_words.len().saturating_sub(WORDS);
    end.last_words.drain(..surplus);
    for word in &mut end.last_words {
        let cut = (0..=LONGEST_WORD.min(word.len())).rev().find(|&at| word.is_char_boundary(at)).unwrap_or(0);
        word.truncate(cut);
    }
    ends.push(end);
    let surplus = ends.len().saturating_sub(KEPT);
    ends.drain(..surplus);
}

/// How many failed starts the last end counts as; 0 where it is no reason to wait.
///
/// A worker that gave up after restarts of its own has been tried often enough. One that ends without any, soon after
/// it was ready, may once be bad luck; the second time in a row it is none. A worker that was killed says nothing about
/// its version.
#[must_use]
pub fn failed_starts(ends: &[End], generation: u64) -> u32 {
    let Some(last) = ends.last().filter(|last| last.generation == generation) else { return 0 };
    let alike: Vec<&End> =
        ends.iter().rev().filter(|end| end.is_final()).take_while(|end| end.is_like(last)).collect();
    let in_a_row = alike
        .iter()
        .take_while(|end| is_failure(end) && (end.is_soon() || gave_up_after_restarts(ends, end)))
        .count();
    let least = if gave_up_after_restarts(ends, last) { 1 } else { 2 };
    if in_a_row < least { 0 } else { u32::try_from(in_a_row + 1 - least).unwrap_or(u32::MAX) }
}

fn is_failure(end: &End) -> bool {
    matches!(end.how, EndKind::GaveUp | EndKind::Done)
}

fn gave_up_after_restarts(ends: &[End], end: &End) -> bool {
    let again = |before: &&End| before.generation == end.generation && !before.is_final();
    end.how == EndKind::GaveUp && ends.iter().any(|before| again(&before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(generation: u64, how: EndKind, served_s: u64) -> End {
        End {
            at: Moment { boot: "b".into(), ms: generation },
            at_ms: 0,
            generation,
            version: None,
            spec: None,
            pid: None,
            how,
            why: "exit status 1".into(),
            served_ms: Some(served_s * 1000),
            last_words: Vec::new(),
        }
    }

    #[test]
    fn what_gave_up_after_restarts_counts_and_each_time_more() {
        let mut ends = vec![end(1, EndKind::StartsAgain, 1), end(1, EndKind::GaveUp, 1)];
        assert_eq!(failed_starts(&ends, 1), 1);
        ends.extend([end(2, EndKind::StartsAgain, 1), end(2, EndKind::GaveUp, 1)]);
        assert_eq!(failed_starts(&ends, 2), 2);
        assert_eq!(failed_starts(&ends, 3), 0, "a generation was begun since");
    }

    #[test]
    fn what_ends_soon_counts_from_the_second_time_on() {
        for how in [EndKind::GaveUp, EndKind::Done] {
            let mut ends = vec![end(1, how, 1)];
            assert_eq!(failed_starts(&ends, 1), 0);
            ends.push(end(2, how, 1));
            assert_eq!(failed_starts(&ends, 2), 1);
            ends.push(end(3, how, 1));
            assert_eq!(failed_starts(&ends, 3), 2);
            ends.push(end(4, how, 3600));
            assert_eq!(failed_starts(&ends, 4), 0, "it served for an hour");
        }
    }

    #[test]
    fn a_killed_worker_and_another_spec_count_nothing() {
        for how in [EndKind::FoundDead, EndKind::RollbackFailed] {
            assert_eq!(failed_starts(&[end(1, how, 1), end(2, how, 1)], 2), 0);
        }
        let mut other = vec![end(1, EndKind::Done, 1), end(2, EndKind::Done, 1)];
        other[1].spec = Some("changed".into());
        assert_eq!(failed_starts(&other, 2), 0);
    }

    #[test]
    fn a_few_ends_are_kept_and_their_words_are_short() {
        let mut ends = Vec::new();
        for generation in 0..20 {
            let last_words = vec!["ü".repeat(1000); 20];
            push(&mut ends, End { last_words, ..end(generation, EndKind::Done, 1) });
        }
        assert_eq!((ends.len(), ends[0].generation), (KEPT, 12));
        assert!(ends[0].last_words.len() == WORDS && ends[0].last_words[0].len() <= LONGEST_WORD);
    }

    #[test]
    fn what_a_newer_tenure_says_is_read() {
        let row = r#"{"at":{"boot":"b","ms":1},"at_ms":1,"generation":1,"version":null,"pid":null,"how":"evaporated","why":"w"}"#;
        assert_eq!(serde_json::from_str::<End>(row).expect("reads").how, EndKind::Other);
    }
}
