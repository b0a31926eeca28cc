//! The table, row by row, and a search through everything that can happen.

use std::collections::HashSet;

use SupervisorEvent as H;
use tenure_sys::process::ExitStatus;

use crate::spec::RestartOn;

use super::*;

mod probation;

const BAKE: Duration = Duration::from_secs(3);

fn machine(on: RestartOn) -> Supervisor {
    on_probation(on, ProbationTerms::None)
}

fn on_probation(on: RestartOn, probation: ProbationTerms) -> Supervisor {
    let policy = RestartPolicy { on, limit: 2, ..RestartPolicy::default() };
    Supervisor::begin(policy, 3, probation).0
}

fn status(code: i32) -> Exit {
    Exit::Status(ExitStatus { code: Some(code), signal: None, core: false })
}

/// The acts that the last of these happenings leads to.
fn after(machine: &mut Supervisor, happenings: Vec<SupervisorEvent>) -> Vec<SupervisorAction> {
    happenings.into_iter().fold(Vec::new(), |_, event| machine.step(event, Duration::ZERO))
}

fn serving(on: RestartOn) -> Supervisor {
    let mut machine = machine(on);
    assert_eq!(after(&mut machine, vec![H::Runs]), [SupervisorAction::AskReady { bounded: false }]);
    assert_eq!(
        after(&mut machine, vec![H::Ready]),
        [SupervisorAction::TellReady, SupervisorAction::WatchHealth]
    );
    machine
}

/// A machine whose program has just become ready on probation, and what it did then.
fn ready_on_probation(probation: ProbationTerms) -> (Supervisor, Vec<SupervisorAction>) {
    let mut machine = on_probation(RestartOn::Always, probation);
    let acts = after(&mut machine, vec![H::Runs, H::Ready]);
    (machine, acts)
}

#[test]
fn a_program_that_ends_before_it_is_ready_fails_the_boot_once_its_tree_is_gone() {
    let mut machine = machine(RestartOn::Always);
    assert_eq!(after(&mut machine, vec![H::Runs, H::Exited(status(3))]), []);
    let message = "program ended with exit status 3 before it was ready".to_owned();
    assert_eq!(
        after(&mut machine, vec![H::TreeGone]),
        [SupervisorAction::Finish(HostOutcome::Failed { stage: "program", message })]
    );
}

#[test]
fn a_program_that_can_never_be_ready_is_ended_first() {
    let mut machine = machine(RestartOn::Always);
    assert_eq!(
        after(&mut machine, vec![H::Runs, H::NeverReady("pid 7 listens".into())]),
        [SupervisorAction::EndTree]
    );
    let failed = HostOutcome::Failed { stage: "readiness", message: "pid 7 listens".into() };
    assert_eq!(
        after(&mut machine, vec![H::Exited(status(0)), H::TreeGone]),
        [SupervisorAction::Finish(failed)]
    );
}

#[test]
fn a_program_that_says_that_it_is_degraded_lives() {
    let degraded = || H::PassedDegraded("503".into());
    let mut machine = serving(RestartOn::Failure);
    // The count of failures begins anew, and no number of such answers restarts it.
    for _ in 0..10 {
        let told = after(&mut machine, vec![H::Failed("no answer".into()), degraded()]);
        assert_eq!(told, [SupervisorAction::TellDegraded("503".into())]);
    }
    assert_eq!(after(&mut machine, vec![H::Passed]), [SupervisorAction::TellRecovered]);
}

#[test]
fn a_failed_program_waits_until_its_tree_is_gone_and_then_its_back_off() {
    let mut machine = serving(RestartOn::Failure);
    let reason = "program ended with exit status 3; starts again in 250ms".to_owned();
    assert_eq!(after(&mut machine, vec![H::Exited(status(3))]), [SupervisorAction::TellBackOff(reason)]);
    assert_eq!(after(&mut machine, vec![H::TreeGone]), [SupervisorAction::Await(Duration::from_millis(250))]);
    assert_eq!(after(&mut machine, vec![H::WaitOver]), [SupervisorAction::Start]);
    assert_eq!(after(&mut machine, vec![H::Runs]), [SupervisorAction::AskReady { bounded: true }]);
    assert_eq!(
        after(&mut machine, vec![H::Ready]),
        [SupervisorAction::TellReadyAgain, SupervisorAction::WatchHealth]
    );
}

