//! The rules of one worker at a time that are broken on purpose, each with a property that cannot hold without it.

use Task::{Down, Ensure, Pin, Stop};

use crate::broken::Broken;
use crate::mutation::Mutation;
use crate::real::STRANGERS;
use crate::scenario::{Limits, Scenario, Task};
use crate::single::invariant::{
    BOUNDED, DOWN, LEASE, NO_DOWNGRADE, NO_HARM, NO_REFUSAL, NOT_MISLED, ONE_APP, ONE_PROGRAM, PATH, PINNED,
    PUT_BACK, REST, SOUND,
};

/// Two apps that ask for one name, the other one in a higher version.
pub(super) fn two_apps(name: &'static str, calls: u8) -> Scenario {
    Scenario::new(name).call(Ensure, 0, 1).call(Ensure, STRANGERS, calls)
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
            two("an unused worker closes its socket last", Mutation::ClosedLast)
                .limits(Limits { idles: 1, ..limits }),
            NOT_MISLED,
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
