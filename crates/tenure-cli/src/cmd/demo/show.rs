//! The demo while it runs: what the acts have in common, what they tell, and what they measured.
//!
//! A promise that does not hold ends the demo, as what it is: a fault of `tenure`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tenure_core::spec::amount::Span;
use tenure_core::spec::{Listen, Ready};
use tenure_core::{Scope, Spec, Version};

use crate::answer::AnswerState;
use crate::cmd::call::Call;
use crate::output::failure::Failure;
use crate::output::{account, render};

use super::stage::{DemoStage, StageError};

/// How long a version that has not served before is on probation here; usually it is longer.
pub(super) const PROBATION: Span = Span::secs(1);

/// What was measured, for people and for programs.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) what: &'static str,
    pub(super) result: String,
    pub(super) took_us: u64,
}

/// The demo while it runs.
pub(super) struct Show<'call> {
    call: &'call Call,
    pub(super) stage: DemoStage,
    /// The worker of most acts.
    pub(super) web: Scope,
    /// One that never serves.
    pub(super) broken: Scope,
    pub(super) measured: Vec<Measured>,
}

impl<'call> Show<'call> {
    /// Sets the stage.
    pub(super) fn open(call: &'call Call) -> Result<Self, StageError> {
        let [web, broken] =
            ["web", "broken"].map(|name| Scope::new(name, None).expect("a plain word is a name"));
        let stage = DemoStage::set(&[&web, &broken])?;
        Ok(Self { call, stage, web, broken, measured: Vec::new() })
    }

    /// The server as that version, with more arguments.
    pub(super) fn server(&self, version: u64, more: &[&str]) -> Spec {
        let mut spec = self.stage.spec(&[&[version.to_string().as_str()], more].concat());
        spec.version = Version::new(version, 0, 0);
        let tcp = SocketAddr::from(([127, 0, 0, 1], 0));
        spec.listen = vec![Listen::inherit("http", tcp)];
        spec.bake = Some(PROBATION);
        spec.ready = Some(Ready::Http("/".into()));
        spec
    }

    /// Where the worker's program listens, by the worker's own answer.
    pub(super) fn address(&self) -> Result<SocketAddr, StageError> {
        let hello = self.stage.hello(&self.web)?;
        let first = hello.endpoints.first().and_then(|endpoint| endpoint.address.tcp());
        first.ok_or_else(|| StageError::Promise("the worker names no address".to_owned()))
    }

    /// Prints what is being done, for people.
    pub(super) fn print_step(&self, line: &str) -> Result<(), Failure> {
        let screen = self.call.screen;
        if screen.wants_json() || screen.is_quiet() { Ok(()) } else { render::text(&format!("{line}\n")) }
    }

    /// Prints the result of a step and the time it took, for people.
    pub(super) fn print_result(&self, line: &str, elapsed: Duration) -> Result<(), Failure> {
        self.print_step(&format!("  → {line} ({})", account::measured(elapsed)))
    }

    /// Keeps a row for the end.
    pub(super) fn measure(&mut self, what: &'static str, result: String, elapsed: Duration) {
        let took_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.measured.push(Measured { what, result, took_us });
    }
}

/// Ends the demo where something that was promised does not hold.
pub(super) fn promise(holds: bool, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(failed(StageError::Promise(what()))) }
}

/// The failure as that of this command.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(super) fn failed(error: StageError) -> Failure {
    let state = match error {
        StageError::Interrupted => AnswerState::Interrupted,
        StageError::TimedOut { .. } => AnswerState::TimedOut,
        StageError::Io { .. } => AnswerState::SpawnFailed,
        StageError::Answer { .. } | StageError::Promise(_) => AnswerState::Bug,
    };
    Failure::because(state, &error).hint(
        "the demo uses a state directory of its own and has cleared it; `tenure list` shows your workers",
    )
}
