//! The probation of a new worker goes on without the call that asked for it: the call has its answer when the worker serves,
//! and what becomes of the worker is on record for the next one.
//!
//! Probations are long here, so that nothing but what a test does ends them.

use tenure_core::deadline::Moment;
use tenure_core::fault::Point;
use tenure_core::record::ledger::RolledBack;
use tenure_core::store::event::What;
use tenure_sys::process::ProcessHandle;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::{Call, Output};
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// Longer than any of these tests.
const LONG: &str = "bake = \"9m\"";

/// Version 1.0.0 has served, and 2.0.0 serves on probation.
struct Scene {
    fixture: Fixture,
    old: Output,
    new: Output,
}

impl Scene {
    fn new() -> Self {
        let fixture = Fixture::new(BINARIES);
        for version in ["1.0.0", "2.0.0", "3.0.0"] {
            fixture.offer(version).line(LONG).write();
        }
        let old = fixture.launcher("ensure", "1.0.0").run().expect(0);
        let new = fixture.launcher("ensure", "2.0.0").run().expect(0);
        Self { fixture, old, new }
    }

    /// A call of a version that has little time.
    fn hurried(&self, version: &str) -> Call<'_> {
        self.fixture.launcher_within("1s", "ensure", version)
    }

    fn end(self) {
        self.fixture.stop().run().expect(0);
        assert_eq!(self.fixture.sandbox.oracle().count("double"), 0, "never two at once");
    }
}

/// Makes what has failed as old as it has to be to be tried again; it is counted already.
fn past_its_quarantine(fixture: &Fixture) {
    fixture.forge(|ledger| ledger.rolled_back = None);
    let mut desired = fixture.desired();
    for failure in &mut desired.failures {
        failure.at.ms = failure.at.ms.saturating_sub(60_000);
    }
    let text = serde_json::to_vec(&desired).expect("a record can be written");
    std::fs::write(fixture.state().join("desired.json"), text).expect("ours");
}

#[test]
fn a_pin_keeps_what_is_known_against_other_versions_and_nobody_has_counted() {
    let fixture = Fixture::new(BINARIES);
    for version in ["1.0.0", "2.0.0", "3.0.0"] {
        fixture.offer(version).line("bake = \"0s\"").write();
        fixture.launcher("ensure", version).run().expect(0);
        // The next one begins in an empty scope: nobody but the test writes its ledger then.
        fixture.stop().run().expect(0);
    }
    fixture.launcher("ensure", "3.0.0").run().expect(0);
    fixture.settled();
    let two =
        fixture.desired().offers.into_iter().find(|offer| offer.spec.version.major() == 2).expect("on offer");
    let (version, spec) = (two.spec.version.clone(), two.spec.digest());
    let failed = RolledBack { version, spec, at: Moment::now(), why: "exit status 3".to_owned() };
    fixture.forge(|ledger| ledger.rolled_back = Some(failed));

    fixture.pin("1.0.0").run().expect(0);

    let failures = fixture.desired().failures;
    assert!(failures.iter().any(|failure| failure.version.major() == 2), "{failures:?}");
    fixture.stop().run().expect(0);
}

#[test]
fn a_call_is_answered_before_the_probation_is_over() {
    let Scene { fixture, old, new } = Scene::new();
    assert_eq!((new.state().as_str(), answer::version(&new).as_str()), ("replaced", "2.0.0"));
    assert!(!processes::host(&old).has_ended(), "it stands by to come back");
    assert_eq!(fixture.ledger().proved, None);
    assert_eq!(fixture.count(What::TakenOver), 1);
    Scene { fixture, old, new }.end();
}

#[test]
fn a_call_of_no_higher_version_has_the_worker_on_probation_at_once() {
    let scene = Scene::new();
    for version in ["1.0.0", "2.0.0"] {
        let up = scene.hurried(version).run().expect(0);
        assert_eq!((up.state().as_str(), answer::pid(&up)), ("up", answer::pid(&scene.new)));
    }
    scene.end();
}

