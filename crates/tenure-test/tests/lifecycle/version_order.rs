//! Which version runs, whoever calls: newest wins, the older accept it, and nobody's turn makes it flap.

use tenure_core::store::event::What;
use tenure_test::kept::{self, Kept};
use tenure_test::sandbox::{Output, Running};

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

/// A sandbox in which these versions are installed.
fn installed(versions: &[&str]) -> Kept {
    let kept = Kept::new(TENURE, PROGRAM);
    for version in versions {
        kept.offer(version).write();
    }
    kept
}

fn ensure(kept: &Kept, version: &str) -> Output {
    kept.launcher("ensure", version).run().expect(0)
}

fn warnings(answer: &Output) -> Vec<String> {
    let json = answer.json();
    let warnings = json["warnings"].as_array().into_iter().flatten();
    warnings.map(|warning| format!("{}: {}", warning["kind"], warning["message"])).collect()
}

#[test]
fn a_successor_is_never_older_than_desired() {
    let kept = installed(&["1.0.0", "2.0.0"]);
    let first = ensure(&kept, "2.0.0");
    let older = ensure(&kept, "1.0.0");
    assert_eq!((older.state().as_str(), kept::pid(&older)), ("up", kept::pid(&first)));
    // It may be the older launcher that finds the worker dead: what it starts is what was desired.
    kept::kill(&kept::host(&first));
    let successor = ensure(&kept, "1.0.0");
    assert_eq!((successor.state().as_str(), kept::version(&successor).as_str()), ("started", "2.0.0"));
    assert!(kept.sandbox.oracle().lines().iter().all(|line| line.detail != "1.0.0 2"));
    assert_eq!(kept.count(What::Replacing), 0);
    kept.stop().run().expect(0);
}

#[test]
fn hello_carries_version_build_and_generation() {
    let kept = installed(&["1.0.0", "2.0.0"]);
    ensure(&kept, "1.0.0");
    let told = |status: &Output| {
        let json = status.json();
        (json["version"].clone(), json["generation"].clone(), json["build"].clone(), json["instance"].clone())
    };
    let old = told(&kept.status().expect(0));
    assert_eq!((&old.0, &old.1), (&"1.0.0".into(), &1.into()));
    assert!(old.2.as_str().is_some_and(|build| !build.is_empty()), "{old:?}");
    // Something listens, and it is not what is wanted: that is no success.
    let newer = ensure(&kept, "2.0.0");
    assert_eq!(newer.state(), "replaced");
    let new = told(&kept.status().expect(0));
    assert_eq!((&new.0, &new.1), (&"2.0.0".into(), &2.into()));
    assert_ne!(old.3, new.3, "another instance answers");
    kept.stop().run().expect(0);
}

#[test]
fn newest_wins_and_the_older_accept_it() {
    let kept = installed(&["1.0.0", "2.0.0"]);
    let mut states = Vec::new();
    for turn in 0..20 {
        states.push(ensure(&kept, if turn % 2 == 0 { "1.0.0" } else { "2.0.0" }).state());
    }
    assert_eq!((states[0].as_str(), states[1].as_str()), ("started", "replaced"));
    assert!(states[2..].iter().all(|state| state == "up"), "{states:?}");
    assert_eq!(kept.count(What::Replacing), 1, "20 alternating calls of two versions are one replacement");
    assert_eq!(kept.count(What::Spawned), 2);
    assert_eq!((kept.sandbox.oracle().count("start"), kept.sandbox.oracle().count("double")), (2, 0));
    kept.stop().run().expect(0);
}

#[test]
fn four_launchers_of_three_versions_at_once_make_at_most_two_replacements() {
    let kept = installed(&["1.0.0", "2.0.0", "3.0.0"]);
    let crowd = ["1.0.0", "2.0.0", "3.0.0", "1.0.0"];
    let running: Vec<Running> =
        crowd.iter().map(|version| kept.launcher("ensure", version).start()).collect();
    let answers: Vec<Output> = running.into_iter().map(|running| running.wait().expect(0)).collect();
    for (wanted, answer) in crowd.iter().zip(&answers) {
        assert!(kept::version(answer).as_str() >= *wanted, "{wanted}: {}", answer.stdout);
    }
    assert!(kept.count(What::Replacing) <= 2, "{}", kept.sandbox.story());
    assert_eq!(kept.sandbox.oracle().count("double"), 0);
    // After the last offer there are none.
    let before = kept.count(What::Spawned);
    for wanted in crowd {
        let answer = ensure(&kept, wanted);
        assert_eq!((answer.state().as_str(), kept::version(&answer).as_str()), ("up", "3.0.0"));
    }
    assert_eq!(kept.count(What::Spawned), before);
    kept.stop().run().expect(0);
}

#[test]
fn a_version_that_does_not_start_is_tried_once_and_the_healthy_worker_stays() {
    let kept = installed(&["1.0.0"]);
    kept.offer("2.0.0").words(&["exit=3"]).write();
    ensure(&kept, "1.0.0");
    let tried = ensure(&kept, "2.0.0");
    assert_eq!(kept::version(&tried), "1.0.0");
    assert!(warnings(&tried).iter().any(|warning| warning.contains("offer-not-running")), "{}", tried.stdout);
    let (starts, served) = (kept.sandbox.oracle().count("start"), kept::pid(&tried));
    for turn in 0..20 {
        let answer = ensure(&kept, if turn % 2 == 0 { "2.0.0" } else { "1.0.0" });
        assert_eq!(kept::pid(&answer), served, "a healthy worker is not ended again for it");
    }
    assert_eq!(kept.sandbox.oracle().count("start"), starts, "it is not tried again");
    assert_eq!(kept.sandbox.oracle().count("double"), 0);
    kept.stop().run().expect(0);
}

#[test]
fn a_spec_whose_program_is_gone_is_said_before_anything_is_stopped() {
    let mut kept = installed(&["1.0.0"]);
    let gone = kept.sandbox.path().join("uninstalled/fixture-program");
    kept.move_program(&gone);
    kept.offer("2.0.0").write();
    let first = ensure(&kept, "1.0.0");
    let newer = ensure(&kept, "2.0.0");
    assert_eq!(kept::pid(&newer), kept::pid(&first), "the old one serves");
    assert!(warnings(&newer).iter().any(|warning| warning.contains("2.0.0")), "{}", newer.stdout);
    assert_eq!(kept.launcher("ensure", "2.0.0").run().code(), 0);
    assert_eq!(kept.count(What::Spawned), 1);
    kept.stop().run().expect(0);
}

#[test]
fn a_restart_whose_program_is_gone_stops_nothing() {
    let mut kept = Kept::new(TENURE, PROGRAM);
    let copy = kept.sandbox.path().join("installed-program");
    std::fs::copy(PROGRAM, &copy).expect("a program can be copied");
    kept.move_program(&copy);
    kept.offer("1.0.0").write();
    let first = ensure(&kept, "1.0.0");
    std::fs::remove_file(&copy).expect("it can be removed while it runs");
    let refused = kept.restart().run().expect(1);
    assert!(kept::message(&refused).contains("nothing was stopped"), "{}", refused.stdout);
    assert!(kept::message(&refused).contains("installed-program"), "{}", refused.stdout);
    assert_eq!(kept::pid(&kept.status().expect(0)), kept::pid(&first));
    kept.stop().run().expect(0);
}
