//! A person holds a version: everybody gets it, nobody replaces it, and only a person lets it go.

use tenure_core::Version;
use tenure_core::store::event::What;
use tenure_test::kept::{self, Kept};
use tenure_test::sandbox::{Output, Running};

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

/// Versions 1 to 3 are installed; 1 and 2 were offered, in this order.
fn offered() -> (Kept, Output) {
    let kept = Kept::new(TENURE, PROGRAM);
    for version in ["1.0.0", "2.0.0", "3.0.0"] {
        kept.offer(version).write();
    }
    ensure(&kept, "1.0.0");
    let newest = ensure(&kept, "2.0.0");
    assert_eq!(newest.state(), "replaced");
    (kept, newest)
}

fn ensure(kept: &Kept, version: &str) -> Output {
    kept.launcher("ensure", version).run().expect(0)
}

/// It is used as it is, although it is older, and the warning says why.
fn is_held(answer: &Output, pinned: u32) {
    assert_eq!((kept::pid(answer), kept::version(answer).as_str()), (pinned, "1.0.0"), "{}", answer.stdout);
    assert_eq!(kept::warnings(answer), ["held"], "{}", answer.stdout);
    assert!(answer.stdout.contains("1.0.0 is pinned"), "{}", answer.stdout);
}

fn held(kept: &Kept) -> Option<Version> {
    kept.desired().hold
}

fn first() -> Version {
    Version::new(1, 0, 0)
}

#[test]
fn a_pin_goes_back_at_once_and_proves_it() {
    let (kept, newest) = offered();
    let pinned = kept.pin("1.0.0").run().expect(0);
    let document = pinned.json();
    assert_eq!((pinned.state().as_str(), &document["replaced"]), ("pinned", &true.into()));
    assert_eq!((&document["pinned"], &document["before"]), (&"1.0.0".into(), &serde_json::Value::Null));
    assert_eq!(
        (&document["old"]["pid"], &document["old"]["version"]),
        (&kept::pid(&newest).into(), &"2.0.0".into())
    );
    assert_ne!(kept::pid(&pinned), kept::pid(&newest));
    let status = kept.status().expect(0);
    let stands = status.json();
    assert_eq!((kept::pid(&status), kept::version(&status).as_str()), (kept::pid(&pinned), "1.0.0"));
    assert_eq!((&stands["generation"], &stands["pinned"]), (&3.into(), &"1.0.0".into()));
    assert_eq!((kept.count(What::Pinned), held(&kept)), (1, Some(first())));
    kept.stop().run().expect(0);
}

#[test]
fn a_person_is_told_who_made_room_for_whom_and_what_releases_it() {
    let (kept, newest) = offered();
    let said = kept.sandbox.tenure(["pin", "w", "1.0.0"]).run().expect(0);
    let stands = kept::pid(&kept.status().expect(0));
    let proof = format!("pid {} (2.0.0) → pid {stands}, generation 3", kept::pid(&newest));
    assert!(said.stderr.contains(&proof) && said.stderr.contains("tenure unpin w"), "{}", said.stderr);
    let status = kept.sandbox.tenure(["status", "w"]).run().expect(0);
    assert!(
        status.stdout.contains("pinned to") && status.stdout.contains("tenure unpin w"),
        "{}",
        status.stdout
    );
    let newer =
        kept.sandbox.tenure(["ensure", "w", "--config", &kept.file("2.0.0").display().to_string()]).run();
    assert!(newer.stderr.contains("1.0.0 is pinned; `tenure unpin"), "{}", newer.stderr);
    kept.stop().run().expect(0);
}

