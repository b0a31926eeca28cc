//! Converts the small numbers of the model to the values of the shipped functions, and back.
//!
//! A model state has bytes; the shipped decisions take specs, accounts and records. This room builds the real values
//! and reads the real answers; it decides nothing. The version that an app names is a fixed fact of each version.

use std::time::Duration;

use tenure_core::policy::attempt::{How, NextStep};
use tenure_core::policy::decide::{
    self, Criteria, Decision, KnownTarget, Observation, ReplaceReason, SILENT_IS_WEDGED, Suspicion, suspect,
};
use tenure_core::policy::facts::{
    AppId, AppStanding, AppState, Hello, Identity, Origin, Probation, Role, Spec, Version,
};

/// A version: its place in the total order, from 0.
pub(crate) type Level = u8;

/// Versions from this one on are those of another app, which asks for the same name. They lie above all others: a version
/// that is higher is what would replace a worker.
pub(crate) const STRANGERS: Level = 3;

/// The versions of a scenario.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versions {
    /// How many versions there are.
    pub(crate) levels: Level,
    /// Whether several failures of a version are counted. Otherwise each counts as the first.
    pub(crate) counts: bool,
    /// Versions whose app names another version, and the version that it names.
    pub(crate) says: Vec<(Level, Level)>,
    /// Whether versions of another app are compared like all others.
    pub(crate) ignores_apps: bool,
}

impl Versions {
    /// The version that the app of `level` names, where that is another one.
    pub(crate) fn says(&self, level: Level) -> Option<Level> {
        self.says.iter().find(|(one, _)| *one == level).map(|(_, says)| *says)
    }
}

/// What a decision knows of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ModelTarget {
    /// The record was not read.
    Unknown,
    /// The name is kept for another app.
    Taken,
    /// No healthy worker is to make room.
    Nothing,
    /// This version; whether a person holds it; and the versions that its workers said they were, as bits.
    Start { level: Level, pinned: bool, tried: u8 },
}

impl ModelTarget {
    /// A version that would be started, and of which nothing else is known.
    pub(crate) fn start(level: Level) -> Self {
        Self::Start { level, pinned: false, tried: 0 }
    }

    pub(crate) fn of(known: &KnownTarget) -> Self {
        if let AppStanding::Taken(_) = known.app {
            return Self::Taken;
        }
        match &known.version {
            Err(_) => Self::Nothing,
            Ok(version) => {
                let tried = known.tried.iter().fold(0, |bits, version| bits | (1 << level_of(version)));
                Self::Start { level: level_of(version), pinned: known.pinned, tried }
            }
        }
    }
}

/// The target of a call, and what the call may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ModelCallTarget {
    pub(crate) target: ModelTarget,
    /// What this call may start, where there is such a version.
    pub(crate) startable: Option<Level>,
}

/// The state of a worker, as its answer shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Looks {
    Booting,
    Ready,
    OnProbation,
    Stalled,
    Draining,
}

/// What a launcher sees of the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Seen {
    Nobody,
    Silent,
    Worker(Level, Looks),
}

/// The step that the attempt chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Choice {
    Answer(How),
    Await,
    AwaitEnd,
    Start,
    Suspect,
    Replace,
    /// Replace a worker that says that it is another version.
    Correct,
    /// An older worker is there: read the record.
    Read,
    GiveUp,
    Refuse,
}

/// The answer of the real `suspect` about a silent process, before and after the wait that it asked for.
pub(crate) fn suspicion(lease_busy: bool, waited: bool, booting: bool) -> Suspicion {
    let silent_for = if waited { SILENT_IS_WEDGED } else { Duration::ZERO };
    // The first wait is as long as the boot may take, so after it no boot is left.
    let booting_for = if booting && !waited { Duration::from_secs(30) } else { Duration::ZERO };
    suspect(lease_busy, silent_for, booting_for, SILENT_IS_WEDGED)
}

pub(crate) fn version(level: Level) -> Version {
    Version::new(u64::from(level) + 1, 0, 0)
}

pub(crate) fn level_of(version: &Version) -> Level {
    Level::try_from(version.major() - 1).expect("built from a level")
}

pub(crate) fn spec(level: Level) -> Spec {
    let mut spec = Spec::of_command(vec![format!("/bin/v{level}")], "/".into());
    spec.version = version(level);
    // Versions of one app are installed in several places.
    spec.app = Some(if level < STRANGERS { "own" } else { "strange" }.to_owned());
    spec
}

/// The file that a version is offered by.
pub(crate) fn origin(level: Level) -> Origin {
    Origin::Project { path: format!("/v{level}").into(), sha256: String::new() }
}

