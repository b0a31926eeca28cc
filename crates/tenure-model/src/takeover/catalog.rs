//! The scenarios of takeovers, and the broken rules, each with a property that cannot hold without it.
//!
//! A rule that another layer masks is broken twice: alone, where everything holds, and together with that layer.

use Task::{Ensure, Pin, Restart, Stop};

use crate::broken::Broken;
use crate::mutation::Mutation;
use crate::real::STRANGERS;
use crate::scenario::{Limits, Scenario, Task};
use crate::takeover::invariant::{
    BOUNDED, FENCE, LEASE, NO_DOWNGRADE, ON_RECORD, ONE_ACCEPTS, ONWARD, PATH, PROOF, PUT_BACK, QUARANTINE,
    REST, STOP_HOLDS, TRUST, TWO_ALIVE, UNHARMED, WAY_BACK, witness,
};

const NONE: Limits = Limits::NONE;

/// Scenarios that take seconds.
pub(crate) fn small() -> Vec<Scenario> {
    [usual(), lacks(), persons(), apps()].concat()
}

/// Two apps that ask for one name.
fn apps() -> Vec<Scenario> {
    vec![
        Scenario::takeover("takeover: another app asks for the name during an upgrade, a crash")
            .call(Ensure, 1, 1)
            .call(Ensure, STRANGERS, 1)
            .limits(Limits { crashes: 1, ..NONE })
            .seeing(&[witness::TAKEN_OVER, witness::ROLLED_BACK]),
    ]
}

/// Faults of processes.
fn usual() -> Vec<Scenario> {
    vec![
        Scenario::takeover("takeover: an upgrade, two crashes")
            .call(Ensure, 1, 1)
            .limits(Limits { crashes: 2, ticks: 1, ..NONE })
            .seeing(&[witness::TAKEN_OVER, witness::ROLLED_BACK, witness::HEIR, witness::ORPHAN]),
        Scenario::takeover("takeover: two upgrades in a row, a crash")
            .call(Ensure, 1, 1)
            .call(Ensure, 2, 1)
            .limits(Limits { crashes: 1, ticks: 1, ..NONE })
            .seeing(&[witness::TWICE, witness::ROLLED_BACK, witness::WAITED, witness::COLD]),
        Scenario::takeover("takeover: a restart among launchers, a crash")
            .call(Restart, 0, 1)
            .call(Ensure, 1, 1)
            .limits(Limits { crashes: 1, ..NONE })
            .seeing(&[witness::VERIFIED, witness::UNPROVED]),
        Scenario::takeover("takeover: a stop in the middle, a crash")
            .call(Ensure, 1, 1)
            .call(Stop, 0, 1)
            .limits(Limits { crashes: 1, ..NONE })
            .seeing(&[witness::STOPPED, witness::STOPPED_BOTH]),
        Scenario::takeover("takeover: a stop in the middle, a patience that ends too early")
            .call(Restart, 0, 1)
            .call(Stop, 0, 1)
            .limits(Limits { lates: 1, ..NONE })
            .seeing(&[witness::STOPPED, witness::STOPPED_BOTH, witness::ROLLED_BACK]),
        Scenario::takeover("takeover: a stopped process that goes on, a crash")
            .call(Ensure, 1, 1)
            .limits(Limits { crashes: 1, stops: 1, resumes: 1, ..NONE })
            .seeing(&[witness::LATE, witness::WEDGED, witness::ROLLED_BACK]),
        Scenario::takeover("takeover: apps that fail, hang and lose each other")
            .call(Ensure, 1, 1)
            .limits(Limits { failures: 1, ailments: 1, cuts: 1, ..NONE })
            .seeing(&[witness::OLDER, witness::NO_ROOM, witness::ROLLED_BACK]),
        Scenario::takeover("takeover: without a probation, a crash, a signal")
            .call(Ensure, 1, 1)
            .unbaked()
            .limits(Limits { crashes: 1, terms: 1, ..NONE })
            .seeing(&[witness::TAKEN_OVER, witness::ROLLED_BACK]),
        Scenario::takeover("takeover: a version that becomes ready and fails, over and over")
            .call(Ensure, 1, 3)
            .limits(Limits { failures: 2, ticks: 2, ..NONE })
            .seeing(&[witness::ROLLED_BACK, witness::OLDER, witness::AGAIN, witness::LONGER]),
        Scenario::takeover("takeover: both programs beside each other, a crash, a failure")
            .call(Ensure, 1, 1)
            .overlapping()
            .limits(Limits { crashes: 1, failures: 1, ..NONE })
            .seeing(&[witness::BESIDE, witness::TAKEN_OVER, witness::ROLLED_BACK]),
        Scenario::takeover("takeover: two restarts and a stop, a stopped process, a signal")
            .call(Restart, 0, 2)
            .call(Stop, 0, 1)
            .limits(Limits { crashes: 1, stops: 1, resumes: 1, terms: 1, ..NONE })
            .seeing(&[witness::VERIFIED, witness::STOPPED]),
        Scenario::takeover("takeover: upgrade, restart and stop, two crashes")
            .call(Ensure, 1, 1)
            .call(Restart, 0, 1)
            .call(Stop, 0, 1)
            .limits(Limits { crashes: 2, ..NONE })
            .seeing(&[witness::VERIFIED, witness::STOPPED_BOTH]),
    ]
}

