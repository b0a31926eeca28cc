//! `up`: nobody tells, so a program that has run for a moment counts as ready.

use std::time::Duration;

use super::kind::ReadinessKind;

/// A program that cannot start (a wrong argument, a missing module, a taken port) ends within tens of milliseconds,
/// interpreters included. A spec that names its readiness is told sooner and better.
const SETTLED: Duration = Duration::from_millis(200);

pub(super) struct Up;

impl ReadinessKind for Up {
    fn awaited(&self) -> (String, &'static str) {
        ("the program".to_owned(), "did not run for 200ms")
    }

    fn counts_after(&self) -> Option<Duration> {
        Some(SETTLED)
    }
}
