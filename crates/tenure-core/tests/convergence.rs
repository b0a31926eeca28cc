//! The theorem of the version policy, on the policy that ships: with k versions and f faults there are at most k - 1 + f
//! replacements between two words of a person, and none after the last offer and fault.
//!
//! The versions are those on record or running at a person's word and those offered since. The same check is run on two policies

#[path = "convergence/world.rs"]
mod world;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest::test_runner::{RngSeed, TestCaseError, TestCaseResult, TestError, TestRunner};

use world::{Event, Rule, STRANGE, VERSIONS, World};

const HOUR: u64 = 3_600_000;

/// Most events of a story.
const LONGEST: usize = 60;

/// More rounds than there are faults in store: a failed start and a disagreement for each spec.
const ROUNDS: usize = 16;

/// What may happen besides calls, a person's words and deaths.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a kind of event, and all may happen")]
struct Troubles {
    /// Each version is installed twice, with another setting; else once.
    twice: bool,
    /// Programs are removed and come back.
    removed: bool,
    /// Another app asks for the same name, and people give the name up.
    strangers: bool,
    /// Files are edited, trusted or not, and people forget versions and restart the worker.
    words: bool,
}

fn events(troubles: Troubles) -> impl Strategy<Value = Vec<Event>> {
    let version = || 1..=VERSIONS;
    let from = 0..=if troubles.strangers { STRANGE } else { u64::from(troubles.twice) };
    let times = prop_oneof![Just(0), Just(1), Just(u32::MAX)];
    let while_ms = prop_oneof![Just(1_000), Just(3_000), Just(31_000), Just(HOUR + 1)];
    let mut kinds = vec![
        (30, (version(), from).prop_map(|(version, from)| Event::Ensure(version, from)).boxed()),
        (2, version().prop_map(Event::Pin).boxed()),
        (2, Just(Event::Unpin).boxed()),
        (1, Just(Event::Stop).boxed()),
        (4, Just(Event::Dies).boxed()),
        (2, Just(Event::AppFails).boxed()),
        (4, while_ms.prop_map(Event::Passes).boxed()),
        (4, (version(), times).prop_map(|(version, times)| Event::Breaks(version, times)).boxed()),
        (
            3,
            (version(), proptest::option::of(version()))
                .prop_map(|(one, says)| Event::Says(one, says))
                .boxed(),
        ),
        (2, (0..3_u64).prop_map(Event::Edited).boxed()),
    ];
    if troubles.words {
        let of = |what: fn(u64, u64, bool) -> Event| {
            let file = (1..=VERSIONS, 0..=u64::from(troubles.twice), any::<bool>());
            file.prop_map(move |(version, from, is)| what(version, from, is)).boxed()
        };
        let from = 0..=if troubles.strangers { STRANGE } else { u64::from(troubles.twice) };
        kinds.extend([
            (3, of(Event::Trusts)),
            (3, of(Event::Describes)),
            (2, version().prop_map(Event::Forget).boxed()),
            (4, (version(), from).prop_map(|(version, from)| Event::Restart(version, from)).boxed()),
            (4, Just(Event::FailsInProbation).boxed()),
        ]);
    }
    if troubles.strangers {
        kinds.push((2, Just(Event::GiveUp).boxed()));
    }
    if troubles.removed {
        kinds.push((3, (version(), any::<bool>()).prop_map(|(one, gone)| Event::Removed(one, gone)).boxed()));
    }
    vec(Union::new_weighted(kinds), 0..LONGEST)
}

fn holds(world: &World) -> TestCaseResult {
    let epoch = &world.epoch;
    let bound = epoch.versions.len().saturating_sub(1) + epoch.faults;
    prop_assert!(epoch.replaced <= bound, "more than k - 1 + f replacements: {epoch:?}");
    prop_assert!(epoch.rebuilt <= epoch.edits, "more rebuilds than contents: {epoch:?}");
    prop_assert!(world.broken.is_empty(), "{:?}", world.broken);
    Ok(())
}

/// What happens, and then peace: everybody calls, and calls again.
fn converges(rule: Rule, events: &[Event]) -> TestCaseResult {
    let mut world = World::new(rule);
    for event in events {
        world.happen(*event);
        holds(&world)?;
    }
    // The first round offers, and starts what disagrees; the second hears of it.
    world.round();
    holds(&world)?;
    // A fault that was still to come may come in any round; after one without, all is said.
    for _ in 0..ROUNDS {
        let faults = world.epoch.faults;
        world.round();
        holds(&world)?;
        if world.epoch.faults == faults {
            break;
        }
    }
    for _ in 0..2 {
        prop_assert_eq!(world.round(), 0, "all is said, and a worker is replaced: {:?}", world.epoch);
    }
    if let (Some(pinned), Some(version)) = (world.pinned(), world.version()) {
        prop_assert_eq!(pinned, version, "another version than the pinned one stands");
    }
    holds(&world)
}

