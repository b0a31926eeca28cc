//! The properties that must always hold in a takeover, and the witnesses that must be seen.
//!
//! The numbers are those of the protocol's invariants.

use stateright::Property;
use tenure_core::policy::takeover::{Incumbent, Successor, Then};

use crate::kernel::NOBODY;
use crate::real::STRANGERS;
use crate::scenario::{Limits, Rules, Takeover, Task};
use crate::takeover::moves;
use crate::takeover::process::{Kin, Launcher, Outcome, Pc, Phase, Todo, Why, Worker};
use crate::takeover::state::State;

/// At most one app accepts clients; two where the terms let both programs run.
pub const ONE_ACCEPTS: &str = "I1 one accepting app";
/// A worker whose app accepts holds the lease.
pub const LEASE: &str = "I2 who accepts holds the lease";
/// At most one process answers callers at the path, and it is the worker that serves.
pub const PATH: &str = "I3 who serves is who answers at the path";
/// Replacements are bounded by versions and faults.
pub const BOUNDED: &str = "I4 replacements <= k - 1 + f";
/// A name goes from one app to another only by a person's word.
pub const ONE_APP: &str = "no worker of one app makes room for another app's";
/// Each downgrade needs a fault.
pub const NO_DOWNGRADE: &str = "I5 a downgrade uses up a fault";
/// Callers wait or are answered while a worker lives that has not announced its end.
pub const NO_REFUSAL: &str = "I6 no refusal while one of the lineage lives on";
/// A generation names one worker.
pub const GENERATIONS: &str = "I7 generations are unique";
/// The ledger's generation only goes up.
pub const ONWARD: &str = "I7 the generation on record never goes back";
/// Nothing is stuck.
pub const REST: &str = "I8 at rest: calls done, gate free, one worker alone or a reason";
/// No worker serves with a generation below one that has served.
pub const FENCE: &str = "I9 no write by an older generation";
/// `restart` has seen the worker that it claims.
pub const PROOF: &str = "I13 a proved restart has seen the new worker";
/// A version that failed in its probation is not tried for a while, which is longer each time.
pub const QUARANTINE: &str = "a version that failed in its probation is not tried within its quarantine";
/// A worker that has not declined is not ended, whatever becomes of its successor.
pub const UNHARMED: &str =
    "only the incumbent declines: no healthy worker is ended for its successor's trouble";
/// A full disk does not keep an incumbent from taking its scope back.
pub const WAY_BACK: &str = "a full disk keeps no incumbent from coming back";
/// A worker announces only recorded generations.
pub const ON_RECORD: &str = "no generation is told that is not on record";
/// No launcher starts a version that is not trusted now.
pub const TRUST: &str = "nothing is started by a launcher whose trust is gone";
/// At most two workers live.
pub const TWO_ALIVE: &str = "I14 two generations alive";
/// A stop of the worker ends both sides of a takeover.
pub const STOP_HOLDS: &str = "a worker that was told of a stop does not serve again";
/// A pinned version is the one that runs, until a person's next command about versions.
pub const PINNED: &str = "a pinned version is what serves until a person says otherwise";
/// A failed pin changes nothing that lasts.
pub const PUT_BACK: &str = "a pin that fails leaves a worker and no hold";
/// Without a fault every call is answered.
pub const SOUND: &str = "no fault, no error";