#[test]
fn a_call_of_a_higher_version_waits_without_the_gate_and_ends_warming() {
    let scene = Scene::new();
    let waits = scene.fixture.launcher_within("3s", "ensure", "3.0.0").start();
    // The gate is there for a person meanwhile.
    scene.fixture.unpin().run().expect(0);
    let told = waits.wait().expect(124);
    assert_eq!(told.state(), "warming", "{}", told.stdout);
    assert_eq!(answer::version(&scene.fixture.status()), "2.0.0");
    assert_eq!(scene.fixture.count(What::Replacing), 1);
    scene.end();
}

#[test]
fn a_call_of_a_higher_version_that_has_the_time_takes_over_when_the_probation_is_over() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").write();
    fixture.offer("2.0.0").line("bake = \"500ms\"").write();
    fixture.offer("3.0.0").line(LONG).write();
    fixture.launcher("ensure", "1.0.0").run().expect(0);
    let second = fixture.launcher("ensure", "2.0.0").run().expect(0);
    let third = fixture.launcher("ensure", "3.0.0").run().expect(0);
    assert_eq!((third.state().as_str(), answer::version(&third).as_str()), ("replaced", "3.0.0"));
    assert!(answer::pid(&third) != answer::pid(&second));
    assert_eq!((fixture.count(What::TakenOver), fixture.count(What::RolledBack)), (2, 0));
    fixture.stop().run().expect(0);
}

/// A new version whose program is killed once its incumbent has decided to leave, and before it has said so.
#[test]
fn one_whose_program_dies_when_its_incumbent_has_left_starts_its_program_again() {
    let fixture = Fixture::new(BINARIES);
    let leaving = fixture.sandbox.meeting("leaving");
    fixture.offer("1.0.0").write();
    fixture.offer("2.0.0").line("bake = \"200ms\"").write();
    let old =
        fixture.launcher("ensure", "1.0.0").fault(&leaving.armed(Point::IncumbentLeaving)).run().expect(0);
    let new = fixture.launcher("ensure", "2.0.0").run().expect(0);
    let incumbent = leaving.meet();
    assert_eq!(incumbent.pid, answer::pid(&old));

    processes::kill(&processes::program(&fixture.status()));
    fixture.until_events(|events| events.iter().any(|event| event.what == What::ProgramExited));
    incumbent.release();

    serves_again(&fixture, &new);
    fixture.stop().run().expect(0);
}

/// The incumbent is killed during the probation, and the program after it: nobody else could serve.
#[test]
fn one_whose_program_dies_after_its_incumbent_was_killed_starts_its_program_again() {
    let Scene { fixture, old, new } = Scene::new();
    processes::kill(&processes::host(&old));
    fixture.until(|ledger| ledger.proved.is_some());
    processes::kill(&processes::program(&fixture.status()));
    serves_again(&fixture, &new);
    Scene { fixture, old, new }.end();
}

/// The worker of this answer serves, with another program.
fn serves_again(fixture: &Fixture, new: &Output) {
    fixture.until_events(|events| {
        events.iter().filter(|event| event.what == What::ProgramStarted && event.generation == 2).count() == 2
    });
    let up = fixture.launcher("ensure", "2.0.0").run().expect(0);
    let of = |answer: &Output| (answer::version(answer), answer::pid(answer));
    assert_eq!(of(&up), of(new), "{}\n{}", up.stdout, fixture.sandbox.story());
    assert_eq!(fixture.count(What::RolledBack), 0);
}

#[test]
fn one_that_fails_after_the_answer_is_undone_and_the_next_call_is_told() {
    let scene = Scene::new();
    processes::kill(&processes::host(&scene.new));
    for _ in 0..2 {
        let told = scene.fixture.launcher("ensure", "2.0.0").run().expect(0);
        assert_eq!((answer::version(&told).as_str(), answer::pid(&told)), ("1.0.0", answer::pid(&scene.old)));
        assert_eq!(answer::warnings(&told), ["offer-not-running"], "{}", told.stdout);
    }
    assert_eq!((scene.fixture.count(What::RolledBack), scene.fixture.count(What::Replacing)), (1, 1));
    assert_eq!(scene.fixture.desired().failures.len(), 1);
    scene.end();
}

