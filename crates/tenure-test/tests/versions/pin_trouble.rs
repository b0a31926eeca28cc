//! What a pin cannot do is said before anything is lost by it; and a stop that holds, which nobody overrides by accident.

use tenure_core::Version;
use tenure_core::deadline::Moment;
use tenure_core::protocol::wire::Asker;
use tenure_core::record::desired::{Desired, Down};
use tenure_core::store::event::What;
use tenure_test::kept::{self, Kept};
use tenure_test::sandbox::Output;

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

fn ensure(kept: &Kept, version: &str) -> Output {
    kept.launcher("ensure", version).run().expect(0)
}

fn held(kept: &Kept) -> Option<Version> {
    kept.desired().hold
}

/// Two versions that were offered, of which the older one runs with these words, and the newer one stands.
fn two(words: &[&str]) -> (Kept, Output) {
    let kept = Kept::new(TENURE, PROGRAM);
    kept.offer("1.0.0").words(words).write();
    kept.offer("2.0.0").write();
    ensure(&kept, "1.0.0");
    let newest = ensure(&kept, "2.0.0");
    (kept, newest)
}

#[test]
fn a_version_that_nobody_offered_is_refused_with_those_that_are_known() {
    let (kept, newest) = two(&[]);
    let refused = kept.pin("1.0.1").run().expect(5);
    assert_eq!(refused.state(), "unknown-version");
    assert!(kept::message(&refused).contains("known: 1.0.0, 2.0.0"), "{}", refused.stdout);
    assert_eq!((kept::pid(&kept.status().expect(0)), held(&kept)), (kept::pid(&newest), None));
    assert_eq!(kept.count(What::Pinned), 0);
    kept.stop().run().expect(0);
}

#[test]
fn a_pin_where_nothing_ever_ran_says_so_and_leaves_nothing() {
    let kept = Kept::with(TENURE, PROGRAM, &[]);
    let refused = kept.pin("1.0.0").run().expect(5);
    assert_eq!(refused.state(), "unknown-version");
    assert!(kept::message(&refused).contains("known: none"), "{}", refused.stdout);
    assert_eq!(kept.unpin().run().expect(0).state(), "unpinned");
    assert!(!kept.state().exists(), "nothing was written");
}

#[test]
fn a_pin_of_a_version_whose_program_is_gone_is_said_before_anything_is_stopped() {
    let mut kept = Kept::new(TENURE, PROGRAM);
    let installed = kept.sandbox.path().join("installed-program");
    std::fs::copy(PROGRAM, &installed).expect("a program can be copied");
    kept.move_program(&installed);
    kept.offer("1.0.0").write();
    kept.move_program(PROGRAM.as_ref());
    kept.offer("2.0.0").write();
    ensure(&kept, "1.0.0");
    let newest = ensure(&kept, "2.0.0");
    std::fs::remove_file(&installed).expect("it can be removed");
    let refused = kept.pin("1.0.0").run().expect(1);
    assert_eq!(refused.state(), "spawn-failed", "{}", refused.stdout);
    let said = refused.json()["error"].to_string();
    assert!(said.contains("installed-program"), "{said}");
    assert_eq!((kept::pid(&kept.status().expect(0)), held(&kept)), (kept::pid(&newest), None));
    assert_eq!((kept.count(What::Pinned), kept.count(What::Spawned)), (0, 2));
    kept.stop().run().expect(0);
    // Where nothing runs, it would be the outage of the next launcher.
    let refused = kept.pin("1.0.0").run();
    assert_eq!((refused.code(), held(&kept)), (1, None), "{}", refused.stdout);
    assert_eq!(kept::version(&ensure(&kept, "2.0.0")), "2.0.0");
    kept.stop().run().expect(0);
}

#[test]
fn what_stands_goes_on_where_the_pinned_version_does_not_start() {
    let kept = Kept::new(TENURE, PROGRAM);
    let broken = kept.sandbox.path().join("broken");
    kept.offer("1.0.0").words(&[&format!("once={}:3", broken.display())]).write();
    kept.offer("2.0.0").write();
    ensure(&kept, "1.0.0");
    let newest = ensure(&kept, "2.0.0");
    std::fs::write(&broken, "").expect("a sandbox takes files");
    let failed = kept.pin("1.0.0").run().expect(1);
    let said = failed.json()["error"].to_string();
    assert!(said.contains("exit status 3"), "its last words: {said}");
    assert!(said.contains("nothing is held, and version 2.0.0 goes on serving"), "{said}");
    let status = kept.status().expect(0);
    assert_eq!((kept::version(&status).as_str(), held(&kept)), ("2.0.0", None));
    assert_eq!(kept::pid(&status), kept::pid(&newest));
    let up = ensure(&kept, "2.0.0");
    assert_eq!((up.state().as_str(), kept::pid(&up)), ("up", kept::pid(&status)));
    assert_eq!((kept.count(What::Pinned), kept.sandbox.oracle().count("double")), (0, 0));
    // It is repaired: a person's next word counts at once.
    std::fs::remove_file(&broken).expect("it is there");
    assert_eq!(kept::version(&kept.pin("1.0.0").run().expect(0)), "1.0.0");
    kept.stop().run().expect(0);
}

