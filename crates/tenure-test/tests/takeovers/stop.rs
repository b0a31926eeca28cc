//! `tenure stop` while one worker takes the place of another, at every point of that: it ends both, whoever of them hears of
//! it, and nothing serves or is left afterwards.
//!
//! At each point once with the takeover held there until the stop has been answered, and once let go while it is on its way.

use std::net::{SocketAddr, TcpStream};
use std::thread;

use tenure_core::fault::{Point, PointRole};
use tenure_sys::process::ProcessHandle;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::{Output, Running};
use tenure_test::fixtures::meeting::Met;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// When the takeover goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    /// Once the stop has been answered.
    Never,
    /// While the stop is on its way.
    Meanwhile,
}

/// A worker that is restarted.
struct Scene {
    fixture: Fixture,
    point: Point,
    address: SocketAddr,
}

impl Scene {
    /// Takes a restart to `point`, and holds it there.
    fn at(point: Point, overlap: bool, goes: Goes) -> (Self, Running, Met) {
        let fixture = Fixture::new(BINARIES.serving());
        let lines = [
            &*format!("overlap = {overlap}"),
            "stop = { grace = \"300ms\" }",
            "drain_timeout = \"300ms\"",
            // Long enough to be stopped within.
            if point == Point::IncumbentRelieved && !overlap && goes == Goes::Meanwhile {
                "bake = \"20s\""
            } else {
                "bake = \"0s\""
            },
        ];
        let words = ["ready=fd", if overlap { "overlaps" } else { "linger=0" }];
        let offer = fixture.offer("1.0.0").ready(Some("\"fd\"")).words(&words);
        let offer = lines.iter().fold(offer, |offer, line| offer.line(line));
        offer.clone().write();
        let meeting = fixture.sandbox.meeting("point");
        let armed = meeting.armed(point);
        let old = point.role() == PointRole::Incumbent;
        let first = if old { fixture.ensure().fault(&armed) } else { fixture.ensure() };
        let address = ask::address(&first.run().expect(0));
        // The successor is given up soon where it is held.
        offer.line("start_timeout = \"1s\"").write();
        // Whoever restarts holds the gate until it knows, and has little time for it.
        let restart = fixture.launcher_within("2s", "restart", "1.0.0");
        let dies = format!("{}=kill", Point::SuccessorGranted.name());
        let restart = match (point == Point::IncumbentReclaiming, old) {
            (true, _) => restart.fault(&dies),
            (false, true) => restart,
            (false, false) => restart.fault(&armed),
        };
        let restart = restart.wedged_soon().start();
        let met = meeting.meet();
        assert_eq!(met.point, point.name());
        (Self { fixture, point, address }, restart, met)
    }

    /// Stops it there; everything ends.
    fn stopped(self, goes: Goes, restart: Running, met: Met) {
        let held = ProcessHandle::open(met.pid).expect("it waits there");
        let stop = self.fixture.stop().wedged_soon().start();
        let (stopped, met) = match goes {
            Goes::Never => (stop.wait(), Some(met)),
            Goes::Meanwhile => {
                met.release();
                (stop.wait(), None)
            }
        };
        self.nothing_is_left(&stopped, goes);
        assert!(held.has_ended(), "{:?} {goes:?}: it was ended", self.point);
        drop(met);
        let restarted = restart.wait();
        let code = restarted.code();
        // Proved before the stop, not proved, or out of time.
        assert!([0, 1, 124].contains(&code), "{:?} {goes:?}: {code} {}", self.point, restarted.stdout);
        self.nothing_is_left(&stopped, goes);
    }

    fn nothing_is_left(&self, stopped: &Output, goes: Goes) {
        let story =
            || format!("{:?} {goes:?}: {}\n{}", self.point, stopped.stdout, self.fixture.sandbox.story());
        assert_eq!(stopped.code(), 0, "{}", story());
        assert!(TcpStream::connect(self.address).is_err(), "nobody serves: {}", story());
        let own: Vec<_> = self.fixture.sandbox.processes().into_iter().map(|left| left.command).collect();
        let left: Vec<_> = own.iter().filter(|command| !command.contains(" restart ")).collect();
        assert!(left.is_empty(), "{left:?}: {}", story());
        assert_eq!(self.fixture.status().state(), "down", "{}", story());
    }
}

/// At every point at once: a takeover that is held waits most of the time.
fn everywhere(role: PointRole, overlap: bool, goes: Goes) {
    // Nobody has to make room before the other one serves where both do.
    let passed = |point: &Point| !overlap || *point != Point::IncumbentCommitted;
    let of_role = Point::ALL.iter().copied().filter(|point| point.role() == role);
    thread::scope(|scope| {
        for point in of_role.filter(passed) {
            scope.spawn(move || {
                let (scene, restart, met) = Scene::at(point, overlap, goes);
                scene.stopped(goes, restart, met);
            });
        }
    });
}

#[test]
fn a_stop_while_the_successor_is_held_ends_both() {
    everywhere(PointRole::Successor, false, Goes::Never);
}

#[test]
fn a_stop_while_the_successor_goes_on_ends_both() {
    everywhere(PointRole::Successor, false, Goes::Meanwhile);
}

#[test]
fn a_stop_while_the_incumbent_is_held_ends_both() {
    everywhere(PointRole::Incumbent, false, Goes::Never);
}

#[test]
fn a_stop_while_the_incumbent_goes_on_ends_both() {
    everywhere(PointRole::Incumbent, false, Goes::Meanwhile);
}

#[test]
fn a_stop_while_both_programs_serve_and_the_successor_is_held_ends_both() {
    everywhere(PointRole::Successor, true, Goes::Never);
}

#[test]
fn a_stop_while_both_programs_serve_and_the_successor_goes_on_ends_both() {
    everywhere(PointRole::Successor, true, Goes::Meanwhile);
}

#[test]
fn a_stop_while_both_programs_serve_and_the_incumbent_is_held_ends_both() {
    everywhere(PointRole::Incumbent, true, Goes::Never);
}

#[test]
fn a_stop_while_both_programs_serve_and_the_incumbent_goes_on_ends_both() {
    everywhere(PointRole::Incumbent, true, Goes::Meanwhile);
}
