//! A worker that says it is another version than the one that it was started as: tried once more, then named, and left alone.

use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// Version 1 is what it says, and version 2 has the bundle of what its word says.
fn published(claim: &str) -> Fixture {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").write();
    fixture.offer("2.0.0").words(&[claim, "notify"]).ready(Some("{ notify = true }")).write();
    fixture
}

/// Refused, with both versions, by a launcher that was promised the newer one.
fn is_named(answer: Output) {
    let refused = answer.expect(5);
    assert_eq!(refused.state(), "version-disagrees", "{}", refused.stdout);
    let said = answer::message(&refused);
    assert!(said.contains("1.0.0") && said.contains("2.0.0"), "{said}");
    assert!(refused.json()["error"]["hint"].as_str().is_some_and(|hint| hint.contains("tenure restart")));
}

#[test]
fn a_version_disagreement_is_tried_once_then_reported_and_the_healthy_worker_stays() {
    let fixture = published("claims=1.0.0");
    // Where nothing ran: the start, and one more for the answer that disagrees.
    is_named(fixture.launcher("ensure", "2.0.0").run());
    let stands = answer::pid(&fixture.status().expect(0));
    assert_eq!((fixture.sandbox.oracle().count("start"), fixture.count(What::VersionDisagrees)), (2, 1));
    assert_eq!(fixture.count(What::Replacing), 1);
    for answer in answer::answers(fixture.crowd(["2.0.0"; 20])) {
        is_named(answer);
    }
    assert_eq!((fixture.sandbox.oracle().count("start"), fixture.count(What::Replacing)), (2, 1));
    // Whoever wants what it says it is has it, and hears of the difference.
    for answer in answer::answers(fixture.crowd(["1.0.0"; 4])) {
        let up = answer.expect(0);
        assert_eq!((up.state().as_str(), answer::pid(&up)), ("up", stands));
        assert_eq!(answer::warnings(&up), ["says-other"], "{}", up.stdout);
    }
    assert_eq!(answer::pid(&fixture.status().expect(0)), stands, "the healthy worker stays");
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    fixture.stop().run().expect(0);
}

#[test]
fn launchers_of_both_versions_in_turn_have_a_healthy_worker_make_room_once_and_never_again() {
    let fixture = published("claims=1.0.0");
    fixture.launcher("ensure", "1.0.0").run().expect(0);
    let mut states = Vec::new();
    for turn in 0..20 {
        states.push(fixture.launcher("ensure", if turn % 2 == 0 { "2.0.0" } else { "1.0.0" }).run().state());
    }
    // What says that it is another version is no successor: the older one goes on, and is left in peace.
    assert_eq!((fixture.count(What::Replacing), fixture.count(What::RolledBack)), (1, 1), "{states:?}");
    assert_eq!(fixture.sandbox.oracle().count("start"), 3, "{states:?}");
    let settled: Vec<&str> = states[1..].iter().map(String::as_str).collect();
    assert_eq!(settled, ["up"].repeat(19), "{states:?}");
    let told = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!(answer::warnings(&told), ["offer-not-running"]);
    assert!(told.stdout.contains("says that it is 1.0.0"), "{}", told.stdout);
    fixture.stop().run().expect(0);
}

#[test]
fn a_worker_that_dies_is_started_again_without_another_try() {
    let fixture = published("claims=1.0.0");
    is_named(fixture.launcher("ensure", "2.0.0").run());
    processes::kill(&processes::host(&fixture.status().expect(0)));
    let successor = fixture.launcher("ensure", "1.0.0").run().expect(0);
    assert_eq!(successor.state(), "started");
    is_named(fixture.launcher("ensure", "2.0.0").run());
    assert_eq!(answer::pid(&fixture.status().expect(0)), answer::pid(&successor));
    assert_eq!((fixture.sandbox.oracle().count("start"), fixture.count(What::VersionDisagrees)), (3, 1));
    fixture.stop().run().expect(0);
}

