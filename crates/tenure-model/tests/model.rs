//! The model's small scenarios hold in every state, and every rule that is broken on purpose is found out.

use tenure_model::{Explored, Mutation, catalog, explore, refute, takeover};

fn told(explored: &Explored) -> String {
    let found = explored.counterexamples.iter();
    let found =
        found.map(|one| format!("{} in {} steps:\n{}", one.property, one.steps.len(), one.steps.join("\n")));
    found
        .chain(explored.unseen.iter().map(|name| format!("never seen: {name}")))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_small_scenario_holds_in_every_state() {
    for scenario in catalog::small() {
        let explored = explore(&scenario);
        assert!(explored.holds(), "{}: {}", scenario.name, told(&explored));
    }
}

/// The scenario that breaks this rule must cost the property that stands beside it.
fn is_found_out(mutation: Mutation) {
    let broken = catalog::broken().into_iter().find(|(scenario, _)| scenario.mutation == Some(mutation));
    let (scenario, property) = broken.expect("each broken rule has a scenario");
    let explored = refute(&scenario, property);
    assert!(explored.against(property).is_some(), "{}: {property} holds all the same", scenario.name);
}

macro_rules! broken_rules {
    ($($name:ident => $mutation:ident;)+) => {
        $(
            #[test]
            fn $name() {
                is_found_out(Mutation::$mutation);
            }
        )+
    };
}

broken_rules! {
    strict_version_equality_never_stops_replacing => StrictVersion;
    a_lease_that_can_be_broken_is_no_lease => BreakableLease;
    a_path_bound_before_the_lease_is_held_leads_astray => BindFirst;
    a_launcher_that_starts_its_own_version_downgrades => OwnVersion;
    a_stale_worker_that_picks_its_successor_never_stops => StaleSuccessor;
    without_a_watchdog_of_its_own_a_boot_hangs_for_ever => NoWatchdog;
    a_program_lock_that_is_ignored_makes_two_programs => ProgramLockIgnored;
    a_free_lock_taken_for_a_death_makes_two_programs => FreeLockProves;
    a_launcher_that_ends_a_booting_worker_does_harm => ImpatientBoot;
    a_socket_removed_without_the_lease_is_the_successors => LateUnlink;
    a_draining_worker_that_is_forced_at_once_is_cut_off => DrainForced;
    a_slow_worker_that_is_forced_at_once_is_cut_off => SilenceForced;
    a_spent_budget_that_forces_cuts_a_drain_off => BudgetForces;
    a_drain_measured_by_the_callers_spec_is_cut_off => OwnPatience;
    a_launcher_that_lost_the_gate_must_not_force => UnconfirmedForce;
    a_launcher_that_waited_long_must_look_again => NoSecondLook;
    a_launcher_that_lost_the_gate_must_not_write => StaleRecord;
    a_failed_start_that_is_not_tallied_fails_everybody => UntalliedStart;
    a_version_that_failed_in_this_call_stays_out_of_it => RetriedChoice;
    a_pin_that_launchers_ignore_does_not_hold => PinIgnored;
    a_pin_on_record_before_its_worker_started_leaves_nothing => EarlyPin;
    a_failed_pin_that_puts_nothing_back_leaves_nothing => NothingPutBack;
    a_disagreement_that_is_not_written_down_never_ends => PairUnrecorded;
    an_older_worker_accepted_by_a_strange_record_is_too_old => StrangeRecord;
    a_stop_for_good_that_is_read_too_early_is_overlooked => EarlyLook;
    a_stop_for_good_that_is_written_too_late_is_overlooked => LateDown;
}

#[test]
fn every_small_scenario_of_a_takeover_holds_in_every_state() {
    for scenario in takeover::catalog::small() {
        let explored = takeover::explore(&scenario);
        assert!(explored.holds(), "{}: {}", scenario.name, told(&explored));
    }
}

/// The broken rule of this name costs the property that stands beside it; where another layer makes it good, it costs
/// nothing until that is broken as well.
fn is_found_out_in_a_takeover(name: &str) {
    let broken = takeover::catalog::broken().into_iter().find(|broken| broken.scenario.name.ends_with(name));
    let broken = broken.expect("each broken rule has a scenario");
    if let Some(masked) = broken.masked() {
        let explored = takeover::explore(&masked);
        assert!(explored.holds(), "{name}: it is not masked: {}", told(&explored));
    }
    let explored = takeover::refute(&broken.scenario, broken.property);
    let found = explored.against(broken.property);
    assert!(
        found.is_some_and(|found| !found.steps.is_empty()),
        "{name}: {} holds all the same",
        broken.property
    );
}

macro_rules! broken_rules_of_a_takeover {
    ($($test:ident => $name:literal;)+) => {
        $(
            #[test]
            fn $test() {
                is_found_out_in_a_takeover($name);
            }
        )+

        #[test]
        fn each_broken_rule_of_a_takeover_has_a_test() {
            let tested = [$($name),+];
            for broken in takeover::catalog::broken() {
                let name = broken.scenario.name;
                assert!(tested.iter().any(|tested| name.ends_with(tested)), "{name}");
            }
        }
    };
}

broken_rules_of_a_takeover! {
    a_successor_that_binds_the_path_leads_callers_astray => "the path is bound before the lease is shared";
    an_incumbent_that_accepts_until_the_ack_makes_two => "the app accepts until the successor serves";
    an_incumbent_that_answers_until_the_ack_makes_two_workers => "callers are answered until the successor serves";
    a_rollback_that_ends_nobody_makes_two => "a rollback that does not end the successor";
    a_rollback_to_its_old_generation_goes_back => "a rollback to the same generation";
    a_rollback_to_its_old_generation_is_fenced_out => "a rollback below what has written";
    a_lease_that_is_released_is_not_to_be_had_again => "the lease is released and taken again";
    overlapping_takeovers_make_three => "another takeover while the predecessor lives";
    a_successor_that_ignores_the_end_of_the_old_one_hangs => "the incumbent's end is not noticed";
    without_its_own_watchdog_a_drain_hangs_for_ever => "no watchdog of its own thread, a drain";
    without_its_own_watchdog_a_standby_keeps_the_gate => "no watchdog of its own thread, a boot";
    a_stale_incumbent_that_picks_its_successor_never_stops => "what stands picks the successor";
    two_writers_of_the_ledger_take_the_generation_back => "the incumbent writes the ledger after the grant";
    a_connection_that_ends_is_no_death => "the end of a connection passes for a death";
    a_stop_that_is_taken_for_a_failure_downgrades => "a stop counts as a failure of the version";
    a_stop_that_the_incumbent_is_not_told_of_is_undone => "the incumbent is not told of a stop";
    a_stop_whose_last_words_are_not_read_is_undone => "a death is believed before the last words";
    a_tally_that_is_cleared_at_ready_tries_a_failing_version_too_soon => "the tally is cleared at ready";
    a_rollback_that_nobody_counts_is_repeated_at_once => "a rollback that nobody counts";
    a_lost_link_that_passes_for_a_decline_ends_a_healthy_worker => "a lost link passes for a decline";
    without_room_kept_before_a_full_disk_takes_the_way_back => "no room is kept for the way back";
    a_rollback_on_a_full_disk_tells_no_generation_that_is_not_on_record => "a generation is told that is not on record";
    an_offer_whose_trust_is_gone_is_started_where_it_counts => "an offer counts whose trust is gone";
    a_restart_that_believes_a_report_proves_nothing => "a restart believes the report";
    a_restart_that_takes_any_generation_proves_nothing => "a restart takes any higher generation";
}