#[test]
fn one_that_fails_after_the_answer_is_told_by_all_that_look_before_any_call_has_counted_it() {
    let scene = Scene::new();
    processes::kill(&processes::host(&scene.new));
    scene.fixture.until(|ledger| ledger.rolled_back.is_some());
    let sandbox = &scene.fixture.sandbox;
    assert!(scene.fixture.desired().failures.is_empty(), "nobody has counted it");
    let documents = [
        scene.fixture.status().json(),
        sandbox.tenure(["list", "--json"]).run().json()["workers"][0].clone(),
    ];
    for document in documents {
        assert_eq!(document["failures"][0]["version"], "2.0.0", "{document}");
        assert_eq!(document["failures"][0]["count"], 1, "{document}");
    }
    let told = |words: &[&str]| sandbox.tenure(words.iter().copied()).run().stdout;
    assert!(told(&["status", "w"]).contains("2.0.0 failed to start"));
    assert!(told(&["list"]).contains("2.0.0 failed to start"));
    let doctor = told(&["doctor", "w"]);
    assert!(doctor.contains("version 2.0.0 failed to start and is not tried for a while"), "{doctor}");
    assert!(scene.fixture.desired().failures.is_empty(), "who looks writes nothing");
    scene.end();
}

#[test]
fn what_is_known_against_a_version_stands_until_it_has_passed() {
    let fixture = Fixture::new(BINARIES);
    let broken = fixture.sandbox.work().join("broken");
    let once = format!("once={}:3", broken.display());
    std::fs::write(&broken, "").expect("a sandbox takes files");
    fixture.offer("1.0.0").write();
    fixture.offer("2.0.0").line(LONG).words(&[&once]).write();
    fixture.offer("3.0.0").write();
    fixture.launcher("ensure", "1.0.0").run().expect(0);
    assert_eq!(
        answer::version(&fixture.launcher("ensure", "2.0.0").run().expect(0)),
        "1.0.0",
        "it failed once"
    );
    std::fs::remove_file(&broken).expect("ours");
    past_its_quarantine(&fixture);
    let new = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!(answer::version(&new), "2.0.0");
    fixture.unpin().run().expect(0);
    assert_eq!(fixture.desired().failures.first().map(|failure| failure.count), Some(1), "it is not cleared");
    processes::kill(&processes::host(&new));
    fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!(fixture.desired().failures.first().map(|failure| failure.count), Some(2), "it is counted on");
    fixture.stop().run().expect(0);
}

#[test]
fn the_call_after_a_probation_that_was_passed_clears_the_tally() {
    let fixture = Fixture::new(BINARIES);
    let broken = fixture.sandbox.work().join("broken");
    let once = format!("once={}:3", broken.display());
    std::fs::write(&broken, "").expect("a sandbox takes files");
    fixture.offer("1.0.0").write();
    fixture.offer("2.0.0").line("bake = \"300ms\"").words(&[&once]).write();
    fixture.offer("3.0.0").write();
    fixture.launcher("ensure", "1.0.0").run().expect(0);
    fixture.launcher("ensure", "2.0.0").run().expect(0);
    std::fs::remove_file(&broken).expect("ours");
    past_its_quarantine(&fixture);
    assert_eq!(answer::version(&fixture.launcher("ensure", "2.0.0").run().expect(0)), "2.0.0");
    assert_eq!(fixture.desired().failures.len(), 1, "readiness clears nothing");
    // It waits for the end of the probation.
    fixture.launcher("ensure", "3.0.0").run().expect(0);
    assert!(fixture.desired().failures.is_empty());
    fixture.stop().run().expect(0);
}

