//! The properties that must always hold, and the witnesses that must be seen.
//!
//! The numbers are those of the protocol's invariants. Two are added: no worker is signalled that answers or whose time
//! is not over, and a call fails only if something has gone wrong.

use stateright::Property;
use tenure_core::policy::lifecycle::LifecycleState;

use crate::kernel::{NOBODY, Sight, numbers};
use crate::scenario::{Rules, Single, Task};
use crate::single::moves;
use crate::single::state::{Launcher, Outcome, Pc, SLOTS, State, Why, Worker};

/// At most one worker accepts.
pub const ONE_WORKER: &str = "I1 one accepting worker";
/// At most one program tree lives.
pub const ONE_PROGRAM: &str = "I1 one program tree";
/// A worker that serves holds the lease.
pub const LEASE: &str = "I2 an active worker holds the lease";
/// The path leads to the worker that serves.
pub const PATH: &str = "I3 the path leads to the active worker";
/// Replacements are bounded by versions and faults.
pub const BOUNDED: &str = "I4 replacements <= k - 1 + f";
/// No version is started below one that has served and not failed.
pub const NO_DOWNGRADE: &str = "I5 no silent downgrade";
/// A name goes from one app to another only by a person's word.
pub const ONE_APP: &str = "no worker of one app makes room for another app's";
/// Callers wait or are answered while a worker boots or serves.
pub const NO_REFUSAL: &str = "I6 no refusal while a worker boots or serves";
/// A generation names one worker.
pub const GENERATIONS: &str = "I7 generations are unique";
/// Nothing is stuck.
pub const REST: &str = "I8 at rest: calls done, gate free, one active worker or a reason";
/// A call does not loop.
pub const BOUNDED_CALL: &str = "I12 a call enters the gate a bounded number of times";
/// Without a takeover one process at a time is the worker.
pub const ONE_GENERATION: &str = "I14 one generation alive";
/// Only a worker that hangs or is stopped is forced.
pub const NO_HARM: &str = "no signal to a worker that answers or is within its time";
/// Without a fault every call of a version that can run is answered.
pub const SOUND: &str = "no fault, no error";

/// A pinned version is the one that runs, until a person's next command about versions.
pub const PINNED: &str = "a pinned version is what serves until a person says otherwise";
/// A failed pin changes nothing that lasts.
pub const PUT_BACK: &str = "a pin that fails leaves a worker and no hold";
/// After a `stop --hold` only a person starts the worker.
pub const DOWN: &str = "what a person stopped for good stays down until a person starts it";
/// A person's start releases a `stop --hold`.
pub const HEARD: &str = "what a person started is not held down";

/// Most entries of one call into the gate: one for each version, and one for each fault of the largest scenario.
const MOST_GATE_ENTRIES: u8 = 12;

/// A worker that ends for lack of use misleads nobody.
pub const NOT_MISLED: &str = "no caller is told of a worker that has decided to end";

/// The properties of every exploration.
pub(super) fn always() -> Vec<Property<Single>> {
    vec![
        Property::always(ONE_WORKER, |_, s: &State| {
            count(s, |worker| worker.is(LifecycleState::Active)) <= 1
        }),
        Property::always(ONE_PROGRAM, |_, s: &State| count(s, |worker| worker.program) <= 1),
        Property::always(LEASE, |_, s: &State| {
            active(s).all(|worker| s.lease != 0 && worker.lease == s.lease)
        }),
        Property::always(PATH, |_, s: &State| active(s).all(|worker| s.path != 0 && worker.socket == s.path)),
        Property::always(BOUNDED, |rules: &Single, s: &State| {
            i16::from(s.replaced) <= rules.offered() - 1 + faults(rules, s)
        }),
        Property::always(NO_DOWNGRADE, |_, s: &State| !s.downgraded),
        Property::always(ONE_APP, |_, s: &State| !s.usurped),
        Property::always(NO_REFUSAL, |_, s: &State| {
            numbers(SLOTS).all(|slot| {
                let worker = &s.workers[usize::from(slot)];
                let serves = worker.is(LifecycleState::Booting) || worker.is(LifecycleState::Active);
                !serves || worker.suspended || s.see() == Sight::Worker(slot)
            })
        }),
        Property::always(GENERATIONS, |_, s: &State| {
            let ages: Vec<u8> = present(s).map(|worker| worker.age).collect();
            (1..ages.len()).all(|at| !ages[..at].contains(&ages[at]))
        }),
        Property::always(REST, |rules: &Single, s: &State| !is_at_rest(rules, s) || rests_well(s)),
        Property::always(BOUNDED_CALL, |_, s: &State| {
            s.launchers.iter().all(|one| one.gate_entries <= MOST_GATE_ENTRIES)
        }),
        Property::always(ONE_GENERATION, |_, s: &State| present(s).count() <= 1),
        Property::always(NO_HARM, |_, s: &State| !s.harmed),
        Property::always(SOUND, |_, s: &State| !s.unsound),
        Property::always(PINNED, |_, s: &State| {
            s.pinned == NOBODY || active(s).all(|worker| worker.level == s.pinned)
        }),
        Property::always(PUT_BACK, |_, s: &State| !s.pin_left_damage),
        Property::always(DOWN, |_, s: &State| {
            !s.downed
                || !present(s)
                    .any(|worker| matches!(worker.state, LifecycleState::Booting | LifecycleState::Active))
        }),
        Property::always(HEARD, |_, s: &State| !s.start_ignored),
        Property::always(NOT_MISLED, |_, s: &State| !s.misled),
    ]
}