/// A takeover lacks a connection, disk space, or trust.
fn lacks() -> Vec<Scenario> {
    vec![
        Scenario::takeover("takeover: a connection that ends and an app that makes no room")
            .call(Ensure, 1, 2)
            .limits(Limits { cuts: 2, failures: 1, ..NONE })
            .seeing(&[witness::LEFT_ALONE, witness::DECLINED, witness::TAKEN_OVER]),
        Scenario::takeover("takeover: an app that makes no room, a stopped process that goes on")
            .call(Ensure, 1, 1)
            .limits(Limits { failures: 1, stops: 1, resumes: 1, ..NONE })
            .seeing(&[witness::DECLINED, witness::NO_ROOM, witness::WEDGED, witness::TAKEN_OVER]),
        Scenario::takeover("takeover: a full disk, a version that fails")
            .call(Ensure, 1, 2)
            .limits(Limits { fills: 1, frees: 1, failures: 2, ticks: 1, ..NONE })
            .seeing(&[witness::KEPT, witness::FULL, witness::TAKEN_OVER]),
        Scenario::takeover("takeover: a restart among launchers, a full disk, a crash")
            .call(Restart, 0, 1)
            .call(Ensure, 1, 1)
            .limits(Limits { fills: 1, crashes: 1, ..NONE })
            .seeing(&[witness::FULL, witness::VERIFIED, witness::UNPROVED]),
        Scenario::takeover("takeover: a trust that is taken back, a crash, a failure")
            .call(Ensure, 1, 1)
            .call(Ensure, 2, 1)
            .limits(Limits { revokes: 1, crashes: 1, failures: 1, ..NONE })
            .seeing(&[witness::DISTRUSTED, witness::GOES_ON, witness::COLD]),
    ]
}

/// Commands of people about versions, and workers that decline.
fn persons() -> Vec<Scenario> {
    vec![
        Scenario::takeover("takeover: a pin among launchers, a crash")
            .call(Ensure, 1, 1)
            .call(Pin, 0, 1)
            .limits(Limits { crashes: 1, ..NONE })
            .seeing(&[witness::PINNED, witness::SENT_BACK, witness::ROLLED_BACK]),
        Scenario::takeover("takeover: a pin of a version, a failure, a patience that ends too early")
            .call(Ensure, 1, 1)
            .call(Pin, 1, 1)
            .limits(Limits { failures: 1, lates: 1, ticks: 1, ..NONE })
            .seeing(&[witness::PINNED, witness::PIN_FAILED]),
        Scenario::takeover("takeover: a pin of a version that cannot serve, a crash")
            .call(Ensure, 1, 1)
            .call(Pin, 1, 1)
            .failing(1)
            .limits(Limits { crashes: 1, ticks: 1, ..NONE })
            .seeing(&[witness::PIN_FAILED, witness::ROLLED_BACK]),
        Scenario::takeover("takeover: a pin beside a worker that makes no room, a version that cannot serve")
            .call(Ensure, 1, 1)
            .call(Pin, 1, 1)
            .failing(1)
            .staying()
            .limits(Limits { crashes: 1, ..NONE })
            .seeing(&[witness::DECLINED, witness::STARTED_AGAIN, witness::PIN_FAILED]),
        Scenario::takeover("takeover: workers that make no room, two upgrades and a restart, a crash")
            .call(Ensure, 1, 1)
            .call(Ensure, 2, 1)
            .call(Restart, 0, 1)
            .staying()
            .limits(Limits { crashes: 1, stops: 1, resumes: 1, ..NONE })
            .seeing(&[witness::DECLINED, witness::VERIFIED, witness::WEDGED]),
    ]
}