#[test]
fn a_bundle_that_is_repaired_while_an_older_one_serves_heals_by_a_restart() {
    let fixture = Fixture::new(BINARIES);
    let bundle = fixture.sandbox.path().join("bundle");
    std::fs::write(&bundle, "1.0.0\n").expect("a sandbox takes files");
    fixture.offer("1.0.0").write();
    let words = [&*format!("claims-from={}", bundle.display()), "notify"];
    fixture.offer("2.0.0").words(&words).ready(Some("{ notify = true }")).write();
    fixture.launcher("ensure", "1.0.0").run().expect(0);
    let told = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!(
        (answer::version(&told).as_str(), answer::warnings(&told)),
        ("1.0.0", vec!["offer-not-running".into()])
    );
    std::fs::write(&bundle, "2.0.0\n").expect("a sandbox takes files");
    // Quarantine holds for launchers, and not for a person.
    assert_eq!(answer::version(&fixture.launcher("ensure", "2.0.0").run().expect(0)), "1.0.0");
    let healed = fixture.launcher("restart", "2.0.0").run().expect(0);
    assert_eq!((healed.state().as_str(), answer::version(&healed).as_str()), ("replaced", "2.0.0"));
    for answer in answer::answers(fixture.crowd(["2.0.0", "1.0.0", "2.0.0", "1.0.0"])) {
        assert_eq!(answer::pid(&answer.expect(0)), answer::pid(&healed));
    }
    fixture.stop().run().expect(0);
}

#[test]
fn a_bundle_that_is_repaired_later_heals_by_a_restart() {
    let fixture = Fixture::new(BINARIES);
    let bundle = fixture.sandbox.path().join("bundle");
    std::fs::write(&bundle, "1.0.0\n").expect("a sandbox takes files");
    let words = [&*format!("claims-from={}", bundle.display()), "notify"];
    fixture.offer("2.0.0").words(&words).ready(Some("{ notify = true }")).write();
    is_named(fixture.launcher("ensure", "2.0.0").run());
    // A restart of what still disagrees cannot be proved, and says what it saw.
    let unproved = fixture.launcher("restart", "2.0.0").run().expect(1);
    assert_eq!(unproved.state(), "restart-unproved");
    assert!(answer::message(&unproved).contains("says that it is 1.0.0"), "{}", unproved.stdout);
    std::fs::write(&bundle, "2.0.0\n").expect("a sandbox takes files");
    is_named(fixture.launcher("ensure", "2.0.0").run());
    assert_eq!(answer::version(&fixture.launcher("restart", "2.0.0").run().expect(0)), "2.0.0");
    let up = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((up.state().as_str(), answer::warnings(&up).len()), ("up", 0));
    fixture.stop().run().expect(0);
}

#[test]
fn a_description_that_has_changed_has_a_new_chance() {
    let fixture = published("claims=1.0.0");
    is_named(fixture.launcher("ensure", "2.0.0").run());
    is_named(fixture.launcher("ensure", "2.0.0").run());
    assert_eq!(fixture.sandbox.oracle().count("start"), 2);
    let changed = fixture.offer("2.0.0").words(&["claims=1.0.0", "notify"]).ready(Some("{ notify = true }"));
    changed.line("stop = { grace = \"2s\" }").write();
    is_named(fixture.launcher("ensure", "2.0.0").run());
    assert_eq!(fixture.sandbox.oracle().count("start"), 3, "one more try for what is described now");
    is_named(fixture.launcher("ensure", "2.0.0").run());
    assert_eq!(fixture.sandbox.oracle().count("start"), 3);
    fixture.stop().run().expect(0);
}

#[test]
fn a_worker_that_says_it_is_newer_serves_those_who_want_the_newer() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").words(&["claims=2.0.0", "notify"]).ready(Some("{ notify = true }")).write();
    fixture.offer("2.0.0").write();
    let first = fixture.launcher("ensure", "1.0.0").run().expect(0);
    for version in ["2.0.0", "1.0.0", "2.0.0"] {
        let up = fixture.launcher("ensure", version).run().expect(0);
        assert_eq!((up.state().as_str(), answer::pid(&up)), ("up", answer::pid(&first)));
        assert_eq!(answer::warnings(&up), ["says-other"]);
    }
    assert_eq!(fixture.count(What::Replacing), 0);
    fixture.stop().run().expect(0);
}

#[test]
fn status_and_strict_tell_the_difference() {
    let fixture = published("claims=1.0.0");
    is_named(fixture.launcher("ensure", "2.0.0").run());
    let status = fixture.status().expect(0).json();
    assert_eq!((&status["version"], &status["app"]["version"]), (&"2.0.0".into(), &"1.0.0".into()));
    let told = fixture.sandbox.tenure(["status", "w"]).run().expect(0);
    assert!(told.stdout.contains("2.0.0 (app says it is 1.0.0)"), "{}", told.stdout);
    let config = fixture.file("1.0.0").display().to_string();
    let words = ["ensure", "w", "--json", "--strict", "--config", &config];
    assert_eq!(fixture.sandbox.tenure(words).run().expect(5).json()["error"]["kind"], "says-other");
    fixture.stop().run().expect(0);
}
