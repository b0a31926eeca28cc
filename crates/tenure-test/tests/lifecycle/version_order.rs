//! Which version runs, whoever calls: newest wins, the older accept it, and nobody's turn makes it flap.

use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::{Output, Running};
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// A sandbox in which these versions are installed.
fn installed(versions: &[&str]) -> Fixture {
    let fixture = Fixture::new(BINARIES);
    for version in versions {
        fixture.offer(version).write();
    }
    fixture
}

fn ensure(fixture: &Fixture, version: &str) -> Output {
    fixture.launcher("ensure", version).run().expect(0)
}

fn warnings(answer: &Output) -> Vec<String> {
    let json = answer.json();
    let warnings = json["warnings"].as_array().into_iter().flatten();
    warnings.map(|warning| format!("{}: {}", warning["kind"], warning["message"])).collect()
}

#[test]
fn a_successor_is_never_older_than_desired() {
    let fixture = installed(&["1.0.0", "2.0.0"]);
    let first = ensure(&fixture, "2.0.0");
    let older = ensure(&fixture, "1.0.0");
    assert_eq!((older.state().as_str(), answer::pid(&older)), ("up", answer::pid(&first)));
    // It may be the older launcher that finds the worker dead: what it starts is what was desired.
    processes::kill(&processes::host(&first));
    let successor = ensure(&fixture, "1.0.0");
    assert_eq!((successor.state().as_str(), answer::version(&successor).as_str()), ("started", "2.0.0"));
    assert!(fixture.sandbox.oracle().lines().iter().all(|line| line.detail != "1.0.0 2"));
    assert_eq!(fixture.count(What::Replacing), 0);
    fixture.stop().run().expect(0);
}

#[test]
fn hello_carries_version_build_and_generation() {
    let fixture = installed(&["1.0.0", "2.0.0"]);
    ensure(&fixture, "1.0.0");
    let told = |status: &Output| {
        let json = status.json();
        (json["version"].clone(), json["generation"].clone(), json["build"].clone(), json["instance"].clone())
    };
    let old = told(&fixture.status().expect(0));
    assert_eq!((&old.0, &old.1), (&"1.0.0".into(), &1.into()));
    assert!(old.2.as_str().is_some_and(|build| !build.is_empty()), "{old:?}");
    // Something listens, and it is not what is wanted: that is no success.
    let newer = ensure(&fixture, "2.0.0");
    assert_eq!(newer.state(), "replaced");
    let new = told(&fixture.status().expect(0));
    assert_eq!((&new.0, &new.1), (&"2.0.0".into(), &2.into()));
    assert_ne!(old.3, new.3, "another instance answers");
    fixture.stop().run().expect(0);
}

#[test]
fn newest_wins_and_the_older_accept_it() {
    let fixture = installed(&["1.0.0", "2.0.0"]);
    let mut states = Vec::new();
    for turn in 0..20 {
        states.push(ensure(&fixture, if turn % 2 == 0 { "1.0.0" } else { "2.0.0" }).state());
    }
    assert_eq!((states[0].as_str(), states[1].as_str()), ("started", "replaced"));
    assert!(states[2..].iter().all(|state| state == "up"), "{states:?}");
    assert_eq!(fixture.count(What::Replacing), 1, "20 alternating calls of two versions are one replacement");
    assert_eq!(fixture.count(What::Spawned), 2);
    assert_eq!((fixture.sandbox.oracle().count("start"), fixture.sandbox.oracle().count("double")), (2, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn four_launchers_of_three_versions_at_once_make_at_most_two_replacements() {
    let fixture = installed(&["1.0.0", "2.0.0", "3.0.0"]);
    let crowd = ["1.0.0", "2.0.0", "3.0.0", "1.0.0"];
    let running: Vec<Running> =
        crowd.iter().map(|version| fixture.launcher("ensure", version).start()).collect();
    let answers: Vec<Output> = running.into_iter().map(|running| running.wait().expect(0)).collect();
    for (wanted, answer) in crowd.iter().zip(&answers) {
        assert!(answer::version(answer).as_str() >= *wanted, "{wanted}: {}", answer.stdout);
    }
    assert!(fixture.count(What::Replacing) <= 2, "{}", fixture.sandbox.story());
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    // After the last offer there are none.
    let before = fixture.count(What::Spawned);
    for wanted in crowd {
        let answer = ensure(&fixture, wanted);
        assert_eq!((answer.state().as_str(), answer::version(&answer).as_str()), ("up", "3.0.0"));
    }
    assert_eq!(fixture.count(What::Spawned), before);
    fixture.stop().run().expect(0);
}

#[test]
fn a_version_that_does_not_start_is_tried_once_and_the_healthy_worker_stays() {
    let fixture = installed(&["1.0.0"]);
    fixture.offer("2.0.0").words(&["exit=3"]).write();
    ensure(&fixture, "1.0.0");
    let tried = ensure(&fixture, "2.0.0");
    assert_eq!(answer::version(&tried), "1.0.0");
    assert!(warnings(&tried).iter().any(|warning| warning.contains("offer-not-running")), "{}", tried.stdout);
    let (starts, served) = (fixture.sandbox.oracle().count("start"), answer::pid(&tried));
    for turn in 0..20 {
        let answer = ensure(&fixture, if turn % 2 == 0 { "2.0.0" } else { "1.0.0" });
        assert_eq!(answer::pid(&answer), served, "a healthy worker is not ended again for it");
    }
    assert_eq!(fixture.sandbox.oracle().count("start"), starts, "it is not tried again");
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    fixture.stop().run().expect(0);
}

#[test]
fn a_spec_whose_program_is_gone_is_said_before_anything_is_stopped() {
    let mut fixture = installed(&["1.0.0"]);
    let gone = fixture.sandbox.path().join("uninstalled/fixture-program");
    fixture.move_program(&gone);
    fixture.offer("2.0.0").write();
    let first = ensure(&fixture, "1.0.0");
    let newer = ensure(&fixture, "2.0.0");
    assert_eq!(answer::pid(&newer), answer::pid(&first), "the old one serves");
    assert!(warnings(&newer).iter().any(|warning| warning.contains("2.0.0")), "{}", newer.stdout);
    assert_eq!(fixture.launcher("ensure", "2.0.0").run().code(), 0);
    assert_eq!(fixture.count(What::Spawned), 1);
    fixture.stop().run().expect(0);
}

#[test]
fn a_restart_whose_program_is_gone_stops_nothing() {
    let mut fixture = Fixture::new(BINARIES);
    let copy = fixture.sandbox.path().join("installed-program");
    std::fs::copy(BINARIES.program, &copy).expect("a program can be copied");
    fixture.move_program(&copy);
    fixture.offer("1.0.0").write();
    let first = ensure(&fixture, "1.0.0");
    std::fs::remove_file(&copy).expect("it can be removed while it runs");
    let refused = fixture.restart().run().expect(1);
    assert!(answer::message(&refused).contains("nothing was stopped"), "{}", refused.stdout);
    assert!(answer::message(&refused).contains("installed-program"), "{}", refused.stdout);
    assert_eq!(answer::pid(&fixture.status().expect(0)), answer::pid(&first));
    fixture.stop().run().expect(0);
}
