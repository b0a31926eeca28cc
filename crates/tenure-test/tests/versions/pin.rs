//! A person holds a version: everybody gets it, nobody replaces it, and only a person lets it go.

use tenure_core::Version;
use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::{Output, Running};
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// Versions 1 to 3 are installed; 1 and 2 were offered, in this order.
fn offered() -> (Fixture, Output) {
    let fixture = Fixture::new(BINARIES);
    for version in ["1.0.0", "2.0.0", "3.0.0"] {
        fixture.offer(version).write();
    }
    ensure(&fixture, "1.0.0");
    let newest = ensure(&fixture, "2.0.0");
    assert_eq!(newest.state(), "replaced");
    (fixture, newest)
}

fn ensure(fixture: &Fixture, version: &str) -> Output {
    fixture.launcher("ensure", version).run().expect(0)
}

/// It is used as it is, although it is older, and the warning says why.
fn is_held(answer: &Output, pinned: u32) {
    assert_eq!(
        (answer::pid(answer), answer::version(answer).as_str()),
        (pinned, "1.0.0"),
        "{}",
        answer.stdout
    );
    assert_eq!(answer::warnings(answer), ["held"], "{}", answer.stdout);
    assert!(answer.stdout.contains("1.0.0 is pinned"), "{}", answer.stdout);
}

fn held(fixture: &Fixture) -> Option<Version> {
    fixture.desired().pin
}

fn first() -> Version {
    Version::new(1, 0, 0)
}

#[test]
fn a_pin_goes_back_at_once_and_proves_it() {
    let (fixture, newest) = offered();
    let pinned = fixture.pin("1.0.0").run().expect(0);
    let document = pinned.json();
    assert_eq!((pinned.state().as_str(), &document["replaced"]), ("pinned", &true.into()));
    assert_eq!((&document["pinned"], &document["before"]), (&"1.0.0".into(), &serde_json::Value::Null));
    assert_eq!(
        (&document["old"]["pid"], &document["old"]["version"]),
        (&answer::pid(&newest).into(), &"2.0.0".into())
    );
    assert_ne!(answer::pid(&pinned), answer::pid(&newest));
    let status = fixture.status().expect(0);
    let stands = status.json();
    assert_eq!((answer::pid(&status), answer::version(&status).as_str()), (answer::pid(&pinned), "1.0.0"));
    assert_eq!((&stands["generation"], &stands["pinned"]), (&3.into(), &"1.0.0".into()));
    assert_eq!((fixture.count(What::Pinned), held(&fixture)), (1, Some(first())));
    fixture.stop().run().expect(0);
}

#[test]
fn a_person_is_told_who_made_room_for_whom_and_what_releases_it() {
    let (fixture, newest) = offered();
    let said = fixture.sandbox.tenure(["pin", "w", "1.0.0"]).run().expect(0);
    let stands = answer::pid(&fixture.status().expect(0));
    let proof = format!("pid {} (2.0.0) → pid {stands}, generation 3", answer::pid(&newest));
    assert!(said.stderr.contains(&proof) && said.stderr.contains("tenure unpin w"), "{}", said.stderr);
    let status = fixture.sandbox.tenure(["status", "w"]).run().expect(0);
    assert!(
        status.stdout.contains("pinned to") && status.stdout.contains("tenure unpin w"),
        "{}",
        status.stdout
    );
    let newer = fixture
        .sandbox
        .tenure(["ensure", "w", "--config", &fixture.file("2.0.0").display().to_string()])
        .run();
    assert!(newer.stderr.contains("1.0.0 is pinned; `tenure unpin"), "{}", newer.stderr);
    fixture.stop().run().expect(0);
}

