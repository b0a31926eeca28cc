//! A program on probation: who serves when it fails.

use super::*;

#[test]
fn a_probation_is_waited_for_before_or_after_readiness_is_told() {
    let (mut machine, acts) = ready_on_probation(ProbationTerms::BeforeReady(BAKE));
    assert_eq!(acts, [SupervisorAction::WatchHealth, SupervisorAction::Await(BAKE)]);
    assert_eq!(after(&mut machine, vec![H::WaitOver]), [SupervisorAction::TellReady]);
    let (mut machine, acts) = ready_on_probation(ProbationTerms::AfterReady(BAKE));
    assert_eq!(acts, [SupervisorAction::TellReady, SupervisorAction::WatchHealth]);
    assert_eq!(after(&mut machine, vec![H::WaitOver]), [], "the incumbent's clock is the one that counts");
    assert_eq!(after(&mut machine, vec![H::IncumbentLeft]), []);
    for none in [ProbationTerms::BeforeReady(Duration::ZERO), ProbationTerms::AfterReady(Duration::ZERO)] {
        assert_eq!(
            ready_on_probation(none).1,
            [SupervisorAction::TellReady, SupervisorAction::WatchHealth],
            "there is no time to fail in"
        );
    }
}

#[test]
fn a_program_that_ends_on_probation_beside_the_other_is_the_end_of_its_worker_whatever_the_policy() {
    for (exit, shown) in [(status(0), "exit status 0"), (status(3), "exit status 3")] {
        let (mut machine, _) = ready_on_probation(ProbationTerms::BeforeReady(BAKE));
        let message = format!("program ended with {shown} within its probation of 3s");
        assert_eq!(
            after(&mut machine, vec![H::Exited(exit)]),
            [SupervisorAction::TellBackOff(message.clone())]
        );
        let failed = HostOutcome::Failed { stage: "bake", message };
        assert_eq!(after(&mut machine, vec![H::WaitOver, H::TreeGone]), [SupervisorAction::Finish(failed)]);
    }
    let (mut lost, _) = ready_on_probation(ProbationTerms::BeforeReady(BAKE));
    let acts = after(&mut lost, vec![H::TreeGone]);
    assert!(
        matches!(acts.as_slice(), [_, SupervisorAction::Finish(HostOutcome::Failed { stage: "bake", .. })]),
        "{acts:?}"
    );
}

/// A machine whose program has ended on probation, and for whose incumbent it waits.
fn asked_back() -> (Supervisor, String) {
    let (mut machine, _) = ready_on_probation(ProbationTerms::AfterReady(BAKE));
    let message = "program ended with exit status 3 within its probation of 3s".to_owned();
    assert_eq!(
        after(&mut machine, vec![H::Exited(status(3))]),
        [SupervisorAction::TellBackOff(message.clone()), SupervisorAction::AskBack(message.clone())]
    );
    (machine, message)
}

const WAITS: [SupervisorAction; 1] = [SupervisorAction::AwaitIncumbent(INCUMBENT_ANSWER)];

#[test]
fn a_worker_ends_where_its_incumbent_comes_back_whatever_the_policy() {
    let (mut machine, message) = asked_back();
    let failed = SupervisorAction::Finish(HostOutcome::Failed { stage: "bake", message });
    let mut late = machine.clone();
    assert_eq!(after(&mut machine, vec![H::IncumbentComesBack]), [], "its tree ends first");
    assert_eq!(after(&mut machine, vec![H::IncumbentLeft, H::TreeGone]), std::slice::from_ref(&failed));
    assert_eq!(after(&mut late, vec![H::TreeGone]), WAITS);
    assert_eq!(after(&mut late, vec![H::IncumbentComesBack]), [failed]);
}

#[test]
fn a_program_starts_again_by_policy_where_the_incumbent_has_left_or_does_not_answer() {
    let (machine, message) = asked_back();
    let again = SupervisorAction::TellBackOff(format!("{message}; starts again in 250ms"));
    let wait = SupervisorAction::Await(Duration::from_millis(250));
    let mut left = machine.clone();
    assert_eq!(after(&mut left, vec![H::IncumbentLeft]), std::slice::from_ref(&again));
    assert_eq!(after(&mut left, vec![H::TreeGone]), std::slice::from_ref(&wait));
    for event in [H::IncumbentLeft, H::WaitOver] {
        let mut late = machine.clone();
        assert_eq!(after(&mut late, vec![H::TreeGone]), WAITS);
        assert_eq!(after(&mut late, vec![event]), [again.clone(), wait.clone()]);
        assert_eq!(after(&mut late, vec![H::WaitOver]), [SupervisorAction::Start]);
    }
}

#[test]
fn an_incumbent_that_has_left_before_the_readiness_leaves_no_probation() {
    let mut machine = on_probation(RestartOn::Always, ProbationTerms::AfterReady(BAKE));
    after(&mut machine, vec![H::IncumbentLeft, H::Runs, H::Ready]);
    let acts = after(&mut machine, vec![H::Exited(status(3))]);
    assert!(
        matches!(acts.as_slice(), [SupervisorAction::TellBackOff(why)] if why.ends_with("starts again in 250ms")),
        "{acts:?}"
    );
}

#[test]
fn health_on_probation_may_falter_and_must_not_fail() {
    let failed = || H::Failed("503".into());
    let (mut machine, _) = ready_on_probation(ProbationTerms::BeforeReady(BAKE));
    assert_eq!(after(&mut machine, vec![failed(), failed()]), [SupervisorAction::TellDegraded("503".into())]);
    assert_eq!(after(&mut machine, vec![H::Passed]), [SupervisorAction::TellRecovered]);
    let why = "its health check failed 3 times in a row: 503".to_owned();
    assert_eq!(
        after(&mut machine, vec![failed(), failed(), failed()]),
        [
            SupervisorAction::NoteUnhealthy(why.clone()),
            SupervisorAction::EndTree,
            SupervisorAction::TellBackOff(why.clone())
        ]
    );
    let failed = HostOutcome::Failed { stage: "bake", message: why };
    assert_eq!(after(&mut machine, vec![H::TreeGone]), [SupervisorAction::Finish(failed)]);
}

#[test]
fn what_failed_before_the_end_of_a_probation_counts_after_it() {
    let failed = || H::Failed("503".into());
    let (mut machine, _) = ready_on_probation(ProbationTerms::AfterReady(BAKE));
    after(&mut machine, vec![failed(), failed(), H::IncumbentLeft]);
    let acts = after(&mut machine, vec![failed()]);
    assert!(
        matches!(acts.last(), Some(SupervisorAction::TellBackOff(why)) if why.ends_with("starts again in 250ms"))
    );
}
