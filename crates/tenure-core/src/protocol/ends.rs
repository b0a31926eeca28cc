//! Ends of apps that nobody asked for, and which of them count as failed starts.
//!
//! The ends are in the ledger, so the lease holder writes them: the worker itself, or, where it was killed, the
//! launcher that finds it dead and has taken the lease. A few are kept, across generations: a program that ends once an
//! hour shows in them, however often it was started again in between.

use std::time::Duration;

use crate::spec::version::Version;
use serde::{Deserialize, Serialize};

use crate::deadline::{Moment, wall_millis};
use crate::spec::Spec;
use crate::spec::amount::Span;

/// Ends kept: enough to see a repetition, few enough to read at a glance.
const KEPT: usize = 8;

/// Last lines kept of each end, and the bytes of each line: enough for the head of an error, in a record that each
/// start reads.
const LAST_LINES: usize = 5;
const LONGEST_LINE: usize = 300;

/// A worker that gives up or is done within this time of service has hardly served: another start at once would do no
/// better.
const SOON: Duration = Duration::from_mins(1);

/// One end that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnaskedEnd {
    /// When it was noted.
    pub at: Moment,
    /// The same by the wall clock, in milliseconds since the Unix epoch; for people.
    pub at_ms: u64,
    /// The generation that it happened in.
    pub generation: u64,
    /// The version of that generation.
    pub version: Option<Version>,
    /// Digest of the spec that it was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
    /// The process that ended: the program or the worker.
    pub pid: Option<u32>,
    /// What came of it.
    pub how: UnaskedEndKind,
    /// How it ended, in words: status, signal, reason.
    pub why: String,
    /// How long it had served; none where that is unknown, or where a restarted program was not ready yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_ms: Option<u64>,
    /// The last lines of its log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_words: Vec<String>,
}

/// How an end went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UnaskedEndKind {
    /// Its host starts the program again.
    StartsAgain,
    /// It serves no more: the policy does not restart it, or its limit is spent, or the app says so.
    GaveUp,
    /// It was done: it exited with 0, and the policy does not restart it then.
    Done,
    /// The worker was found dead; the cause is not known.
    FoundDead,
    /// Its successor failed, and it could not take its scope back. This does not count against its own version.
    RollbackFailed,
    /// Nobody had used it for its `idle_timeout`. This is no failure.
    Idle,
    /// A kind that only a newer `tenure` knows.
    #[serde(other)]
    Other,
}

impl UnaskedEnd {
    /// An end at this moment of a worker of `spec`. Process, time of service and last lines are empty.
    #[must_use]
    pub fn now(generation: u64, spec: &Spec, how: UnaskedEndKind, why: String) -> Self {
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

    /// Whether the worker ended too.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.how != UnaskedEndKind::StartsAgain
    }

    /// The end in a sentence without its subject: `ended by itself and gave up after 40s of service: …`.
    #[must_use]
    pub fn line(&self) -> String {
        if self.how == UnaskedEndKind::Idle {
            return format!("ended after {}", self.why);
        }
        let how = match self.how {
            UnaskedEndKind::StartsAgain => "ended and was started again",
            UnaskedEndKind::GaveUp => "ended by itself and gave up",
            UnaskedEndKind::Done => "ended by itself, done",
            UnaskedEndKind::FoundDead => "was found dead",
            UnaskedEndKind::RollbackFailed => "could not serve again after a takeover that failed",
            UnaskedEndKind::Idle | UnaskedEndKind::Other => "ended",
        };
        let served = self.served_ms.map(|ms| format!(" after {} of service", Span::millis(ms)));
        let last = self.last_words.last().map(|line| format!("; last words: {line}"));
        format!("{how}{}: {}{}", served.unwrap_or_default(), self.why, last.unwrap_or_default())
    }

    fn is_soon(&self) -> bool {
        self.served_ms.is_none_or(|ms| Duration::from_millis(ms) < SOON)
    }

    fn is_like(&self, other: &Self) -> bool {
        self.version == other.version && self.spec == other.spec
    }
}

/// Adds an end, with its last lines cut to what is kept, and drops the oldest of too many. Of the ends without use only
/// the last is kept: they are no failures, and would displace those.
pub fn push(ends: &mut Vec<UnaskedEnd>, mut end: UnaskedEnd) {
    if end.how == UnaskedEndKind::Idle {
        ends.retain(|known| known.how != UnaskedEndKind::Idle);
    }
    keep_last(&mut end.last_words);
    ends.push(end);
    let surplus = ends.len().saturating_sub(KEPT);
    ends.drain(..surplus);
}