#[test]
fn the_limit_spent_the_host_gives_up_and_says_how_often() {
    let mut machine = serving(RestartOn::Failure);
    for _ in 0..2 {
        after(&mut machine, vec![H::Exited(status(3)), H::TreeGone, H::WaitOver, H::Runs, H::Ready]);
    }
    let acts = after(&mut machine, vec![H::Exited(status(3))]);
    let why = "program ended with exit status 3; 2 restarts within 1m are spent".to_owned();
    assert_eq!(acts, [SupervisorAction::TellFailed(why.clone())]);
    assert_eq!(after(&mut machine, vec![H::TreeGone]), [SupervisorAction::Finish(HostOutcome::GaveUp(why))]);
}

#[test]
fn a_program_that_is_not_there_any_more_is_not_waited_for() {
    let mut machine = serving(RestartOn::Always);
    after(&mut machine, vec![H::Exited(status(3)), H::TreeGone, H::WaitOver]);
    let mut other = machine.clone();
    assert_eq!(
        after(&mut machine, vec![H::NoProgram("gone".into())]),
        [SupervisorAction::TellFailed("gone".into())]
    );
    assert_eq!(
        after(&mut machine, vec![H::TreeGone]),
        [SupervisorAction::Finish(HostOutcome::GaveUp("gone".into()))]
    );
    let acts = after(&mut other, vec![H::CannotRun("no descriptors".into())]);
    assert!(
        matches!(acts.as_slice(), [SupervisorAction::TellBackOff(_)]),
        "what passes is waited for: {acts:?}"
    );
}

#[test]
fn a_program_that_is_done_is_left_in_peace() {
    let mut machine = serving(RestartOn::Failure);
    let acts = after(&mut machine, vec![H::Exited(status(0)), H::TreeGone]);
    assert_eq!(
        acts,
        [SupervisorAction::Finish(HostOutcome::Done("program ended with exit status 0".into()))]
    );
}

#[test]
fn health_degrades_recovers_and_at_last_restarts() {
    let mut machine = serving(RestartOn::Failure);
    let failed = || H::Failed("503".into());
    assert_eq!(after(&mut machine, vec![failed()]), [SupervisorAction::TellDegraded("503".into())]);
    assert_eq!(after(&mut machine, vec![H::Passed]), [SupervisorAction::TellRecovered]);
    assert_eq!(after(&mut machine, vec![H::Passed]), []);
    let why = "its health check failed 3 times in a row: 503".to_owned();
    let back_off = SupervisorAction::TellBackOff(format!("{why}; starts again in 250ms"));
    assert_eq!(
        after(&mut machine, vec![failed(), failed(), failed()]),
        [SupervisorAction::NoteUnhealthy(why), SupervisorAction::EndTree, back_off]
    );
}

#[test]
fn an_unhealthy_program_that_nobody_wants_restarted_stays_degraded() {
    let mut machine = serving(RestartOn::Never);
    let failed = || H::Failed("503".into());
    let acts = after(&mut machine, vec![failed(), failed(), failed()]);
    assert_eq!(
        acts,
        [SupervisorAction::TellDegraded("its health check failed 3 times in a row: 503".into())]
    );
    assert_eq!(after(&mut machine, vec![H::Passed]), [SupervisorAction::TellRecovered]);
}

#[test]
fn a_stop_wins_over_every_plan() {
    let stop = |happenings: Vec<SupervisorEvent>| {
        let mut machine = serving(RestartOn::Failure);
        after(&mut machine, happenings);
        after(&mut machine, vec![H::StopAsked, H::TreeGone])
    };
    let stopped = [SupervisorAction::Finish(HostOutcome::Stopped)];
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
    assert!(
        matches!(acts.as_slice(), [SupervisorAction::TellBackOff(_), SupervisorAction::Await(_)]),
        "{acts:?}"
    );
}

