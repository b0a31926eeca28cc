//! Converts the small numbers of the model to the values of the shipped functions, and back.
//!
//! A model state has bytes; the shipped decisions take specs, accounts and records. This room builds the real values
//! and reads the real answers; it decides nothing. The version that an app names is a fixed fact of each version.
//!
//! Time is abstract. Every record is read at the same moment, and the moments in it are set so that the real arithmetic
//! gives the intended answer. A tick is as long as the first quarantine. Of several moments of one version only the
//! order is kept.

use std::time::Duration;

use semver::Version;
use tenure_core::policy::attempt::{Attempt, How, NextStep};
use tenure_core::policy::decide::{
    self, Criteria, Decision, KnownTarget, Observation, ReplaceReason, SILENT_IS_WEDGED, Suspicion, suspect,
};
use tenure_core::policy::facts::{
    AppState, Asker, Desired, Down, FailureTally, Hello, Identity, Ledger, Moment, Origin, Probation, Proved,
    Role, RolledBack, Spec,
};
use tenure_core::policy::tally;
use tenure_core::policy::target::TargetChoice;

/// A version: its place in the total order, from 0.
pub(crate) type Level = u8;

/// What happens to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    /// A launcher offers this version.
    Offer(Level),
    /// Its start failed.
    Fail(Level),
    /// Its start became ready, with no probation before it.
    Succeed(Level),
    /// A person asks for it.
    BeginAnew(Level),
    /// The short wait after its failure is over.
    SuppressionEnds(Level),
    /// The long wait after its failure is over.
    QuarantineEnds(Level),
    /// Time passes for all versions, as long as the first quarantine.
    Tick,
    /// A person pins it.
    Pin(Level),
    /// A person releases the pin.
    Unpin,
    /// A person stops the worker for good.
    Down,
    /// A person starts the worker again.
    Up,
    /// This version is tried once more, because its worker said that it was another version.
    Disagree(Level),
    /// An incumbent records in the ledger that its successor of this version failed.
    RollBack(Level),
    /// A worker of this version records in the ledger that it has passed its probation.
    Prove(Level),
    /// The gate holder counts what the ledger says.
    Count,
    /// The same, but a failure is overlooked.
    CountProofs,
    /// A generation is opened, and begins with an empty ledger.
    Open,
}

/// The versions of a scenario.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versions {
    /// How many versions there are.
    pub(crate) levels: Level,
    /// Whether several failures of a version are counted. Otherwise each counts as the first.
    pub(crate) counts: bool,
    /// Versions whose app names another version, and the version that it names.
    pub(crate) says: Vec<(Level, Level)>,
}

impl Versions {
    /// The version that the app of `level` names, where that is another one.
    pub(crate) fn says(&self, level: Level) -> Option<Level> {
        self.says.iter().find(|(one, _)| *one == level).map(|(_, says)| *says)
    }
}

/// The goal by the record, as the decision takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Goal {
    /// The record was not read.
    Unknown,
    /// No healthy worker is to make room.
    Nothing,
    /// This version; whether a person holds it; and the versions that its workers said they were, as bits.
    Start { level: Level, pinned: bool, tried: u8 },
}

impl Goal {
    /// A version that would be started, and of which nothing else is known.
    pub(crate) fn start(level: Level) -> Self {
        Self::Start { level, pinned: false, tried: 0 }
    }

    fn of(known: &KnownTarget) -> Self {
        match &known.goal {
            decide::Goal::Nothing(_) => Self::Nothing,
            decide::Goal::Start(version) => {
                let tried = known.tried.iter().fold(0, |bits, version| bits | (1 << level_of(version)));
                Self::Start { level: level_of(version), pinned: known.pinned, tried }
            }
        }
    }
}

/// The target of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) goal: Goal,
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

fn level_of(version: &Version) -> Level {
    Level::try_from(version.major - 1).expect("built from a level")
}

pub(crate) fn spec(level: Level) -> Spec {
    let mut spec = Spec::of_command(vec![format!("/bin/v{level}")], "/".into());
    spec.version = version(level);
    spec
}

const SECOND: u64 = 1_000;

/// As long as the first quarantine of a version that failed.
const TICK: u64 = 30 * SECOND;

/// Failures beyond this number count as this number.
const MOST_FAILURES: u32 = 3;

/// The moment at which every record is read.
const NOW: u64 = 1_000_000 * SECOND;

fn at(ms: u64) -> Moment {
    Moment::of("model", ms)
}

