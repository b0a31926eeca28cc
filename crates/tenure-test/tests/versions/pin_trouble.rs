//! What a pin cannot do is said before anything is lost by it; and a stop that holds, which nobody overrides by accident.

use tenure_core::Version;
use tenure_core::deadline::Moment;
use tenure_core::fault::Point;
use tenure_core::protocol::wire::Asker;
use tenure_core::record::desired::{Desired, Down};
use tenure_core::record::ledger::RolledBack;
use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

fn ensure(fixture: &Fixture, version: &str) -> Output {
    fixture.launcher("ensure", version).run().expect(0)
}

fn held(fixture: &Fixture) -> Option<Version> {
    fixture.desired().pin
}

/// Two versions that were offered, of which the older one runs with these words, and the newer one stands.
fn two(words: &[&str]) -> (Fixture, Output) {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").words(words).write();
    fixture.offer("2.0.0").write();
    ensure(&fixture, "1.0.0");
    let newest = ensure(&fixture, "2.0.0");
    (fixture, newest)
}

#[test]
fn a_version_that_nobody_offered_is_refused_with_those_that_are_known() {
    let (fixture, newest) = two(&[]);
    let refused = fixture.pin("1.0.1").run().expect(5);
    assert_eq!(refused.state(), "unknown-version");
    assert!(answer::message(&refused).contains("known: 1.0.0, 2.0.0"), "{}", refused.stdout);
    assert_eq!((answer::pid(&fixture.status().expect(0)), held(&fixture)), (answer::pid(&newest), None));
    assert_eq!(fixture.count(What::Pinned), 0);
    fixture.stop().run().expect(0);
}

#[test]
fn a_pin_where_nothing_ever_ran_says_so_and_leaves_nothing() {
    let fixture = Fixture::with(BINARIES, &[]);
    let refused = fixture.pin("1.0.0").run().expect(5);
    assert_eq!(refused.state(), "unknown-version");
    assert!(answer::message(&refused).contains("known: none"), "{}", refused.stdout);
    assert_eq!(fixture.unpin().run().expect(0).state(), "unpinned");
    assert!(!fixture.state().exists(), "nothing was written");
}

#[test]
fn a_pin_of_a_version_whose_program_is_gone_is_said_before_anything_is_stopped() {
    let mut fixture = Fixture::new(BINARIES);
    let installed = fixture.sandbox.path().join("installed-program");
    std::fs::copy(BINARIES.program, &installed).expect("a program can be copied");
    fixture.move_program(&installed);
    fixture.offer("1.0.0").write();
    fixture.move_program(BINARIES.program.as_ref());
    fixture.offer("2.0.0").write();
    ensure(&fixture, "1.0.0");
    let newest = ensure(&fixture, "2.0.0");
    std::fs::remove_file(&installed).expect("it can be removed");
    let refused = fixture.pin("1.0.0").run().expect(1);
    assert_eq!(refused.state(), "spawn-failed", "{}", refused.stdout);
    let said = refused.json()["error"].to_string();
    assert!(said.contains("installed-program"), "{said}");
    assert_eq!((answer::pid(&fixture.status().expect(0)), held(&fixture)), (answer::pid(&newest), None));
    assert_eq!((fixture.count(What::Pinned), fixture.count(What::Spawned)), (0, 2));
    fixture.stop().run().expect(0);
    // Where nothing runs, it would be the outage of the next launcher.
    let refused = fixture.pin("1.0.0").run();
    assert_eq!((refused.code(), held(&fixture)), (1, None), "{}", refused.stdout);
    assert_eq!(answer::version(&ensure(&fixture, "2.0.0")), "2.0.0");
    fixture.stop().run().expect(0);
}