#[test]
fn newer_launchers_get_the_pinned_worker_and_none_replaces_it() {
    let (fixture, _) = offered();
    let pinned = answer::pid(&fixture.pin("1.0.0").run().expect(0));
    let before = (fixture.count(What::Replacing), fixture.count(What::Spawned));
    // Version 3 was never offered before.
    let crowd = fixture.crowd((0..10).map(|turn| if turn % 2 == 0 { "2.0.0" } else { "3.0.0" }));
    for answer in answer::answers(crowd) {
        is_held(&answer.expect(0), pinned);
    }
    for turn in 0..10 {
        is_held(&ensure(&fixture, if turn % 2 == 0 { "2.0.0" } else { "3.0.0" }), pinned);
    }
    assert_eq!(answer::warnings(&ensure(&fixture, "1.0.0")), [""; 0], "its own launchers are not warned");
    assert_eq!((fixture.count(What::Replacing), fixture.count(What::Spawned)), before);
    assert_eq!((fixture.count(What::Pinned), fixture.sandbox.oracle().count("double")), (1, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn with_strict_a_pinned_older_version_is_a_failure() {
    let (fixture, _) = offered();
    let pinned = answer::pid(&fixture.pin("1.0.0").run().expect(0));
    let config = fixture.file("3.0.0").display().to_string();
    let strict =
        fixture.sandbox.tenure(["ensure", "w", "--json", "--strict", "--config", &config]).run().expect(5);
    assert_eq!(strict.json()["error"]["kind"], "held", "{}", strict.stdout);
    assert!(answer::message(&strict).contains("1.0.0 is pinned"), "{}", strict.stdout);
    assert_eq!(answer::pid(&fixture.status().expect(0)), pinned);
    fixture.stop().run().expect(0);
}

#[test]
fn unpin_alone_changes_nothing_and_the_next_newer_launcher_replaces_once() {
    let (fixture, _) = offered();
    let pinned = answer::pid(&fixture.pin("1.0.0").run().expect(0));
    let released = fixture.unpin().run().expect(0);
    let document = released.json();
    assert_eq!((released.state().as_str(), answer::pid(&released)), ("unpinned", pinned));
    assert_eq!((&document["before"], &document["target"]), (&"1.0.0".into(), &"2.0.0".into()));
    assert_eq!((answer::pid(&fixture.status().expect(0)), held(&fixture)), (pinned, None));
    assert_eq!(answer::pid(&ensure(&fixture, "1.0.0")), pinned, "its own launchers replace nothing");
    let before = fixture.count(What::Replacing);
    for answer in answer::answers(fixture.crowd(["2.0.0"; 12])) {
        assert_eq!(answer::version(&answer.expect(0)), "2.0.0");
    }
    assert_eq!(fixture.count(What::Replacing), before + 1);
    fixture.stop().run().expect(0);
}

#[test]
fn unpin_says_what_to_type() {
    let (fixture, _) = offered();
    fixture.pin("1.0.0").run().expect(0);
    let said = fixture.sandbox.tenure(["unpin", "w"]).run().expect(0).stderr;
    assert!(
        said.contains("1.0.0 is released") && said.contains("`tenure restart w` starts 2.0.0 now"),
        "{said}"
    );
    let said = fixture.sandbox.tenure(["unpin", "w"]).run().expect(0).stderr;
    assert!(said.contains("nothing was pinned"), "{said}");
    fixture.stop().run().expect(0);
}

#[test]
fn a_pin_while_nothing_runs_decides_what_the_next_launcher_starts() {
    let (fixture, _) = offered();
    fixture.stop().run().expect(0);
    let spawned = fixture.count(What::Spawned);
    let pinned = fixture.pin("1.0.0").run().expect(0);
    assert_eq!(
        (&pinned.json()["replaced"], &pinned.json()["pid"]),
        (&false.into(), &serde_json::Value::Null)
    );
    assert_eq!(fixture.count(What::Spawned), spawned, "a pin starts nothing where nothing ran");
    // Whoever comes, and whatever it offers.
    let started = ensure(&fixture, "3.0.0");
    assert_eq!(started.state(), "started");
    is_held(&started, answer::pid(&started));
    is_held(&ensure(&fixture, "2.0.0"), answer::pid(&started));
    assert_eq!(fixture.count(What::Spawned), spawned + 1);
    fixture.stop().run().expect(0);
}

#[test]
fn a_second_pin_takes_the_place_of_the_first() {
    let (fixture, _) = offered();
    let one = fixture.pin("1.0.0").run().expect(0);
    let again = fixture.pin("1.0.0").run().expect(0);
    assert_eq!((&again.json()["replaced"], &again.json()["before"]), (&false.into(), &"1.0.0".into()));
    assert_eq!(answer::pid(&again), answer::pid(&one), "it stands already");
    let two = fixture.pin("2.0.0").run().expect(0);
    assert_eq!((&two.json()["replaced"], &two.json()["before"]), (&true.into(), &"1.0.0".into()));
    assert_eq!((answer::version(&two).as_str(), held(&fixture)), ("2.0.0", Some(Version::new(2, 0, 0))));
    assert_eq!(answer::version(&ensure(&fixture, "3.0.0")), "2.0.0");
    fixture.stop().run().expect(0);
}

#[test]
fn a_pinned_worker_that_dies_is_started_again_by_whoever_comes() {
    let (fixture, _) = offered();
    let pinned = fixture.pin("1.0.0").run().expect(0);
    processes::kill(&processes::host(&pinned));
    let answers = answer::answers(fixture.crowd(["3.0.0", "2.0.0", "3.0.0"]));
    let successor = answer::pid(&fixture.status().expect(0));
    for answer in answers {
        is_held(&answer.expect(0), successor);
    }
    is_held(&ensure(&fixture, "2.0.0"), successor);
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    fixture.stop().run().expect(0);
}

#[test]
fn a_restart_of_a_newer_launcher_restarts_the_pinned_version() {
    let (fixture, _) = offered();
    let pinned = fixture.pin("1.0.0").run().expect(0);
    let restarted = fixture.launcher("restart", "3.0.0").run().expect(0);
    assert_eq!(answer::version(&restarted), "1.0.0", "{}", restarted.stdout);
    assert_ne!(answer::pid(&restarted), answer::pid(&pinned));
    fixture.stop().run().expect(0);
}

#[test]
fn a_pinned_offer_survives_twelve_later_ones() {
    let (fixture, _) = offered();
    let pinned = fixture.pin("1.0.0").run().expect(0);
    let config = fixture.file("3.0.0").display().to_string();
    for later in 4..16 {
        let version = format!("{later}.0.0");
        let words = ["ensure", "w", "--json", "--config", &config, "--version", &version];
        is_held(&fixture.sandbox.tenure(words).run().expect(0), answer::pid(&pinned));
    }
    let versions: Vec<u64> =
        fixture.desired().offers.iter().map(|offer| offer.spec.version.major()).collect();
    assert_eq!(versions, [1, 9, 10, 11, 12, 13, 14, 15]);
    processes::kill(&processes::host(&pinned));
    let successor = ensure(&fixture, "3.0.0");
    is_held(&successor, answer::pid(&successor));
    fixture.stop().run().expect(0);
}

#[test]
fn a_pin_in_the_middle_of_a_storm_holds() {
    let (fixture, _) = offered();
    let storm = || fixture.crowd((0..8).map(|turn| ["1.0.0", "2.0.0", "3.0.0"][turn % 3]));
    let early: Vec<Running> = storm();
    let pin = fixture.pin("1.0.0").start();
    let late = storm();
    pin.wait().expect(0);
    for answer in answer::answers(early).into_iter().chain(answer::answers(late)) {
        answer.expect(0);
    }
    // Two are possible besides the pin: to 2.0.0, and to 3.0.0.
    assert!(fixture.count(What::Replacing) <= 3, "{}", fixture.sandbox.story());
    let pinned = answer::pid(&fixture.status().expect(0));
    let before = fixture.count(What::Spawned);
    for answer in answer::answers(storm()) {
        assert_eq!(
            (answer::pid(&answer.clone().expect(0)), answer::version(&answer).as_str()),
            (pinned, "1.0.0")
        );
    }
    assert_eq!((fixture.count(What::Spawned), fixture.sandbox.oracle().count("double")), (before, 0));
    fixture.stop().run().expect(0);
}
