//! A worker that says it is another version than the one that it was started as: tried once more, then named, and left alone.

use tenure_core::store::event::What;
use tenure_test::kept::{self, Kept};
use tenure_test::sandbox::Output;

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

/// Version 1 is what it says, and version 2 has the bundle of what its word says.
fn published(claim: &str) -> Kept {
    let kept = Kept::new(TENURE, PROGRAM);
    kept.offer("1.0.0").write();
    kept.offer("2.0.0").words(&[claim, "notify"]).ready(Some("{ notify = true }")).write();
    kept
}

/// Refused, with both versions, by a launcher that was promised the newer one.
fn is_named(answer: Output) {
    let refused = answer.expect(5);
    assert_eq!(refused.state(), "version-disagrees", "{}", refused.stdout);
    let said = kept::message(&refused);
    assert!(said.contains("1.0.0") && said.contains("2.0.0"), "{said}");
    assert!(refused.json()["error"]["hint"].as_str().is_some_and(|hint| hint.contains("tenure restart")));
}

#[test]
fn a_version_disagreement_is_tried_once_then_reported_and_the_healthy_worker_stays() {
    let kept = published("claims=1.0.0");
    // Where nothing ran: the start, and one more for the answer that disagrees.
    is_named(kept.launcher("ensure", "2.0.0").run());
    let stands = kept::pid(&kept.status().expect(0));
    assert_eq!((kept.sandbox.oracle().count("start"), kept.count(What::VersionDisagrees)), (2, 1));
    assert_eq!(kept.count(What::Replacing), 1);
    for answer in kept::answers(kept.crowd(["2.0.0"; 20])) {
        is_named(answer);
    }
    assert_eq!((kept.sandbox.oracle().count("start"), kept.count(What::Replacing)), (2, 1));
    // Whoever wants what it says it is has it, and hears of the difference.
    for answer in kept::answers(kept.crowd(["1.0.0"; 4])) {
        let up = answer.expect(0);
        assert_eq!((up.state().as_str(), kept::pid(&up)), ("up", stands));
        assert_eq!(kept::warnings(&up), ["says-other"], "{}", up.stdout);
    }
    assert_eq!(kept::pid(&kept.status().expect(0)), stands, "the healthy worker stays");
    assert_eq!(kept.sandbox.oracle().count("double"), 0);
    kept.stop().run().expect(0);
}

#[test]
fn launchers_of_both_versions_in_turn_have_a_healthy_worker_make_room_once_and_never_again() {
    let kept = published("claims=1.0.0");
    kept.launcher("ensure", "1.0.0").run().expect(0);
    let mut states = Vec::new();
    for turn in 0..20 {
        states.push(kept.launcher("ensure", if turn % 2 == 0 { "2.0.0" } else { "1.0.0" }).run().state());
    }
    // What says that it is another version is no successor: the older one goes on, and is left in peace.
    assert_eq!((kept.count(What::Replacing), kept.count(What::RolledBack)), (1, 1), "{states:?}");
    assert_eq!(kept.sandbox.oracle().count("start"), 3, "{states:?}");
    let settled: Vec<&str> = states[1..].iter().map(String::as_str).collect();
    assert_eq!(settled, ["up"].repeat(19), "{states:?}");
    let told = kept.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!(kept::warnings(&told), ["offer-not-running"]);
    assert!(told.stdout.contains("says that it is 1.0.0"), "{}", told.stdout);
    kept.stop().run().expect(0);
}

#[test]
fn a_worker_that_dies_is_started_again_without_another_try() {
    let kept = published("claims=1.0.0");
    is_named(kept.launcher("ensure", "2.0.0").run());
    kept::kill(&kept::host(&kept.status().expect(0)));
    let successor = kept.launcher("ensure", "1.0.0").run().expect(0);
    assert_eq!(successor.state(), "started");
    is_named(kept.launcher("ensure", "2.0.0").run());
    assert_eq!(kept::pid(&kept.status().expect(0)), kept::pid(&successor));
    assert_eq!((kept.sandbox.oracle().count("start"), kept.count(What::VersionDisagrees)), (3, 1));
    kept.stop().run().expect(0);
}