#[test]
fn a_pin_waits_for_whoever_starts_a_worker_and_then_has_its_way() {
    let (kept, _) = two(&[]);
    let meeting = kept.sandbox.meeting("boot");
    kept.offer("3.0.0").words(&[&format!("meet={}", kept.sandbox.path().join("boot").display())]).write();
    let starter = kept.launcher("ensure", "3.0.0").start();
    let booting = meeting.meet();
    let pin = kept.pin("1.0.0").start();
    booting.release();
    assert_eq!(kept::version(&starter.wait().expect(0)), "3.0.0");
    let pinned = pin.wait().expect(0);
    assert_eq!(pinned.json()["old"]["version"], "3.0.0", "{}", pinned.stdout);
    let after = ensure(&kept, "2.0.0");
    assert_eq!((kept::pid(&after), kept::version(&after).as_str()), (kept::pid(&pinned), "1.0.0"));
    kept.stop().run().expect(0);
}

#[test]
fn a_version_that_still_boots_is_pinned_when_it_stands_and_not_before() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("boot");
    kept.offer("1.0.0").words(&[&format!("meet={}", kept.sandbox.path().join("boot").display())]).write();
    let config = kept.file("1.0.0").display().to_string();
    // Its launcher has gone: nobody holds the gate, and the worker boots on.
    let words = ["ensure", "w", "--json", "--timeout", "2s", "--config", &config];
    let warming = kept.sandbox.tenure(words).run().expect(124);
    let booting = meeting.meet();
    let early = kept.sandbox.tenure(["pin", "w", "1.0.0", "--json", "--timeout", "300ms"]).run();
    assert_eq!((early.state().as_str(), held(&kept)), ("timed-out", None), "{}", early.stdout);
    let pin = kept.pin("1.0.0").start();
    booting.release();
    let pinned = pin.wait().expect(0);
    assert_eq!(
        (&pinned.json()["replaced"], &pinned.json()["app"]["state"]),
        (&false.into(), &"ready".into())
    );
    assert_eq!(
        (kept::pid(&ensure(&kept, "1.0.0")), held(&kept)),
        (kept::pid(&pinned), Some(Version::new(1, 0, 0)))
    );
    assert_eq!((warming.state().as_str(), kept.count(What::Spawned)), ("warming", 1));
    kept.stop().run().expect(0);
}

#[test]
fn a_version_that_says_at_the_end_of_its_boot_that_it_is_another_is_no_matter_of_time() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("boot");
    let meets = format!("meet={}", kept.sandbox.path().join("boot").display());
    // It has something to do until it says so: most often the pin is there before.
    let offer = kept.offer("2.0.0").words(&["claims=1.0.0", &meets, "flood=8000000", "notify"]);
    offer.ready(Some("{ notify = true }")).write();
    let config = kept.file("2.0.0").display().to_string();
    let words = ["ensure", "w", "--json", "--timeout", "2s", "--config", &config];
    kept.sandbox.tenure(words).run().expect(124);
    let booting = meeting.meet();
    let pin = kept.pin("2.0.0").start();
    booting.release();
    drop(meeting);
    let refused = pin.wait();
    assert_eq!((refused.state().as_str(), held(&kept)), ("restart-unproved", None), "{}", refused.stdout);
    kept.stop().run().expect(0);
}

#[test]
fn a_stop_that_holds_turns_every_launcher_away_and_names_who_did_it() {
    let (kept, _) = two(&[]);
    let holder = kept.sandbox.tenure(["stop", "w", "--hold", "--json"]).start();
    let by = format!("pid {}", holder.child().pid());
    assert_eq!(holder.wait().expect(0).json()["held"], true);
    for answer in kept::answers(kept.crowd(["1.0.0", "2.0.0", "1.0.0", "2.0.0"])) {
        let refused = answer.expect(3);
        assert_eq!(refused.state(), "down", "{}", refused.stdout);
        assert!(kept::message(&refused).contains(&by), "who: {}", refused.stdout);
        assert!(refused.json()["error"]["hint"].as_str().is_some_and(|hint| hint.contains("tenure start")));
    }
    let status = kept.status().expect(3);
    assert_eq!(format!("pid {}", status.json()["held_down"]["by"]["pid"]), by, "{}", status.stdout);
    let told = kept.sandbox.tenure(["status", "w"]).run().expect(3);
    assert!(told.stdout.contains("held down") && told.stdout.contains("tenure start w"), "{}", told.stdout);
    // Again, and by a stop that does not hold: it stays as it was.
    kept.sandbox.tenure(["stop", "w", "--hold", "--json"]).run().expect(0);
    kept.stop().run().expect(0);
    assert_eq!(kept.launcher("ensure", "2.0.0").run().expect(3).state(), "down");
    assert_eq!((kept.count(What::HeldDown), kept.count(What::Spawned)), (1, 2));
    let started = kept.launcher("start", "1.0.0").run().expect(0);
    assert_eq!((started.state().as_str(), kept::version(&started).as_str()), ("started", "2.0.0"));
    assert_eq!(ensure(&kept, "2.0.0").state(), "up");
    assert_eq!((kept.count(What::Released), kept.desired().down), (1, None));
    kept.stop().run().expect(0);
}

