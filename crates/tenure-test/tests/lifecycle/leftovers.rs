//! What a dead worker leaves is found by every kind of evidence, and ended as its program was promised.

use tenure_core::Scope;
use tenure_core::fault::Point;
use tenure_core::launch::end::orphans;
use tenure_core::record::ledger::{Ledger, ProgramRecord};
use tenure_core::store::event::What;
use tenure_core::store::paths::StateDir;
use tenure_sys::identity::Identity;
use tenure_sys::process::ProcessHandle;
use tenure_sys::tree;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::meeting::Meeting;
use tenure_test::fixtures::processes::{self, freeze, kill};
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

const PROGRAM: &str = BINARIES.program;

/// The processes of a worker, by the record.
struct Cast {
    host: ProcessHandle,
    shim: ProcessHandle,
    program: ProcessHandle,
}

fn verified(identity: Option<&Identity>) -> ProcessHandle {
    ProcessHandle::open(identity.expect("it is on record").pid).expect("it lives")
}

impl Cast {
    fn of(fixture: &Fixture) -> Self {
        let Ledger { lineage, program, .. } = fixture.ledger();
        let program = program.expect("a program is on record");
        Self {
            host: verified(lineage.first()),
            shim: verified(program.shim.as_ref()),
            program: verified(program.identity.as_ref()),
        }
    }

    /// Kills host and shim, so that neither has seen the other's end.
    fn bereave(&self) {
        freeze(&self.shim);
        kill(&self.host);
        kill(&self.shim);
    }
}

/// A worker that listens nowhere, with these words for its program.
fn fixture(words: &[&str], lines: &[&str]) -> Fixture {
    let fixture = Fixture::new(BINARIES);
    let offer = fixture.offer("1.0.0").words(words).listen(None);
    lines.iter().fold(offer, |offer, line| offer.line(line)).write();
    fixture
}

/// The same, up, and in the place where its words have led it to.
fn up(fixture: &Fixture, meeting: &Meeting) -> Cast {
    fixture.ensure().run().expect(0);
    fixture.settled();
    meeting.meet().release();
    Cast::of(fixture)
}

/// A worker that is up and whose program, with neither cookie nor lock, meets the test whenever it is started.
fn shed(lines: &[&str]) -> (Fixture, Meeting, Cast) {
    let fixture = Fixture::new(BINARIES);
    let meeting = fixture.sandbox.meeting("there");
    let offer = fixture.offer("1.0.0").words(&["shed", &meeting.word()]).listen(None);
    lines.iter().fold(offer, |offer, line| offer.line(line)).write();
    let cast = up(&fixture, &meeting);
    (fixture, meeting, cast)
}

fn started_anew(fixture: &Fixture, old: &[&ProcessHandle]) -> Output {
    let answer = fixture.ensure().run().expect(0);
    assert_eq!(answer.state(), "started", "{}", answer.stdout);
    assert!(old.iter().all(|process| process.has_ended()), "nothing starts beside what was left");
    answer
}

/// A program that is a line of shell and listens nowhere.
fn shell(fixture: &Fixture, line: &str) {
    fixture.offer("1.0.0").listen(None).line(&format!("command = {:?}", ["/bin/sh", "-c", line])).write();
}

#[test]
fn what_a_failed_upgrade_left_with_its_lock_alone_keeps_nobody_from_coming_back() {
    let fixture = Fixture::new(BINARIES);
    for version in ["1.0.0", "2.0.0"] {
        fixture.offer(version).words(&["orphan"]).line("bake = \"20s\"").write();
    }
    let first = fixture.ensure().run().expect(0);
    let upgraded = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!(answer::version(&upgraded), "2.0.0", "{}", upgraded.stdout);
    let host = processes::host(&upgraded);
    let program = fixture.ledger().program.expect("a program is on record");
    let shim = verified(program.shim.as_ref());
    freeze(&shim);
    kill(&verified(program.identity.as_ref()));
    kill(&shim);
    kill(&host);
    let back = fixture.launcher("ensure", "1.0.0").run().expect(0);
    assert_eq!(answer::pid(&back), answer::pid(&first), "{}", fixture.sandbox.story());
    let held = fixture.ledger().ends.into_iter().find(|end| end.why.contains("holds its lock"));
    assert_eq!(held, None, "its program was started at once");
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    fixture.stop().run().expect(0);
}

#[test]
fn a_recorded_program_without_mark_and_lock_is_ended_before_another_starts() {
    let (fixture, meeting, old) = shed(&[]);
    old.bereave();
    assert!(!old.program.has_ended(), "its lock is free, and it lives");
    let next = fixture.ensure().start();
    meeting.meet().release();
    next.wait().expect(0);
    assert!(old.program.has_ended(), "nothing starts beside it");
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    fixture.stop().run().expect(0);
}

#[test]
fn a_stop_ends_a_recorded_program_that_holds_no_lock() {
    let (fixture, _meeting, old) = shed(&[]);
    old.bereave();
    let stopped = fixture.stop().run().expect(0);
    assert!(old.program.has_ended());
    assert!(stopped.stdout.contains(&old.program.pid().to_string()), "it is told: {}", stopped.stdout);
}