/// The names of the witnesses.
pub mod witness {
    /// A launcher put the target in the place of an older worker.
    pub const REPLACED: &str = "a worker is replaced";
    /// A launcher lost the race to start and waited for the winner's worker.
    pub const JOINED: &str = "a race is lost";
    /// A stopped worker was ended.
    pub const WEDGED: &str = "a wedged worker is ended";
    /// A launcher could not start its version because it had just failed.
    pub const SUPPRESSED: &str = "a start is suppressed";
    /// A launcher got an older worker because its own version does not run.
    pub const OLDER: &str = "the older version serves instead";
    /// A caller's budget ended while a worker booted.
    pub const WARMING: &str = "a worker is still warming";
    /// A stopped gate holder was named.
    pub const GATE_HELD: &str = "a stopped gate holder is named";
    /// A launcher found that it had lost the gate.
    pub const GATE_LOST: &str = "a launcher loses the gate";
    /// A launcher waits for the program that a dead host has left.
    pub const LEFTOVER: &str = "a former program is waited for";
    /// A worker whose launcher died recorded itself.
    pub const ORPHAN: &str = "an orphan records itself";
    /// A boot hangs.
    pub const HANGS: &str = "a boot hangs";
    /// An app stalls and is replaced.
    pub const STALLED: &str = "a stalled app makes room";
    /// A worker was stopped while it booted.
    pub const BOOT_STOPPED: &str = "a boot is stopped by a person";
    /// A worker that answered slowly was left alone.
    pub const SPARED: &str = "a slow worker is spared";
    /// `stop` was proved.
    pub const STOPPED: &str = "a stop is proved";
    /// `restart` was proved.
    pub const RESTARTED: &str = "a restart is proved";
    /// `pin` was proved while a worker serves.
    pub const PINNED: &str = "a pin is proved";
    /// `unpin` was done while a worker serves.
    pub const UNPINNED: &str = "a pin is released";
    /// A pinned version did not start, and another one was started again.
    pub const PUT_BACK: &str = "a pin fails and something is put back";
    /// A launcher read the record without a lock while a version was pinned.
    pub const HELD: &str = "a pinned worker is read off the record";
    /// A launcher started nothing because a person holds the worker down.
    pub const HELD_DOWN: &str = "a launcher is told to leave the worker down";
    /// A person's start released a `stop --hold`.
    pub const RELEASED: &str = "a person starts what was held down";
    /// A launcher of another app was refused.
    pub const STRANGER: &str = "a stranger is refused";
    /// A caller waits for the end of a worker that nobody used.
    pub const UNUSED: &str = "a caller meets the end of an unused worker";
    /// A worker was left alone although it says that it is another version.
    pub const DISAGREES: &str = "a disagreement is left in peace";
}