#[test]
fn neither_restart_nor_pin_starts_what_a_person_stopped_for_good() {
    let (kept, _) = two(&[]);
    kept.sandbox.tenure(["stop", "w", "--hold"]).run().expect(0);
    assert_eq!(kept.launcher("restart", "2.0.0").run().expect(3).state(), "down");
    let pinned = kept.pin("1.0.0").run().expect(0);
    assert_eq!(
        (&pinned.json()["replaced"], &pinned.json()["pid"]),
        (&false.into(), &serde_json::Value::Null)
    );
    assert_eq!(kept.launcher("ensure", "2.0.0").run().expect(3).state(), "down");
    assert_eq!(kept.count(What::Spawned), 2);
    assert_eq!(kept::version(&kept.launcher("start", "2.0.0").run().expect(0)), "1.0.0");
    kept.stop().run().expect(0);
}

#[test]
fn a_stop_that_holds_where_nothing_ever_ran_holds() {
    let kept = Kept::with(TENURE, PROGRAM, &[]);
    kept.sandbox.tenure(["stop", "w", "--hold"]).run().expect(0);
    assert_eq!(kept.ensure().run().expect(3).state(), "down");
    assert_eq!(kept.sandbox.oracle().count("start"), 0);
    assert_eq!(kept.launcher("start", "1.0.0").run().expect(0).state(), "started");
    kept.stop().run().expect(0);
}

#[test]
fn a_stop_that_holds_ends_what_ten_launchers_wait_for() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("boot");
    kept.offer("1.0.0").words(&[&format!("meet={}", kept.sandbox.path().join("boot").display())]).write();
    let crowd = kept.crowd(["1.0.0"; 10]);
    let booting = meeting.meet();
    // Whoever is started from now on waits for nobody.
    drop(meeting);
    kept.sandbox.tenure(["stop", "w", "--hold", "--json", "--timeout", "40s"]).run().expect(0);
    drop(booting);
    // A launcher that came to the gate before the stop may have started another one, which the stop then ended.
    for answer in kept::answers(crowd) {
        let told = ["up", "started", "spawn-failed", "down"].contains(&answer.state().as_str());
        assert!(told, "{}", answer.stdout);
    }
    assert_eq!(kept.status().expect(3).state(), "down");
    assert!(kept.sandbox.processes().is_empty(), "{}", kept.sandbox.story());
    assert_eq!(kept.ensure().run().expect(3).state(), "down");
}

#[test]
fn a_start_releases_a_stop_that_was_killed_before_it_ended_the_worker() {
    let (kept, newest) = two(&[]);
    // What such a stop leaves: the word on record, and the worker.
    let by = Asker::default();
    let desired = Desired { down: Some(Down { by, at: Moment::now() }), ..kept.desired() };
    let text = serde_json::to_vec(&desired).expect("a record can be written");
    std::fs::write(kept.state().join("desired.json"), text).expect("ours");
    let up = kept.launcher("start", "2.0.0").run().expect(0);
    assert_eq!((up.state().as_str(), kept::pid(&up)), ("up", kept::pid(&newest)));
    assert_eq!((kept.desired().down, kept.count(What::Released)), (None, 1));
    kept::kill(&kept::host(&up));
    assert_eq!(ensure(&kept, "2.0.0").state(), "started");
    kept.stop().run().expect(0);
}

#[test]
fn a_boot_that_a_person_stops_counts_against_nobody() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("boot");
    kept.offer("1.0.0").words(&[&format!("meet={}", kept.sandbox.path().join("boot").display())]).write();
    let starter = kept.ensure().start();
    let booting = meeting.meet();
    drop(meeting);
    kept.stop().run().expect(0);
    drop(booting);
    let failed = starter.wait().expect(1);
    assert!(kept::message(&failed).contains("tenure stop"), "{}", failed.stdout);
    assert_eq!(kept.desired().failures, []);
    assert_eq!(kept.ensure().run().expect(0).state(), "started", "and the next one is not kept from it");
    kept.stop().run().expect(0);
}
