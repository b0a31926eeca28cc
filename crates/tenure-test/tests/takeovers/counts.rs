//! What outlives the call that asked for a takeover: a failure is counted, a stop is heard, a late pin leaves nothing.

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_sys::process::ProcessHandle;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Call;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::system;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// `tenure COMMAND w` of an installation, by somebody in a hurry.
fn hurried<'fixture>(fixture: &'fixture Fixture, command: &str, version: &str) -> Call<'fixture> {
    fixture.launcher_within("2s", command, version)
}

#[test]
fn a_version_that_fails_after_its_launcher_has_gone_is_counted_all_the_same() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("boot");
    let meet = meeting.word();
    fixture.offer("1.0.0").write();
    fixture.offer("2.0.0").words(&[&meet, "exit=3"]).write();
    let first = fixture.ensure().run().expect(0);
    hurried(&fixture, "ensure", "2.0.0").run().expect(124);
    meeting.meet().release();
    for _ in 0..3 {
        let told = fixture.launcher("ensure", "2.0.0").run().expect(0);
        assert_eq!((answer::version(&told).as_str(), answer::pid(&told)), ("1.0.0", answer::pid(&first)));
        assert_eq!(answer::warnings(&told), ["offer-not-running"], "{}", told.stdout);
        assert!(told.stdout.contains("exit status 3"), "{}", told.stdout);
    }
    // The old one, the new one, and the old one again: nobody has tried once more.
    assert_eq!((fixture.sandbox.oracle().count("start"), fixture.count(What::Replacing)), (3, 1));
    assert_eq!(fixture.desired().failures.len(), 1);
    fixture.stop().run().expect(0);
}

#[test]
fn a_stop_that_is_shorter_than_the_drain_is_heard_while_room_is_made() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("room");
    fixture.offer("1.0.0").words(&["deaf"]).line("stop = { grace = \"5s\" }").write();
    fixture.ensure().fault(&meeting.armed(Point::IncumbentCommitted)).run().expect(0);
    let restart = fixture.restart().start();
    meeting.meet().release();
    let words = ["stop", "w", "--json", "--timeout", "1s"];
    let stopped = fixture.sandbox.tenure(words).run();
    let restarted = restart.wait().expect(1);
    assert_eq!(restarted.state(), "restart-unproved", "{}", restarted.stdout);
    fixture.stop().run().expect(0);
    assert_eq!(fixture.status().state(), "down", "{}", stopped.stdout);
    assert_eq!((fixture.count(What::TakenOver), fixture.sandbox.oracle().count("start")), (0, 1));
}

#[test]
fn a_pin_that_is_late_leaves_what_stood_and_nothing_that_comes_later() {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("boot");
    let once = fixture.sandbox.path().join("boot");
    fixture.offer("1.0.0").words(&[&format!("meet={}", once.display())]).write();
    fixture.offer("2.0.0").write();
    let starter = fixture.ensure().start();
    meeting.meet().release();
    starter.wait().expect(0);
    let newest = fixture.launcher("ensure", "2.0.0").run().expect(0);
    let words = ["pin", "w", "1.0.0", "--json", "--timeout", "1s"];
    let pin = fixture.sandbox.tenure(words).start();
    let late = meeting.meet();
    let told = pin.wait().expect(1);
    assert!(answer::message(&told).contains("nothing is pinned"), "{}", told.stdout);
    late.release();
    let up = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((answer::pid(&up), answer::version(&up).as_str()), (answer::pid(&newest), "2.0.0"));
    assert_eq!((fixture.desired().pin, fixture.sandbox.oracle().count("double")), (None, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn listeners_that_change_their_names_are_taken_over_by_their_addresses() {
    let fixture = Fixture::new(BINARIES);
    let (one, two) = (system::free_address(), system::free_address());
    let listen = |first, second| {
        format!("{{ name = \"{first}\", tcp = \"{one}\" }}, {{ name = \"{second}\", tcp = \"{two}\" }}")
    };
    fixture.offer("1.0.0").listen(Some(&listen("http", "admin"))).write();
    fixture.offer("2.0.0").listen(Some(&listen("admin", "http"))).write();
    let first = fixture.ensure().run().expect(0);
    let second = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((answer::version(&second).as_str(), answer::warnings(&second).len()), ("2.0.0", 0));
    assert_eq!((fixture.count(What::TakenOver), ask::address(&first)), (1, one));
    fixture.stop().run().expect(0);
}

/// The new version was put in the place of the old one's file; what the old one was made of is gone.
#[test]
fn an_upgrade_in_place_that_fails_after_it_was_ready_is_told_with_its_own_cause() {
    let mut fixture = Fixture::new(BINARIES);
    let file = fixture.sandbox.work().join("app");
    std::fs::copy(BINARIES.program, &file).expect("a copy");
    fixture.move_program(&file);
    fixture.offer("1.0.0").write();
    fixture.offer("2.0.0").line("bake = \"20s\"").line("restart = { on = \"never\" }").write();
    fixture.ensure().run().expect(0);
    fixture.settled();
    let next = fixture.sandbox.work().join("next");
    std::fs::copy(BINARIES.program, &next).expect("a copy");
    std::fs::rename(&next, &file).expect("an upgrade in place");
    let meeting = fixture.sandbox.meeting("active");
    let restart = fixture.launcher("restart", "2.0.0").fault(&meeting.armed(Point::SuccessorActive)).start();
    let met = meeting.meet();
    let program = fixture.ledger().program.and_then(|program| program.identity).expect("it runs");
    met.release();
    processes::kill(&ProcessHandle::open(program.pid).expect("it runs"));
    let failed = restart.wait().expect(1);
    assert!(failed.stdout.contains("of its probation"), "it failed: {}", failed.stdout);
    assert!(failed.stdout.contains("signal"), "and how: {}", failed.stdout);
    assert!(failed.stdout.contains("files have changed"), "and why nobody serves: {}", failed.stdout);
    assert!(!failed.stdout.contains("was asked to end"), "nobody asked: {}", failed.stdout);
    fixture.stop().run().expect(0);
}
