//! Ends that nobody asked for: on record, told by every word that looks, and a reason to wait where they repeat.

use tenure_core::protocol::ends::{UnaskedEnd, UnaskedEndKind};
use tenure_sys::process::Signal;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// A worker that serves, with such a policy.
fn fixture_with(policy: &str) -> Fixture {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").line(&format!("restart = {policy}")).write();
    fixture.ensure().run().expect(0);
    fixture
}

/// Ends the program, and waits until so many ends are on record.
fn end_program(fixture: &Fixture, signal: Signal, ends: usize) -> Vec<UnaskedEnd> {
    processes::program(&fixture.status().expect(0)).signal(signal).expect("ours");
    recorded(fixture, ends)
}

fn recorded(fixture: &Fixture, ends: usize) -> Vec<UnaskedEnd> {
    fixture.until(|ledger| ledger.ends.len() >= ends);
    fixture.ledger().ends
}

/// Kills the program for the last time, and waits until its worker is gone.
fn kill_worker(fixture: &Fixture) {
    let status = fixture.status().expect(0);
    let host = processes::host(&status);
    processes::program(&status).signal(Signal::Kill).expect("ours");
    processes::await_end(&host);
}

/// Has the program end with 0, and waits until its worker is gone.
fn have_done(fixture: &Fixture) {
    let status = fixture.status().expect(0);
    let host = processes::host(&status);
    ask::get(ask::address(&status), "/done").expect("it answers first");
    processes::await_end(&host);
}

fn doctor(fixture: &Fixture) -> String {
    fixture.sandbox.tenure(["doctor", "w", "--json"]).run().stdout
}

fn reason(output: &Output) -> String {
    output.json()["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_worker_that_is_done_is_told_by_every_word_that_looks() {
    let fixture = fixture_with("{ on = \"failure\" }");
    have_done(&fixture);
    let status = fixture.status().expect(3);
    assert_eq!(status.json()["last_end"]["how"], "done");
    let reason = reason(&status);
    assert!(reason.contains("ago it ended by itself") && reason.contains("of service"), "{reason}");
    assert!(reason.contains("exit status 0"), "{reason}");
    let listed = fixture.sandbox.tenure(["list", "--json"]).run().expect(0);
    assert!(listed.stdout.contains("ended by itself"), "{}", listed.stdout);
    assert!(doctor(&fixture).contains("ended-by-itself"));
    assert!(fixture.events().iter().any(|event| event.why.contains("exit status 0")));
    fixture.ensure().run().expect(0);
    assert!(!doctor(&fixture).contains("ended-by-itself"), "a worker serves again");
    fixture.stop().run().expect(0);
    assert_eq!(fixture.status().expect(3).json().get("last_end"), None, "somebody asked for this end");
}

#[test]
fn a_program_that_came_back_is_a_warning_that_strict_fails_on() {
    let fixture = fixture_with("{ backoff = [\"1ms\", \"1ms\"] }");
    let ends = end_program(&fixture, Signal::Kill, 1);
    assert_eq!((ends[0].how, ends[0].generation), (UnaskedEndKind::StartsAgain, 1));
    assert!(ends[0].why.contains("signal 9") && ends[0].served_ms.is_some(), "{ends:?}");
    let told = fixture.ensure().run().expect(0);
    let warning = &told.json()["warnings"][0];
    assert_eq!(warning["kind"], "ended-before", "{}", told.stdout);
    let file = fixture.file("1.0.0").display().to_string();
    let strict =
        fixture.sandbox.tenure(["ensure", "w", "--strict", "--json", "--config", &file]).run().expect(7);
    assert!(strict.stdout.contains("started again once"), "{}", strict.stdout);
    assert_eq!(fixture.status().expect(0).json()["last_end"]["how"], "starts-again");
    fixture.stop().run().expect(0);
}

#[test]
fn a_worker_that_gave_up_counts_as_a_failed_start_until_a_person_asks() {
    let fixture = fixture_with("{ limit = 1, backoff = [\"1ms\", \"1ms\"] }");
    end_program(&fixture, Signal::Kill, 1);
    fixture.ensure().run().expect(0);
    kill_worker(&fixture);
    let refused = fixture.ensure().run().expect(1);
    assert_eq!(refused.state(), "spawn-suppressed", "{}", refused.stdout);
    assert!(refused.stdout.contains("gave up") && refused.stdout.contains("are spent"), "{}", refused.stdout);
    assert!(doctor(&fixture).contains("counts as a failed start"));
    fixture.restart().run().expect(0);
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
}

#[test]
fn a_worker_that_is_done_soon_again_and_again_is_not_begun_anew_each_time() {
    let fixture = fixture_with("{ on = \"failure\" }");
    have_done(&fixture);
    fixture.ensure().run().expect(0);
    have_done(&fixture);
    let refused = fixture.ensure().run().expect(1);
    assert_eq!(refused.state(), "spawn-suppressed", "{}", refused.stdout);
    assert!(refused.stdout.contains("ended by itself, done"), "{}", refused.stdout);
}

#[test]
fn a_loop_that_is_slower_than_its_window_shows_in_what_the_doctor_finds() {
    let fixture = fixture_with("{ backoff = [\"1ms\", \"1ms\"], limit = 1, window = \"1ms\" }");
    for ends in 1..=3 {
        end_program(&fixture, Signal::Kill, ends);
        fixture.ensure().run().expect(0);
    }
    assert!(doctor(&fixture).contains("ends-again-and-again"));
    fixture.stop().run().expect(0);
}

#[test]
fn a_worker_that_was_killed_is_told_as_found_dead_and_counts_for_nothing() {
    let fixture = fixture_with("{ on = \"failure\" }");
    for generation in 1..=2_u64 {
        // Whoever is killed before its boot is off the record died in its boot.
        fixture.settled();
        let status = fixture.status().expect(0);
        let (host, program) = (processes::host(&status), processes::program(&status));
        host.signal(Signal::Kill).expect("ours");
        processes::await_end(&host);
        program.signal(Signal::Kill).expect("ours");
        processes::await_end(&program);
        let status = fixture.status().expect(3);
        assert!(reason(&status).contains("was found dead"), "{}", status.stdout);
        assert_eq!(fixture.ledger().ends.len() as u64, generation - 1, "a look writes nothing");
        fixture.ensure().run().expect(0);
        let ends = fixture.ledger().ends;
        assert_eq!(
            ends.last().map(|end| (end.how, end.generation)),
            Some((UnaskedEndKind::FoundDead, generation))
        );
    }
    fixture.stop().run().expect(0);
}
