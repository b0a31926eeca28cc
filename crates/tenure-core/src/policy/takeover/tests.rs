//! Both tables, by what must hold whatever happens.

use super::*;
use Incumbent as I;
use IncumbentEvent as H;
use Successor as S;
use SuccessorEvent as W;

const HEARD: [IncumbentEvent; 14] = [
    H::Prepare,
    H::Commit,
    H::Quiesced,
    H::NotQuiesced,
    H::Stuck,
    H::Active,
    H::Aborted { ends: false },
    H::Aborted { ends: true },
    H::Lost,
    H::SuccessorGone,
    H::ProbationOver,
    H::StopAsked,
    H::Reclaimed,
    H::NotReclaimed,
];

const INCUMBENTS: [Incumbent; 10] = [
    I::Serving,
    I::Prepared,
    I::Quiescing,
    I::Granted,
    I::Relieved,
    I::Ending(Then::Serve),
    I::Ending(Then::Reclaim),
    I::Ending(Then::Leave),
    I::Reclaiming,
    I::Leaving,
];

const WORDS: [SuccessorEvent; 12] = [
    W::Booted,
    W::Prepared,
    W::Refused,
    W::Kept,
    W::Willing,
    W::Granted,
    W::Lost,
    W::Late,
    W::IncumbentGone,
    W::IncumbentLives,
    W::Ready,
    W::Failed,
];

const SUCCESSORS: [Successor; 8] =
    [S::Standby, S::Asking, S::Prepared, S::Committing, S::Proving, S::Granted, S::Active, S::Over];

fn terms() -> impl Iterator<Item = Terms> {
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .map(|(overlap, probation)| Terms { overlap, probation })
}

fn steps() -> impl Iterator<Item = (Incumbent, IncumbentEvent, Incumbent, Option<IncumbentAction>)> {
    let pairs = INCUMBENTS.into_iter().flat_map(|state| HEARD.map(|heard| (state, heard)));
    pairs.flat_map(|(state, heard)| {
        terms().map(move |terms| {
            let (next, deed) = incumbent(state, heard, terms);
            (state, heard, next, deed)
        })
    })
}

fn play(terms: Terms, story: &[IncumbentEvent]) -> (Incumbent, Vec<IncumbentAction>) {
    let mut deeds = Vec::new();
    let end = story.iter().fold(I::Serving, |state, heard| {
        let (next, deed) = incumbent(state, *heard, terms);
        deeds.extend(deed);
        next
    });
    (end, deeds)
}

#[test]
fn a_takeover_goes_from_prepare_to_the_incumbents_end() {
    let plain = Terms { overlap: false, probation: true };
    let story = [H::Prepare, H::Commit, H::Quiesced, H::Active, H::ProbationOver];
    assert_eq!(
        play(plain, &story),
        (
            I::Leaving,
            vec![
                IncumbentAction::Share,
                IncumbentAction::Quiesce,
                IncumbentAction::Grant,
                IncumbentAction::Leave
            ]
        )
    );
    let side_by_side = Terms { overlap: true, probation: false };
    let story = [H::Prepare, H::Commit, H::Active];
    assert_eq!(
        play(side_by_side, &story),
        (I::Leaving, vec![IncumbentAction::Share, IncumbentAction::Grant, IncumbentAction::Leave])
    );
}

#[test]
fn an_incumbent_serves_again_only_when_its_successor_is_proved_gone() {
    for (state, heard, next, _) in steps() {
        let back = matches!(next, I::Serving | I::Reclaiming) && !matches!(state, I::Serving | I::Reclaiming);
        if back {
            assert_eq!((heard, matches!(state, I::Ending(_))), (H::SuccessorGone, true), "{state:?}");
        }
    }
}

#[test]
fn an_announced_end_is_never_taken_back() {
    for (state, heard, next, deed) in steps().filter(|(state, ..)| *state == I::Leaving) {
        assert_eq!((next, deed), (I::Leaving, None), "{state:?} {heard:?}");
    }
}

#[test]
fn a_successor_that_fails_before_the_bake_is_over_is_ended() {
    for state in [I::Prepared, I::Quiescing, I::Granted, I::Relieved] {
        for heard in [H::Lost, H::Aborted { ends: false }, H::SuccessorGone] {
            for terms in terms() {
                let (next, deed) = incumbent(state, heard, terms);
                assert!(
                    matches!(next, I::Ending(_)) && deed == Some(IncumbentAction::EndSuccessor),
                    "{state:?} {heard:?}"
                );
            }
        }
    }
}

#[test]
fn a_stop_that_the_granted_successor_tells_of_ends_the_incumbent_too() {
    for state in [I::Granted, I::Relieved] {
        for terms in terms() {
            let (next, deed) = incumbent(state, H::Aborted { ends: true }, terms);
            assert_eq!((next, deed), (I::Leaving, Some(IncumbentAction::Leave)));
        }
    }
}

#[test]
fn a_stop_that_is_told_of_in_last_words_ends_an_incumbent_that_was_about_to_go_on() {
    let plain = Terms { overlap: false, probation: true };
    let story = [H::Prepare, H::Commit, H::Quiesced, H::Lost, H::Aborted { ends: true }, H::SuccessorGone];
    assert_eq!(
        play(plain, &story),
        (
            I::Leaving,
            vec![
                IncumbentAction::Share,
                IncumbentAction::Quiesce,
                IncumbentAction::Grant,
                IncumbentAction::EndSuccessor,
                IncumbentAction::Leave
            ]
        )
    );
}

#[test]
fn what_is_out_of_place_changes_nothing() {
    for (state, heard, next, deed) in steps().filter(|(.., deed)| deed.is_none()) {
        let told = next == state
            || (state, heard, next) == (I::Granted, H::Active, I::Relieved)
            || matches!(state, I::Ending(_) | I::Reclaiming);
        assert!(told, "{state:?} {heard:?} {next:?} {deed:?}");
    }
}

#[test]
fn a_successor_asks_commits_opens_and_tells() {
    let story = [W::Booted, W::Prepared, W::Willing, W::Granted, W::Ready];
    let mut steps = Vec::new();
    let end = story.into_iter().fold(S::Standby, |state, word| {
        let (next, step) = successor(state, word);
        steps.extend(step);
        next
    });
    assert_eq!(
        (end, steps),
        (
            S::Active,
            vec![SuccessorAction::Ask, SuccessorAction::Commit, SuccessorAction::Open, SuccessorAction::Tell]
        )
    );
}

#[test]
fn a_successor_opens_only_by_a_grant_or_the_proved_death_of_the_incumbent() {
    for state in SUCCESSORS {
        for word in WORDS {
            if successor(state, word).1 == Some(SuccessorAction::Open) {
                let granted = (state, word) == (S::Committing, W::Granted);
                assert!(granted || (state, word) == (S::Proving, W::IncumbentGone), "{state:?} {word:?}");
            }
        }
    }
}

#[test]
fn a_lost_incumbent_is_proved_gone_before_anything_is_done_alone() {
    for state in [S::Prepared, S::Committing] {
        assert_eq!(successor(state, W::Lost), (S::Proving, Some(SuccessorAction::Prove)));
    }
    assert_eq!(successor(S::Proving, W::IncumbentLives), (S::Over, Some(SuccessorAction::GiveUp)));
}

#[test]
fn whoever_has_given_up_does_nothing_more() {
    for word in WORDS {
        assert_eq!(successor(S::Over, word), (S::Over, None));
    }
}