#[test]
fn newer_launchers_get_the_pinned_worker_and_none_replaces_it() {
    let (kept, _) = offered();
    let pinned = kept::pid(&kept.pin("1.0.0").run().expect(0));
    let before = (kept.count(What::Replacing), kept.count(What::Spawned));
    // Version 3 was never offered before.
    let crowd = kept.crowd((0..10).map(|turn| if turn % 2 == 0 { "2.0.0" } else { "3.0.0" }));
    for answer in kept::answers(crowd) {
        is_held(&answer.expect(0), pinned);
    }
    for turn in 0..10 {
        is_held(&ensure(&kept, if turn % 2 == 0 { "2.0.0" } else { "3.0.0" }), pinned);
    }
    assert_eq!(kept::warnings(&ensure(&kept, "1.0.0")), [""; 0], "its own launchers are not warned");
    assert_eq!((kept.count(What::Replacing), kept.count(What::Spawned)), before);
    assert_eq!((kept.count(What::Pinned), kept.sandbox.oracle().count("double")), (1, 0));
    kept.stop().run().expect(0);
}

#[test]
fn with_strict_a_pinned_older_version_is_a_failure() {
    let (kept, _) = offered();
    let pinned = kept::pid(&kept.pin("1.0.0").run().expect(0));
    let config = kept.file("3.0.0").display().to_string();
    let strict =
        kept.sandbox.tenure(["ensure", "w", "--json", "--strict", "--config", &config]).run().expect(5);
    assert_eq!(strict.json()["error"]["kind"], "held", "{}", strict.stdout);
    assert!(kept::message(&strict).contains("1.0.0 is pinned"), "{}", strict.stdout);
    assert_eq!(kept::pid(&kept.status().expect(0)), pinned);
    kept.stop().run().expect(0);
}

#[test]
fn unpin_alone_changes_nothing_and_the_next_newer_launcher_replaces_once() {
    let (kept, _) = offered();
    let pinned = kept::pid(&kept.pin("1.0.0").run().expect(0));
    let released = kept.unpin().run().expect(0);
    let document = released.json();
    assert_eq!((released.state().as_str(), kept::pid(&released)), ("unpinned", pinned));
    assert_eq!((&document["before"], &document["target"]), (&"1.0.0".into(), &"2.0.0".into()));
    assert_eq!((kept::pid(&kept.status().expect(0)), held(&kept)), (pinned, None));
    assert_eq!(kept::pid(&ensure(&kept, "1.0.0")), pinned, "its own launchers replace nothing");
    let before = kept.count(What::Replacing);
    for answer in kept::answers(kept.crowd(["2.0.0"; 12])) {
        assert_eq!(kept::version(&answer.expect(0)), "2.0.0");
    }
    assert_eq!(kept.count(What::Replacing), before + 1);
    kept.stop().run().expect(0);
}

#[test]
fn unpin_says_what_to_type() {
    let (kept, _) = offered();
    kept.pin("1.0.0").run().expect(0);
    let said = kept.sandbox.tenure(["unpin", "w"]).run().expect(0).stderr;
    assert!(
        said.contains("1.0.0 is released") && said.contains("`tenure restart w` starts 2.0.0 now"),
        "{said}"
    );
    let said = kept.sandbox.tenure(["unpin", "w"]).run().expect(0).stderr;
    assert!(said.contains("nothing was pinned"), "{said}");
    kept.stop().run().expect(0);
}

#[test]
fn a_pin_while_nothing_runs_decides_what_the_next_launcher_starts() {
    let (kept, _) = offered();
    kept.stop().run().expect(0);
    let spawned = kept.count(What::Spawned);
    let pinned = kept.pin("1.0.0").run().expect(0);
    assert_eq!(
        (&pinned.json()["replaced"], &pinned.json()["pid"]),
        (&false.into(), &serde_json::Value::Null)
    );
    assert_eq!(kept.count(What::Spawned), spawned, "a pin starts nothing where nothing ran");
    // Whoever comes, and whatever it offers.
    let started = ensure(&kept, "3.0.0");
    assert_eq!(started.state(), "started");
    is_held(&started, kept::pid(&started));
    is_held(&ensure(&kept, "2.0.0"), kept::pid(&started));
    assert_eq!(kept.count(What::Spawned), spawned + 1);
    kept.stop().run().expect(0);
}

