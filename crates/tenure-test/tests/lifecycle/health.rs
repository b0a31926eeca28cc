//! Live, ready and degraded are separate, each with its reason.

use tenure_test::ask;
use tenure_test::kept::{self, Kept};
use tenure_test::meeting::Meeting;
use tenure_test::sandbox::Output;

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

/// A worker whose health check fails, after meeting the test, while the file `sick` exists.
fn checked(kept: &Kept) -> Meeting {
    let (file, place) = (kept.sandbox.path().join("sick"), kept.sandbox.path().join("check"));
    let exec = [PROGRAM, "check", &file.display().to_string(), &place.display().to_string()];
    let health =
        format!("health = {{ exec = {exec:?}, interval = \"20ms\", timeout = \"30s\", failures = 100000 }}");
    kept.offer("1.0.0").line(&health).write();
    Meeting::at(&place)
}

fn fall_sick(kept: &Kept) {
    std::fs::write(kept.sandbox.path().join("sick"), "").expect("a sandbox takes files");
}

/// Looks after each check that has failed, until the worker has taken notice.
fn degraded(kept: &Kept, meeting: &Meeting) -> Output {
    let mut looks = (0..1000).map(|_| {
        meeting.meet().release();
        kept.ensure().run().expect(0)
    });
    let noticed = looks.find(|answer| answer.json()["app"]["state"] == "degraded");
    noticed.expect("failed checks are taken notice of")
}

#[test]
fn a_failing_check_degrades_and_is_no_failure() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = checked(&kept);
    let first = kept.ensure().run().expect(0);
    assert_eq!(first.json()["app"]["state"], "ready");
    fall_sick(&kept);
    let answer = degraded(&kept, &meeting);
    assert_eq!((answer.state().as_str(), kept::pid(&answer)), ("up", kept::pid(&first)));
    assert_eq!(answer.json()["warnings"][0]["kind"], "degraded");
    assert!(ask::get(ask::address(&answer), "/").is_ok(), "it serves");
    // Its status says both: that it is up, and what is wrong.
    let status = kept.status().expect(0);
    assert_eq!((status.state().as_str(), &status.json()["app"]["state"]), ("up", &"degraded".into()));
    assert!(status.json()["reason"].as_str().is_some_and(|reason| reason.contains("degraded")));

    let config = kept.file("1.0.0").display().to_string();
    let strict =
        kept.sandbox.tenure(["ensure", "w", "--json", "--strict", "--config", &config]).run().expect(7);
    assert_eq!((strict.state().as_str(), &strict.json()["error"]["kind"]), ("unhealthy", &"degraded".into()));
    assert_eq!(kept::pid(&kept.status().expect(0)), kept::pid(&first), "nothing was ended for it");
    drop(meeting);
    kept.stop().run().expect(0);
}

#[test]
fn live_is_the_workers_own_answer_while_its_program_does_not_answer() {
    let kept = Kept::new(TENURE, PROGRAM);
    kept.offer("1.0.0").write();
    let first = kept.ensure().run().expect(0);
    let program = kept::program(&kept.status().expect(0));
    kept::freeze(&program);
    let status = kept.status().expect(0);
    assert_eq!(kept::pid(&status), kept::pid(&first), "the control thread answers whatever the program does");
    kept.stop().run().expect(0);
    assert!(program.has_ended());
}

#[test]
fn ready_is_what_the_program_says_and_not_that_it_runs() {
    let kept = Kept::new(TENURE, PROGRAM);
    kept.offer("1.0.0").words(&["hang"]).line("start_timeout = \"10m\"").write();
    let config = kept.file("1.0.0").display().to_string();
    let words = ["ensure", "w", "--json", "--timeout", "1s", "--config", &config];
    assert_eq!(kept.sandbox.tenure(words).run().expect(124).state(), "warming");
    let status = kept.status().expect(7);
    assert_eq!((status.state().as_str(), &status.json()["app"]["state"]), ("booting", &"booting".into()));
    kept.stop().run().expect(0);
}

#[test]
fn a_program_that_fails_its_health_check_by_http_is_started_again() {
    let kept = Kept::new(TENURE, PROGRAM);
    let file = kept.sandbox.path().join("sick");
    kept.offer("1.0.0")
        .words(&[&format!("sick={}", file.display()), &format!("heal={}", file.display())])
        .line("health = { http = \"/health\", interval = \"20ms\", timeout = \"10s\", failures = 2 }")
        .line("restart = { backoff = [\"1ms\", \"1ms\"] }")
        .write();
    let first = kept.ensure().run().expect(0);
    let sick = kept::program(&kept.status().expect(0));
    std::fs::write(&file, "").expect("a sandbox takes files");
    assert!(sick.wait_ended(Some(tenure_test::meeting::PATIENCE)).expect("it can be waited for"));
    let again = kept.ensure().run().expect(0);
    assert_eq!(kept::pid(&again), kept::pid(&first));
    let told =
        kept.events().into_iter().find(|event| event.what == tenure_core::store::event::What::Unhealthy);
    assert!(told.expect("it is an event").why.contains("503"), "{}", kept.sandbox.story());
    kept.stop().run().expect(0);
}