#[test]
fn doctor_names_and_ends_a_recorded_program_that_holds_no_lock() {
    let (fixture, _meeting, old) = shed(&[]);
    old.bereave();
    let said = fixture.sandbox.tenure(["doctor", "w"]).run();
    assert!(said.stdout.contains(&format!("pid {}", old.program.pid())), "{}{}", said.stdout, said.stderr);
    let mended = fixture.sandbox.tenure(["doctor", "w", "--fix"]).run();
    assert!(old.program.has_ended(), "{}{}", mended.stdout, mended.stderr);
}

#[test]
fn a_host_whose_program_lost_shim_mark_and_lock_stops_it() {
    let (fixture, _meeting, old) = shed(&["restart = { on = \"never\" }"]);
    kill(&old.shim);
    processes::await_end(&old.program);
    fixture.stop().run().expect(0);
}

#[test]
fn what_blanked_its_environment_and_kept_the_lock_is_ended_when_nobody_recorded_lives() {
    // As the workers of nginx are once its master and its shim were killed.
    let fixture = Fixture::new(BINARIES);
    shell(&fixture, "env -i /bin/sleep 2001 & exec /bin/sleep 2002");
    fixture.ensure().run().expect(0);
    fixture.settled();
    let old = Cast::of(&fixture);
    let below: Vec<ProcessHandle> = tree::handles_below(&old.program);
    assert_eq!(below.len(), 1, "the one without a cookie");
    old.bereave();
    kill(&old.program);
    assert!(!below[0].has_ended());
    let said = fixture.sandbox.tenure(["doctor", "w"]).run();
    assert!(said.stdout.contains(&format!("pid {}", below[0].pid())), "{}", said.stdout);
    started_anew(&fixture, &[&below[0]]);
    fixture.stop().run().expect(0);
}

#[test]
fn what_a_living_program_started_is_ended_though_it_kept_nothing() {
    let fixture = Fixture::new(BINARIES);
    shell(&fixture, "env -i /bin/sleep 2001 3>&- & exec /bin/sleep 2002");
    fixture.ensure().run().expect(0);
    fixture.settled();
    let old = Cast::of(&fixture);
    let below: Vec<ProcessHandle> = tree::handles_below(&old.program);
    old.bereave();
    started_anew(&fixture, &[&old.program, &below[0]]);
    fixture.stop().run().expect(0);
}

#[test]
fn a_program_without_shim_gets_its_own_signal_and_its_own_grace() {
    let fixture = Fixture::new(BINARIES);
    let (there, asked) = (fixture.sandbox.meeting("there"), fixture.sandbox.meeting("asked"));
    let path = |name: &str| fixture.sandbox.path().join(name).display().to_string();
    let words = [format!("drain={}", path("asked")), format!("meet={}", path("there"))];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    fixture
        .offer("1.0.0")
        .words(&words)
        .listen(None)
        .line("stop = { signal = \"INT\", grace = \"30s\" }")
        .write();
    let old = up(&fixture, &there);
    old.bereave();
    let stop = fixture.stop().start();
    let met = asked.meet();
    let line = fixture.sandbox.oracle().lines().into_iter().find(|line| line.what == "asked");
    assert!(line.is_some_and(|line| line.detail.contains("Interrupt")), "by the signal that was recorded");
    met.release();
    stop.wait().expect(0);
    assert!(old.program.has_ended());
}

#[test]
fn nobody_waits_for_a_shim_that_is_gone() {
    // All are gone but one that lost its shim and hears nothing: the grace is short, and what a shim would get is
    // longer than the call may take.
    let fixture = fixture(&["deaf"], &["stop = { grace = \"100ms\" }", "drain_timeout = \"10m\""]);
    fixture.ensure().run().expect(0);
    fixture.settled();
    let old = Cast::of(&fixture);
    old.bereave();
    started_anew(&fixture, &[&old.program]);
    let left =
        fixture.events().into_iter().find(|event| event.what == What::LeftoverEnded).expect("it is told");
    assert!(left.why.contains("killed"), "that it did not end in time: {}", left.why);
    fixture.stop().run().expect(0);
}

#[test]
fn what_serves_behind_a_wrapper_has_what_is_left_of_the_grace() {
    let fixture = Fixture::new(BINARIES);
    let (there, asked) = (fixture.sandbox.meeting("there"), fixture.sandbox.meeting("asked"));
    let path = |name: &str| fixture.sandbox.path().join(name).display().to_string();
    let line = format!("PROGRAM drain={} meet={}; true", path("asked"), path("there"));
    let oracle = fixture.sandbox.oracle();
    let line = line.replace("PROGRAM", &format!("{PROGRAM} {} 1.0.0", oracle.directory().display()));
    fixture
        .offer("1.0.0")
        .listen(None)
        .line(&format!("command = {:?}", ["/bin/sh", "-c", &line]))
        .line("stop = { grace = \"30s\" }")
        .write();
    let old = up(&fixture, &there);
    let server = tree::handles_below(&old.program).remove(0);
    let stop = fixture.stop().start();
    let met = asked.meet();
    processes::await_end(&old.program);
    let killed =
        server.wait_ended(Some(std::time::Duration::from_millis(1500))).expect("it can be waited for");
    assert!(!killed, "the drain is not over, and neither is the grace");
    met.release();
    stop.wait().expect(0);
    assert_eq!(fixture.count(What::Killed), 0);
}

