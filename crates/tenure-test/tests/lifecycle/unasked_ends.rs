//! Ends that nobody asked for: on record, told by every word that looks, and a reason to wait where they repeat.

use tenure_core::protocol::ends::{End, EndKind};
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::ask;
use tenure_test::kept::{self, Kept};
use tenure_test::meeting::PATIENCE;
use tenure_test::sandbox::Output;

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

/// A worker that serves, with such a policy.
fn kept_with(policy: &str) -> Kept {
    let kept = Kept::new(TENURE, PROGRAM);
    kept.offer("1.0.0").line(&format!("restart = {policy}")).write();
    kept.ensure().run().expect(0);
    kept
}

/// Ends the program, and waits until so many ends are on record.
fn end_program(kept: &Kept, signal: Signal, ends: usize) -> Vec<End> {
    kept::program(&kept.status().expect(0)).signal(signal).expect("ours");
    recorded(kept, ends)
}

fn recorded(kept: &Kept, ends: usize) -> Vec<End> {
    kept.until(|ledger| ledger.ends.len() >= ends);
    kept.ledger().ends
}

/// Kills the program for the last time, and waits until its worker is gone.
fn kill_worker(kept: &Kept) {
    let status = kept.status().expect(0);
    let host = kept::host(&status);
    kept::program(&status).signal(Signal::Kill).expect("ours");
    gone(&host);
}

/// Has the program end with 0, and waits until its worker is gone.
fn have_done(kept: &Kept) {
    let status = kept.status().expect(0);
    let host = kept::host(&status);
    ask::get(ask::address(&status), "/done").expect("it answers first");
    gone(&host);
}

fn gone(process: &ProcessHandle) {
    assert!(process.wait_ended(Some(PATIENCE)).expect("it can be waited for"));
}

fn doctor(kept: &Kept) -> String {
    kept.sandbox.tenure(["doctor", "w", "--json"]).run().stdout
}

fn reason(output: &Output) -> String {
    output.json()["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_worker_that_is_done_is_told_by_every_word_that_looks() {
    let kept = kept_with("{ on = \"failure\" }");
    have_done(&kept);
    let status = kept.status().expect(3);
    assert_eq!(status.json()["last_end"]["how"], "done");
    let reason = reason(&status);
    assert!(reason.contains("ago it ended by itself") && reason.contains("of service"), "{reason}");
    assert!(reason.contains("exit status 0"), "{reason}");
    let listed = kept.sandbox.tenure(["list", "--json"]).run().expect(0);
    assert!(listed.stdout.contains("ended by itself"), "{}", listed.stdout);
    assert!(doctor(&kept).contains("ended-by-itself"));
    assert!(kept.events().iter().any(|event| event.why.contains("exit status 0")));
    kept.ensure().run().expect(0);
    assert!(!doctor(&kept).contains("ended-by-itself"), "a worker serves again");
    kept.stop().run().expect(0);
    assert_eq!(kept.status().expect(3).json().get("last_end"), None, "somebody asked for this end");
}

#[test]
fn a_program_that_came_back_is_a_warning_that_strict_fails_on() {
    let kept = kept_with("{ backoff = [\"1ms\", \"1ms\"] }");
    let ends = end_program(&kept, Signal::Kill, 1);
    assert_eq!((ends[0].how, ends[0].generation), (EndKind::StartsAgain, 1));
    assert!(ends[0].why.contains("signal 9") && ends[0].served_ms.is_some(), "{ends:?}");
    let told = kept.ensure().run().expect(0);
    let warning = &told.json()["warnings"][0];
    assert_eq!(warning["kind"], "ended-before", "{}", told.stdout);
    let file = kept.file("1.0.0").display().to_string();
    let strict =
        kept.sandbox.tenure(["ensure", "w", "--strict", "--json", "--config", &file]).run().expect(7);
    assert!(strict.stdout.contains("started again once"), "{}", strict.stdout);
    assert_eq!(kept.status().expect(0).json()["last_end"]["how"], "starts-again");
    kept.stop().run().expect(0);
}

#[test]
fn a_worker_that_gave_up_counts_as_a_failed_start_until_a_person_asks() {
    let kept = kept_with("{ limit = 1, backoff = [\"1ms\", \"1ms\"] }");
    end_program(&kept, Signal::Kill, 1);
    kept.ensure().run().expect(0);
    kill_worker(&kept);
    let refused = kept.ensure().run().expect(1);
    assert_eq!(refused.state(), "spawn-suppressed", "{}", refused.stdout);
    assert!(refused.stdout.contains("gave up") && refused.stdout.contains("are spent"), "{}", refused.stdout);
    assert!(doctor(&kept).contains("counts as a failed start"));
    kept.restart().run().expect(0);
    kept.ensure().run().expect(0);
    kept.stop().run().expect(0);
}

#[test]
fn a_worker_that_is_done_soon_again_and_again_is_not_begun_anew_each_time() {
    let kept = kept_with("{ on = \"failure\" }");
    have_done(&kept);
    kept.ensure().run().expect(0);
    have_done(&kept);
    let refused = kept.ensure().run().expect(1);
    assert_eq!(refused.state(), "spawn-suppressed", "{}", refused.stdout);
    assert!(refused.stdout.contains("ended by itself, done"), "{}", refused.stdout);
}

#[test]
fn a_loop_that_is_slower_than_its_window_shows_in_what_the_doctor_finds() {
    let kept = kept_with("{ backoff = [\"1ms\", \"1ms\"], limit = 1, window = \"1ms\" }");
    for ends in 1..=3 {
        end_program(&kept, Signal::Kill, ends);
        kept.ensure().run().expect(0);
    }
    assert!(doctor(&kept).contains("ends-again-and-again"));
    kept.stop().run().expect(0);
}

#[test]
fn a_worker_that_was_killed_is_told_as_found_dead_and_counts_for_nothing() {
    let kept = kept_with("{ on = \"failure\" }");
    for generation in 1..=2_u64 {
        // Whoever is killed before its boot is off the record died in its boot.
        kept.settled();
        let status = kept.status().expect(0);
        let (host, program) = (kept::host(&status), kept::program(&status));
        host.signal(Signal::Kill).expect("ours");
        gone(&host);
        program.signal(Signal::Kill).expect("ours");
        gone(&program);
        let status = kept.status().expect(3);
        assert!(reason(&status).contains("was found dead"), "{}", status.stdout);
        assert_eq!(kept.ledger().ends.len() as u64, generation - 1, "a look writes nothing");
        kept.ensure().run().expect(0);
        let ends = kept.ledger().ends;
        assert_eq!(ends.last().map(|end| (end.how, end.generation)), Some((EndKind::FoundDead, generation)));
    }
    kept.stop().run().expect(0);
}
