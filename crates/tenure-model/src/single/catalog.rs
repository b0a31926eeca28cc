//! The scenarios of one worker at a time: small ones for every test run, large ones for the long run, and the broken
//! rules, each with a property that cannot hold without it.

use Task::{Down, Ensure, Pin, Restart, Start, Stop, Unpin};

use crate::broken::Broken;
use crate::mutation::Mutation;
use crate::real::STRANGERS;
use crate::scenario::{Limits, Scenario, Task};
use crate::single::invariant::{
    BOUNDED, DOWN, LEASE, NO_DOWNGRADE, NO_HARM, NO_REFUSAL, ONE_APP, ONE_PROGRAM, PATH, PINNED, PUT_BACK,
    REST, SOUND, witness,
};

/// Scenarios that take seconds.
pub(crate) fn small() -> Vec<Scenario> {
    [processes(), check_persons_answer(), apps()].concat()
}

fn processes() -> Vec<Scenario> {
    vec![
        Scenario::new("two versions, two calls each, one crash")
            .call(Ensure, 0, 2)
            .call(Ensure, 1, 2)
            .limits(Limits { crashes: 1, ..Limits::NONE })
            .seeing(&[witness::REPLACED, witness::JOINED, witness::ORPHAN]),
        Scenario::new("three launchers of two versions, one crash")
            .call(Ensure, 0, 1)
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 1)
            .limits(Limits { crashes: 1, ..Limits::NONE })
            .seeing(&[witness::REPLACED, witness::JOINED]),
        Scenario::new("programs, one crash, one stopped process that may go on")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 1)
            .wrapping()
            .limits(Limits { crashes: 1, stops: 1, resumes: 1, ..Limits::NONE })
            .seeing(&[witness::WEDGED, witness::GATE_HELD, witness::LEFTOVER]),
        Scenario::new("a program closes its lock, and its host crashes")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 1)
            .wrapping()
            .limits(Limits { crashes: 1, sheds: 1, ..Limits::NONE })
            .seeing(&[witness::LEFTOVER]),
        Scenario::new("the newer version cannot boot")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 2)
            .failing(1)
            .limits(Limits { crashes: 1, ticks: 2, ..Limits::NONE })
            .seeing(&[witness::OLDER]),
        Scenario::new("nothing can boot")
            .call(Ensure, 0, 1)
            .call(Ensure, 0, 1)
            .failing(0)
            .limits(Limits { ticks: 1, ..Limits::NONE })
            .seeing(&[witness::SUPPRESSED]),
        Scenario::new("hangs, stalls and impatient callers")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 1)
            .wrapping()
            .limits(Limits { ailments: 1, budgets: 1, slow: 1, crashes: 1, ..Limits::NONE })
            .seeing(&[witness::HANGS, witness::STALLED, witness::WARMING, witness::SPARED]),
        Scenario::new("stop and restart among launchers")
            .call(Ensure, 0, 1)
            .call(Stop, 0, 1)
            .call(Restart, 1, 1)
            .wrapping()
            .limits(Limits { crashes: 1, ..Limits::NONE })
            .seeing(&[witness::STOPPED, witness::RESTARTED, witness::BOOT_STOPPED]),
        Scenario::new("a hold of the gate passes its bound")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 1)
            .call(Stop, 0, 1)
            .limits(Limits { overruns: 1, crashes: 1, ..Limits::NONE })
            .seeing(&[witness::GATE_LOST]),
    ]
}

