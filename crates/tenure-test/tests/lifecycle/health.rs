//! Live, ready and degraded are separate, each with its reason.

use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::meeting::Meeting;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// A worker whose health check fails, after meeting the test, while the file `sick` exists.
fn checked(fixture: &Fixture) -> Meeting {
    let (file, place) = (fixture.sandbox.path().join("sick"), fixture.sandbox.path().join("check"));
    let exec = [BINARIES.program, "check", &file.display().to_string(), &place.display().to_string()];
    let health =
        format!("health = {{ exec = {exec:?}, interval = \"20ms\", timeout = \"30s\", failures = 100000 }}");
    fixture.offer("1.0.0").line(&health).write();
    Meeting::at(&place)
}

fn fall_sick(fixture: &Fixture) {
    std::fs::write(fixture.sandbox.path().join("sick"), "").expect("a sandbox takes files");
}

/// Looks after each check that has failed, until the worker has taken notice.
fn degraded(fixture: &Fixture, meeting: &Meeting) -> Output {
    let mut looks = (0..1000).map(|_| {
        meeting.meet().release();
        fixture.ensure().run().expect(0)
    });
    let noticed = looks.find(|answer| answer.json()["app"]["state"] == "degraded");
    noticed.expect("failed checks are taken notice of")
}

#[test]
fn a_failing_check_degrades_and_is_no_failure() {
    let fixture = Fixture::new(BINARIES);
    let meeting = checked(&fixture);
    let first = fixture.ensure().run().expect(0);
    assert_eq!(first.json()["app"]["state"], "ready");
    fall_sick(&fixture);
    let answer = degraded(&fixture, &meeting);
    assert_eq!((answer.state().as_str(), answer::pid(&answer)), ("up", answer::pid(&first)));
    assert_eq!(answer.json()["warnings"][0]["kind"], "degraded");
    assert!(ask::get(ask::address(&answer), "/").is_ok(), "it serves");
    // Its status says both: that it is up, and what is wrong.
    let status = fixture.status().expect(0);
    assert_eq!((status.state().as_str(), &status.json()["app"]["state"]), ("up", &"degraded".into()));
    assert!(status.json()["reason"].as_str().is_some_and(|reason| reason.contains("degraded for ")));
    assert!(status.json()["app"]["checks"][0]["failing_for_ms"].is_u64(), "{}", status.stdout);

    let config = fixture.file("1.0.0").display().to_string();
    let strict =
        fixture.sandbox.tenure(["ensure", "w", "--json", "--strict", "--config", &config]).run().expect(7);
    assert_eq!((strict.state().as_str(), &strict.json()["error"]["kind"]), ("unhealthy", &"degraded".into()));
    assert_eq!(answer::pid(&fixture.status().expect(0)), answer::pid(&first), "nothing was ended for it");
    drop(meeting);
    fixture.stop().run().expect(0);
}

#[test]
fn live_is_the_workers_own_answer_while_its_program_does_not_answer() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").write();
    let first = fixture.ensure().run().expect(0);
    let program = processes::program(&fixture.status().expect(0));
    processes::freeze(&program);
    let status = fixture.status().expect(0);
    assert_eq!(
        answer::pid(&status),
        answer::pid(&first),
        "the control thread answers whatever the program does"
    );
    fixture.stop().run().expect(0);
    assert!(program.has_ended());
}

#[test]
fn ready_is_what_the_program_says_and_not_that_it_runs() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").words(&["hang"]).line("start_timeout = \"10m\"").write();
    let hurried = fixture.launcher_within("1s", "ensure", "1.0.0").run();
    assert_eq!(hurried.expect(124).state(), "warming");
    let status = fixture.status().expect(7);
    assert_eq!((status.state().as_str(), &status.json()["app"]["state"]), ("booting", &"booting".into()));
    fixture.stop().run().expect(0);
}

#[test]
fn a_program_that_fails_its_health_check_by_http_is_started_again() {
    let fixture = Fixture::new(BINARIES);
    let file = fixture.sandbox.path().join("sick");
    fixture
        .offer("1.0.0")
        .words(&[&format!("sick={}", file.display()), &format!("heal={}", file.display())])
        .line("health = { http = \"/health\", interval = \"20ms\", timeout = \"10s\", failures = 2 }")
        .line("restart = { backoff = [\"1ms\", \"1ms\"] }")
        .write();
    let first = fixture.ensure().run().expect(0);
    let sick = processes::program(&fixture.status().expect(0));
    std::fs::write(&file, "").expect("a sandbox takes files");
    processes::await_end(&sick);
    let again = fixture.ensure().run().expect(0);
    assert_eq!(answer::pid(&again), answer::pid(&first));
    let told =
        fixture.events().into_iter().find(|event| event.what == tenure_core::store::event::What::Unhealthy);
    assert!(told.expect("it is an event").why.contains("503"), "{}", fixture.sandbox.story());
    fixture.stop().run().expect(0);
}
