//! The acts under load: a newer version takes over, and one that fails within its probation gives back.
//!
//! Clients ask all the time, each time on a new connection. What they saw is the measure: the answers, the longest wait,
//! and that nobody was refused or cut off. The version that fails ends between two answers: what it would cut off itself,
//! nobody can make good.

use std::time::Duration;

use tenure_core::Spec;
use tenure_core::deadline::monotonic;
use tenure_sys::process::ProcessHandle;

use crate::output::account;
use crate::output::failure::Failure;
use crate::output::render::printable;

use super::load::{self, CLIENTS, Tally};
use super::show::{PROBATION, Show, failed, promise};
use super::stage::{DemoAnswer, StageError};

/// Answers of the version that fails: it has served by then, and is still on probation.
const ANSWERS: &str = "50";

/// What a call under load came to.
struct SeenCall {
    answer: DemoAnswer,
    elapsed: Duration,
    tally: Tally,
}

impl Show<'_> {
    /// A newer version takes over from the one that serves.
    pub(super) fn upgrade(&mut self) -> Result<(), Failure> {
        self.print_step(&format!(
            "A launcher of version 3 while {CLIENTS} clients ask, each time on a new connection …"
        ))?;
        let seen = self.passed_under_load(&self.server(3, &[])).map_err(failed)?;
        let SeenCall { answer, elapsed, tally } = &seen;
        let [before, after] = ["2", "3"].map(|version| tally.of(version));
        promise(answer.state == "replaced" && answer.version.as_deref() == Some("3.0.0"), || {
            format!("the answer is {:?} with version {:?}", answer.state, answer.version)
        })?;
        promise(before > 0 && after > 0 && tally.lost() == 0, || format!("clients saw {tally:?}"))?;
        let line =
            format!("version 2 gave {before} answers, version 3 {after} within {PROBATION} of probation");
        self.print_result(&line, *elapsed)?;
        self.record(["an upgrade under load", "longest wait in the upgrade"], &seen)
    }

    /// A version that fails on probation: the one before it takes everything back.
    pub(super) fn roll_back(&mut self) -> Result<(), Failure> {
        self.print_step(&format!(
            "The same with version 4, which serves {ANSWERS} requests and then fails …"
        ))?;
        let seen = self.undone_under_load(&self.server(4, &["--fail-after", ANSWERS])).map_err(failed)?;
        let SeenCall { answer, elapsed, tally } = &seen;
        let [before, after] = ["3", "4"].map(|version| tally.of(version));
        let warning = answer.warnings.iter().find(|warning| warning.kind == "offer-not-running");
        promise(answer.version.as_deref() == Some("3.0.0") && warning.is_some(), || {
            format!("the answer is {:?} with version {:?}, warned: {warning:?}", answer.state, answer.version)
        })?;
        promise(before > 0 && after > 0 && tally.lost() == 0, || format!("clients saw {tally:?}"))?;
        let line = format!(
            "version 4 gave {after} answers and failed; version 3 serves again, and the next launcher is told"
        );
        self.print_result(&line, *elapsed)?;
        if let Some(warning) = warning {
            self.print_step(&format!("     │ {}", printable(&warning.message)))?;
        }
        self.record(["a rollback under load", "longest wait in the rollback"], &seen)
    }

    /// The first call is answered when the new version serves; the next one, once that has failed, is told of it.
    fn undone_under_load(&self, spec: &Spec) -> Result<SeenCall, StageError> {
        let act = || {
            let served = self.stage.call(&self.web, spec)?;
            let began = monotonic();
            // A version 4 that had failed before its launcher was answered is gone: the answer names version 3.
            let failing = served.pid.filter(|_| served.version.as_deref() == Some("4.0.0"));
            if let Some(worker) = failing.and_then(|pid| ProcessHandle::open(pid).ok()) {
                self.stage.await_end(&worker)?;
            }
            let answer = self.stage.call(&self.web, spec)?;
            Ok((answer, monotonic().saturating_sub(began)))
        };
        let ((answer, elapsed), tally) = load::during(self.address()?, act)?;
        Ok(SeenCall { answer, elapsed, tally })
    }

    /// A call that puts another version in the place of the one that serves, until that one has ended: the probation is over.
    fn passed_under_load(&self, spec: &Spec) -> Result<SeenCall, StageError> {
        let before = self.stage.call(&self.web, &self.server(2, &[]))?.pid;
        let before = before.and_then(|pid| ProcessHandle::open(pid).ok());
        let act = || {
            let began = monotonic();
            let answer = self.stage.call(&self.web, spec)?;
            let elapsed = monotonic().saturating_sub(began);
            if let Some(before) = &before {
                self.stage.await_end(before)?;
            }
            Ok((answer, elapsed))
        };
        let ((answer, elapsed), tally) = load::during(self.address()?, act)?;
        Ok(SeenCall { answer, elapsed, tally })
    }

    fn record(&mut self, [what, wait]: [&'static str; 2], seen: &SeenCall) -> Result<(), Failure> {
        let Tally { refused, reset, longest, .. } = &seen.tally;
        let answered = seen.tally.answers();
        let counts = format!("{answered} connections answered, {refused} refused, {reset} reset");
        self.print_step(&format!("  → {counts}, longest wait {}", account::measured(*longest)))?;
        self.measure(what, counts, seen.elapsed);
        self.measure(wait, format!("{CLIENTS} clients, a new connection for each request"), *longest);
        Ok(())
    }
}
