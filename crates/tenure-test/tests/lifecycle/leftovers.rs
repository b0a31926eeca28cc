//! What a dead worker leaves is found by every kind of evidence, and ended as its program was promised.

use tenure_core::Scope;
use tenure_core::fault::Point;
use tenure_core::launch::orphans;
use tenure_core::record::ledger::{Ledger, ProgramRecord};
use tenure_core::store::event::What;
use tenure_core::store::paths::StateDir;
use tenure_sys::identity::Identity;
use tenure_sys::process::ProcessHandle;
use tenure_sys::tree;
use tenure_test::kept::{self, Kept, freeze, kill};
use tenure_test::meeting::PATIENCE;
use tenure_test::sandbox::Output;

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

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
    fn of(kept: &Kept) -> Self {
        let Ledger { lineage, program, .. } = kept.ledger();
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
fn kept(words: &[&str], lines: &[&str]) -> Kept {
    let kept = Kept::new(TENURE, PROGRAM);
    let offer = kept.offer("1.0.0").words(words).listen(None);
    lines.iter().fold(offer, |offer, line| offer.line(line)).write();
    kept
}

/// The same, up, and in the place where its words have led it to.
fn up(kept: &Kept, meeting: &tenure_test::meeting::Meeting) -> Cast {
    kept.ensure().run().expect(0);
    kept.settled();
    meeting.meet().release();
    Cast::of(kept)
}

fn started_anew(kept: &Kept, old: &[&ProcessHandle]) -> Output {
    let answer = kept.ensure().run().expect(0);
    assert_eq!(answer.state(), "started", "{}", answer.stdout);
    assert!(old.iter().all(|process| process.has_ended()), "nothing starts beside what was left");
    answer
}

/// A program that is a line of shell and listens nowhere.
fn shell(kept: &Kept, line: &str) {
    kept.offer("1.0.0").listen(None).line(&format!("command = {:?}", ["/bin/sh", "-c", line])).write();
}

#[test]
fn what_a_failed_upgrade_left_with_its_lock_alone_keeps_nobody_from_coming_back() {
    let kept = Kept::new(TENURE, PROGRAM);
    for version in ["1.0.0", "2.0.0"] {
        kept.offer(version).words(&["orphan"]).line("bake = \"20s\"").write();
    }
    let first = kept.ensure().run().expect(0);
    let upgraded = kept.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!(kept::version(&upgraded), "2.0.0", "{}", upgraded.stdout);
    let host = kept::host(&upgraded);
    let program = kept.ledger().program.expect("a program is on record");
    let shim = verified(program.shim.as_ref());
    freeze(&shim);
    kill(&verified(program.identity.as_ref()));
    kill(&shim);
    kill(&host);
    let back = kept.launcher("ensure", "1.0.0").run().expect(0);
    assert_eq!(kept::pid(&back), kept::pid(&first), "{}", kept.sandbox.story());
    let held = kept.ledger().ends.into_iter().find(|end| end.why.contains("holds its lock"));
    assert_eq!(held, None, "its program was started at once");
    assert_eq!(kept.sandbox.oracle().count("double"), 0);
    kept.stop().run().expect(0);
}

#[test]
fn a_recorded_program_without_mark_and_lock_is_ended_before_another_starts() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("there");
    let word = format!("meet={}", kept.sandbox.path().join("there").display());
    kept.offer("1.0.0").words(&["shed", &word]).listen(None).write();
    let old = up(&kept, &meeting);
    old.bereave();
    assert!(!old.program.has_ended(), "its lock is free, and it lives");
    let next = kept.ensure().start();
    meeting.meet().release();
    next.wait().expect(0);
    assert!(old.program.has_ended(), "nothing starts beside it");
    assert_eq!(kept.sandbox.oracle().count("double"), 0);
    kept.stop().run().expect(0);
}

#[test]
fn a_stop_ends_a_recorded_program_that_holds_no_lock() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("there");
    let word = format!("meet={}", kept.sandbox.path().join("there").display());
    kept.offer("1.0.0").words(&["shed", &word]).listen(None).write();
    let old = up(&kept, &meeting);
    old.bereave();
    let stopped = kept.stop().run().expect(0);
    assert!(old.program.has_ended());
    assert!(stopped.stdout.contains(&old.program.pid().to_string()), "it is told: {}", stopped.stdout);
}

#[test]
fn doctor_names_and_ends_a_recorded_program_that_holds_no_lock() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("there");
    let word = format!("meet={}", kept.sandbox.path().join("there").display());
    kept.offer("1.0.0").words(&["shed", &word]).listen(None).write();
    let old = up(&kept, &meeting);
    old.bereave();
    let said = kept.sandbox.tenure(["doctor", "w"]).run();
    assert!(said.stdout.contains(&format!("pid {}", old.program.pid())), "{}{}", said.stdout, said.stderr);
    let mended = kept.sandbox.tenure(["doctor", "w", "--fix"]).run();
    assert!(old.program.has_ended(), "{}{}", mended.stdout, mended.stderr);
}