#[test]
fn what_stands_goes_on_where_the_pinned_version_does_not_start() {
    let fixture = Fixture::new(BINARIES);
    let broken = fixture.sandbox.path().join("broken");
    fixture.offer("1.0.0").words(&[&format!("once={}:3", broken.display())]).write();
    fixture.offer("2.0.0").write();
    ensure(&fixture, "1.0.0");
    let newest = ensure(&fixture, "2.0.0");
    std::fs::write(&broken, "").expect("a sandbox takes files");
    let failed = fixture.pin("1.0.0").run().expect(1);
    let said = failed.json()["error"].to_string();
    assert!(said.contains("exit status 3"), "its last words: {said}");
    assert!(said.contains("nothing is pinned, and version 2.0.0 goes on serving"), "{said}");
    let status = fixture.status().expect(0);
    assert_eq!((answer::version(&status).as_str(), held(&fixture)), ("2.0.0", None));
    assert_eq!(answer::pid(&status), answer::pid(&newest));
    let up = ensure(&fixture, "2.0.0");
    assert_eq!((up.state().as_str(), answer::pid(&up)), ("up", answer::pid(&status)));
    assert_eq!((fixture.count(What::Pinned), fixture.sandbox.oracle().count("double")), (0, 0));
    // It is repaired: a person's next word counts at once.
    std::fs::remove_file(&broken).expect("it is there");
    assert_eq!(answer::version(&fixture.pin("1.0.0").run().expect(0)), "1.0.0");
    fixture.stop().run().expect(0);
}

/// While a pin holds the gate, an incumbent puts on record that version 2.0.0 failed its probation. The pinned version does
/// not start, and what is started again is what that record leaves.
#[test]
fn what_failed_its_probation_while_a_pin_held_the_gate_is_not_put_back() {
    let fixture = Fixture::new(BINARIES);
    let broken = fixture.sandbox.path().join("broken");
    fixture.offer("1.0.0").write();
    fixture.offer("2.0.0").write();
    ensure(&fixture, "1.0.0");
    let address = ask::address(&ensure(&fixture, "2.0.0"));
    // A program that binds this port by itself is started only once the worker that has it is gone.
    let by_itself = format!("{{ name = \"http\", tcp = \"{address}\", mode = \"self\" }}");
    fixture.offer("3.0.0").words(&[&format!("once={}:3", broken.display())]).listen(Some(&by_itself)).write();
    std::fs::write(&broken, "").expect("a sandbox takes files");
    ensure(&fixture, "3.0.0");
    let meeting = fixture.sandbox.meeting("lease");
    let pin = fixture.pin("3.0.0").fault(&meeting.armed(Point::LeaseTaken)).start();
    let holder = meeting.meet();
    // Nobody but this test writes the ledger now.
    let offers = fixture.desired().offers;
    let two = offers.into_iter().find(|offer| offer.spec.version.major() == 2).expect("it was offered");
    let (version, spec) = (two.spec.version.clone(), two.spec.digest());
    let failed = RolledBack { version, spec, at: Moment::now(), why: "exit status 3".to_owned() };
    fixture.forge(|ledger| ledger.rolled_back = Some(failed));
    holder.release();
    // The second start is that of what is put back.
    meeting.meet().release();

    let failure = pin.wait().expect(1);

    let message = answer::message(&failure);
    assert!(message.contains("version 1.0.0 was started again"), "{message}");
    let failures = fixture.desired().failures;
    assert!(failures.iter().any(|failure| failure.version.major() == 2), "{failures:?}");
    assert_eq!(answer::version(&fixture.status().expect(0)), "1.0.0");
    fixture.stop().run().expect(0);
}

#[test]
fn a_pin_waits_for_whoever_starts_a_worker_and_then_has_its_way() {
    let (fixture, _) = two(&[]);
    let meeting = fixture.sandbox.meeting("boot");
    fixture.offer("3.0.0").words(&[&meeting.word()]).write();
    let starter = fixture.launcher("ensure", "3.0.0").start();
    let booting = meeting.meet();
    let pin = fixture.pin("1.0.0").start();
    booting.release();
    assert_eq!(answer::version(&starter.wait().expect(0)), "3.0.0");
    let pinned = pin.wait().expect(0);
    assert_eq!(pinned.json()["old"]["version"], "3.0.0", "{}", pinned.stdout);
    let after = ensure(&fixture, "2.0.0");
    assert_eq!((answer::pid(&after), answer::version(&after).as_str()), (answer::pid(&pinned), "1.0.0"));
    fixture.stop().run().expect(0);
}