/// Commands of people about versions, and apps that name another version.
fn check_persons_answer() -> Vec<Scenario> {
    let limits = Limits::NONE;
    vec![
        Scenario::new("a pin among launchers, one crash")
            .call(Ensure, 0, 2)
            .call(Ensure, 1, 2)
            .call(Pin, 0, 1)
            .limits(Limits { crashes: 1, ..limits })
            .seeing(&[witness::PINNED, witness::HELD]),
        Scenario::new("a pin and its release among launchers")
            .call(Ensure, 0, 2)
            .call(Ensure, 1, 2)
            .call(Pin, 0, 1)
            .call(Unpin, 0, 1)
            .seeing(&[witness::PINNED, witness::UNPINNED, witness::HELD]),
        Scenario::new("a pin of a version that cannot boot")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 1)
            .call(Pin, 1, 1)
            .failing(1)
            .limits(Limits { ticks: 1, ..limits })
            .seeing(&[witness::PUT_BACK]),
        Scenario::new("a pin of a version that says that it is the one pinned before")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 1)
            .call(Pin, 0, 1)
            .call(Pin, 1, 1)
            .saying(1, 0)
            .seeing(&[witness::PINNED, witness::PUT_BACK]),
        Scenario::new("a stop for good and a start among launchers")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 1)
            .call(Down, 0, 1)
            .call(Start, 0, 1)
            .limits(Limits { crashes: 1, ..limits })
            .seeing(&[witness::HELD_DOWN, witness::RELEASED]),
        Scenario::new("a version that says that it is an older one, one crash")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 3)
            .saying(1, 0)
            .limits(Limits { crashes: 1, ..limits })
            .seeing(&[witness::DISAGREES]),
    ]
}

/// Two apps that ask for one name, the other one in a higher version.
fn two_apps(name: &'static str, calls: u8) -> Scenario {
    Scenario::new(name).call(Ensure, 0, 1).call(Ensure, STRANGERS, calls)
}

fn apps() -> Vec<Scenario> {
    vec![
        two_apps("another app asks for the name, one crash", 2)
            .call(Ensure, 1, 1)
            .limits(Limits { crashes: 1, ..Limits::NONE })
            .seeing(&[witness::STRANGER, witness::REPLACED]),
        two_apps("a restart by another app", 1)
            .call(Restart, STRANGERS, 1)
            .seeing(&[witness::STRANGER, witness::RESTARTED]),
    ]
}

/// Scenarios that take minutes.
pub(crate) fn large() -> Vec<Scenario> {
    [large_processes(), large_persons()].concat()
}

fn large_persons() -> Vec<Scenario> {
    let limits = Limits::NONE;
    vec![
        Scenario::new("three versions, a pin of the middle one, two crashes")
            .call(Ensure, 0, 1)
            .call(Ensure, 2, 2)
            .call(Pin, 1, 1)
            .call(Ensure, 1, 2)
            .limits(Limits { crashes: 2, ..limits })
            .seeing(&[witness::PINNED, witness::HELD]),
        Scenario::new("two pins and a release, the gate is lost")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 2)
            .call(Pin, 0, 2)
            .call(Unpin, 0, 1)
            .limits(Limits { overruns: 1, crashes: 1, ..limits })
            .seeing(&[witness::PINNED, witness::UNPINNED, witness::GATE_LOST]),
        Scenario::new("pins of programs, a stopped process that may go on")
            .call(Ensure, 0, 2)
            .call(Ensure, 1, 2)
            .call(Pin, 0, 1)
            .call(Pin, 1, 1)
            .wrapping()
            .limits(Limits { crashes: 1, stops: 1, resumes: 1, ..limits })
            .seeing(&[witness::PINNED, witness::LEFTOVER]),
        Scenario::new("a stop for good, a start and a restart, a stopped process")
            .call(Ensure, 1, 1)
            .call(Down, 0, 1)
            .call(Start, 0, 1)
            .call(Restart, 1, 1)
            .limits(Limits { stops: 1, resumes: 1, ..limits })
            .seeing(&[witness::HELD_DOWN, witness::RELEASED]),
        Scenario::new("a stop for good, a start and a restart, the gate is lost")
            .call(Ensure, 1, 1)
            .call(Down, 0, 1)
            .call(Start, 0, 1)
            .call(Restart, 1, 1)
            .limits(Limits { overruns: 1, crashes: 1, ..limits })
            .seeing(&[witness::HELD_DOWN, witness::RELEASED]),
        Scenario::new("three versions, the newest says the middle one, two crashes")
            .call(Ensure, 0, 2)
            .call(Ensure, 1, 2)
            .call(Ensure, 2, 2)
            .saying(2, 1)
            .limits(Limits { crashes: 2, ..limits })
            .seeing(&[witness::REPLACED]),
        Scenario::new("a pin of a version that says another, a stall")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 2)
            .call(Pin, 1, 1)
            .saying(1, 0)
            .limits(Limits { crashes: 1, ailments: 1, ..limits })
            .seeing(&[witness::DISAGREES]),
    ]
}