#[test]
fn a_host_whose_program_lost_shim_mark_and_lock_stops_it() {
    let kept = Kept::new(TENURE, PROGRAM);
    let meeting = kept.sandbox.meeting("there");
    let word = format!("meet={}", kept.sandbox.path().join("there").display());
    kept.offer("1.0.0").words(&["shed", &word]).listen(None).line("restart = { on = \"never\" }").write();
    let old = up(&kept, &meeting);
    kill(&old.shim);
    assert!(old.program.wait_ended(Some(tenure_test::meeting::PATIENCE)).expect("it can be waited for"));
    kept.stop().run().expect(0);
}

#[test]
fn what_blanked_its_environment_and_kept_the_lock_is_ended_when_nobody_recorded_lives() {
    // As the workers of nginx are once its master and its shim were killed.
    let kept = Kept::new(TENURE, PROGRAM);
    shell(&kept, "env -i /bin/sleep 2001 & exec /bin/sleep 2002");
    kept.ensure().run().expect(0);
    kept.settled();
    let old = Cast::of(&kept);
    let below: Vec<ProcessHandle> = tree::handles_below(&old.program);
    assert_eq!(below.len(), 1, "the one without a mark");
    old.bereave();
    kill(&old.program);
    assert!(!below[0].has_ended());
    let said = kept.sandbox.tenure(["doctor", "w"]).run();
    assert!(said.stdout.contains(&format!("pid {}", below[0].pid())), "{}", said.stdout);
    started_anew(&kept, &[&below[0]]);
    kept.stop().run().expect(0);
}

#[test]
fn what_a_living_program_started_is_ended_though_it_kept_nothing() {
    let kept = Kept::new(TENURE, PROGRAM);
    shell(&kept, "env -i /bin/sleep 2001 3>&- & exec /bin/sleep 2002");
    kept.ensure().run().expect(0);
    kept.settled();
    let old = Cast::of(&kept);
    let below: Vec<ProcessHandle> = tree::handles_below(&old.program);
    old.bereave();
    started_anew(&kept, &[&old.program, &below[0]]);
    kept.stop().run().expect(0);
}

#[test]
fn a_program_without_shim_gets_its_own_signal_and_its_own_grace() {
    let kept = Kept::new(TENURE, PROGRAM);
    let (there, asked) = (kept.sandbox.meeting("there"), kept.sandbox.meeting("asked"));
    let path = |name: &str| kept.sandbox.path().join(name).display().to_string();
    let words = [format!("drain={}", path("asked")), format!("meet={}", path("there"))];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    kept.offer("1.0.0")
        .words(&words)
        .listen(None)
        .line("stop = { signal = \"INT\", grace = \"30s\" }")
        .write();
    let old = up(&kept, &there);
    old.bereave();
    let stop = kept.stop().start();
    let met = asked.meet();
    let line = kept.sandbox.oracle().lines().into_iter().find(|line| line.what == "asked");
    assert!(line.is_some_and(|line| line.detail.contains("Interrupt")), "by the signal that was recorded");
    met.release();
    stop.wait().expect(0);
    assert!(old.program.has_ended());
}

#[test]
fn nobody_waits_for_a_shim_that_is_gone() {
    // All are gone but one that lost its shim and hears nothing: the grace is short, and what a shim would get is longer than
    // the call may take.
    let kept = kept(&["deaf"], &["stop = { grace = \"100ms\" }", "drain_timeout = \"10m\""]);
    kept.ensure().run().expect(0);
    kept.settled();
    let old = Cast::of(&kept);
    old.bereave();
    started_anew(&kept, &[&old.program]);
    let left = kept.events().into_iter().find(|event| event.what == What::LeftoverEnded).expect("it is told");
    assert!(left.why.contains("killed"), "that it did not end in time: {}", left.why);
    kept.stop().run().expect(0);
}

#[test]
fn what_serves_behind_a_wrapper_has_what_is_left_of_the_grace() {
    let kept = Kept::new(TENURE, PROGRAM);
    let (there, asked) = (kept.sandbox.meeting("there"), kept.sandbox.meeting("asked"));
    let path = |name: &str| kept.sandbox.path().join(name).display().to_string();
    let line = format!("PROGRAM drain={} meet={}; true", path("asked"), path("there"));
    let oracle = kept.sandbox.oracle();
    let line = line.replace("PROGRAM", &format!("{PROGRAM} {} 1.0.0", oracle.directory().display()));
    kept.offer("1.0.0")
        .listen(None)
        .line(&format!("command = {:?}", ["/bin/sh", "-c", &line]))
        .line("stop = { grace = \"30s\" }")
        .write();
    let old = up(&kept, &there);
    let server = tree::handles_below(&old.program).remove(0);
    let stop = kept.stop().start();
    let met = asked.meet();
    assert!(
        old.program.wait_ended(Some(tenure_test::meeting::PATIENCE)).expect("the shell can be waited for")
    );
    let killed =
        server.wait_ended(Some(std::time::Duration::from_millis(1500))).expect("it can be waited for");
    assert!(!killed, "the drain is not over, and neither is the grace");
    met.release();
    stop.wait().expect(0);
    assert_eq!(kept.count(What::Killed), 0);
}