/// Scenarios that take minutes.
pub(crate) fn large() -> Vec<Scenario> {
    vec![
        Scenario::takeover("takeover: two upgrades in a row, two crashes, a stopped process that goes on")
            .call(Ensure, 1, 1)
            .call(Ensure, 2, 1)
            .limits(Limits { crashes: 2, stops: 1, resumes: 1, ticks: 1, ..NONE })
            .seeing(&[witness::TWICE, witness::LATE, witness::WEDGED]),
        Scenario::takeover(
            "takeover: two upgrades and a restart, two crashes, a patience that ends too early",
        )
        .call(Ensure, 1, 1)
        .call(Ensure, 2, 1)
        .call(Restart, 0, 1)
        .limits(Limits { crashes: 2, lates: 1, ticks: 1, ..NONE })
        .seeing(&[witness::TWICE, witness::VERIFIED, witness::UNPROVED]),
        Scenario::takeover("takeover: everything goes wrong once")
            .call(Ensure, 1, 2)
            .limits(Limits {
                crashes: 1,
                stops: 1,
                resumes: 1,
                lates: 1,
                cuts: 1,
                failures: 1,
                ailments: 1,
                ticks: 1,
                ..NONE
            })
            .seeing(&[witness::TAKEN_OVER, witness::ROLLED_BACK]),
        Scenario::takeover("takeover: programs beside each other, everything but a cut")
            .call(Ensure, 1, 1)
            .call(Ensure, 2, 1)
            .overlapping()
            .limits(Limits { crashes: 1, stops: 1, resumes: 1, failures: 1, ailments: 1, ..NONE })
            .seeing(&[witness::BESIDE, witness::TWICE]),
        Scenario::takeover(
            "takeover: a full disk, a trust that is taken back, a lost connection, two crashes",
        )
        .call(Ensure, 1, 2)
        .call(Ensure, 2, 1)
        .limits(Limits { crashes: 2, cuts: 1, fills: 1, frees: 1, revokes: 1, ..NONE })
        .seeing(&[witness::FULL, witness::KEPT, witness::GOES_ON, witness::DISTRUSTED]),
        Scenario::takeover(
            "takeover: upgrade, restart and stop, a full disk, trust that is taken back, a crash",
        )
        .call(Ensure, 1, 1)
        .call(Restart, 0, 1)
        .call(Stop, 0, 1)
        .limits(Limits { crashes: 1, fills: 1, frees: 1, revokes: 1, ..NONE })
        .seeing(&[witness::FULL, witness::STOPPED_BOTH]),
        Scenario::takeover("takeover: pins of two versions among launchers, two crashes, a failure")
            .call(Ensure, 1, 2)
            .call(Pin, 0, 1)
            .call(Pin, 1, 1)
            .limits(Limits { crashes: 2, failures: 1, ..NONE })
            .seeing(&[witness::PINNED, witness::SENT_BACK, witness::PIN_FAILED]),
    ]
}

fn one(name: &'static str, mutation: Mutation, limits: Limits, property: &'static str) -> Broken {
    let scenario = Scenario::takeover(name).call(Ensure, 1, 1).limits(limits).breaking(mutation);
    Broken::of(scenario, property)
}

impl Broken {
    fn call(mut self, task: Task, level: u8) -> Self {
        self.scenario = self.scenario.call(task, level, 1);
        self
    }

    /// Version 1 cannot serve.
    fn failing(mut self) -> Self {
        self.scenario = self.scenario.failing(1);
        self
    }

    /// Workers say in HELLO that they do not hand over.
    fn staying(mut self) -> Self {
        self.scenario = self.scenario.staying();
        self
    }

    /// Calls of the first launcher, one after the other: each is answered as soon as a worker is ready.
    fn runs(mut self, runs: u8) -> Self {
        self.scenario.callers[0].runs = runs;
        self
    }
}

/// Scenarios in which rules are broken, each with a property that cannot hold then.
pub(crate) fn broken() -> Vec<Broken> {
    [hand_overs(), rollbacks(), tallies(), ends(), lacking(), proofs(), words()].concat()
}

const CRASH: Limits = Limits { crashes: 1, ..NONE };
const LATE: Limits = Limits { lates: 1, ..NONE };
const CUT: Limits = Limits { cuts: 1, ..NONE };
const HANG: Limits = Limits { ailments: 1, ..NONE };

/// Rules about what each side may do, and when.
fn hand_overs() -> Vec<Broken> {
    vec![
        one("takeover: the path is bound before the lease is shared", Mutation::BindFirst, NONE, PATH),
        one(
            "takeover: the app accepts until the successor serves",
            Mutation::AcceptsUntilAck,
            NONE,
            ONE_ACCEPTS,
        ),
        one(
            "takeover: callers are answered until the successor serves",
            Mutation::AnswersUntilAck,
            NONE,
            PATH,
        ),
        one("takeover: the lease is released and taken again", Mutation::ReleaseAndRetake, CRASH, LEASE),
        one(
            "takeover: another takeover while the predecessor lives",
            Mutation::OverlappingAdmitted,
            NONE,
            TWO_ALIVE,
        )
        .call(Ensure, 2)
        .masked_by(&[Mutation::OverlappingBegun]),
        one("takeover: what stands picks the successor", Mutation::StaleSuccessor, NONE, BOUNDED).runs(2),
        one("takeover: the incumbent writes the ledger after the grant", Mutation::TwoWriters, NONE, ONWARD),
    ]
}