fn large_processes() -> Vec<Scenario> {
    let limits = Limits::NONE;
    let two = |name| Scenario::new(name).call(Ensure, 0, 2).call(Ensure, 1, 2);
    let three = |name| Scenario::new(name).call(Ensure, 0, 2).call(Ensure, 1, 2).call(Ensure, 2, 2);
    vec![
        three("three versions, two crashes").limits(Limits { crashes: 2, ..limits }).seeing(&[
            witness::REPLACED,
            witness::JOINED,
            witness::ORPHAN,
        ]),
        three("three versions, a crash, a stopped process that goes on")
            .limits(Limits { crashes: 1, stops: 1, resumes: 1, ..limits })
            .seeing(&[witness::WEDGED, witness::GATE_HELD]),
        two("two versions of programs, everything goes wrong once")
            .wrapping()
            .limits(Limits { crashes: 1, stops: 1, resumes: 1, ailments: 1, slow: 1, budgets: 1, ..limits })
            .seeing(&[witness::REPLACED, witness::LEFTOVER, witness::STALLED]),
        three("the newest cannot boot, the middle one cannot be started")
            .failing(2)
            .unstartable(1)
            .limits(Limits { crashes: 1, ticks: 2, ..limits })
            .seeing(&[witness::OLDER]),
        Scenario::new("four launchers of two versions, two crashes")
            .call(Ensure, 0, 1)
            .call(Ensure, 0, 2)
            .call(Ensure, 1, 1)
            .call(Ensure, 1, 2)
            .limits(Limits { crashes: 2, ..limits })
            .seeing(&[witness::JOINED]),
        Scenario::new("stop, restart and two launchers of programs")
            .call(Ensure, 0, 1)
            .call(Ensure, 1, 1)
            .call(Stop, 0, 1)
            .call(Restart, 1, 1)
            .wrapping()
            .limits(Limits { crashes: 1, stops: 1, ailments: 1, ..limits })
            .seeing(&[witness::STOPPED, witness::RESTARTED, witness::BOOT_STOPPED]),
        Scenario::new("the gate is lost twice")
            .call(Ensure, 0, 2)
            .call(Ensure, 1, 2)
            .call(Stop, 0, 1)
            .limits(Limits { overruns: 2, crashes: 1, ..limits })
            .seeing(&[witness::GATE_LOST]),
    ]
}

/// Scenarios in which one rule is broken, each with a property that cannot hold then.
pub(crate) fn broken() -> Vec<Broken> {
    [versions(), locks(), manners(), records(), words()].concat()
}

fn two(name: &'static str, mutation: Mutation) -> Scenario {
    Scenario::new(name).call(Ensure, 0, 2).call(Ensure, 1, 2).breaking(mutation)
}

/// Rules about which version is started next.
fn versions() -> Vec<Broken> {
    let limits = Limits::NONE;
    vec![
        Broken::of(two("strict version equality", Mutation::StrictVersion), BOUNDED),
        Broken::of(
            two("a launcher starts its own version", Mutation::OwnVersion)
                .limits(Limits { crashes: 1, ..limits }),
            NO_DOWNGRADE,
        ),
        Broken::of(
            two_apps("another app is compared by its version", 1).breaking(Mutation::AppIgnored),
            ONE_APP,
        ),
        Broken::of(two("what stands picks the successor", Mutation::StaleSuccessor), BOUNDED),
    ]
}

/// Rules about path, lease and program lock.
fn locks() -> Vec<Broken> {
    let limits = Limits::NONE;
    vec![
        Broken::of(
            two("a lease that may be broken", Mutation::BreakableLease).limits(Limits { stops: 1, ..limits }),
            LEASE,
        ),
        Broken::of(
            two("the path is bound before the lease is held", Mutation::BindFirst)
                .limits(Limits { slow: 1, ..limits }),
            PATH,
        ),
        Broken::of(two("the socket is removed without the lease", Mutation::LateUnlink), NO_REFUSAL),
        Broken::of(
            two("a start before the program lock is free", Mutation::ProgramLockIgnored)
                .wrapping()
                .limits(Limits { crashes: 1, ..limits }),
            ONE_PROGRAM,
        ),
        Broken::of(
            two("a free lock proves that a program is gone", Mutation::FreeLockProves)
                .wrapping()
                .limits(Limits { crashes: 1, sheds: 1, ..limits }),
            ONE_PROGRAM,
        ),
    ]
}

