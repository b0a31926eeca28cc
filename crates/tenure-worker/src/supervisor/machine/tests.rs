//! The table, row by row, and a search through everything that can happen.

use std::collections::HashSet;

use tenure::spec::RestartOn;

use super::*;
use Happening as H;

fn machine(on: RestartOn) -> Machine {
    let policy = RestartPolicy { on, limit: 2, ..RestartPolicy::default() };
    Machine::begin(policy, 3).0
}

fn status(code: i32) -> Exit {
    Exit::Status(ExitStatus { code: Some(code), signal: None, core: false })
}

/// The acts that the last of these happenings leads to.
fn after(machine: &mut Machine, happenings: Vec<Happening>) -> Vec<Act> {
    happenings.into_iter().fold(Vec::new(), |_, happening| machine.step(happening, Duration::ZERO))
}

fn serving(on: RestartOn) -> Machine {
    let mut machine = machine(on);
    assert_eq!(after(&mut machine, vec![H::Runs]), [Act::AskReady { bounded: false }]);
    assert_eq!(after(&mut machine, vec![H::Ready]), [Act::TellReady]);
    machine
}

#[test]
fn a_program_that_ends_before_it_is_ready_fails_the_boot_once_its_tree_is_gone() {
    let mut machine = machine(RestartOn::Always);
    assert_eq!(after(&mut machine, vec![H::Runs, H::Exited(status(3))]), []);
    let message = "program ended with exit status 3 before it was ready".to_owned();
    assert_eq!(
        after(&mut machine, vec![H::TreeGone]),
        [Act::Finish(Outcome::Failed { stage: "program", message })]
    );
}

#[test]
fn a_program_that_can_never_be_ready_is_ended_first() {
    let mut machine = machine(RestartOn::Always);
    assert_eq!(after(&mut machine, vec![H::Runs, H::NeverReady("pid 7 listens".into())]), [Act::EndTree]);
    let failed = Outcome::Failed { stage: "readiness", message: "pid 7 listens".into() };
    assert_eq!(after(&mut machine, vec![H::Exited(status(0)), H::TreeGone]), [Act::Finish(failed)]);
}

#[test]
fn a_failed_program_waits_until_its_tree_is_gone_and_then_its_back_off() {
    let mut machine = serving(RestartOn::Failure);
    let reason = "program ended with exit status 3; starts again in 250ms".to_owned();
    assert_eq!(after(&mut machine, vec![H::Exited(status(3))]), [Act::TellBackOff(reason)]);
    assert_eq!(after(&mut machine, vec![H::TreeGone]), [Act::Await(Duration::from_millis(250))]);
    assert_eq!(after(&mut machine, vec![H::WaitOver]), [Act::Start]);
    assert_eq!(after(&mut machine, vec![H::Runs]), [Act::AskReady { bounded: true }]);
    assert_eq!(after(&mut machine, vec![H::Ready]), [Act::TellReadyAgain]);
}

#[test]
fn the_limit_spent_the_host_gives_up_and_says_how_often() {
    let mut machine = serving(RestartOn::Failure);
    for _ in 0..2 {
        after(&mut machine, vec![H::Exited(status(3)), H::TreeGone, H::WaitOver, H::Runs, H::Ready]);
    }
    let acts = after(&mut machine, vec![H::Exited(status(3))]);
    let why = "program ended with exit status 3; 2 restarts within 1m are spent".to_owned();
    assert_eq!(acts, [Act::TellFailed(why.clone())]);
    assert_eq!(after(&mut machine, vec![H::TreeGone]), [Act::Finish(Outcome::GaveUp(why))]);
}

#[test]
fn a_program_that_is_done_is_left_in_peace() {
    let mut machine = serving(RestartOn::Failure);
    let acts = after(&mut machine, vec![H::Exited(status(0)), H::TreeGone]);
    assert_eq!(acts, [Act::Finish(Outcome::Done("program ended with exit status 0".into()))]);
}