/// Rules about how an incumbent takes its scope back.
fn rollbacks() -> Vec<Broken> {
    vec![
        one(
            "takeover: a rollback that does not end the successor",
            Mutation::RollbackWithoutKill,
            LATE,
            ONE_ACCEPTS,
        ),
        one("takeover: a rollback to the same generation", Mutation::RollbackSameGeneration, CRASH, ONWARD),
        one("takeover: a rollback below what has written", Mutation::RollbackSameGeneration, CRASH, FENCE),
        one("takeover: a stop counts as a failure of the version", Mutation::StopTallied, NONE, NO_DOWNGRADE)
            .runs(2)
            .call(Restart, 0)
            .call(Stop, 0),
        one("takeover: the incumbent is not told of a stop", Mutation::AbortEndsIgnored, NONE, STOP_HOLDS)
            .call(Stop, 0),
        one(
            "takeover: a death is believed before the last words",
            Mutation::DeathBeforeWords,
            NONE,
            STOP_HOLDS,
        )
        .call(Stop, 0),
    ]
}

/// Rules about failures that come after a launcher has had its answer.
fn tallies() -> Vec<Broken> {
    let once = Limits { failures: 1, ..NONE };
    let twice = Limits { failures: 2, ticks: 2, ..NONE };
    let lost = Limits { failures: 1, crashes: 1, ..NONE };
    vec![
        one("takeover: the tally is cleared at ready", Mutation::ClearedAtReady, twice, QUARANTINE).runs(3),
        one("takeover: a rollback that nobody counts", Mutation::RollbackUncounted, once, QUARANTINE).runs(2),
        one(
            "takeover: a new generation erases a rollback uncounted",
            Mutation::ErasedUncounted,
            lost,
            QUARANTINE,
        )
        .call(Pin, 0),
    ]
}

/// Rules about how each side notices the end of the other, and its own.
fn ends() -> Vec<Broken> {
    let both = Limits { crashes: 1, ..HANG };
    vec![
        one("takeover: the incumbent's end is not noticed", Mutation::EndIgnored, CRASH, REST)
            .masked_by(&[Mutation::NoTimer]),
        one("takeover: the end of a connection passes for a death", Mutation::EndUnproved, CUT, ONE_ACCEPTS),
        one("takeover: no watchdog of its own thread, a drain", Mutation::NoWatchdog, HANG, REST),
        one("takeover: no watchdog of its own thread, a boot", Mutation::NoWatchdog, both, REST),
    ]
}

/// Rules about a lost connection, a full disk, and revoked trust.
fn lacking() -> Vec<Broken> {
    let full = Limits { failures: 1, fills: 1, ..NONE };
    let revoked = Limits { revokes: 1, ..NONE };
    vec![
        one("takeover: a lost link passes for a decline", Mutation::LostLinkDeclines, CUT, UNHARMED),
        one("takeover: no room is kept for the way back", Mutation::NoRoomKept, full, WAY_BACK),
        one(
            "takeover: a generation is told that is not on record",
            Mutation::UnrecordedTold,
            full,
            ON_RECORD,
        )
        .masked_by(&[Mutation::NoRoomKept]),
        one("takeover: an offer counts whose trust is gone", Mutation::RevokedCounts, revoked, TRUST),
    ]
}

/// Rules about what `restart` may take for a proof.
fn proofs() -> Vec<Broken> {
    let restart = |broken: Broken| {
        let mut broken = broken;
        (broken.scenario.callers[0].task, broken.scenario.callers[0].level) = (Restart, 0);
        broken
    };
    vec![
        restart(one("takeover: a restart believes the report", Mutation::ReportBelieved, CRASH, PROOF)),
        restart(one(
            "takeover: a restart takes any higher generation",
            Mutation::AnyHigherGeneration,
            CRASH,
            PROOF,
        )),
    ]
}

/// Rules about commands of people.
fn words() -> Vec<Broken> {
    let pinned = |name, mutation| one(name, mutation, NONE, PUT_BACK).call(Pin, 1).failing();
    vec![
        pinned("takeover: a pin is on record before its worker serves", Mutation::EarlyPin),
        pinned(
            "takeover: nothing is put back when a pinned version does not serve",
            Mutation::NothingPutBack,
        )
        .staying(),
    ]
}
