//! What outlives the call that asked for a takeover: a failure is counted, a stop is heard, a late pin leaves nothing.

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_sys::process::ProcessHandle;
use tenure_test::ask;
use tenure_test::kept::{self, Kept};
use tenure_test::sandbox::Call;

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

/// `tenure COMMAND w` of an installation, by somebody in a hurry.
fn hurried<'kept>(kept: &'kept Kept, command: &str, version: &str) -> Call<'kept> {
    let file = kept.file(version).display().to_string();
    kept.sandbox.tenure([command, "w", "--json", "--timeout", "2s", "--config", &file])
}

#[test]
fn a_version_that_fails_after_its_launcher_has_gone_is_counted_all_the_same() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("boot");
    let meet = format!("meet={}", kept.sandbox.path().join("boot").display());
    kept.offer("1.0.0").write();
    kept.offer("2.0.0").words(&[&meet, "exit=3"]).write();
    let first = kept.ensure().run().expect(0);
    hurried(&kept, "ensure", "2.0.0").run().expect(124);
    meeting.meet().release();
    for _ in 0..3 {
        let told = kept.launcher("ensure", "2.0.0").run().expect(0);
        assert_eq!((kept::version(&told).as_str(), kept::pid(&told)), ("1.0.0", kept::pid(&first)));
        assert_eq!(kept::warnings(&told), ["offer-not-running"], "{}", told.stdout);
        assert!(told.stdout.contains("exit status 3"), "{}", told.stdout);
    }
    // The old one, the new one, and the old one again: nobody has tried once more.
    assert_eq!((kept.sandbox.oracle().count("start"), kept.count(What::Replacing)), (3, 1));
    assert_eq!(kept.desired().failures.len(), 1);
    kept.stop().run().expect(0);
}

#[test]
fn a_stop_that_is_shorter_than_the_drain_is_heard_while_room_is_made() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("room");
    kept.offer("1.0.0").words(&["deaf"]).line("stop = { grace = \"5s\" }").write();
    kept.ensure().fault(&meeting.armed(Point::IncumbentCommitted)).run().expect(0);
    let restart = kept.restart().start();
    meeting.meet().release();
    let words = ["stop", "w", "--json", "--timeout", "1s"];
    let stopped = kept.sandbox.tenure(words).run();
    let restarted = restart.wait().expect(1);
    assert_eq!(restarted.state(), "restart-unproved", "{}", restarted.stdout);
    kept.stop().run().expect(0);
    assert_eq!(kept.status().state(), "down", "{}", stopped.stdout);
    assert_eq!((kept.count(What::TakenOver), kept.sandbox.oracle().count("start")), (0, 1));
}

#[test]
fn a_pin_that_is_late_leaves_what_stood_and_nothing_that_comes_later() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("boot");
    let once = kept.sandbox.path().join("boot");
    kept.offer("1.0.0").words(&[&format!("meet={}", once.display())]).write();
    kept.offer("2.0.0").write();
    let starter = kept.ensure().start();
    meeting.meet().release();
    starter.wait().expect(0);
    let newest = kept.launcher("ensure", "2.0.0").run().expect(0);
    let words = ["pin", "w", "1.0.0", "--json", "--timeout", "1s"];
    let pin = kept.sandbox.tenure(words).start();
    let late = meeting.meet();
    let told = pin.wait().expect(1);
    assert!(kept::message(&told).contains("nothing is held"), "{}", told.stdout);
    late.release();
    let up = kept.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((kept::pid(&up), kept::version(&up).as_str()), (kept::pid(&newest), "2.0.0"));
    assert_eq!((kept.desired().hold, kept.sandbox.oracle().count("double")), (None, 0));
    kept.stop().run().expect(0);
}

#[test]
fn listeners_that_change_their_names_are_taken_over_by_their_addresses() {
    let kept = Kept::new(TENURE, PROGRAM);
    let (one, two) = (kept::free_address(), kept::free_address());
    let listen = |first, second| {
        format!("{{ name = \"{first}\", tcp = \"{one}\" }}, {{ name = \"{second}\", tcp = \"{two}\" }}")
    };
    kept.offer("1.0.0").listen(Some(&listen("http", "admin"))).write();
    kept.offer("2.0.0").listen(Some(&listen("admin", "http"))).write();
    let first = kept.ensure().run().expect(0);
    let second = kept.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((kept::version(&second).as_str(), kept::warnings(&second).len()), ("2.0.0", 0));
    assert_eq!((kept.count(What::TakenOver), ask::address(&first)), (1, one));
    kept.stop().run().expect(0);
}

/// The new version was put in the place of the old one's file; what the old one was made of is gone.
#[test]
fn an_upgrade_in_place_that_fails_after_it_was_ready_is_told_with_its_own_cause() {
    let mut kept = Kept::new(TENURE, PROGRAM);
    let file = kept.sandbox.work().join("app");
    std::fs::copy(PROGRAM, &file).expect("a copy");
    kept.move_program(&file);
    kept.offer("1.0.0").write();
    kept.offer("2.0.0").line("bake = \"20s\"").line("restart = { on = \"never\" }").write();
    kept.ensure().run().expect(0);
    kept.settled();
    let next = kept.sandbox.work().join("next");
    std::fs::copy(PROGRAM, &next).expect("a copy");
    std::fs::rename(&next, &file).expect("an upgrade in place");
    let meeting = kept.sandbox.meeting("active");
    let restart = kept.launcher("restart", "2.0.0").fault(&meeting.armed(Point::SuccessorActive)).start();
    let met = meeting.meet();
    let program = kept.ledger().program.and_then(|program| program.identity).expect("it runs");
    met.release();
    kept::kill(&ProcessHandle::open(program.pid).expect("it runs"));
    let failed = restart.wait().expect(1);
    assert!(failed.stdout.contains("of its probation"), "it failed: {}", failed.stdout);
    assert!(failed.stdout.contains("signal"), "and how: {}", failed.stdout);
    assert!(failed.stdout.contains("files have changed"), "and why nobody serves: {}", failed.stdout);
    assert!(!failed.stdout.contains("was asked to end"), "nobody asked: {}", failed.stdout);
    kept.stop().run().expect(0);
}
