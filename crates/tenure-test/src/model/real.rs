//! From the small numbers of the model to the values that the shipped functions take, and back.
//!
//! A model state holds bytes; `judge`, `Errand` and `Desired` take specs, accounts and records. This room builds the real
//! values and reads the real answers; it decides nothing. Time is abstract: a failure is fresh, past its suppression, or
//! past its quarantine, and the moments in a record are set so that the real arithmetic says so. A failure counts once,
//! because the tally only lengthens those times.

use std::time::Duration;

use semver::Version;
use tenure::deadline::Moment;
use tenure::desired::{Desired, Failure, Target};
use tenure::errand::{Act, How};
use tenure::judge::{Aim, Suspicion, Verdict, Want, judge, suspect};
use tenure::probe::{Observation, SILENT_IS_WEDGED};
use tenure::spec::Spec;
use tenure::wire::{App, AppState, Asker, Hello, PROTOCOL, Role};
use tenure_sys::identity::Identity;

/// A version: its place in the total order, from 0.
pub(super) type Level = u8;

/// What happens to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Change {
    /// A launcher offers this version.
    Offer(Level),
    /// Its start failed.
    Fail(Level),
    /// Its start became ready, or a person asked for it.
    Succeed(Level),
    /// The short wait after its failure is over.
    SuppressionEnds(Level),
    /// The long one is over.
    QuarantineEnds(Level),
}

impl Change {
    /// Everything that can happen to what the record says of one version.
    pub(super) fn all(level: Level) -> [Self; 5] {
        [
            Self::Offer(level),
            Self::Fail(level),
            Self::Succeed(level),
            Self::SuppressionEnds(level),
            Self::QuarantineEnds(level),
        ]
    }
}

/// What would be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Goal {
    /// The record was not read.
    Unknown,
    /// Nothing can be started now.
    Nothing,
    /// This version.
    Start(Level),
}

/// How a worker looks to one who asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Looks {
    Booting,
    Ready,
    Stalled,
    Draining,
}

/// What a launcher sees of the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Seen {
    Nobody,
    Silent,
    Worker(Level, Looks),
}

/// The act that the errand chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Choice {
    Answer(How),
    Await,
    AwaitEnd,
    Start,
    Suspect,
    Replace,
    GiveUp,
    Refuse,
}

/// What the real `suspect` says of a silent holder, before and after the wait that it asked for.
pub(super) fn suspicion(lease_busy: bool, waited: bool, booting: bool) -> Suspicion {
    let silent_for = if waited { SILENT_IS_WEDGED } else { Duration::ZERO };
    // The first wait is as long as the boot may take, so after it no boot is left.
    let booting_for = if booting && !waited { Duration::from_secs(30) } else { Duration::ZERO };
    suspect(lease_busy, silent_for, booting_for, SILENT_IS_WEDGED)
}

pub(super) fn version(level: Level) -> Version {
    Version::new(u64::from(level) + 1, 0, 0)
}

fn level_of(version: &Version) -> Level {
    Level::try_from(version.major - 1).expect("built from a level")
}

pub(super) fn spec(level: Level) -> Spec {
    let mut spec = Spec::of_command(vec![format!("/bin/v{level}")], "/".into());
    spec.version = version(level);
    spec
}

const HOUR: u64 = 3_600_000;

fn now() -> Moment {
    Moment { boot: "model".into(), ms: 100 * HOUR }
}

/// The real change, and then the same record as seen from the same moment again.
pub(super) fn changed(mut desired: Desired, change: Change) -> Desired {
    match change {
        // As `offers::with_offer` does: what was offered before is not offered again.
        Change::Offer(level) => {
            let spec = spec(level);
            if !desired.offers.iter().any(|offer| offer.spec == spec) {
                desired.offer(&spec, &now());
            }
        }
        Change::Fail(level) => desired.failed(&spec(level), "it ended before it was ready", &now()),
        Change::Succeed(level) => {
            if desired.failure(&spec(level)).is_some() {
                desired.succeeded(&version(level));
            }
        }
        Change::SuppressionEnds(level) => age(&mut desired, level, |failure| {
            let wait = failure.suppressed_for(&now());
            now().ms - u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
        }),
        Change::QuarantineEnds(level) => age(&mut desired, level, |_| now().ms - 2 * HOUR),
    }
    for failure in &mut desired.failures {
        failure.count = 1;
    }
    desired.failures.sort_by(|a, b| a.version.cmp(&b.version));
    desired
}