/// The properties of every exploration.
pub(super) fn always() -> Vec<Property<Takeover>> {
    vec![
        Property::always(ONE_ACCEPTS, |rules: &Takeover, s: &State| {
            let most = if rules.terms.overlap { 2 } else { 1 };
            s.living().filter(|(_, worker)| worker.accepts).count() <= most
        }),
        Property::always(LEASE, |_, s: &State| {
            accepting(s).all(|worker| s.lease != 0 && worker.lease == s.lease)
        }),
        Property::always(PATH, |_, s: &State| {
            let serves = |worker: &Worker| {
                s.path != 0 && worker.socket == s.path && (worker.answers || !is_settled(worker))
            };
            s.living().filter(|(_, worker)| worker.answers).count() <= 1 && settled(s).all(serves)
        }),
        Property::always(BOUNDED, |rules: &Takeover, s: &State| {
            i16::from(s.replaced) <= rules.offered() - 1 + faults(rules, s)
        }),
        // The worker that serves at first is of the app with the lower versions.
        Property::always(ONE_APP, |_, s: &State| s.living().all(|(_, worker)| worker.level < STRANGERS)),
        Property::always(NO_DOWNGRADE, |rules: &Takeover, s: &State| {
            // If the trust in the higher version is gone, a lower one may be started.
            i16::from(s.downgrades) <= faults(rules, s) + lacks(rules, s)
        }),
        Property::always(NO_REFUSAL, |_, s: &State| {
            s.living().all(|(_, worker)| !goes_on(worker) || worker.stopped || worker.socket == s.path)
        }),
        Property::always(GENERATIONS, |_, s: &State| {
            let has_one = |worker: &&Worker| !is_asking(worker);
            let living = s.living().map(|(_, worker)| worker);
            let all: Vec<u8> = living.filter(has_one).map(|worker| worker.generation).collect();
            (1..all.len()).all(|at| !all[..at].contains(&all[at]))
        }),
        Property::always(ONWARD, |_, s: &State| !s.regressed),
        Property::always(REST, |rules: &Takeover, s: &State| !is_at_rest(rules, s) || rests_well(rules, s)),
        Property::always(FENCE, |rules: &Takeover, s: &State| {
            // Where the terms let both programs run, neither is fenced.
            rules.terms.overlap || accepting(s).all(|worker| worker.generation >= s.written)
        }),
        Property::always(PROOF, |_, s: &State| !s.unproved),
        Property::always(TWO_ALIVE, |_, s: &State| s.living().count() <= 2),
        Property::always(STOP_HOLDS, |_, s: &State| !s.resurrected),
        Property::always(QUARANTINE, |_, s: &State| !s.impatient),
        Property::always(UNHARMED, |_, s: &State| !s.harmed),
        Property::always(WAY_BACK, |_, s: &State| !s.stranded),
        Property::always(ON_RECORD, |_, s: &State| {
            s.living().all(|(_, worker)| !worker.answers || worker.generation <= s.ledger)
        }),
        Property::always(TRUST, |_, s: &State| !s.distrusted),
        Property::always(PINNED, |_, s: &State| {
            s.pinned == NOBODY || accepting(s).all(|worker| worker.level == s.pinned)
        }),
        Property::always(PUT_BACK, |_, s: &State| !s.pin_left_damage),
        Property::always(SOUND, |_, s: &State| !s.unsound),
    ]
}

fn accepting(s: &State) -> impl Iterator<Item = &Worker> {
    s.living().map(|(_, worker)| worker).filter(|worker| worker.accepts)
}

/// Whether its generation is not open yet: it is not announced, and another worker may have taken it by now.
fn is_asking(worker: &Worker) -> bool {
    match worker.phase {
        Phase::Successor(Successor::Granted) => worker.todo == Todo::Open,
        Phase::Successor(state) => state != Successor::Active && !worker.answers,
        Phase::Empty | Phase::Booting | Phase::Incumbent(_) => false,
    }
}

/// Whether it is the worker, and has no step left before it answers.
fn is_settled(worker: &Worker) -> bool {
    match worker.phase {
        Phase::Successor(state) => state == Successor::Active,
        Phase::Incumbent(state) => matches!(state, Incumbent::Serving | Incumbent::Prepared),
        Phase::Empty | Phase::Booting => false,
    }
}

fn settled(s: &State) -> impl Iterator<Item = &Worker> {
    s.living().map(|(_, worker)| worker).filter(|worker| is_settled(worker))
}

/// Whether it shares the lease and has not announced its end.
fn goes_on(worker: &Worker) -> bool {
    let shares = worker.lease != 0 && worker.socket != 0;
    let goes_on = match worker.phase {
        Phase::Empty => false,
        Phase::Booting => true,
        Phase::Successor(state) => state != Successor::Over,
        Phase::Incumbent(state) => match state {
            Incumbent::Serving
            | Incumbent::Prepared
            | Incumbent::Quiescing
            | Incumbent::Granted
            | Incumbent::Relieved
            | Incumbent::Ending(Then::Serve | Then::Reclaim)
            | Incumbent::Reclaiming => true,
            Incumbent::Ending(Then::Leave) | Incumbent::Leaving => false,
        },
    };
    shares && goes_on
}

/// The faults so far.
pub(super) fn faults(rules: &Rules, s: &State) -> i16 {
    rules.limits.sum() - s.left.sum()
}

/// The events so far that keep a version from being started.
fn lacks(rules: &Rules, s: &State) -> i16 {
    rules.limits.lacks() - s.left.lacks()
}

/// Whether no process has a step of its own left.
pub(super) fn is_at_rest(rules: &Rules, s: &State) -> bool {
    let mut next = Vec::new();
    moves::own(rules, s, &mut next);
    next.is_empty()
}

