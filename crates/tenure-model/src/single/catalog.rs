//! The scenarios of one worker at a time: small ones for every test run, large ones for the long run. Those with a
//! broken rule have a room of their own.

use Task::{Down, Ensure, Pin, Restart, Start, Stop, Unpin};

use crate::real::STRANGERS;
use crate::scenario::{Limits, Scenario, Task};
use crate::single::invariant::witness;

mod broken;

pub(crate) use broken::broken;
use broken::two_apps;

/// Scenarios that take seconds.
pub(crate) fn small() -> Vec<Scenario> {
    [processes(), unused(), check_persons_answer(), apps()].concat()
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

/// Workers that end without use.
fn unused() -> Vec<Scenario> {
    vec![
        Scenario::new("workers that nobody uses end among launchers")
            .call(Ensure, 0, 2)
            .call(Ensure, 1, 2)
            .limits(Limits { idles: 2, ..Limits::NONE })
            .seeing(&[witness::UNUSED, witness::JOINED]),
        Scenario::new("programs that nobody uses, a stop and a crash")
            .call(Ensure, 0, 2)
            .call(Ensure, 0, 1)
            .call(Stop, 0, 1)
            .wrapping()
            .limits(Limits { idles: 1, crashes: 1, slow: 1, ..Limits::NONE })
            .seeing(&[witness::UNUSED]),
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