#[test]
fn a_stop_within_the_probation_ends_both() {
    let scene = Scene::new();
    let workers = [processes::host(&scene.old), processes::host(&scene.new)];
    scene.fixture.stop().run().expect(0);
    assert!(workers.iter().all(ProcessHandle::has_ended));
    assert_eq!((scene.fixture.status().state().as_str(), scene.fixture.count(What::RolledBack)), ("down", 0));
    assert!(scene.fixture.sandbox.processes().is_empty());
}

#[test]
fn a_pin_of_the_version_before_takes_the_scope_back_at_once_and_blames_nobody() {
    let scene = Scene::new();
    let pinned = scene.fixture.pin("1.0.0").run().expect(0);
    let stands = scene.fixture.status();
    assert_eq!((answer::version(&stands).as_str(), answer::pid(&stands)), ("1.0.0", answer::pid(&scene.old)));
    assert!(ProcessHandle::open(answer::pid(&scene.new)).is_err(), "it has ended: {}", pinned.stdout);
    // Nobody was started for it, and nothing is held against the other version.
    assert_eq!((scene.fixture.count(What::Spawned), scene.fixture.count(What::RolledBack)), (2, 1));
    assert!(scene.fixture.desired().failures.is_empty(), "{:?}", scene.fixture.desired().failures);
    scene.fixture.unpin().run().expect(0);
    let again = scene.fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((again.state().as_str(), answer::version(&again).as_str()), ("replaced", "2.0.0"));
    scene.end();
}

#[test]
fn a_restart_waits_for_the_end_of_the_probation_and_is_proved_then() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").line("bake = \"300ms\"").write();
    let old = processes::host(&fixture.ensure().run().expect(0));
    fixture.restart().run().expect(0);
    let seen = fixture.ledger();
    assert!(seen.proved.is_some() && old.wait_ended(None).is_ok_and(|ended| ended), "{seen:?}");
    fixture.stop().run().expect(0);
}

#[test]
fn a_requester_that_is_killed_changes_nothing_about_the_probation() {
    let fixture = Fixture::new(BINARIES);
    for version in ["1.0.0", "2.0.0"] {
        fixture.offer(version).line(LONG).write();
    }
    let meeting = fixture.sandbox.meeting("active");
    let old = fixture.launcher("ensure", "1.0.0").run().expect(0);
    let armed = meeting.armed(Point::SuccessorActive);
    let requester = fixture.launcher("ensure", "2.0.0").fault(&armed).start();
    let met = meeting.meet();
    requester.signal(tenure_sys::process::Signal::Kill);
    assert_eq!(requester.wait().status.signal, Some(9));
    met.release();
    let up = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((up.state().as_str(), answer::version(&up).as_str()), ("up", "2.0.0"));
    assert!(!processes::host(&old).has_ended(), "it stands by");
    fixture.stop().run().expect(0);
}

#[test]
fn status_list_and_doctor_tell_of_a_probation_that_goes_on() {
    let scene = Scene::new();
    let sandbox = &scene.fixture.sandbox;
    let told = |words: &[&str]| sandbox.tenure(words.iter().copied()).run().stdout;
    let status = scene.fixture.status().json();
    assert_eq!(status["probation"]["before"], "1.0.0");
    assert!(status["probation"]["for_ms"].is_u64() && status["probation"]["left_ms"].is_u64(), "{status}");
    let status = told(&["status", "w"]);
    assert!(status.contains("if it fails, version 1.0.0 serves again"), "{status}");
    assert!(told(&["list"]).contains("on probation, else 1.0.0"));
    let doctor = told(&["doctor", "w"]);
    assert!(doctor.contains("version 2.0.0 serves on probation"), "{doctor}");
    assert!(doctor.contains("tenure pin w 1.0.0"), "{doctor}");

    scene.fixture.pin("1.0.0").run().expect(0);

    assert_eq!(scene.fixture.status().json()["probation"], serde_json::Value::Null);
    assert!(!told(&["doctor", "w"]).contains("on probation"), "the remedy works");
    scene.end();
}