/// Whether a scope may rest in this state.
fn rests_well(rules: &Rules, s: &State) -> bool {
    let calls = s.launchers.iter().all(Launcher::is_over);
    let gate = !s.workers.iter().any(|worker| worker.gate && !worker.stopped);
    let serves = |worker: &Worker| {
        let still_followed = matches!(worker.predecessor, Kin::Alive(other) if s.at(other).stopped);
        let alone =
            worker.serves_alone() || (worker.phase == Phase::Successor(Successor::Active) && still_followed);
        alone && worker.accepts && worker.answers
    };
    let mut running = s.living().map(|(_, worker)| worker).filter(|worker| !worker.stopped);
    let workers = running.all(serves);
    let reason = rules.has(Task::Stop) || rules.fails != 0 || faults(rules, s) + lacks(rules, s) > 0;
    calls && gate && workers && (s.living().count() > 0 || reason)
}

/// The names of the witnesses.
pub mod witness {
    /// A successor is alone, and serves.
    pub const TAKEN_OVER: &str = "a takeover comes to its end";
    /// Two takeovers, one after the other.
    pub const TWICE: &str = "two takeovers in a row";
    /// An incumbent took its scope back.
    pub const ROLLED_BACK: &str = "an incumbent takes its scope back";
    /// A successor goes on although its launcher is gone.
    pub const ORPHAN: &str = "a successor goes on without its launcher";
    /// A successor goes on although its incumbent is gone.
    pub const HEIR: &str = "a successor goes on without its incumbent";
    /// A failed version was passed over.
    pub const OLDER: &str = "the older version serves instead";
    /// A version that had failed was tried again after its quarantine.
    pub const AGAIN: &str = "a version that failed is tried again";
    /// A version failed twice.
    pub const LONGER: &str = "a version that failed twice waits longer";
    /// `restart` was proved.
    pub const VERIFIED: &str = "a restart is proved";
    /// `restart` was not proved.
    pub const UNPROVED: &str = "a restart is not proved";
    /// `stop` was asked of a successor, whose incumbent ended too.
    pub const STOPPED_BOTH: &str = "a stop ends both sides";
    /// `stop` was proved.
    pub const STOPPED: &str = "a stop is proved";
    /// A launcher started a worker in the empty scope that a failed takeover left.
    pub const COLD: &str = "a cold start after a takeover that failed";
    /// A stopped worker was ended.
    pub const WEDGED: &str = "who stands still is ended";
    /// A launcher waited for another launcher's successor.
    pub const WAITED: &str = "a launcher waits for a takeover to end";
    /// A stopped incumbent went on after its successor had given up.
    pub const LATE: &str = "an incumbent reads what was said long ago";
    /// An app could not make room.
    pub const NO_ROOM: &str = "an app does not make room";
    /// The incumbent, without disk space for taking its scope back, refused the takeover and went on.
    pub const KEPT: &str = "an incumbent without room on its disk goes on";
    /// An incumbent took its scope back on a full disk.
    pub const FULL: &str = "an incumbent takes its scope back on a full disk";
    /// A lower version was started, because the higher one is not trusted any more.
    pub const DISTRUSTED: &str = "a version is passed over because its trust is gone";
    /// A worker that is not trusted any more took its scope back, and goes on.
    pub const GOES_ON: &str = "a worker whose trust is gone takes its scope back";
    /// A worker that declined was ended first.
    pub const DECLINED: &str = "a worker that makes no room is ended first";
    /// A launcher whose successor lost the incumbent left the incumbent alone.
    pub const LEFT_ALONE: &str = "a worker that was not heard goes on";
    /// `pin` was proved while a worker serves.
    pub const PINNED: &str = "a pin is proved";
    /// `pin` failed, and a worker serves.
    pub const PIN_FAILED: &str = "a pin fails and somebody serves";
    /// `pin` sent a worker back that was on probation.
    pub const SENT_BACK: &str = "a pin sends a worker back";
    /// `pin` ended the worker first, failed, and starts another version again.
    pub const STARTED_AGAIN: &str = "a pin fails and starts another version again";
    /// Both programs served at once.
    pub const BESIDE: &str = "both programs serve beside each other";
}