#[test]
fn a_kill_after_the_grace_is_told_in_events_and_log() {
    let fixture = fixture(&["deaf"], &["stop = { grace = \"100ms\" }"]);
    fixture.ensure().run().expect(0);
    fixture.settled();
    let old = Cast::of(&fixture);
    fixture.stop().run().expect(0);
    let told = fixture.events().into_iter().find(|event| event.what == What::Killed).expect("an event");
    assert_eq!(told.pid, Some(old.program.pid()));
    let log = std::fs::read_to_string(fixture.state().join("logs/output.log")).expect("a log");
    assert!(log.contains(&format!("killed pid {}", old.program.pid())), "{log}");
}

#[test]
fn the_program_of_a_worker_that_made_room_and_was_killed_with_its_shim_is_ended_by_the_one_that_took_over() {
    let fixture = Fixture::new(BINARIES);
    for version in ["1.0.0", "2.0.0"] {
        let offer = fixture.offer(version).words(&["deaf", "beside", "notify"]);
        let offer = offer.ready(Some("{ notify = true }")).line("overlap = true");
        offer.line("stop = { grace = \"100ms\" }").write();
    }
    let leaving = fixture.sandbox.meeting("leaving");
    fixture.ensure().env("TENURE_FAULT", &leaving.armed(Point::IncumbentLeaving)).run().expect(0);
    fixture.settled();
    let old = Cast::of(&fixture);
    let upgrade = fixture.launcher("ensure", "2.0.0").start();
    let met = leaving.meet();
    upgrade.wait().expect(0);
    old.bereave();
    drop(met);
    assert!(old.program.wait_ended(Some(PATIENCE)).expect("it can be waited for"), "nobody asks for its end");
    let new = Cast::of(&fixture);
    fixture.launcher("restart", "2.0.0").run().expect(0);
    processes::await_end(&new.program);
    let told =
        fixture.events().into_iter().find(|event| event.what == What::LeftoverEnded).expect("it is told");
    assert_eq!((told.generation, told.pid), (1, Some(old.program.pid())));
    fixture.stop().run().expect(0);
}

#[test]
fn a_successor_whose_incumbent_dies_beside_it_does_not_take_its_own_program_for_a_leftover() {
    let fixture = Fixture::new(BINARIES);
    let boot = fixture.sandbox.meeting("boot");
    let meets = boot.word();
    let describe = |version: &str, words: &[&str]| {
        let offer =
            fixture.offer(version).words(words).ready(Some("{ notify = true }")).line("overlap = true");
        offer.line("restart = { backoff = [\"1h\", \"1h\"] }").write();
    };
    describe("1.0.0", &["beside", "notify"]);
    describe("2.0.0", &["beside", &meets, "notify"]);
    fixture.ensure().run().expect(0);
    fixture.settled();
    let old = Cast::of(&fixture);
    // Its lock is free from now on, and the new program is given it.
    kill(&old.program);
    processes::await_end(&old.shim);
    let upgrade = fixture.launcher("restart", "2.0.0").start();
    let booting = boot.meet();
    kill(&old.host);
    booting.release();
    let upgraded = upgrade.wait().expect(0);
    assert_eq!((answer::version(&upgraded).as_str(), fixture.count(What::StartFailed)), ("2.0.0", 0));
    let starts = fixture.sandbox.oracle().lines().iter().filter(|line| line.what == "start").count();
    assert_eq!((starts, fixture.count(What::LeftoverEnded)), (2, 0), "{}", fixture.sandbox.story());
    fixture.stop().run().expect(0);
}

#[test]
fn whoever_clears_up_after_a_program_leaves_the_next_one_alone_that_has_its_lock_by_then() {
    let fixture = fixture(&["escapee"], &[]);
    fixture.ensure().run().expect(0);
    fixture.settled();
    let Cast { host, shim, program } = Cast::of(&fixture);
    let record = fixture.ledger().program.expect("a program is on record");
    let before = record.cookie.replace("/1/-/", "/0/-/");
    assert_ne!(before, record.cookie);
    let scope: Scope = "w".parse().expect("a scope");
    let state = StateDir::at(&fixture.state(), &scope).expect("private");
    let former = ProgramRecord { lock: record.lock, ..ProgramRecord::of_cookie(before) };
    assert!(former.lock.is_some());
    let ended = orphans::clear_program(&state, &former, PATIENCE).expect("nothing is left of it");
    assert_eq!(ended, []);
    assert!(![host, shim, program].iter().any(ProcessHandle::has_ended), "they are another program's");
    fixture.stop().run().expect(0);
}
