//! From the small numbers of the model to the values that the shipped functions take, and back.
//!
//! A model state holds bytes; `decide`, `Attempt` and `Desired` take specs, accounts and records. This room builds the real
//! values and reads the real answers; it decides nothing. Time is abstract: a failure is fresh, past its suppression, or
//! past its quarantine, and the moments in a record are set so that the real arithmetic says so. A failure counts once,
//! because the tally only lengthens those times. What an app says of its version is a fact of the version.

use std::time::Duration;

use semver::Version;
use tenure_core::policy::attempt::{How, NextStep};
use tenure_core::policy::decide::{
    self, Criteria, Decision, KnownTarget, Observation, ReplaceReason, SILENT_IS_WEDGED, Suspicion, Target,
    suspect,
};
use tenure_core::policy::facts::{
    AppState, Asker, Desired, Down, FailureTally, Hello, Identity, Moment, Role, Spec, StartTarget,
};

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
    /// A person pins it.
    Hold(Level),
    /// A person releases what is pinned.
    Release,
    /// A person stops the worker for good.
    Down,
    /// A person starts it again.
    Up,
    /// It is tried once more because it said that it was another version.
    Disagree(Level),
}

/// Which versions there are, and what can happen to the record of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Cast {
    /// How many versions.
    pub(super) levels: Level,
    /// Which of them are pinned at some time, as bits.
    pub(super) pins: u8,
    /// Whether the worker is stopped for good at some time.
    pub(super) downs: bool,
    /// Versions whose app says that it is another one, and which.
    pub(super) says: Vec<(Level, Level)>,
}

impl Cast {
    /// What the app of a version says, where that is another one.
    pub(super) fn says(&self, level: Level) -> Option<Level> {
        self.says.iter().find(|(one, _)| *one == level).map(|(_, says)| *says)
    }

    /// Everything that can happen to the record.
    pub(super) fn changes(&self) -> Vec<Change> {
        let usual = |level| {
            [
                Change::Offer(level),
                Change::Fail(level),
                Change::Succeed(level),
                Change::SuppressionEnds(level),
                Change::QuarantineEnds(level),
            ]
        };
        let mut changes: Vec<Change> = (0..self.levels).flat_map(usual).collect();
        changes.extend((0..self.levels).filter(|level| self.pins & (1 << level) != 0).map(Change::Hold));
        changes.push(Change::Release);
        changes.push(Change::Up);
        changes.extend(self.downs.then_some(Change::Down));
        changes.extend(self.says.iter().map(|(level, _)| Change::Disagree(*level)));
        changes
    }
}

/// What would be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Goal {
    /// The record was not read.
    Unknown,
    /// Nothing can be started now.
    Nothing,
    /// This version. Whether it failed a moment ago and nothing else can run, whether a person holds it, and what it is known
    /// to have said that it is, as bits.
    Start { level: Level, retry: bool, held: bool, tried: u8 },
}

impl Goal {
    /// A version of which nothing is known but that it would be started.
    pub(super) fn start(level: Level) -> Self {
        Self::Start { level, retry: false, held: false, tried: 0 }
    }
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

/// The step that the attempt chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Choice {
    Answer(How),
    Await,
    AwaitEnd,
    Start,
    Suspect,
    Replace,
    /// Replace what says that it is another version.
    Correct,
    /// An older one stands: look into the record.
    Read,
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
    Moment::of("model", 100 * HOUR)
}

/// The real change, and then the same record as seen from the same moment again.
pub(super) fn changed(cast: &Cast, mut desired: Desired, change: Change) -> Desired {
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
        Change::Hold(level) => desired.hold = Some(version(level)),
        Change::Release => desired.hold = None,
        Change::Down => {
            let first = || Down { by: Asker::default(), at: now() };
            desired.down = desired.down.or_else(|| Some(first()));
        }
        Change::Up => desired.down = None,
        Change::Disagree(level) => {
            let says = cast.says(level).expect("only a version that says another one disagrees");
            desired.disagreed(&spec(level), &version(says));
        }
    }
    for failure in &mut desired.failures {
        failure.count = 1;
    }
    desired.failures.sort_by(|a, b| a.version.cmp(&b.version));
    desired
}

fn age(desired: &mut Desired, level: Level, to: impl Fn(&FailureTally) -> u64) {
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
        StartTarget::Offer { spec, retry, .. } => {
            let observed = desired.observed_for(&spec);
            let tried = observed.iter().fold(0, |bits, version| bits | (1 << level_of(version)));
            let (level, held) = (level_of(&spec.version), desired.hold.is_some());
            Goal::Start { level, retry: retry.is_some(), held, tried }
        }
        StartTarget::Suppressed { .. } | StartTarget::Missing { .. } => Goal::Nothing,
    }
}

/// The version that a person holds.
pub(super) fn held(desired: &Desired) -> Option<Level> {
    desired.hold.as_ref().map(level_of)
}

fn aim(goal: Goal) -> Target {
    match goal {
        Goal::Unknown => Target::Unknown,
        // Who may be started where nobody serves is no reason to end who serves.
        Goal::Nothing | Goal::Start { retry: true, .. } => {
            Target::at(decide::Goal::Nothing("it failed a moment ago".into()))
        }
        Goal::Start { level, held, tried, .. } => {
            let goal = decide::Goal::Start(version(level));
            let tried = (0..8).filter(|level| tried & (1 << level) != 0).map(version).collect();
            Target::Known(KnownTarget { goal, held, tried, content: None })
        }
    }
}

/// Whether the look without a lock goes on to the record.
pub(super) fn is_older(decision: &Decision) -> bool {
    matches!(decision, Decision::Replace(_, ReplaceReason::Older { .. }))
}

pub(super) fn choice(act: &NextStep) -> Choice {
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

fn hello(level: Level, says: Option<Level>, looks: Looks) -> Hello {
    let spec = spec(level);
    let (role, state) = match looks {
        Looks::Booting => (Role::Booting, AppState::Booting),
        Looks::Ready | Looks::Stalled => (Role::Active, AppState::Ready),
        Looks::Draining => (Role::Draining, AppState::Ready),
    };
    let stalled = u64::try_from(spec.stall_timeout.duration().as_millis()).unwrap_or(u64::MAX - 1) + 1;
    let stalled_for_ms = (looks == Looks::Stalled).then_some(stalled);
    let identity = Identity { boot: "b".into(), pidns: 1, pid: 2, start: 3, inode: None };
    let mut hello = Hello::booting("memory:0".into(), 1, &spec, identity);
    hello.role = role;
    hello.app.state = state;
    hello.app.stalled_for_ms = stalled_for_ms;
    hello.app.version = says.map(version);
    hello.draining = looks == Looks::Draining;
    hello
}

/// The decision. Strictly: with an account that never agrees unless the versions are equal.
pub(super) fn decision(cast: &Cast, criteria: Level, goal: Goal, seen: Seen, strictly: bool) -> Decision {
    let wants = Criteria::of(&spec(criteria));
    let (aim, seen) = match seen {
        Seen::Nobody => (aim(goal), Observation::Nobody),
        Seen::Silent => (aim(goal), Observation::Silent),
        Seen::Worker(level, looks) => {
            let mut hello = hello(level, cast.says(level), looks);
            let strictly = strictly && level != criteria;
            if strictly {
                hello.version = Spec::unversioned();
            }
            let aim = if strictly { aim_at(criteria) } else { aim(goal) };
            (aim, Observation::Answered(Box::new(hello)))
        }
    };
    decide::decide(&wants, &aim, &seen)
}

fn aim_at(level: Level) -> Target {
    Target::at(decide::Goal::Start(version(level)))
}