/// The property of one name of [`witness`].
pub(super) fn witness(name: &'static str) -> Property<Takeover> {
    let seen: fn(&Takeover, &State) -> bool = match name {
        witness::TAKEN_OVER => |_, s| is_alone(s) && s.ledger > 1 && !s.reclaimed,
        witness::TWICE => |_, s| is_alone(s) && s.replaced > 1,
        witness::ROLLED_BACK => |_, s| s.reclaimed,
        witness::ORPHAN => |_, s| {
            is_alone(s)
                && s.ledger > 1
                && s.launchers.iter().all(Launcher::is_over)
                && s.launchers.contains(&Launcher::KILLED)
        },
        witness::HEIR => |_, s| {
            s.workers.iter().any(|worker| {
                worker.phase == Phase::Successor(Successor::Granted) && worker.predecessor == Kin::Gone
            })
        },
        witness::OLDER => |rules, s| rules.policy.facts(s.record).kept_out != 0 && ended(s, Outcome::Serving),
        witness::AGAIN => |rules, s| {
            let tallied = rules.policy.facts(s.record).tallied;
            s.living().any(|(_, one)| one.served && one.accepts && tallied & (1 << one.level) != 0)
        },
        witness::LONGER => |rules, s| rules.policy.facts(s.record).failed_twice != 0,
        witness::VERIFIED => |_, s| ended(s, Outcome::Verified),
        witness::UNPROVED => |_, s| ended(s, Outcome::Unproved),
        witness::STOPPED_BOTH => |_, s| s.workers.iter().any(|worker| worker.stop_received),
        witness::STOPPED => |_, s| ended(s, Outcome::Stopped),
        witness::COLD => |_, s| s.launchers.iter().any(|one| matches!(one.pc, Pc::AwaitBoot(_))),
        witness::WEDGED => |rules, s| {
            let before = Limits { stops: s.left.stops, ..rules.limits };
            s.left == before && s.left != rules.limits && !s.workers.iter().any(|worker| worker.stopped)
        },
        witness::WAITED => |_, s| s.launchers.iter().any(|one| matches!(one.pc, Pc::AwaitSettled { .. })),
        witness::LATE => |rules, s| {
            rules.limits.resumes > s.left.resumes
                && s.workers.iter().any(|worker| {
                    worker.successor == Kin::Gone
                        && matches!(worker.phase, Phase::Incumbent(Incumbent::Quiescing))
                })
        },
        witness::NO_ROOM => |_, s| {
            s.workers.iter().any(|worker| {
                worker.accepts && worker.phase == Phase::Incumbent(Incumbent::Ending(Then::Reclaim))
            })
        },
        witness::BESIDE => |_, s| accepting(s).count() == 2,
        _ => lacking(name),
    };
    Property::sometimes(name, seen)
}

/// The witnesses of a lost connection, a full disk, revoked trust, and pins.
fn lacking(name: &'static str) -> fn(&Takeover, &State) -> bool {
    match name {
        witness::KEPT => {
            |rules, s| s.full && is_alone(s) && s.launchers.iter().any(|one| gave_up(rules, one))
        }
        witness::FULL => |_, s| s.full && s.reclaimed,
        witness::DISTRUSTED => |rules, s| {
            let offered = rules.policy.facts(s.record).offered;
            let passed = |level: u8| s.revoked & offered & (1 << level) != 0;
            let over = |level: u8| (level + 1..8).any(passed);
            s.launchers
                .iter()
                .any(|one| matches!(one.pc, Pc::AwaitBoot(_) | Pc::AwaitTakeover(_)) && over(one.target))
        },
        witness::GOES_ON => |_, s| {
            s.reclaimed && s.living().any(|(_, one)| one.serves_alone() && s.revoked & (1 << one.level) != 0)
        },
        witness::DECLINED => |_, s| s.launchers.iter().any(|one| one.pc == Pc::Ask(Why::Replace)),
        witness::PINNED => |_, s| ended(s, Outcome::Pinned) && s.replaced == 0 && accepting(s).count() > 0,
        witness::PIN_FAILED => |_, s| ended(s, Outcome::PinFailed) && accepting(s).count() > 0,
        witness::SENT_BACK => |_, s| s.launchers.iter().any(|one| one.pc == Pc::Back(NOBODY)),
        witness::STARTED_AGAIN => |rules, s| {
            let boots = |one: &Launcher| matches!(one.pc, Pc::AwaitBoot(_)) && gave_up(rules, one);
            s.launchers.iter().any(|one| one.task == Task::Pin && boots(one))
        },
        witness::LEFT_ALONE => |rules, s| {
            let tried = |one: &Launcher| one.unheard || gave_up(rules, one);
            is_alone(s) && s.ledger == 1 && s.launchers.iter().any(tried)
        },
        // An unknown name is never seen, so the exploration fails.
        _ => |_, _| false,
    }
}

/// Whether a start of this call has failed.
fn gave_up(rules: &Rules, launcher: &Launcher) -> bool {
    rules.policy.failed(launcher.memory) != 0
}

fn is_alone(s: &State) -> bool {
    s.living().count() == 1 && s.workers.iter().any(Worker::serves_alone)
}

fn ended(s: &State, outcome: Outcome) -> bool {
    s.launchers.iter().any(|one| one.pc == Pc::Done(outcome))
}