#[test]
fn a_program_makes_room_once_nothing_of_it_lives() {
    let mut machine = serving(RestartOn::Failure);
    assert_eq!(after(&mut machine, vec![H::MakeRoomAsked]), [SupervisorAction::EndTree]);
    assert_eq!(after(&mut machine, vec![H::Exited(status(0))]), []);
    assert_eq!(after(&mut machine, vec![H::TreeGone]), [SupervisorAction::TellRoomMade]);
    assert_eq!(after(&mut machine, vec![H::MakeRoomAsked]), [SupervisorAction::TellRoomMade], "it has");
    let mut ended = serving(RestartOn::Failure);
    assert_eq!(after(&mut ended, vec![H::Exited(status(3)), H::MakeRoomAsked]), []);
    assert_eq!(
        after(&mut ended, vec![H::TreeGone]),
        [SupervisorAction::TellRoomMade],
        "instead of the restart"
    );
    let mut waiting = serving(RestartOn::Failure);
    after(&mut waiting, vec![H::Exited(status(3)), H::TreeGone]);
    assert_eq!(
        after(&mut waiting, vec![H::MakeRoomAsked]),
        [SupervisorAction::TellRoomMade],
        "nothing lives: at once"
    );
    assert_eq!(after(&mut waiting, vec![H::WaitOver]), [], "and nothing starts");
}

#[test]
fn a_program_that_ends_for_good_makes_no_room() {
    let mut machine = serving(RestartOn::Failure);
    let acts = after(&mut machine, vec![H::StopAsked, H::MakeRoomAsked, H::ResumeAsked, H::TreeGone]);
    assert_eq!(acts, [SupervisorAction::Finish(HostOutcome::Stopped)]);
}

#[test]
fn a_program_that_made_room_starts_again_bounded_and_by_policy() {
    let mut machine = serving(RestartOn::Failure);
    after(&mut machine, vec![H::MakeRoomAsked, H::TreeGone]);
    assert_eq!(
        after(&mut machine, vec![H::ResumeAsked]),
        [SupervisorAction::Start, SupervisorAction::TellResumed]
    );
    assert_eq!(after(&mut machine, vec![H::Runs]), [SupervisorAction::AskReady { bounded: true }]);
    assert_eq!(
        after(&mut machine, vec![H::Ready]),
        [SupervisorAction::TellReadyAgain, SupervisorAction::WatchHealth]
    );
    let acts = after(&mut machine, vec![H::Exited(status(3)), H::TreeGone]);
    assert_eq!(acts, [SupervisorAction::Await(Duration::from_millis(250))]);
}

#[test]
fn a_program_that_is_called_back_while_it_ends_starts_again_without_a_wait() {
    let mut machine = serving(RestartOn::Failure);
    assert_eq!(after(&mut machine, vec![H::MakeRoomAsked, H::ResumeAsked]), [SupervisorAction::TellResumed]);
    assert_eq!(after(&mut machine, vec![H::TreeGone]), [SupervisorAction::Await(Duration::ZERO)]);
    assert_eq!(after(&mut machine, vec![H::WaitOver]), [SupervisorAction::Start]);
    assert_eq!(after(&mut machine, vec![H::ResumeAsked]), [SupervisorAction::TellResumed], "it has begun");
}

#[test]
fn a_program_that_yielded_before_it_was_ready_is_told_as_ready_for_the_first_time() {
    let mut machine = machine(RestartOn::Failure);
    after(&mut machine, vec![H::Runs, H::MakeRoomAsked, H::TreeGone, H::ResumeAsked, H::Runs]);
    assert_eq!(
        after(&mut machine, vec![H::Ready]),
        [SupervisorAction::TellReady, SupervisorAction::WatchHealth]
    );
}

#[test]
fn a_stop_ends_a_worker_whose_program_made_room() {
    let stopped = [SupervisorAction::Finish(HostOutcome::Stopped)];
    let mut yielded = serving(RestartOn::Failure);
    after(&mut yielded, vec![H::MakeRoomAsked, H::TreeGone]);
    assert_eq!(after(&mut yielded, vec![H::StopAsked]), stopped);
    let mut ending = serving(RestartOn::Failure);
    assert_eq!(after(&mut ending, vec![H::MakeRoomAsked, H::StopAsked]), []);
    assert_eq!(after(&mut ending, vec![H::TreeGone]), stopped);
}