#[test]
fn a_second_pin_takes_the_place_of_the_first() {
    let (kept, _) = offered();
    let one = kept.pin("1.0.0").run().expect(0);
    let again = kept.pin("1.0.0").run().expect(0);
    assert_eq!((&again.json()["replaced"], &again.json()["before"]), (&false.into(), &"1.0.0".into()));
    assert_eq!(kept::pid(&again), kept::pid(&one), "it stands already");
    let two = kept.pin("2.0.0").run().expect(0);
    assert_eq!((&two.json()["replaced"], &two.json()["before"]), (&true.into(), &"1.0.0".into()));
    assert_eq!((kept::version(&two).as_str(), held(&kept)), ("2.0.0", Some(Version::new(2, 0, 0))));
    assert_eq!(kept::version(&ensure(&kept, "3.0.0")), "2.0.0");
    kept.stop().run().expect(0);
}

#[test]
fn a_pinned_worker_that_dies_is_started_again_by_whoever_comes() {
    let (kept, _) = offered();
    let pinned = kept.pin("1.0.0").run().expect(0);
    kept::kill(&kept::host(&pinned));
    let answers = kept::answers(kept.crowd(["3.0.0", "2.0.0", "3.0.0"]));
    let successor = kept::pid(&kept.status().expect(0));
    for answer in answers {
        is_held(&answer.expect(0), successor);
    }
    is_held(&ensure(&kept, "2.0.0"), successor);
    assert_eq!(kept.sandbox.oracle().count("double"), 0);
    kept.stop().run().expect(0);
}

#[test]
fn a_restart_of_a_newer_launcher_restarts_the_pinned_version() {
    let (kept, _) = offered();
    let pinned = kept.pin("1.0.0").run().expect(0);
    let restarted = kept.launcher("restart", "3.0.0").run().expect(0);
    assert_eq!(kept::version(&restarted), "1.0.0", "{}", restarted.stdout);
    assert_ne!(kept::pid(&restarted), kept::pid(&pinned));
    kept.stop().run().expect(0);
}

#[test]
fn a_pinned_offer_survives_twelve_later_ones() {
    let (kept, _) = offered();
    let pinned = kept.pin("1.0.0").run().expect(0);
    let config = kept.file("3.0.0").display().to_string();
    for later in 4..16 {
        let version = format!("{later}.0.0");
        let words = ["ensure", "w", "--json", "--config", &config, "--version", &version];
        is_held(&kept.sandbox.tenure(words).run().expect(0), kept::pid(&pinned));
    }
    let versions: Vec<u64> = kept.desired().offers.iter().map(|offer| offer.spec.version.major).collect();
    assert_eq!(versions, [1, 9, 10, 11, 12, 13, 14, 15]);
    kept::kill(&kept::host(&pinned));
    let successor = ensure(&kept, "3.0.0");
    is_held(&successor, kept::pid(&successor));
    kept.stop().run().expect(0);
}

#[test]
fn a_pin_in_the_middle_of_a_storm_holds() {
    let (kept, _) = offered();
    let storm = || kept.crowd((0..8).map(|turn| ["1.0.0", "2.0.0", "3.0.0"][turn % 3]));
    let early: Vec<Running> = storm();
    let pin = kept.pin("1.0.0").start();
    let late = storm();
    pin.wait().expect(0);
    for answer in kept::answers(early).into_iter().chain(kept::answers(late)) {
        answer.expect(0);
    }
    // Two are possible besides the pin: to 2.0.0, and to 3.0.0.
    assert!(kept.count(What::Replacing) <= 3, "{}", kept.sandbox.story());
    let pinned = kept::pid(&kept.status().expect(0));
    let before = kept.count(What::Spawned);
    for answer in kept::answers(storm()) {
        assert_eq!(
            (kept::pid(&answer.clone().expect(0)), kept::version(&answer).as_str()),
            (pinned, "1.0.0")
        );
    }
    assert_eq!((kept.count(What::Spawned), kept.sandbox.oracle().count("double")), (before, 0));
    kept.stop().run().expect(0);
}