/// The criteria of a launcher of this version.
fn criteria(level: Level) -> Criteria {
    Criteria::of(&spec(level), &origin(level))
}

/// The target as the shipped decision takes it.
fn as_real(target: ModelTarget) -> Option<KnownTarget> {
    match target {
        ModelTarget::Unknown => None,
        ModelTarget::Taken => {
            let app = AppStanding::Taken(AppId::of(&spec(0), &origin(0)));
            Some(KnownTarget { app, ..KnownTarget::of(Err("it is another app's".into())) })
        }
        ModelTarget::Nothing => Some(KnownTarget::of(Err("it failed a moment ago".into()))),
        ModelTarget::Start { level, pinned, tried } => {
            let tried = (0..8).filter(|level| tried & (1 << level) != 0).map(version).collect();
            Some(KnownTarget { pinned, tried, ..KnownTarget::of(Ok(version(level))) })
        }
    }
}

/// Whether the call reads the record after a look without the gate.
pub(crate) fn needs_record(decision: &Decision) -> bool {
    matches!(decision, Decision::Replace(_, ReplaceReason::Older { .. } | ReplaceReason::OtherApp { .. }))
}

pub(crate) fn choice(act: &NextStep) -> Choice {
    match act {
        NextStep::Replace(_, ReplaceReason::Disagrees { .. }) => Choice::Correct,
        NextStep::Answer(how, _) => Choice::Answer(*how),
        NextStep::Await(_) => Choice::Await,
        NextStep::AwaitEnd(_) => Choice::AwaitEnd,
        NextStep::Start => Choice::Start,
        NextStep::Suspect => Choice::Suspect,
        NextStep::Replace(..) => Choice::Replace,
        NextStep::GiveUp(..) => Choice::GiveUp,
        NextStep::Refuse(_) => Choice::Refuse,
    }
}

fn hello(versions: &Versions, level: Level, looks: Looks) -> Hello {
    let spec = spec(level);
    let (role, state) = match looks {
        Looks::Booting => (Role::Booting, AppState::Booting),
        Looks::Ready | Looks::OnProbation | Looks::Stalled => (Role::Active, AppState::Ready),
        Looks::Draining => (Role::Draining, AppState::Ready),
    };
    let stalled = u64::try_from(spec.stall_timeout.duration().as_millis()).unwrap_or(u64::MAX - 1) + 1;
    let stalled_for_ms = (looks == Looks::Stalled).then_some(stalled);
    let identity = Identity { boot: "b".into(), pidns: 1, pid: 2, start: 3, inode: None };
    let mut hello = Hello::booting("memory:0".into(), 1, &spec, identity);
    hello.role = role;
    hello.app.state = state;
    hello.app.stalled_for_ms = stalled_for_ms;
    hello.app.version = versions.says(level).map(version);
    hello.whose = (!versions.ignores_apps).then(|| AppId::of(&spec, &origin(level)));
    hello.probation = (looks == Looks::OnProbation).then(probation);
    hello.draining = looks == Looks::Draining;
    hello
}

/// A probation that is not over. The version before decides nothing.
fn probation() -> Probation {
    Probation::of(version(0), 1, None)
}

fn observation(versions: &Versions, seen: Seen) -> Observation {
    match seen {
        Seen::Nobody => Observation::Nobody,
        Seen::Silent => Observation::Silent,
        Seen::Worker(level, looks) => Observation::Answered(Box::new(hello(versions, level, looks))),
    }
}

/// The decision under the gate, or the first decision of a look without it.
pub(crate) fn decision(versions: &Versions, asks: Level, target: ModelTarget, seen: Seen) -> Decision {
    decide::decide(&criteria(asks), as_real(target).as_ref(), &observation(versions, seen))
}

/// The decision of a look without the gate, with the record that it may read.
pub(crate) fn decision_without_gate(
    versions: &Versions,
    asks: Level,
    target: ModelTarget,
    seen: Seen,
) -> Decision {
    decide::decide_without_gate(&criteria(asks), &observation(versions, seen), || as_real(target))
}

/// The decision of a launcher that replaces every version but its own: it is shown accounts of version 0.0.0 instead.
pub(crate) fn strict_decision(versions: &Versions, asks: Level, target: ModelTarget, seen: Seen) -> Decision {
    match seen {
        Seen::Worker(level, looks) if level != asks => {
            let mut hello = hello(versions, level, looks);
            hello.version = Spec::unversioned();
            let target = as_real(ModelTarget::start(asks));
            let seen = Observation::Answered(Box::new(hello));
            decide::decide(&criteria(asks), target.as_ref(), &seen)
        }
        Seen::Worker(..) | Seen::Nobody | Seen::Silent => decision(versions, asks, target, seen),
    }
}