#[test]
fn a_place_that_is_denied_ends_the_program() {
    let (mut machine, _) = ready_on_probation(ProbationTerms::BeforeReady(BAKE));
    assert_eq!(after(&mut machine, vec![H::WaitOver, H::Denied("x".into())]), [SupervisorAction::EndTree]);
    let failed = HostOutcome::Failed { stage: "takeover", message: "x".into() };
    assert_eq!(after(&mut machine, vec![H::TreeGone]), [SupervisorAction::Finish(failed)]);
}

#[test]
fn a_first_start_whose_port_somebody_else_took_is_begun_anew_a_few_times() {
    let mut machine = machine(RestartOn::Failure);
    let lost = || vec![H::Runs, H::PortTaken("x".into()), H::Exited(status(9)), H::TreeGone];
    for _ in 0..4 {
        assert_eq!(after(&mut machine, lost()), [SupervisorAction::Start]);
    }
    let acts = after(&mut machine, lost());
    assert!(
        matches!(acts.last(), Some(SupervisorAction::Finish(HostOutcome::Failed { stage: "program", .. }))),
        "{acts:?}"
    );
}

/// Every order of happenings, eight deep: a program is started only when nothing of the last one lives, nothing follows
/// the end, and room is made only where nothing lives.
#[test]
fn no_order_of_happenings_starts_two_or_acts_after_the_end() {
    let all = [
        H::Runs,
        H::CannotRun("x".into()),
        H::NoProgram("x".into()),
        H::Ready,
        H::NeverReady("x".into()),
        H::PortTaken("x".into()),
        H::Exited(status(1)),
        H::TreeGone,
        H::Failed("x".into()),
        H::PassedDegraded("x".into()),
        H::WaitOver,
        H::MakeRoomAsked,
        H::ResumeAsked,
        H::IncumbentLeft,
        H::IncumbentComesBack,
        H::StopAsked,
    ];
    // Whether something of the program may live, beside the machine itself.
    let begun = [ProbationTerms::None, ProbationTerms::BeforeReady(BAKE), ProbationTerms::AfterReady(BAKE)]
        .map(|probation| (on_probation(RestartOn::Failure, probation), true));
    let mut edge = HashSet::from(begun);
    for _ in 0..8 {
        let mut next = HashSet::new();
        for (machine, lives) in &edge {
            for event in &all {
                // The host tells of a tree's end once, and of nothing else of a tree that is gone.
                let asked = matches!(
                    event,
                    H::WaitOver
                        | H::MakeRoomAsked
                        | H::ResumeAsked
                        | H::IncumbentLeft
                        | H::IncumbentComesBack
                        | H::StopAsked
                );
                if *lives || asked {
                    next.insert(proved(machine, *lives, event));
                }
            }
        }
        edge = next;
    }
}

/// The machine after `event`, and whether something of the program may live then.
fn proved(machine: &Supervisor, lives: bool, event: &SupervisorEvent) -> (Supervisor, bool) {
    let (before, mut machine) = (machine, machine.clone());
    let mut lives = lives && *event != H::TreeGone;
    for act in machine.step(event.clone(), Duration::ZERO) {
        assert_ne!(before.state, Phase::Over, "{act:?} after the end by {event:?}");
        match act {
            SupervisorAction::Start => {
                assert!(!lives, "a second tree from {before:?} by {event:?}");
                lives = true;
            }
            SupervisorAction::Finish(_)
            | SupervisorAction::TellRoomMade
            | SupervisorAction::AwaitIncumbent(_) => {
                assert!(!lives, "left a tree behind: {before:?} by {event:?}");
            }
            SupervisorAction::EndTree => assert!(lives, "ended nothing: {before:?} by {event:?}"),
            SupervisorAction::TellReady => {
                assert!(!before.ready_reported, "reported twice: {before:?} by {event:?}");
            }
            SupervisorAction::AskReady { .. }
            | SupervisorAction::TellReadyAgain
            | SupervisorAction::WatchHealth
            | SupervisorAction::TellDegraded(_)
            | SupervisorAction::TellRecovered
            | SupervisorAction::NoteUnhealthy(_)
            | SupervisorAction::TellBackOff(_)
            | SupervisorAction::TellFailed(_)
            | SupervisorAction::TellResumed
            | SupervisorAction::AskBack(_)
            | SupervisorAction::Await(_) => {}
        }
    }
    (machine, lives)
}
