//! The model's small scenarios hold in every state, and every rule that is broken on purpose is found out.

use tenure_model::catalog::{self, Broken};
use tenure_model::{Explored, Subject, explore, refute};

fn description(explored: &Explored) -> String {
    let found = explored.counterexamples.iter();
    let found =
        found.map(|one| format!("{} in {} steps:\n{}", one.property, one.steps.len(), one.steps.join("\n")));
    found
        .chain(explored.unseen.iter().map(|name| format!("never seen: {name}")))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_small_scenario_of_a_single_worker_holds_in_every_state() {
    hold(Subject::Single);
}

#[test]
fn every_small_scenario_of_a_takeover_holds_in_every_state() {
    hold(Subject::Takeover);
}

fn hold(subject: Subject) {
    for scenario in catalog::small().iter().filter(|scenario| scenario.subject == subject) {
        let explored = explore(scenario);
        assert!(explored.holds(), "{}: {}", scenario.name, description(&explored));
    }
}

/// The broken rule of this name costs the property that stands beside it; where another layer makes it good, it costs
/// nothing until that is broken as well.
fn is_found_out(name: &str) {
    let broken = catalog::broken().into_iter().find(|broken| broken.scenario.name == name);
    let broken = broken.expect("each broken rule has a scenario");
    if let Some(masked) = broken.masked() {
        let explored = explore(&masked);
        assert!(explored.holds(), "{name}: it is not masked: {}", description(&explored));
    }
    let Broken { scenario, property, .. } = &broken;
    let explored = refute(scenario, property);
    let found = explored.against(property);
    assert!(found.is_some_and(|found| !found.steps.is_empty()), "{name}: {property} holds all the same");
}

macro_rules! broken_rules {
    ($($test:ident => $name:literal;)+) => {
        $(
            #[test]
            fn $test() {
                is_found_out($name);
            }
        )+

        #[test]
        fn each_broken_rule_has_a_test() {
            let tested = [$($name),+];
            for broken in catalog::broken() {
                let name = broken.scenario.name;
                assert!(tested.contains(&name), "{name}");
            }
        }
    };
}

broken_rules! {
    strict_version_equality_never_stops_replacing => "strict version equality";
    a_lease_that_can_be_broken_is_no_lease => "a lease that may be broken";
    a_path_bound_before_the_lease_is_held_leads_astray => "the path is bound before the lease is held";
    a_launcher_that_starts_its_own_version_downgrades => "a launcher starts its own version";
    an_app_that_is_compared_by_its_version_replaces_a_strangers => "another app is compared by its version";
    a_stale_worker_that_picks_its_successor_never_stops => "what stands picks the successor";
    without_a_watchdog_of_its_own_a_boot_hangs_for_ever => "no watchdog of its own thread";
    a_program_lock_that_is_ignored_makes_two_programs => "a start before the program lock is free";
    a_free_lock_taken_for_a_death_makes_two_programs => "a free lock proves that a program is gone";
    a_launcher_that_ends_a_booting_worker_does_harm => "a launcher ends a worker that boots";
    a_socket_removed_without_the_lease_is_the_successors => "the socket is removed without the lease";
    a_worker_that_closes_its_socket_last_misleads_a_caller => "an unused worker closes its socket last";
    a_draining_worker_that_is_forced_at_once_is_cut_off => "a draining worker is forced at once";
    a_slow_worker_that_is_forced_at_once_is_cut_off => "a silent worker is forced after the first look";
    a_spent_budget_that_forces_cuts_a_drain_off => "a spent budget forces a draining worker";
    a_drain_measured_by_the_callers_spec_is_cut_off => "a drain is measured by the caller's spec";
    a_launcher_that_lost_the_gate_must_not_force => "a lost gate still forces";
    a_launcher_that_waited_long_must_look_again => "a long wait for the lease forces its holder";
    a_launcher_that_lost_the_gate_must_not_write => "a lost gate writes an old record";
    a_failed_start_that_is_not_tallied_fails_everybody => "a failed start is not tallied";
    a_version_that_failed_in_this_call_stays_out_of_it => "a version that failed in this call is chosen again";
    a_pin_that_launchers_ignore_does_not_hold => "launchers ignore a pin";
    a_pin_on_record_before_its_worker_started_leaves_nothing => "a pin is on record before its worker has started";
    a_failed_pin_that_puts_nothing_back_leaves_nothing => "nothing is put back when a pinned version does not start";
    a_disagreement_that_is_not_written_down_never_ends => "a disagreement is not written down";
    an_older_worker_accepted_by_a_strange_record_is_too_old => "an older worker is accepted by a record without the offer";
    a_stop_for_good_that_is_read_too_early_is_overlooked => "whether it is to stay down is read before the gate";
    a_stop_for_good_that_is_written_too_late_is_overlooked => "that it is to stay down is written when the gate is left";
    a_successor_that_binds_the_path_leads_callers_astray => "takeover: the path is bound before the lease is shared";
    an_incumbent_that_accepts_until_the_ack_makes_two => "takeover: the app accepts until the successor serves";
    an_incumbent_that_answers_until_the_ack_makes_two_workers => "takeover: callers are answered until the successor serves";
    a_rollback_that_ends_nobody_makes_two => "takeover: a rollback that does not end the successor";
    a_rollback_to_its_old_generation_goes_back => "takeover: a rollback to the same generation";
    a_rollback_to_its_old_generation_is_fenced_out => "takeover: a rollback below what has written";
    a_lease_that_is_released_is_not_to_be_had_again => "takeover: the lease is released and taken again";
    overlapping_takeovers_make_three => "takeover: another takeover while the predecessor lives";
    a_successor_that_ignores_the_end_of_the_old_one_hangs => "takeover: the incumbent's end is not noticed";
    without_its_own_watchdog_a_drain_hangs_for_ever => "takeover: no watchdog of its own thread, a drain";
    without_its_own_watchdog_a_standby_keeps_the_gate => "takeover: no watchdog of its own thread, a boot";
    a_stale_incumbent_that_picks_its_successor_never_stops => "takeover: what stands picks the successor";
    two_writers_of_the_ledger_take_the_generation_back => "takeover: the incumbent writes the ledger after the grant";
    a_connection_that_ends_is_no_death => "takeover: the end of a connection passes for a death";
    a_stop_that_is_taken_for_a_failure_downgrades => "takeover: a stop counts as a failure of the version";
    a_stop_that_the_incumbent_is_not_told_of_is_undone => "takeover: the incumbent is not told of a stop";
    a_stop_whose_last_words_are_not_read_is_undone => "takeover: a death is believed before the last words";
    a_tally_that_is_cleared_at_ready_tries_a_failing_version_too_soon => "takeover: the tally is cleared at ready";
    a_rollback_that_nobody_counts_is_repeated_at_once => "takeover: a rollback that nobody counts";
    a_rollback_that_is_erased_uncounted_is_repeated_at_once => "takeover: a new generation erases a rollback uncounted";
    a_lost_link_that_passes_for_a_decline_ends_a_healthy_worker => "takeover: a lost link passes for a decline";
    without_room_kept_before_a_full_disk_takes_the_way_back => "takeover: no room is kept for the way back";
    a_rollback_on_a_full_disk_tells_no_generation_that_is_not_on_record => "takeover: a generation is told that is not on record";
    an_offer_whose_trust_is_gone_is_started_where_it_counts => "takeover: an offer counts whose trust is gone";
    a_restart_that_believes_a_report_proves_nothing => "takeover: a restart believes the report";
    a_restart_that_takes_any_generation_proves_nothing => "takeover: a restart takes any higher generation";
    a_pin_on_record_before_its_worker_serves_is_left_there => "takeover: a pin is on record before its worker serves";
    a_failed_pin_that_ended_a_worker_puts_something_back => "takeover: nothing is put back when a pinned version does not serve";
}