fn origin(level: Level) -> Origin {
    Origin::Project { path: format!("/v{level}").into(), sha256: String::new() }
}

/// The record `desired.json`, and the facts for it in `ledger.json`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    pub(crate) desired: Desired,
    ledger: Ledger,
}

impl Records {
    /// Makes the real change, and then sets the moments so that the records are again read at the same moment.
    pub(crate) fn changed(&self, versions: &Versions, change: Change) -> Self {
        let Self { mut desired, mut ledger } = self.clone();
        // Later than every moment on record, and past when the record is read.
        let stamp = at(NOW - 1);
        match change {
            // As `candidates::with_offer` does: an offer that is on record is not recorded again.
            Change::Offer(level) => {
                if desired.offered(&version(level)).is_none() {
                    desired.offer_from(&spec(level), &origin(level), &stamp);
                }
            }
            Change::Fail(level) => desired.failed(&spec(level), "it ended before it was ready", &stamp),
            Change::Succeed(level) => desired.succeeded(&version(level)),
            Change::BeginAnew(level) => desired.begin_anew(&version(level), &stamp),
            Change::SuppressionEnds(level) => {
                age(&mut desired, level, |failure| failure.suppressed_for(&at(NOW)));
            }
            Change::QuarantineEnds(level) => {
                age(&mut desired, level, |failure| failure.quarantined_for(&at(NOW)));
            }
            Change::Tick => {
                moments(&mut desired, &mut ledger).for_each(|(_, moment)| moment.ms -= TICK);
                desired.offers.iter_mut().for_each(|offer| offer.at.ms -= TICK);
            }
            Change::Pin(level) => desired.pin = Some(version(level)),
            Change::Unpin => desired.pin = None,
            Change::Down => {
                desired.down.get_or_insert_with(|| Down { by: Asker::default(), at: at(NOW) });
            }
            Change::Up => desired.down = None,
            Change::Disagree(level) => {
                let says = versions.says(level).expect("only a version that says another one disagrees");
                desired.disagreed(&spec(level), &version(says));
            }
            Change::RollBack(level) => {
                let (version, spec, why) = (version(level), spec(level).digest(), "it failed".to_owned());
                ledger.rolled_back = Some(RolledBack { version, spec, at: stamp, why });
            }
            Change::Prove(level) => ledger.proved = Some(Proved { version: version(level), at: stamp }),
            Change::Count | Change::CountProofs => {
                ledger.rolled_back = ledger.rolled_back.filter(|_| change == Change::Count);
                tally::count(&ledger, &mut desired, &at(NOW));
                // To count it again would change nothing.
                ledger = Ledger::default();
            }
            Change::Open => ledger = Ledger::default(),
        }
        for failure in &mut desired.failures {
            failure.count = failure.count.min(if versions.counts { MOST_FAILURES } else { 1 });
        }
        desired.failures.sort_by(|a, b| a.version.cmp(&b.version));
        (0..versions.levels).for_each(|level| tidy(&mut desired, &mut ledger, level));
        Self { desired, ledger }
    }

    /// The target of a call with this memory. The versions in `revoked` (bits) are not trusted any more.
    pub(crate) fn target(&self, attempt: &Attempt, revoked: u8) -> Target {
        let trusts =
            |kept: &Origin| (0..8).any(|level| revoked & (1 << level) == 0 && origin(level) == *kept);
        let allowed = self.desired.allowed(&trusts);
        let choice = TargetChoice::of(&allowed, attempt, &at(NOW), &|_| true);
        let has_failed = (0..8).any(|level| !attempt.may_start(&version(level)));
        let failure = has_failed.then_some("an earlier start of this call failed");
        let goal = Goal::of(&choice.known(failure, false, None));
        Target { goal, startable: choice.startable().map(|spec| level_of(&spec.version)) }
    }

    /// How often a version has failed since it last passed a probation.
    pub(crate) fn failures(&self, level: Level) -> u8 {
        let failure = self.desired.failure(&spec(level));
        failure.map_or(0, |failure| u8::try_from(failure.count).unwrap_or(u8::MAX))
    }

    /// Whether a version is in quarantine.
    pub(crate) fn keeps_out(&self, level: Level) -> bool {
        self.desired.failure(&spec(level)).is_some_and(|failure| failure.quarantined(&at(NOW)))
    }
}

fn age(desired: &mut Desired, level: Level, left: impl Fn(&FailureTally) -> Duration) {
    for failure in desired.failures.iter_mut().filter(|failure| failure.version == version(level)) {
        failure.at.ms -= u64::try_from(left(failure).as_millis()).unwrap_or(0);
    }
}