#[test]
fn a_version_that_still_boots_is_pinned_when_it_stands_and_not_before() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("boot");
    fixture.offer("1.0.0").words(&[&meeting.word()]).write();
    // Its launcher has gone: nobody holds the gate, and the worker boots on.
    let warming = fixture.launcher_within("2s", "ensure", "1.0.0").run().expect(124);
    let booting = meeting.meet();
    let early = fixture.sandbox.tenure(["pin", "w", "1.0.0", "--json", "--timeout", "300ms"]).run();
    assert_eq!((early.state().as_str(), held(&fixture)), ("timed-out", None), "{}", early.stdout);
    let pin = fixture.pin("1.0.0").start();
    booting.release();
    let pinned = pin.wait().expect(0);
    assert_eq!(
        (&pinned.json()["replaced"], &pinned.json()["app"]["state"]),
        (&false.into(), &"ready".into())
    );
    assert_eq!(
        (answer::pid(&ensure(&fixture, "1.0.0")), held(&fixture)),
        (answer::pid(&pinned), Some(Version::new(1, 0, 0)))
    );
    assert_eq!((warming.state().as_str(), fixture.count(What::Spawned)), ("warming", 1));
    fixture.stop().run().expect(0);
}

#[test]
fn a_version_that_says_at_the_end_of_its_boot_that_it_is_another_is_no_matter_of_time() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("boot");
    let meets = meeting.word();
    // It has something to do until it says so: most often the pin is there before.
    let offer = fixture.offer("2.0.0").words(&["claims=1.0.0", &meets, "flood=8000000", "notify"]);
    offer.ready(Some("{ notify = true }")).write();
    fixture.launcher_within("2s", "ensure", "2.0.0").run().expect(124);
    let booting = meeting.meet();
    let pin = fixture.pin("2.0.0").start();
    booting.release();
    drop(meeting);
    let refused = pin.wait();
    assert_eq!((refused.state().as_str(), held(&fixture)), ("restart-unproved", None), "{}", refused.stdout);
    fixture.stop().run().expect(0);
}

#[test]
fn a_stop_that_holds_turns_every_launcher_away_and_names_who_did_it() {
    let (fixture, _) = two(&[]);
    let holder = fixture.sandbox.tenure(["stop", "w", "--hold", "--json"]).start();
    let by = format!("pid {}", holder.child().pid());
    assert_eq!(holder.wait().expect(0).json()["held"], true);
    for answer in answer::answers(fixture.crowd(["1.0.0", "2.0.0", "1.0.0", "2.0.0"])) {
        let refused = answer.expect(3);
        assert_eq!(refused.state(), "down", "{}", refused.stdout);
        assert!(answer::message(&refused).contains(&by), "who: {}", refused.stdout);
        assert!(refused.json()["error"]["hint"].as_str().is_some_and(|hint| hint.contains("tenure start")));
    }
    let status = fixture.status().expect(3);
    assert_eq!(format!("pid {}", status.json()["held_down"]["by"]["pid"]), by, "{}", status.stdout);
    let told = fixture.sandbox.tenure(["status", "w"]).run().expect(3);
    assert!(told.stdout.contains("held down") && told.stdout.contains("tenure start w"), "{}", told.stdout);
    // Again, and by a stop that does not hold: it stays as it was.
    fixture.sandbox.tenure(["stop", "w", "--hold", "--json"]).run().expect(0);
    fixture.stop().run().expect(0);
    assert_eq!(fixture.launcher("ensure", "2.0.0").run().expect(3).state(), "down");
    assert_eq!((fixture.count(What::HeldDown), fixture.count(What::Spawned)), (1, 2));
    let started = fixture.launcher("start", "1.0.0").run().expect(0);
    assert_eq!((started.state().as_str(), answer::version(&started).as_str()), ("started", "2.0.0"));
    assert_eq!(ensure(&fixture, "2.0.0").state(), "up");
    assert_eq!((fixture.count(What::Released), fixture.desired().down), (1, None));
    fixture.stop().run().expect(0);
}

