//! What one call may start, and what its decision is made on: the record as it stands, less what this call has seen fail.
//!
//! Made once under the gate (or from a look at the record without it), and asked before anything is stopped to make room.

use std::path::PathBuf;
use std::time::Duration;

use semver::Version;

use crate::causes;
use crate::deadline::{Deadline, Moment};
use crate::error::{Error, ErrorKind};
use crate::launch::recipe;
use crate::launch::request::Request;
use crate::ops::candidates;
use crate::policy::attempt::Attempt;
use crate::policy::decide::{Goal, KnownTarget, Observation, Target, Usable, Warning};
use crate::record::desired::{Desired, Down, FailureTally, StartTarget};
use crate::spec::program::{self, NoProgram};
use crate::spec::{Spec, build};

/// What a call may start.
#[derive(Debug)]
pub(crate) struct LaunchChoice {
    target: StartTarget,
    /// Nothing may be started, because nobody trusts what was offered.
    untrusted: Option<Error>,
    /// Versions that could run instead of one that failed, were their files still what was offered.
    left_out: Vec<(Version, PathBuf)>,
    held: bool,
    /// This call has tried to start the target, and is not to try again.
    spent: bool,
    tried: Vec<Version>,
    down: Option<Down>,
}

impl LaunchChoice {
    /// The plan by the record. A version that this very call has seen fail is out of the choice, quarantine or not.
    pub(crate) fn of(desired: &Desired, attempt: &Attempt, own: &Version) -> Self {
        let has_failed = |spec: &Spec| !attempt.may_start(&spec.version) && desired.failure(spec).is_some();
        let untrusted = candidates::refusal(desired);
        let (desired, left_out) = &candidates::to_choose_from(desired, Some(own));
        let target = desired.target(&Moment::now(), &|spec| recipe::can_run(spec) && !has_failed(spec));
        let tried = match &target {
            StartTarget::Offer { spec, .. } => desired.observed_for(spec),
            StartTarget::Suppressed { .. } | StartTarget::Missing { .. } => Vec::new(),
        };
        let spent = matches!(&target, StartTarget::Offer { spec, .. } if !attempt.may_start(&spec.version));
        Self {
            target,
            untrusted,
            left_out: left_out.clone(),
            held: desired.hold.is_some(),
            spent,
            tried,
            down: desired.down.clone(),
        }
    }

    /// What the record says, as `decide` takes it. The files of a build are read only where the worker says that they may have changed, and
    /// as the worker was told of them: two launchers with different globs would never agree.
    pub(crate) fn known_target(
        &self,
        seen: &Observation,
        failure: Option<&Error>,
        budget: &Deadline,
    ) -> Target {
        let goal = match (&self.target, failure.or(self.untrusted.as_ref())) {
            (StartTarget::Offer { retry: Some(failure), .. }, _)
            | (StartTarget::Suppressed { failure, .. }, None) => Goal::Nothing(failure.error.clone()),
            // What this call could not start, for no fault of the version, leaves the worker that serves; but not one that
            // answers for files which have changed.
            (StartTarget::Offer { .. }, Some(failure)) if self.spent && !has_changed(seen) => {
                Goal::Nothing(failure.cause_of_start().to_owned())
            }
            (StartTarget::Offer { spec, .. }, _) => Goal::Start(spec.version.clone()),
            (StartTarget::Suppressed { .. } | StartTarget::Missing { .. }, Some(failure)) => {
                Goal::Nothing(failure.cause_of_start().to_owned())
            }
            (StartTarget::Missing { program }, None) => {
                Goal::Nothing(format!("its program {program:?} is gone"))
            }
        };
        Target::Known(KnownTarget {
            goal,
            held: self.held,
            tried: self.tried.clone(),
            content: content(seen, budget),
        })
    }

    /// What `decide` takes for a worker that was started from `spec` a moment ago.
    pub(crate) fn aim_started(&self, spec: &Spec) -> Target {
        let goal = Goal::Start(spec.version.clone());
        Target::Known(KnownTarget { goal, held: self.held, tried: Vec::new(), content: None })
    }

    /// The spec that may be started now, or why none may.
    pub(crate) fn startable(
        &self,
        request: &Request,
        attempt: &Attempt,
        failure: Option<&Error>,
    ) -> Result<&Spec, Error> {
        if let Some(down) = &self.down {
            return Err(held_down(down));
        }
        match (&self.target, failure.or(self.untrusted.as_ref())) {
            (StartTarget::Offer { spec, .. }, _) if attempt.may_start(&spec.version) => {
                recipe::check(spec, request)?;
                Ok(spec)
            }
            (_, Some(failure)) => Err(self.adding_left_out(failure.clone())),
            (StartTarget::Suppressed { failure, wait }, None) => {
                Err(self.adding_left_out(suppressed(failure, *wait)))
            }
            (StartTarget::Missing { program }, None) => Err(missing(&request.spec, program)),
            (StartTarget::Offer { .. }, None) => Err(Error::of(ErrorKind::Bug, "choose what to start")),
        }
    }

    /// The same error, saying why no older version is started instead.
    fn adding_left_out(&self, error: Error) -> Error {
        let told = |error: Error, (version, file): &(Version, PathBuf)| {
            let file = file.display();
            error.adding(&format!(
                "version {version} is not started instead: {file} has changed since it was offered"
            ))
        };
        self.left_out.iter().rev().fold(error, told)
    }

    /// The same worker, where the warning that the offer does not run says how it failed.
    pub(crate) fn explained(&self, usable: Box<Usable>) -> Box<Usable> {
        match &self.target {
            StartTarget::Offer { skipped: Some(failure), .. } => explained(usable, Some(&failure.error)),
            StartTarget::Offer { .. } | StartTarget::Suppressed { .. } | StartTarget::Missing { .. } => {
                usable
            }
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

/// Nothing is started until a person starts it.
pub(crate) fn held_down(down: &Down) -> Error {
    let by = if down.by.command.is_empty() { "a person" } else { down.by.command.as_str() };
    let message =
        format!("start the worker: it was stopped until `tenure start` (by pid {}, `{by}`)", down.by.pid);
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
                Err(spent) => return Some(Err(spent.to_string())),
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
    Error::of(ErrorKind::SpawnSuppressed, message).at("suppression").after(wait)
}

fn missing(spec: &Spec, program: &str) -> Error {
    Error::of(ErrorKind::SpawnFailed, format!("start the worker: {}", without(spec, program))).at("program")
}

/// What is not there that a start of `spec` needs, where `program` is missing among what is on offer.
pub(crate) fn without(spec: &Spec, program: &str) -> String {
    if !spec.cwd.is_dir() {
        return format!("there is no directory {}", spec.cwd.display());
    }
    match program::resolve(program, &spec.cwd, spec.env.path_here().as_deref()) {
        Err(found @ NoProgram::NotExecutable { .. }) => format!("failed to {found}"),
        Err(NoProgram::Missing { .. }) | Ok(_) => format!("there is no program {program:?}"),
    }
}