#[test]
fn health_degrades_recovers_and_at_last_restarts() {
    let mut machine = serving(RestartOn::Failure);
    let failed = || H::Failed("503".into());
    assert_eq!(after(&mut machine, vec![failed()]), [Act::TellDegraded("503".into())]);
    assert_eq!(after(&mut machine, vec![H::Passed]), [Act::TellRecovered]);
    assert_eq!(after(&mut machine, vec![H::Passed]), []);
    let why = "its health check failed 3 times in a row: 503".to_owned();
    let back_off = Act::TellBackOff(format!("{why}; starts again in 250ms"));
    assert_eq!(
        after(&mut machine, vec![failed(), failed(), failed()]),
        [Act::NoteUnhealthy(why), Act::EndTree, back_off]
    );
}

#[test]
fn an_unhealthy_program_that_nobody_wants_restarted_stays_degraded() {
    let mut machine = serving(RestartOn::Never);
    let failed = || H::Failed("503".into());
    let acts = after(&mut machine, vec![failed(), failed(), failed()]);
    assert_eq!(acts, [Act::TellDegraded("its health check failed 3 times in a row: 503".into())]);
    assert_eq!(after(&mut machine, vec![H::Passed]), [Act::TellRecovered]);
}

#[test]
fn a_stop_wins_over_every_plan() {
    let stop = |happenings: Vec<Happening>| {
        let mut machine = serving(RestartOn::Failure);
        after(&mut machine, happenings);
        after(&mut machine, vec![H::StopAsked, H::TreeGone])
    };
    let stopped = [Act::Finish(Outcome::Stopped)];
    assert_eq!(stop(vec![]), stopped);
    assert_eq!(stop(vec![H::Exited(status(3))]), stopped, "instead of the restart");
    let mut waiting = serving(RestartOn::Failure);
    after(&mut waiting, vec![H::Exited(status(3)), H::TreeGone]);
    assert_eq!(after(&mut waiting, vec![H::StopAsked]), stopped, "nothing lives: at once");
}

#[test]
fn a_shim_that_dies_counts_as_an_end_of_unknown_status() {
    let mut machine = serving(RestartOn::Failure);
    let acts = after(&mut machine, vec![H::TreeGone]);
    assert!(matches!(acts.as_slice(), [Act::TellBackOff(_), Act::Await(_)]), "{acts:?}");
}

/// Every order of happenings, eight deep: a program is started only when nothing of the last one lives, and nothing follows
/// the end.
#[test]
fn no_order_of_happenings_starts_two_or_acts_after_the_end() {
    let all = [
        H::Runs,
        H::CannotRun("x".into()),
        H::Ready,
        H::NeverReady("x".into()),
        H::Exited(status(1)),
        H::TreeGone,
        H::Failed("x".into()),
        H::WaitOver,
        H::StopAsked,
    ];
    // Whether something of the program may live, beside the machine itself.
    let mut edge = HashSet::from([(machine(RestartOn::Failure), true)]);
    for _ in 0..8 {
        let mut next = HashSet::new();
        for (machine, lives) in &edge {
            for happening in &all {
                // The host tells of a tree's end once, and of nothing else of a tree that is gone.
                if !lives && !matches!(happening, H::WaitOver | H::StopAsked) {
                    continue;
                }
                let (mut machine, mut lives) = (machine.clone(), *lives && *happening != H::TreeGone);
                for act in machine.step(happening.clone(), Duration::ZERO) {
                    if act == Act::Start {
                        assert!(!lives, "a second tree from {machine:?} by {happening:?}");
                        lives = true;
                    }
                    if matches!(act, Act::Finish(_)) {
                        assert!(!lives, "left a tree behind: {machine:?} by {happening:?}");
                    }
                    if act == Act::EndTree {
                        assert!(lives, "ended nothing: {machine:?} by {happening:?}");
                    }
                }
                next.insert((machine, lives));
            }
        }
        edge = next;
    }
}