#[test]
fn neither_restart_nor_pin_starts_what_a_person_stopped_for_good() {
    let (fixture, _) = two(&[]);
    fixture.sandbox.tenure(["stop", "w", "--hold"]).run().expect(0);
    assert_eq!(fixture.launcher("restart", "2.0.0").run().expect(3).state(), "down");
    let pinned = fixture.pin("1.0.0").run().expect(0);
    assert_eq!(
        (&pinned.json()["replaced"], &pinned.json()["pid"]),
        (&false.into(), &serde_json::Value::Null)
    );
    assert_eq!(fixture.launcher("ensure", "2.0.0").run().expect(3).state(), "down");
    assert_eq!(fixture.count(What::Spawned), 2);
    assert_eq!(answer::version(&fixture.launcher("start", "2.0.0").run().expect(0)), "1.0.0");
    fixture.stop().run().expect(0);
}

#[test]
fn a_stop_that_holds_where_nothing_ever_ran_holds() {
    let fixture = Fixture::with(BINARIES, &[]);
    fixture.sandbox.tenure(["stop", "w", "--hold"]).run().expect(0);
    assert_eq!(fixture.ensure().run().expect(3).state(), "down");
    assert_eq!(fixture.sandbox.oracle().count("start"), 0);
    assert_eq!(fixture.launcher("start", "1.0.0").run().expect(0).state(), "started");
    fixture.stop().run().expect(0);
}

#[test]
fn a_stop_that_holds_ends_what_ten_launchers_wait_for() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("boot");
    fixture.offer("1.0.0").words(&[&meeting.word()]).write();
    let crowd = fixture.crowd(["1.0.0"; 10]);
    let booting = meeting.meet();
    // Whoever is started from now on waits for nobody.
    drop(meeting);
    fixture.sandbox.tenure(["stop", "w", "--hold", "--json", "--timeout", "40s"]).run().expect(0);
    drop(booting);
    // A launcher that came to the gate before the stop may have started another one, which the stop then ended.
    for answer in answer::answers(crowd) {
        let told = ["up", "started", "spawn-failed", "down"].contains(&answer.state().as_str());
        assert!(told, "{}", answer.stdout);
    }
    assert_eq!(fixture.status().expect(3).state(), "down");
    assert!(fixture.sandbox.processes().is_empty(), "{}", fixture.sandbox.story());
    assert_eq!(fixture.ensure().run().expect(3).state(), "down");
}

#[test]
fn a_start_releases_a_stop_that_was_killed_before_it_ended_the_worker() {
    let (fixture, newest) = two(&[]);
    // What such a stop leaves: the word on record, and the worker.
    let by = Asker::default();
    let desired = Desired { down: Some(Down { by, at: Moment::now() }), ..fixture.desired() };
    let text = serde_json::to_vec(&desired).expect("a record can be written");
    std::fs::write(fixture.state().join("desired.json"), text).expect("ours");
    let up = fixture.launcher("start", "2.0.0").run().expect(0);
    assert_eq!((up.state().as_str(), answer::pid(&up)), ("up", answer::pid(&newest)));
    assert_eq!((fixture.desired().down, fixture.count(What::Released)), (None, 1));
    processes::kill(&processes::host(&up));
    assert_eq!(ensure(&fixture, "2.0.0").state(), "started");
    fixture.stop().run().expect(0);
}

#[test]
fn a_boot_that_a_person_stops_counts_against_nobody() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("boot");
    fixture.offer("1.0.0").words(&[&meeting.word()]).write();
    let starter = fixture.ensure().start();
    let booting = meeting.meet();
    drop(meeting);
    fixture.stop().run().expect(0);
    drop(booting);
    let failed = starter.wait().expect(1);
    assert!(answer::message(&failed).contains("tenure stop"), "{}", failed.stdout);
    assert_eq!(fixture.desired().failures, []);
    assert_eq!(fixture.ensure().run().expect(0).state(), "started", "and the next one is not kept from it");
    fixture.stop().run().expect(0);
}