/// Rules about which worker may be ended, when, and by whom.
fn manners() -> Vec<Broken> {
    let limits = Limits::NONE;
    vec![
        Broken::of(
            two("no watchdog of its own thread", Mutation::NoWatchdog).limits(Limits {
                ailments: 1,
                crashes: 1,
                ..limits
            }),
            REST,
        ),
        Broken::of(
            two("a launcher ends a worker that boots", Mutation::ImpatientBoot)
                .limits(Limits { crashes: 1, ..limits }),
            NO_HARM,
        ),
        Broken::of(
            two("a draining worker is forced at once", Mutation::DrainForced).call(Stop, 0, 1),
            NO_HARM,
        ),
        Broken::of(
            two("a silent worker is forced after the first look", Mutation::SilenceForced)
                .limits(Limits { slow: 1, ..limits }),
            NO_HARM,
        ),
        Broken::of(
            two("a spent budget forces a draining worker", Mutation::BudgetForces)
                .limits(Limits { budgets: 1, ..limits }),
            NO_HARM,
        ),
        Broken::of(
            two("a drain is measured by the caller's spec", Mutation::OwnPatience).call(Stop, 0, 1),
            NO_HARM,
        ),
        Broken::of(
            two("a lost gate still forces", Mutation::UnconfirmedForce)
                .limits(Limits { overruns: 1, ..limits }),
            NO_HARM,
        ),
        Broken::of(
            two("a long wait for the lease forces its holder", Mutation::NoSecondLook)
                .limits(Limits { overruns: 1, ..limits }),
            NO_HARM,
        ),
    ]
}

/// Rules about the record of offers and failures.
fn records() -> Vec<Broken> {
    let limits = Limits::NONE;
    vec![
        Broken::of(
            two("a lost gate writes an old record", Mutation::StaleRecord).limits(Limits {
                overruns: 1,
                crashes: 2,
                ticks: 1,
                ..limits
            }),
            NO_DOWNGRADE,
        ),
        Broken::of(two("a failed start is not tallied", Mutation::UntalliedStart).unstartable(1), SOUND),
        Broken::of(
            two("a version that failed in this call is chosen again", Mutation::RetriedChoice)
                .failing(1)
                .limits(Limits { ticks: 2, ..limits }),
            SOUND,
        ),
    ]
}

/// Rules about commands of people, and about apps that name another version.
fn words() -> Vec<Broken> {
    let pinned = |name, mutation| two(name, mutation).call(Pin, 0, 1);
    vec![
        Broken::of(pinned("launchers ignore a pin", Mutation::PinIgnored), PINNED),
        Broken::of(
            Scenario::new("a pin is on record before its worker has started")
                .call(Ensure, 0, 1)
                .call(Ensure, 1, 1)
                .call(Pin, 1, 1)
                .failing(1)
                .breaking(Mutation::EarlyPin),
            PUT_BACK,
        ),
        Broken::of(
            Scenario::new("nothing is put back when a pinned version does not start")
                .call(Ensure, 0, 1)
                .call(Ensure, 1, 1)
                .call(Pin, 1, 1)
                .failing(1)
                .breaking(Mutation::NothingPutBack),
            PUT_BACK,
        ),
        Broken::of(
            Scenario::new("a disagreement is not written down")
                .call(Ensure, 0, 1)
                .call(Ensure, 1, 4)
                .saying(1, 0)
                .breaking(Mutation::PairUnrecorded),
            BOUNDED,
        ),
        Broken::of(
            Scenario::new("an older worker is accepted by a record without the offer")
                .call(Ensure, 0, 1)
                .call(Ensure, 1, 1)
                .breaking(Mutation::StrangeRecord),
            SOUND,
        ),
        Broken::of(
            two("whether it is to stay down is read before the gate", Mutation::EarlyLook).call(Down, 0, 1),
            DOWN,
        ),
        Broken::of(
            two("that it is to stay down is written when the gate is left", Mutation::LateDown)
                .call(Down, 0, 1),
            DOWN,
        ),
    ]
}