/// Cuts the last lines of a log to what a record keeps of them.
pub fn keep_last(lines: &mut Vec<String>) {
    let surplus = lines.len().saturating_sub(LAST_LINES);
    lines.drain(..surplus);
    lines.iter_mut().for_each(cut);
}

/// Cuts a line to what a record keeps of it.
pub(crate) fn cut(line: &mut String) {
    let end = (0..=LONGEST_LINE.min(line.len())).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    line.truncate(end);
}

/// The number of failed starts that the last end counts as; 0 where it is no reason to wait.
///
/// A worker that gave up after restarts of its own counts at once. A worker that ended without a restart, soon after it
/// was ready, counts from the second time in a row: once may be bad luck. A worker that was killed proves nothing
/// against its version.
#[must_use]
pub fn failed_starts(ends: &[UnaskedEnd], generation: u64) -> u32 {
    let Some(last) = ends.last().filter(|last| last.generation == generation) else { return 0 };
    let alike: Vec<&UnaskedEnd> =
        ends.iter().rev().filter(|end| end.is_final()).take_while(|end| end.is_like(last)).collect();
    let in_a_row = alike
        .iter()
        .take_while(|end| is_failure(end) && (end.is_soon() || gave_up_after_restarts(ends, end)))
        .count();
    let least = if gave_up_after_restarts(ends, last) { 1 } else { 2 };
    if in_a_row < least { 0 } else { u32::try_from(in_a_row + 1 - least).unwrap_or(u32::MAX) }
}

fn is_failure(end: &UnaskedEnd) -> bool {
    matches!(end.how, UnaskedEndKind::GaveUp | UnaskedEndKind::Done)
}

fn gave_up_after_restarts(ends: &[UnaskedEnd], end: &UnaskedEnd) -> bool {
    let again = |before: &&UnaskedEnd| before.generation == end.generation && !before.is_final();
    end.how == UnaskedEndKind::GaveUp && ends.iter().any(|before| again(&before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(generation: u64, how: UnaskedEndKind, served_s: u64) -> UnaskedEnd {
        UnaskedEnd {
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
        let mut ends = vec![end(1, UnaskedEndKind::StartsAgain, 1), end(1, UnaskedEndKind::GaveUp, 1)];
        assert_eq!(failed_starts(&ends, 1), 1);
        ends.extend([end(2, UnaskedEndKind::StartsAgain, 1), end(2, UnaskedEndKind::GaveUp, 1)]);
        assert_eq!(failed_starts(&ends, 2), 2);
        assert_eq!(failed_starts(&ends, 3), 0, "a generation was begun since");
    }

    #[test]
    fn what_ends_soon_counts_from_the_second_time_on() {
        for how in [UnaskedEndKind::GaveUp, UnaskedEndKind::Done] {
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
        for how in [UnaskedEndKind::FoundDead, UnaskedEndKind::RollbackFailed] {
            assert_eq!(failed_starts(&[end(1, how, 1), end(2, how, 1)], 2), 0);
        }
        let mut other = vec![end(1, UnaskedEndKind::Done, 1), end(2, UnaskedEndKind::Done, 1)];
        other[1].spec = Some("changed".into());
        assert_eq!(failed_starts(&other, 2), 0);
    }

    #[test]
    fn a_few_ends_are_kept_and_their_words_are_short() {
        let mut ends = Vec::new();
        for generation in 0..20 {
            let last_words = vec!["ü".repeat(1000); 20];
            push(&mut ends, UnaskedEnd { last_words, ..end(generation, UnaskedEndKind::Done, 1) });
        }
        assert_eq!((ends.len(), ends[0].generation), (KEPT, 12));
        assert!(ends[0].last_words.len() == LAST_LINES && ends[0].last_words[0].len() <= LONGEST_LINE);
    }

    #[test]
    fn an_end_without_use_counts_nothing_and_displaces_no_failure() {
        let mut ends = vec![end(1, UnaskedEndKind::Done, 1)];
        for generation in 2..20 {
            push(
                &mut ends,
                UnaskedEnd { why: "30m without use".into(), ..end(generation, UnaskedEndKind::Idle, 1) },
            );
        }
        assert_eq!((ends.len(), failed_starts(&ends, 19)), (2, 0));
        assert_eq!(ends[1].line(), "ended after 30m without use");
        assert_eq!(serde_json::to_value(ends[1].how).expect("writes"), "idle");
    }

    #[test]
    fn what_a_newer_tenure_says_is_read() {
        let row = r#"{"at":{"boot":"b","ms":1},"at_ms":1,"generation":1,"version":null,"pid":null,"how":"evaporated","why":"w"}"#;
        assert_eq!(serde_json::from_str::<UnaskedEnd>(row).expect("reads").how, UnaskedEndKind::Other);
    }
}