/// The property of one name of [`witness`].
pub(super) fn witness(name: &'static str) -> Property<Single> {
    let seen: fn(&Single, &State) -> bool = match name {
        witness::REPLACED => |_, s| s.replaced > 0 && active(s).count() > 0,
        witness::JOINED => |_, s| ended(s, Outcome::Joined),
        witness::WEDGED => |_, s| s.lease == 0 && any(s, |one| one.pc == Pc::Prove(Why::Wedged)),
        witness::SUPPRESSED => |_, s| ended(s, Outcome::Suppressed),
        witness::OLDER => |_, s| ended(s, Outcome::Older),
        witness::WARMING => |_, s| ended(s, Outcome::Warming),
        witness::GATE_HELD => |_, s| ended(s, Outcome::GateHeld),
        witness::GATE_LOST => |_, s| ended(s, Outcome::GateLost),
        witness::LEFTOVER => |_, s| s.program_lives() && any(s, |one| one.pc == Pc::Clear),
        witness::ORPHAN => |_, s| present(s).any(|worker| worker.adopted && !worker.go),
        witness::HANGS => |_, s| present(s).any(|worker| worker.hangs && worker.is(LifecycleState::Booting)),
        witness::STALLED => |_, s| {
            present(s).any(|worker| worker.hangs && worker.is(LifecycleState::Draining))
                && any(s, |one| one.pc == Pc::Asked(Why::Replace))
        },
        witness::BOOT_STOPPED => |_, s| any(s, |one| one.news == crate::single::state::News::Stopped),
        witness::SPARED => {
            |_, s| matches!(s.see(), Sight::Worker(_)) && any(s, |one| one.pc == Pc::StillSilent)
        }
        witness::STOPPED => |_, s| ended(s, Outcome::Stopped),
        witness::RESTARTED => |_, s| ended(s, Outcome::Restarted),
        witness::PINNED => |_, s| ended(s, Outcome::Pinned) && active(s).count() > 0,
        witness::UNPINNED => |_, s| ended(s, Outcome::Unpinned) && active(s).count() > 0,
        witness::PUT_BACK => |_, s| ended(s, Outcome::PinFailed) && active(s).count() > 0,
        witness::HELD => |rules, s| {
            rules.policy.facts(s.desired).pinned.is_some() && any(s, |one| matches!(one.pc, Pc::Read(_)))
        },
        witness::HELD_DOWN => |_, s| ended(s, Outcome::HeldDown),
        witness::RELEASED => |_, s| {
            ended(s, Outcome::Stopped)
                && any(s, |one| one.task == Task::Start && matches!(one.pc, Pc::AwaitReport(_)))
        },
        witness::STRANGER => |rules, s| {
            any(s, |one| one.pc == Pc::Done(Outcome::Refused) && rules.policy.is_taken(s.desired, one.level))
        },
        witness::UNUSED => |rules, s| {
            rules.limits.idles > s.left.idles
                && present(s).any(|worker| worker.is(LifecycleState::Draining))
                && any(s, |one| one.pc == Pc::TakeLease)
        },
        witness::DISAGREES => |_, s| ended(s, Outcome::Refused) && active(s).count() > 0,
        // An unknown name is never seen, so the exploration fails.
        _ => |_, _| false,
    };
    Property::sometimes(name, seen)
}

fn present(s: &State) -> impl Iterator<Item = &Worker> {
    s.workers.iter().filter(|worker| worker.present)
}

fn active(s: &State) -> impl Iterator<Item = &Worker> {
    s.workers.iter().filter(|worker| worker.is(LifecycleState::Active))
}

fn count(s: &State, holds: impl Fn(&Worker) -> bool) -> usize {
    s.workers.iter().filter(|worker| holds(worker)).count()
}

fn any(s: &State, holds: impl Fn(&Launcher) -> bool) -> bool {
    s.launchers.iter().any(holds)
}

fn ended(s: &State, outcome: Outcome) -> bool {
    any(s, |one| one.pc == Pc::Done(outcome))
}

/// The faults so far, and the versions whose app names another one. Failed starts are not counted here: they are
/// subtracted from the replacements.
fn faults(rules: &Rules, s: &State) -> i16 {
    let (all, left) = (&rules.limits, &s.left);
    let spent = [all.crashes - left.crashes, all.stops - left.stops, all.ailments - left.ailments];
    let spent: i16 = spent.into_iter().map(i16::from).sum();
    spent + i16::try_from(rules.says.len()).expect("few versions")
}

/// Whether no process has a step of its own left.
fn is_at_rest(rules: &Rules, s: &State) -> bool {
    let mut next = Vec::new();
    moves::own(rules, s, &mut next);
    next.is_empty()
}

/// Whether a scope may rest in this state: every call is over or stopped, no process holds gate or lease without need,
/// and every worker serves or is stopped.
fn rests_well(s: &State) -> bool {
    let stopped = |me: u8| s.launchers[usize::from(me)].suspended;
    let calls = s.launchers.iter().all(|one| one.is_over() || one.suspended);
    let gate = s.gate == NOBODY || stopped(s.gate);
    let workers = present(s).all(|worker| {
        let waits = worker.parent != NOBODY && stopped(worker.parent);
        worker.is(LifecycleState::Active) || worker.suspended || waits
    });
    let lease = s.lease == 0 || present(s).count() > 0 || s.launchers.iter().any(|one| one.suspended);
    calls && gate && workers && lease
}
