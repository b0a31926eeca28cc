//! The target of one call, with what stands in the way of starting it: trust, a stop that holds, changed files.
//!
//! It is made from one read of the record, under the gate or without it. It is asked for a spec before a worker is
//! stopped to make room.

use std::path::PathBuf;
use std::time::Duration;

use crate::spec::version::Version;

use crate::causes;
use crate::deadline::{Deadline, Moment};
use crate::error::{Error, ErrorKind, stage};
use crate::launch::request::Request;
use crate::launch::start::recipe;
use crate::ops::offers;
use crate::policy::attempt::Attempt;
use crate::policy::decide::{KnownTarget, Observation, Usable};
use crate::policy::target::CallTarget;
use crate::policy::warning::Warning;
use crate::record::desired::{Desired, Down, FailureTally, Target};
use crate::spec::program::{self, NoProgram};
use crate::spec::{Spec, build};

/// The target of a call, and why it must not be started, where it must not.
#[derive(Debug)]
pub(crate) struct CheckedTarget {
    of_call: CallTarget,
    /// Nothing may be started, because nobody trusts what was offered.
    untrusted: Option<Error>,
    /// Versions that could run instead of one that failed, were their files still what was offered.
    left_out: Vec<(Version, PathBuf)>,
    down: Option<Down>,
}

impl CheckedTarget {
    /// The target by the record, for a call that makes this request.
    pub(crate) fn of(desired: &Desired, attempt: &Attempt, request: &Request) -> Self {
        let untrusted = offers::refusal(desired);
        let (allowed, left_out) = offers::startable(desired, Some(&request.spec.version));
        let app = desired.standing(&request.spec, &request.origin);
        let of_call = CallTarget::of(&allowed, app, attempt, &Moment::now(), &recipe::can_run);
        Self { of_call, untrusted, left_out, down: desired.down.clone() }
    }

    /// The target for `decide`. The files of a build are read only if the worker says that they may have changed, and
    /// by the globs that the worker was started with: two launchers with different globs would replace each other's
    /// workers.
    pub(crate) fn known(
        &self,
        seen: &Observation,
        failure: Option<&Error>,
        budget: &Deadline,
    ) -> KnownTarget {
        let failure = failure.or(self.untrusted.as_ref()).map(Error::cause_of_start);
        self.of_call.known(failure, has_changed(seen), content(seen, budget))
    }

    /// The target for `decide` about a worker that was started from `spec` a moment ago.
    pub(crate) fn started(&self, spec: &Spec) -> KnownTarget {
        self.of_call.started(spec)
    }

    /// The spec that may be started now, or why none may.
    pub(crate) fn startable(&self, request: &Request, failure: Option<&Error>) -> Result<&Spec, Error> {
        if let Some(down) = &self.down {
            return Err(held_down(down));
        }
        if let Some(spec) = self.of_call.startable() {
            recipe::check(spec, request)?;
            return Ok(spec);
        }
        match (&self.of_call.by_record, failure.or(self.untrusted.as_ref())) {
            (_, Some(failure)) => Err(self.adding_left_out(failure.clone())),
            (Target::Suppressed { failure, wait }, None) => {
                Err(self.adding_left_out(suppressed(failure, *wait)))
            }
            (Target::Missing { program }, None) => Err(missing(&request.spec, program)),
            (Target::Offer { .. }, None) => Err(Error::of(ErrorKind::Bug, "choose what to start")),
        }
    }

    /// The spec that may be started now, where it depends on other workers.
    pub(crate) fn dependent(&self, request: &Request) -> Option<&Spec> {
        let depends = self.of_call.startable().is_some_and(|spec| !spec.depends.is_empty());
        if depends { self.startable(request, None).ok() } else { None }
    }

    /// The same error, with the reason why no older version is started instead.
    fn adding_left_out(&self, error: Error) -> Error {
        let adding = |error: Error, (version, file): &(Version, PathBuf)| {
            let file = file.display();
            error.adding(&format!(
                "version {version} is not started instead: {file} has changed since it was offered"
            ))
        };
        self.left_out.iter().rev().fold(error, adding)
    }

    /// The same worker, where the warning that the offer does not run says how it failed.
    pub(crate) fn explained(&self, usable: Box<Usable>) -> Box<Usable> {
        match &self.of_call.by_record {
            Target::Offer { skipped: Some(failure), .. } => explained(usable, Some(&failure.error)),
            Target::Offer { .. } | Target::Suppressed { .. } | Target::Missing { .. } => usable,
        }
    }
}

/// The same worker, where the warning that the offer does not run says `failure`.
pub(crate) fn explained(mut usable: Box<Usable>, failure: Option<&str>) -> Box<Usable> {
    for warning in &mut usable.warnings {
        if let (Warning::OfferNotRunning { why, .. }, Some(failure)) = (warning, failure) {
            failure.clone_into(why);
        }
    }
    usable
}

/// The error where a person stopped the worker until a person starts it.
pub(crate) fn held_down(down: &Down) -> Error {
    let by = if down.by.command.is_empty() { "a person" } else { down.by.command.as_str() };
    let message = format!(
        "start the worker: a person stopped it until a person starts it (by pid {}, {by})",
        down.by.pid
    );
    Error::of(ErrorKind::HeldDown, message).at("stop --hold")
}

fn has_changed(seen: &Observation) -> bool {
    matches!(seen, Observation::Answered(hello) if hello.source_changed)
}

fn content(seen: &Observation, budget: &Deadline) -> Option<Result<String, String>> {
    match seen {
        Observation::Answered(hello) if hello.source_changed => {
            let stage = match budget.stage("build") {
                Ok(stage) => stage,
                Err(timed_out) => return Some(Err(timed_out.to_string())),
            };
            let now = build::digest(&hello.spec.cwd, &hello.spec.build, stage);
            Some(now.map_err(|error| causes::in_one_line(&error)))
        }
        Observation::Answered(_)
        | Observation::Nobody
        | Observation::Silent
        | Observation::Denied(_)
        | Observation::Foreign(_) => None,
    }
}

fn suppressed(failure: &FailureTally, wait: Duration) -> Error {
    let times = if failure.count == 1 { "once".to_owned() } else { format!("{} times", failure.count) };
    let message = format!("start the worker: it failed a moment ago, {times}: {}", failure.error);
    Error::of(ErrorKind::SpawnSuppressed, message)
        .at("suppression")
        .after(wait)
        .repeating(&failure.last_words, failure.not_ready.as_deref())
}

fn missing(spec: &Spec, program: &str) -> Error {
    Error::of(ErrorKind::SpawnFailed, format!("start the worker: {}", without(spec, program)))
        .at(stage::PROGRAM)
}

/// What a start of `spec` lacks, where no offer has its `program`.
pub(crate) fn without(spec: &Spec, program: &str) -> String {
    if !spec.cwd.is_dir() {
        return format!("there is no directory {}", spec.cwd.display());
    }
    match program::resolve(program, &spec.cwd, spec.env.path_here().as_deref()) {
        Err(found @ NoProgram::NotExecutable { .. }) => format!("failed to {found}"),
        Err(NoProgram::Missing { .. }) | Ok(_) => format!("there is no program {program:?}"),
    }
}