#[test]
fn a_bundle_that_is_repaired_while_an_older_one_serves_heals_by_a_restart() {
    let kept = Kept::new(TENURE, PROGRAM);
    let bundle = kept.sandbox.path().join("bundle");
    std::fs::write(&bundle, "1.0.0\n").expect("a sandbox takes files");
    kept.offer("1.0.0").write();
    let words = [&*format!("claims-from={}", bundle.display()), "notify"];
    kept.offer("2.0.0").words(&words).ready(Some("{ notify = true }")).write();
    kept.launcher("ensure", "1.0.0").run().expect(0);
    let told = kept.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!(
        (kept::version(&told).as_str(), kept::warnings(&told)),
        ("1.0.0", vec!["offer-not-running".into()])
    );
    std::fs::write(&bundle, "2.0.0\n").expect("a sandbox takes files");
    // Quarantine holds for launchers, and not for a person.
    assert_eq!(kept::version(&kept.launcher("ensure", "2.0.0").run().expect(0)), "1.0.0");
    let healed = kept.launcher("restart", "2.0.0").run().expect(0);
    assert_eq!((healed.state().as_str(), kept::version(&healed).as_str()), ("replaced", "2.0.0"));
    for answer in kept::answers(kept.crowd(["2.0.0", "1.0.0", "2.0.0", "1.0.0"])) {
        assert_eq!(kept::pid(&answer.expect(0)), kept::pid(&healed));
    }
    kept.stop().run().expect(0);
}

#[test]
fn a_bundle_that_is_repaired_later_heals_by_a_restart() {
    let kept = Kept::new(TENURE, PROGRAM);
    let bundle = kept.sandbox.path().join("bundle");
    std::fs::write(&bundle, "1.0.0\n").expect("a sandbox takes files");
    let words = [&*format!("claims-from={}", bundle.display()), "notify"];
    kept.offer("2.0.0").words(&words).ready(Some("{ notify = true }")).write();
    is_named(kept.launcher("ensure", "2.0.0").run());
    // A restart of what still disagrees cannot be proved, and says what it saw.
    let unproved = kept.launcher("restart", "2.0.0").run().expect(1);
    assert_eq!(unproved.state(), "restart-unproved");
    assert!(kept::message(&unproved).contains("says that it is 1.0.0"), "{}", unproved.stdout);
    std::fs::write(&bundle, "2.0.0\n").expect("a sandbox takes files");
    is_named(kept.launcher("ensure", "2.0.0").run());
    assert_eq!(kept::version(&kept.launcher("restart", "2.0.0").run().expect(0)), "2.0.0");
    let up = kept.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((up.state().as_str(), kept::warnings(&up).len()), ("up", 0));
    kept.stop().run().expect(0);
}

#[test]
fn a_description_that_has_changed_has_a_new_chance() {
    let kept = published("claims=1.0.0");
    is_named(kept.launcher("ensure", "2.0.0").run());
    is_named(kept.launcher("ensure", "2.0.0").run());
    assert_eq!(kept.sandbox.oracle().count("start"), 2);
    let changed = kept.offer("2.0.0").words(&["claims=1.0.0", "notify"]).ready(Some("{ notify = true }"));
    changed.line("stop = { grace = \"2s\" }").write();
    is_named(kept.launcher("ensure", "2.0.0").run());
    assert_eq!(kept.sandbox.oracle().count("start"), 3, "one more try for what is described now");
    is_named(kept.launcher("ensure", "2.0.0").run());
    assert_eq!(kept.sandbox.oracle().count("start"), 3);
    kept.stop().run().expect(0);
}

#[test]
fn a_worker_that_says_it_is_newer_serves_those_who_want_the_newer() {
    let kept = Kept::new(TENURE, PROGRAM);
    kept.offer("1.0.0").words(&["claims=2.0.0", "notify"]).ready(Some("{ notify = true }")).write();
    kept.offer("2.0.0").write();
    let first = kept.launcher("ensure", "1.0.0").run().expect(0);
    for version in ["2.0.0", "1.0.0", "2.0.0"] {
        let up = kept.launcher("ensure", version).run().expect(0);
        assert_eq!((up.state().as_str(), kept::pid(&up)), ("up", kept::pid(&first)));
        assert_eq!(kept::warnings(&up), ["says-other"]);
    }
    assert_eq!(kept.count(What::Replacing), 0);
    kept.stop().run().expect(0);
}

#[test]
fn status_and_strict_tell_the_difference() {
    let kept = published("claims=1.0.0");
    is_named(kept.launcher("ensure", "2.0.0").run());
    let status = kept.status().expect(0).json();
    assert_eq!((&status["version"], &status["app"]["version"]), (&"2.0.0".into(), &"1.0.0".into()));
    let told = kept.sandbox.tenure(["status", "w"]).run().expect(0);
    assert!(told.stdout.contains("2.0.0 (app says it is 1.0.0)"), "{}", told.stdout);
    let config = kept.file("1.0.0").display().to_string();
    let words = ["ensure", "w", "--json", "--strict", "--config", &config];
    assert_eq!(kept.sandbox.tenure(words).run().expect(5).json()["error"]["kind"], "says-other");
    kept.stop().run().expect(0);
}
