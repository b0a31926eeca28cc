//! Many at once: one worker, no loser that fails, and nobody who is killed or waited for beyond need.

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::{Output, Running};
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

const TENURE: &str = BINARIES.tenure;

fn usual() -> Fixture {
    Fixture::with(BINARIES, &[])
}

fn crowd(fixture: &Fixture, size: usize) -> Vec<Running> {
    (0..size).map(|_| fixture.ensure().start()).collect()
}

fn all_served(crowd: Vec<Running>) -> Vec<Output> {
    crowd.into_iter().map(|running| running.wait().expect(0)).collect()
}

fn one_worker(answers: &[Output]) {
    let first = answer::pid(&answers[0]);
    assert!(answers.iter().all(|answer| answer::pid(answer) == first), "every launcher has the same worker");
}

fn starts(fixture: &Fixture) -> (usize, usize) {
    (fixture.sandbox.oracle().count("start"), fixture.sandbox.oracle().count("double"))
}

#[test]
fn n_launchers_one_worker() {
    let fixture = usual();
    let answers = all_served(crowd(&fixture, 60));
    one_worker(&answers);
    assert_eq!(starts(&fixture), (1, 0), "{}", fixture.sandbox.story());
    assert_eq!(fixture.count(What::Spawned), 1);
    fixture.stop().run().expect(0);
}