/// The same histories in each run, so that a run can be repeated. `PROPTEST_CASES=20000` runs that many others.
fn config(cases: u32) -> ProptestConfig {
    let given = ProptestConfig::default();
    let is_long = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 20_000,
        cases: if is_long { given.cases } else { cases },
        rng_seed: if is_long { given.rng_seed } else { RngSeed::Fixed(1) },
        ..given
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn whatever_is_offered_and_whatever_fails_versions_converge(events in events(Troubles::default())) {
        converges(Rule::Shipped, &events)?;
    }

    #[test]
    fn two_installations_of_a_version_do_not_fight(events in events(Troubles { twice: true, ..Troubles::default() })) {
        converges(Rule::Shipped, &events)?;
    }

    #[test]
    fn a_program_that_vanishes_costs_no_healthy_worker(events in events(Troubles { removed: true, ..Troubles::default() })) {
        converges(Rule::Shipped, &events)?;
    }

    #[test]
    fn what_people_forget_restart_and_trust_converges(
        events in events(Troubles { words: true, ..Troubles::default() })
    ) {
        converges(Rule::Shipped, &events)?;
    }

    #[test]
    fn another_app_never_replaces_a_worker_unless_the_name_is_given_up(
        events in events(Troubles { strangers: true, ..Troubles::default() })
    ) {
        converges(Rule::Shipped, &events)?;
    }

    #[test]
    fn all_troubles_at_once_converge(
        events in events(Troubles { twice: true, strangers: true, removed: true, words: true })
    ) {
        converges(Rule::Shipped, &events)?;
    }
}

#[test]
fn two_installations_of_versions_that_fail_once_come_to_rest() {
    let events = [
        Event::Breaks(3, 1),
        Event::Breaks(4, 1),
        Event::Ensure(2, 1),
        Event::Says(2, Some(1)),
        Event::Breaks(2, 1),
    ];
    converges(Rule::Shipped, &events).expect("it comes to rest");
}

/// It has failed twice then: it stands again as it was, and is replaced once more.
#[test]
fn a_failed_worker_that_takes_the_scope_back_is_one_more_fault() {
    let events = [
        Event::Ensure(1, 0),
        Event::Ensure(2, 0),
        Event::AppFails,
        Event::Ensure(1, 0),
        Event::FailsInProbation,
        Event::Ensure(1, 0),
        Event::Ensure(2, 1),
    ];
    converges(Rule::Shipped, &events).expect("it comes to rest");
}

/// Nobody asks for what runs any more, so it keeps nothing out: what failed is tried again as if nothing ran.
#[test]
fn a_worker_whose_name_was_given_up_keeps_no_failed_version_out() {
    let events = [
        Event::Ensure(1, 0),
        Event::GiveUp,
        Event::Ensure(1, STRANGE),
        Event::FailsInProbation,
        Event::Passes(3_000),
    ];
    converges(Rule::Shipped, &events).expect("it comes to rest");
}

/// The shortest story in which this rule does not converge.
fn refuted(rule: Rule) -> String {
    let only = prop_oneof![
        8 => (1..=VERSIONS).prop_map(|version| Event::Ensure(version, 0)),
        1 => Just(Event::Dies),
    ];
    refuted_by(rule, vec(only, 0..30))
}

fn refuted_by(rule: Rule, stories: impl Strategy<Value = Vec<Event>>) -> String {
    let found = TestRunner::new(config(500))
        .run(&stories, |events| converges(rule, &events))
        .expect_err("a rule that does not converge is found out");
    match found {
        TestError::Fail(why, events) => format!("{why}: {events:?}"),
        TestError::Abort(why) => why.to_string(),
    }
}

#[test]
fn a_judge_of_strict_equality_is_found_out() {
    let found = refuted(Rule::StrictEquality);
    assert!(found.contains("k - 1 + f"), "{found}");
}

#[test]
fn a_launcher_that_starts_its_own_version_is_found_out() {
    let found = refuted(Rule::OwnVersion);
    assert!(found.contains("k - 1 + f"), "{found}");
}

#[test]
fn an_app_that_is_compared_by_its_version_is_found_out() {
    let stories = (1..=VERSIONS, prop_oneof![Just(0), Just(STRANGE)]);
    let stories = vec(stories.prop_map(|(version, from)| Event::Ensure(version, from)), 0..30);
    let found = refuted_by(Rule::AppIgnored, stories);
    assert!(found.contains("of another app takes the place"), "{found}");
}

#[test]
fn offers_that_count_although_their_trust_is_gone_are_found_out() {
    let stories = events(Troubles { words: true, ..Troubles::default() });
    let found = refuted_by(Rule::RevokedCounts, stories);
    assert!(found.contains("nobody trusts it"), "{found}");
}

#[test]
fn a_restart_below_what_is_described_is_found_out() {
    let stories = events(Troubles { words: true, ..Troubles::default() });
    let found = refuted_by(Rule::RestartBelow, stories);
    assert!(found.contains("which is described"), "{found}");
}

/// Twenty alternating calls of two versions are one replacement, and the wrong rule is wrong by the bound as well.
#[test]
fn the_bound_tells_the_shipped_rule_from_the_wrong_one() {
    let turns = || (0..20).map(|turn| Event::Ensure(1 + turn % 2, 0));
    let replaced = |rule| {
        let mut world = World::new(rule);
        turns().for_each(|event| world.happen(event));
        (world.epoch.replaced, holds(&world))
    };
    assert!(matches!(replaced(Rule::Shipped), (1, Ok(()))));
    assert!(matches!(replaced(Rule::StrictEquality), (2.., Err(TestCaseError::Fail(_)))));
}