fn age(desired: &mut Desired, level: Level, to: impl Fn(&Failure) -> u64) {
    for failure in &mut desired.failures {
        if failure.version == version(level) {
            failure.at.ms = failure.at.ms.min(to(failure));
        }
    }
}

/// What would be started, as far as the versions in `except` (as bits) may not be.
pub(super) fn goal(desired: &Desired, except: u8) -> Goal {
    let able = |spec: &Spec| except & (1 << level_of(&spec.version)) == 0;
    match desired.target(&now(), &able) {
        Target::Offer { spec, .. } => Goal::Start(level_of(&spec.version)),
        Target::Suppressed { .. } | Target::Missing { .. } => Goal::Nothing,
    }
}

fn aim(goal: Goal) -> Aim {
    match goal {
        Goal::Unknown => Aim::Unknown,
        Goal::Nothing => Aim::Nothing("it failed a moment ago".into()),
        Goal::Start(level) => Aim::Version(version(level)),
    }
}

pub(super) fn choice(act: &Act) -> Choice {
    match act {
        Act::Answer(how, _) => Choice::Answer(*how),
        Act::Await(_) => Choice::Await,
        Act::AwaitEnd(_) => Choice::AwaitEnd,
        Act::Start => Choice::Start,
        Act::Suspect => Choice::Suspect,
        Act::Replace(..) => Choice::Replace,
        Act::GiveUp(..) => Choice::GiveUp,
        Act::Refuse(_) => Choice::Refuse,
    }
}

fn hello(level: Level, looks: Looks) -> Hello {
    let spec = spec(level);
    let (role, state) = match looks {
        Looks::Booting => (Role::Booting, AppState::Booting),
        Looks::Ready | Looks::Stalled => (Role::Active, AppState::Ready),
        Looks::Draining => (Role::Draining, AppState::Ready),
    };
    let stalled = u64::try_from(spec.stall_timeout.duration().as_millis()).unwrap_or(u64::MAX - 1) + 1;
    let stalled_for_ms = (looks == Looks::Stalled).then_some(stalled);
    Hello {
        scope: "memory:0".into(),
        generation: 1,
        role,
        version: version(level),
        build: "0.1.0".into(),
        protocol: PROTOCOL,
        identity: Identity { boot: "b".into(), pidns: 1, pid: 2, start: 3, inode: None },
        instance: "i".into(),
        worker_path: "/bin/tenure".into(),
        uptime_ms: 1,
        started_by: Asker::default(),
        endpoints: Vec::new(),
        app: App { state, stalled_for_ms, ..App::default() },
        draining: looks == Looks::Draining,
        spec: spec.summary(),
        program: None,
    }
}

/// What the judge says. Strictly: with an account that never agrees unless the versions are equal.
pub(super) fn verdict(want: Level, goal: Goal, seen: Seen, strictly: bool) -> Verdict {
    let wants = Want::of(&spec(want));
    match seen {
        Seen::Nobody => judge(&wants, &aim(goal), &Observation::Nobody),
        Seen::Silent => judge(&wants, &aim(goal), &Observation::Silent),
        Seen::Worker(level, looks) if strictly && level != want => {
            let mut hello = hello(level, looks);
            hello.version = Spec::unversioned();
            let mine = Aim::Version(version(want));
            judge(&wants, &mine, &Observation::Answered(Box::new(hello)))
        }
        Seen::Worker(level, looks) => {
            judge(&wants, &aim(goal), &Observation::Answered(Box::new(hello(level, looks))))
        }
    }
}