/// The moments of failures and passed probations, each with its version.
fn moments<'known>(
    desired: &'known mut Desired,
    ledger: &'known mut Ledger,
) -> impl Iterator<Item = (Version, &'known mut Moment)> {
    let failures = desired.failures.iter_mut().map(|one| (one.version.clone(), &mut one.at));
    let rolled_back = ledger.rolled_back.iter_mut().map(|one| (one.version.clone(), &mut one.at));
    let proved = ledger.proved.iter_mut().map(|one| (one.version.clone(), &mut one.at));
    failures.chain(rolled_back).chain(proved)
}

/// Keeps only the order and the whole seconds of the moments of one version, so that equal situations become equal
/// records.
fn tidy(desired: &mut Desired, ledger: &mut Ledger, level: Level) {
    let of = |moment: &(Version, &mut Moment)| moment.0 == version(level);
    let mut known: Vec<u64> = moments(desired, ledger).filter(of).map(|(_, moment)| moment.ms).collect();
    known.sort_unstable();
    known.dedup();
    let seconds = |ms: u64| (NOW - ms) / SECOND;
    let tidied = |ms: u64| {
        let later = known.iter().filter(|other| **other > ms && seconds(**other) == seconds(ms)).count();
        // Leaves room for a moment after all of these.
        NOW - seconds(ms) * SECOND - 2 - u64::try_from(later).unwrap_or(0)
    };
    for (_, moment) in moments(desired, ledger).filter(of) {
        moment.ms = tidied(moment.ms);
    }
    for offer in desired.offers.iter_mut().filter(|offer| offer.spec.version == version(level)) {
        let before = known.iter().rev().find(|ms| **ms < offer.at.ms);
        offer.at.ms = match (before, known.first()) {
            (Some(before), _) => tidied(*before) + 1,
            (None, Some(first)) => tidied(*first),
            (None, None) => NOW - 2,
        };
    }
}

/// The version that a person holds.
pub(crate) fn pinned(desired: &Desired) -> Option<Level> {
    desired.pin.as_ref().map(level_of)
}

/// The goal as the shipped decision takes it.
fn as_real(goal: Goal) -> decide::Target {
    match goal {
        Goal::Unknown => decide::Target::Unknown,
        Goal::Nothing => decide::Target::at(decide::Goal::Nothing("it failed a moment ago".into())),
        Goal::Start { level, pinned, tried } => {
            let goal = decide::Goal::Start(version(level));
            let tried = (0..8).filter(|level| tried & (1 << level) != 0).map(version).collect();
            decide::Target::Known(KnownTarget { goal, pinned, tried, content: None })
        }
    }
}

/// Whether the call reads the record after a look without the gate.
pub(crate) fn is_older(decision: &Decision) -> bool {
    matches!(decision, Decision::Replace(_, ReplaceReason::Older { .. }))
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

fn hello(level: Level, says: Option<Level>, looks: Looks) -> Hello {
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
    hello.app.version = says.map(version);
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
        Seen::Worker(level, looks) => {
            Observation::Answered(Box::new(hello(level, versions.says(level), looks)))
        }
    }
}

/// The decision under the gate, or the first decision of a look without it.
pub(crate) fn decision(versions: &Versions, criteria: Level, goal: Goal, seen: Seen) -> Decision {
    decide::decide(&Criteria::of(&spec(criteria)), &as_real(goal), &observation(versions, seen))
}

/// The decision of a look without the gate, with the record that it may read.
pub(crate) fn decision_without_gate(
    versions: &Versions,
    criteria: Level,
    goal: Option<Goal>,
    seen: Seen,
) -> Decision {
    let criteria = Criteria::of(&spec(criteria));
    decide::decide_without_gate(&criteria, &observation(versions, seen), || goal.map(as_real))
}

/// The decision of a launcher that replaces every version but its own: it is shown accounts of version 0.0.0 instead.
pub(crate) fn strict_decision(versions: &Versions, criteria: Level, goal: Goal, seen: Seen) -> Decision {
    match seen {
        Seen::Worker(level, looks) if level != criteria => {
            let mut hello = hello(level, versions.says(level), looks);
            hello.version = Spec::unversioned();
            let goal = as_real(Goal::start(criteria));
            decide::decide(&Criteria::of(&spec(criteria)), &goal, &Observation::Answered(Box::new(hello)))
        }
        Seen::Worker(..) | Seen::Nobody | Seen::Silent => decision(versions, criteria, goal, seen),
    }
}