#[test]
fn a_kill_after_the_grace_is_told_in_events_and_log() {
    let kept = kept(&["deaf"], &["stop = { grace = \"100ms\" }"]);
    kept.ensure().run().expect(0);
    kept.settled();
    let old = Cast::of(&kept);
    kept.stop().run().expect(0);
    let told = kept.events().into_iter().find(|event| event.what == What::Killed).expect("an event");
    assert_eq!(told.pid, Some(old.program.pid()));
    let log = std::fs::read_to_string(kept.state().join("logs/output.log")).expect("a log");
    assert!(log.contains(&format!("killed pid {}", old.program.pid())), "{log}");
}

#[test]
fn the_program_of_a_worker_that_made_room_and_was_killed_with_its_shim_is_ended_by_the_one_that_took_over() {
    let kept = Kept::new(TENURE, PROGRAM);
    for version in ["1.0.0", "2.0.0"] {
        let offer = kept.offer(version).words(&["deaf", "beside", "notify"]);
        let offer = offer.ready(Some("{ notify = true }")).line("overlap = true");
        offer.line("stop = { grace = \"100ms\" }").write();
    }
    let leaving = kept.sandbox.meeting("leaving");
    kept.ensure().env("TENURE_FAULT", &leaving.armed(Point::IncumbentLeaving)).run().expect(0);
    kept.settled();
    let old = Cast::of(&kept);
    let upgrade = kept.launcher("ensure", "2.0.0").start();
    let met = leaving.meet();
    upgrade.wait().expect(0);
    old.bereave();
    drop(met);
    assert!(old.program.wait_ended(Some(PATIENCE)).expect("it can be waited for"), "nobody asks for its end");
    let new = Cast::of(&kept);
    kept.launcher("restart", "2.0.0").run().expect(0);
    assert!(new.program.wait_ended(Some(PATIENCE)).expect("it can be waited for"));
    let told = kept.events().into_iter().find(|event| event.what == What::LeftoverEnded).expect("it is told");
    assert_eq!((told.generation, told.pid), (1, Some(old.program.pid())));
    kept.stop().run().expect(0);
}

#[test]
fn a_successor_whose_incumbent_dies_beside_it_does_not_take_its_own_program_for_a_leftover() {
    let kept = Kept::new(TENURE, PROGRAM);
    let boot = kept.sandbox.meeting("boot");
    let meets = format!("meet={}", kept.sandbox.path().join("boot").display());
    let describe = |version: &str, words: &[&str]| {
        let offer = kept.offer(version).words(words).ready(Some("{ notify = true }")).line("overlap = true");
        offer.line("restart = { backoff = [\"1h\", \"1h\"] }").write();
    };
    describe("1.0.0", &["beside", "notify"]);
    describe("2.0.0", &["beside", &meets, "notify"]);
    kept.ensure().run().expect(0);
    kept.settled();
    let old = Cast::of(&kept);
    // Its lock is free from now on, and the new program is given it.
    kill(&old.program);
    assert!(old.shim.wait_ended(Some(PATIENCE)).expect("it can be waited for"));
    let upgrade = kept.launcher("restart", "2.0.0").start();
    let booting = boot.meet();
    kill(&old.host);
    booting.release();
    let upgraded = upgrade.wait().expect(0);
    assert_eq!((kept::version(&upgraded).as_str(), kept.count(What::StartFailed)), ("2.0.0", 0));
    let starts = kept.sandbox.oracle().lines().iter().filter(|line| line.what == "start").count();
    assert_eq!((starts, kept.count(What::LeftoverEnded)), (2, 0), "{}", kept.sandbox.story());
    kept.stop().run().expect(0);
}

#[test]
fn whoever_clears_up_after_a_program_leaves_the_next_one_alone_that_has_its_lock_by_then() {
    let kept = kept(&["escapee"], &[]);
    kept.ensure().run().expect(0);
    kept.settled();
    let Cast { host, shim, program } = Cast::of(&kept);
    let record = kept.ledger().program.expect("a program is on record");
    let before = record.cookie.replace("/1/-/", "/0/-/");
    assert_ne!(before, record.cookie);
    let scope: Scope = "w".parse().expect("a scope");
    let state = StateDir::at(&kept.state(), &scope).expect("private");
    let former = ProgramRecord { lock: record.lock, ..ProgramRecord::of_cookie(before) };
    assert!(former.lock.is_some());
    let ended = orphans::clear_program(&state, &former, PATIENCE).expect("nothing is left of it");
    assert_eq!(ended, []);
    assert!(![host, shim, program].iter().any(ProcessHandle::has_ended), "they are another program's");
    kept.stop().run().expect(0);
}
