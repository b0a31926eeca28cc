//! The record of a scope as commands print it: the pinned version, a stop that holds, and the versions that failed to start.
//!
//! Pure. The record is as old as the last launcher that wrote it.

use std::time::Duration;

use serde::Serialize;
use tenure_core::Version;
use tenure_core::deadline::{Moment, millis};
use tenure_core::protocol::not_ready::NotReady;
use tenure_core::protocol::wire::Asker;
use tenure_core::record::desired::{Desired, Down, FailureTally};

use crate::config::ScopeTarget;
use crate::output::account;
use crate::output::render::printable;

/// The record in a document.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Recorded<'a> {
    /// The version that a person pinned.
    pinned: Option<&'a Version>,
    /// The stop that holds.
    held_down: Option<HeldDown<'a>>,
    /// The offers whose last start failed.
    failures: Vec<Failed<'a>>,
}

/// A stop that holds.
#[derive(Debug, Serialize)]
struct HeldDown<'a> {
    by: &'a Asker,
    /// Milliseconds since then; none where it was before the last boot of this machine.
    for_ms: Option<u64>,
}

/// A version that failed to start.
#[derive(Debug, Serialize)]
struct Failed<'a> {
    version: &'a Version,
    count: u32,
    error: &'a str,
    /// The last lines of its log.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    last_words: &'a [String],
    /// Why its program was not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_ready: Option<&'a NotReady>,
    /// Milliseconds until the next try; 0 where the next caller tries.
    retry_after_ms: u64,
}

impl<'a> Recorded<'a> {
    /// Of this record.
    pub(crate) fn of(desired: &'a Desired, now: &Moment) -> Self {
        let failed = |failure: &'a FailureTally| Failed {
            version: &failure.version,
            count: failure.count,
            error: &failure.error,
            last_words: &failure.last_words,
            not_ready: failure.not_ready.as_deref(),
            retry_after_ms: millis(wait(desired, failure, now)),
        };
        let held = |down: &'a Down| HeldDown { by: &down.by, for_ms: since(&down.at, now) };
        Self {
            pinned: desired.pin.as_ref(),
            held_down: desired.down.as_ref().map(held),
            failures: desired.failures.iter().map(failed).collect(),
        }
    }

    /// The record in a few words each, for a row among others.
    pub(crate) fn notes(&self) -> Vec<String> {
        let pinned = self.pinned.map(|version| format!("pinned to {version}"));
        let down = self.held_down.is_some().then(|| "held down".to_owned());
        let failed = self.failures.iter().map(|failed| format!("{} {}", failed.version, failed.times()));
        pinned.into_iter().chain(down).chain(failed).collect()
    }

    /// The record as labelled lines.
    pub(crate) fn lines(&self, target: &ScopeTarget) -> Vec<(&'static str, String)> {
        let pinned = self
            .pinned
            .map(|version| ("pinned to", format!("{version}; {} releases it", target.command("unpin", ""))));
        let down = self.held_down.as_ref().map(|down| {
            let since = down
                .for_ms
                .map_or_else(|| "before the last boot".to_owned(), |ms| format!("{} ago", account::age(ms)));
            let by = account::asker(down.by);
            ("held down", format!("{since} by {by}; {} starts it", target.command("start", "")))
        });
        let failed = self.failures.iter().map(|failed| {
            let next = match failed.retry_after_ms {
                0 => "the next caller tries again".to_owned(),
                ms => format!("tried again in {} at the earliest", account::age(ms)),
            };
            let error = printable(failed.error);
            let remedy = failed.not_ready.and_then(|told| told.remedy.as_deref());
            let remedy = remedy.map(|remedy| ("to change", printable(remedy)));
            let row = ("quarantine", format!("{} {}, {next}: {error}", failed.version, failed.times()));
            [row].into_iter().chain(remedy)
        });
        let failed = failed.flatten();
        pinned.into_iter().chain(down).chain(failed).collect()
    }
}

impl Failed<'_> {
    fn times(&self) -> String {
        if self.count == 1 { "failed to start".to_owned() } else { format!("failed {} times", self.count) }
    }
}

/// Time until the next try: with another offer to serve meanwhile it is longer.
fn wait(desired: &Desired, failure: &FailureTally, now: &Moment) -> Duration {
    if desired.offers.len() > 1 { failure.quarantined_for(now) } else { failure.suppressed_for(now) }
}

fn since(then: &Moment, now: &Moment) -> Option<u64> {
    (then.boot == now.boot).then(|| now.ms.saturating_sub(then.ms))
}

#[cfg(test)]
mod tests {
    use tenure_core::Spec;

    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::of("b", ms)
    }

    fn offered(versions: &[u64]) -> (Desired, Spec) {
        let mut desired = Desired::default();
        let mut spec = Spec::of_command(vec!["web".into()], "/".into());
        for version in versions {
            spec.version = Version::new(*version, 0, 0);
            desired.offer(&spec, &at(0));
        }
        (desired, spec)
    }

    #[test]
    fn an_empty_record_says_nothing() {
        let desired = Desired::default();
        let recorded = Recorded::of(&desired, &at(0));
        assert!(recorded.notes().is_empty() && recorded.lines(&ScopeTarget::found("web")).is_empty());
    }

    #[test]
    fn what_a_person_holds_is_told_with_the_word_that_releases_it() {
        let (mut desired, _) = offered(&[1]);
        desired.pin = Some(Version::new(1, 0, 0));
        desired.down = Some(Down { by: Asker::of(7, "tenure stop"), at: at(0) });
        let recorded = Recorded::of(&desired, &at(61_000));
        assert_eq!(recorded.notes(), ["pinned to 1.0.0", "held down"]);
        let lines = recorded.lines(&ScopeTarget::found("web"));
        assert_eq!(lines[0], ("pinned to", "1.0.0; `tenure unpin web` releases it".to_owned()));
        let down = "1m 1s ago by pid 7 (tenure stop); `tenure start web` starts it";
        assert_eq!(lines[1], ("held down", down.to_owned()));
        let rebooted = Recorded::of(&desired, &Moment::of("c", 5)).lines(&ScopeTarget::found("web"));
        assert!(rebooted[1].1.starts_with("before the last boot by pid 7"), "{rebooted:?}");
    }

    #[test]
    fn a_failed_version_waits_longer_while_another_serves() {
        let (mut alone, spec) = offered(&[2]);
        alone.failed(&spec, "exit code 3", &at(0));
        let (mut two, spec) = offered(&[1, 2]);
        two.failed(&spec, "exit code 3", &at(0));
        let line =
            |desired: &Desired| Recorded::of(desired, &at(500)).lines(&ScopeTarget::found("web")).remove(0).1;
        assert_eq!(line(&alone), "2.0.0 failed to start, tried again in 1s at the earliest: exit code 3");
        assert_eq!(line(&two), "2.0.0 failed to start, tried again in 29s at the earliest: exit code 3");
        assert_eq!(
            Recorded::of(&alone, &at(9_000)).lines(&ScopeTarget::found("web")).remove(0).1,
            "2.0.0 failed to start, the next caller tries again: exit code 3"
        );
    }
}