#[test]
fn losers_wait_and_succeed() {
    let fixture = usual();
    let meeting = fixture.sandbox.meeting("winner");
    let winner = fixture.ensure().fault(&meeting.armed(Point::WorkerReleased)).start();
    let met = meeting.meet();
    let losers = crowd(&fixture, 8);
    met.release();
    let mut answers = all_served(losers);
    answers.push(winner.wait().expect(0));
    one_worker(&answers);
    let told: Vec<String> = answers.iter().map(Output::state).collect();
    assert!(told.iter().all(|state| state == "started" || state == "up"), "{told:?}");
    assert_eq!(starts(&fixture), (1, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn booting_is_waited_for_and_never_killed_inside_its_budget() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("boot");
    let word = meeting.word();
    fixture.offer("1.0.0").words(&[&word]).write();
    fixture.offer("2.0.0").write();
    let winner = fixture.ensure().start();
    let booting = meeting.meet();

    let hurried = |version: &str| {
        fixture.launcher_within("2s", "ensure", version).env("TENURE_WEDGED_AFTER", "100ms").run()
    };
    let warming = hurried("1.0.0").expect(124);
    assert_eq!(warming.state(), "warming", "{}", warming.stdout);
    let newer = hurried("2.0.0").expect(124);
    assert_eq!(newer.state(), "warming", "{}", newer.stdout);
    let status = fixture.status().expect(7);
    assert_eq!(status.state(), "booting");

    let pid = booting.pid;
    booting.release();
    let served = winner.wait().expect(0);
    assert_eq!(served.state(), "started");
    assert_eq!(
        processes::program(&fixture.status().expect(0)).pid(),
        pid,
        "the very program that booted serves"
    );
    assert_eq!(starts(&fixture), (1, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn a_launcher_that_gives_up_leaves_a_boot_that_goes_on() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("boot");
    let word = meeting.word();
    fixture.offer("1.0.0").words(&[&word]).write();
    let file = fixture.file("1.0.0").display().to_string();
    let words = ["ensure", "w", "--json", "--timeout", "2s", "--accept-warming", "--config", &file];
    let gave_up = fixture.sandbox.tenure(words).run().expect(0);
    assert_eq!(gave_up.state(), "warming", "warming is not an error: {}", gave_up.stdout);
    let booting = meeting.meet();
    let waiting = fixture.ensure().start();
    let pid = booting.pid;
    booting.release();
    assert_eq!(waiting.wait().expect(0).json()["generation"], 1);
    assert_eq!(processes::program(&fixture.status().expect(0)).pid(), pid);
    assert_eq!(starts(&fixture), (1, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn stop_needs_no_gate_wait() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("boot");
    let word = meeting.word();
    fixture.offer("1.0.0").words(&[&word]).line("start_timeout = \"10m\"").write();
    // It holds the gate for as long as the boot may take, and the boot takes for ever.
    let launcher = fixture.ensure().start();
    let booting = meeting.meet();
    let program = ProcessHandle::open(booting.pid).expect("a program that waits lives");
    let stopped = fixture.stop().run().expect(0);
    assert_eq!(stopped.state(), "stopped", "it did not wait for the gate: {}", stopped.stdout);
    assert!(program.has_ended());
    drop(booting);
    let told = launcher.wait();
    assert_ne!(told.code(), 0, "{}", told.stdout);
    assert_eq!(fixture.status().expect(3).state(), "down");
    assert!(!fixture.sandbox.oracle().is_held("program"));
}

#[test]
fn a_launcher_that_stood_still_while_its_worker_was_stopped_does_not_hand_it_out() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("boot");
    let word = meeting.word();
    fixture.offer("1.0.0").words(&[&word]).write();
    let launcher = fixture.ensure().start();
    let booting = meeting.meet();
    processes::freeze(launcher.child().handle());
    booting.release();
    fixture.settled();
    let host = processes::host(&fixture.status().expect(0));
    let stopped = fixture.sandbox.tenure(["stop", "w", "--json", "--timeout", "1s"]).run().expect(8);
    let told = format!("pid {} was asked to end, and has ended", host.pid());
    assert!(host.has_ended() && answer::message(&stopped).contains(&told), "{}", stopped.stdout);
    launcher.signal(Signal::Cont);
    let told = launcher.wait().expect(1);
    assert!(answer::message(&told).contains("it served, and has ended since"), "{}", told.stdout);
    assert_eq!(fixture.status().expect(3).state(), "down");
}

#[test]
fn a_killed_launcher_leaves_no_worker_twice() {
    for point in [Point::SocketRenamed, Point::WorkerSpawned, Point::WorkerRecorded, Point::WorkerReleased] {
        let fixture = usual();
        let meeting = fixture.sandbox.meeting("point");
        let launcher = fixture.ensure().fault(&meeting.armed(point)).start();
        let met = meeting.meet();
        let others = crowd(&fixture, 4);
        processes::kill(launcher.child().handle());
        drop(met);
        assert_eq!(launcher.wait().status.signal, Some(9));
        one_worker(&all_served(others));
        assert_eq!(starts(&fixture), (1, 0), "{point:?}: {}", fixture.sandbox.story());
        fixture.stop().run().expect(0);
    }
}

#[test]
fn recursion_is_an_error() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").words(&[&format!("nested={TENURE}")]).write();
    fixture.ensure().run().expect(0);
    let lines = fixture.sandbox.oracle().lines();
    let nested = lines.iter().find(|line| line.what == "nested").expect("the program called");
    let (code, answer) = nested.detail.split_once(' ').expect("a code and an answer");
    let answer: serde_json::Value = serde_json::from_str(answer).expect("one document");
    assert_eq!((code, &answer["state"]), ("1", &"recursion".into()));
    assert_eq!(starts(&fixture), (1, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn an_orphan_lock_file_costs_nothing() {
    let fixture = usual();
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    // Signed by a launcher that is gone, in every file that is a lock.
    let gone = fixture.sandbox.tenure(["version"]).start();
    let identity = gone.child().handle().identity().clone();
    drop(gone.wait());
    let record = serde_json::json!({ "identity": identity, "command": "tenure ensure w",
        "since": { "boot": identity.boot, "ms": 0 } });
    for name in ["gate", "instance", "program"] {
        std::fs::write(fixture.state().join(name), record.to_string()).expect("ours");
    }
    let answer = fixture.ensure().run().expect(0);
    assert_eq!(answer.state(), "started");
    fixture.stop().run().expect(0);
}

#[test]
fn several_restart_initiators_go_through_one_gate() {
    let fixture = usual();
    fixture.ensure().run().expect(0);
    let restarts: Vec<Running> = (0..4).map(|_| fixture.restart().start()).collect();
    let answers: Vec<Output> = restarts.into_iter().map(|running| running.wait().expect(0)).collect();
    let mut generations: Vec<u64> =
        answers.iter().map(|answer| answer.json()["generation"].as_u64().unwrap_or_default()).collect();
    generations.sort_unstable();
    assert_eq!(generations, [2, 3, 4, 5], "each has its own proof");
    assert_eq!(starts(&fixture), (5, 0));
    fixture.stop().run().expect(0);
}
