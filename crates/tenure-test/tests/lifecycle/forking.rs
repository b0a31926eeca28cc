//! A program that puts itself into the background, kept: which process counts, who is signalled, and what is left.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_core::store::event::{Event, What};
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::meeting::Meeting;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::versions::Fixture;
use tenure_test::fixtures::worker;
use tenure_test::load::{Clients, Shape};

use crate::BINARIES;

const PROGRAM: &str = include_str!("forking/daemon.py");

/// A program that closes everything and has two forks between itself and its first process.
struct Daemon {
    fixture: Fixture,
}

impl Daemon {
    /// A daemon with these words, kept with this `forking`, on a proxied port.
    fn new(words: &[&str], forking: &str) -> Self {
        Self::with(words, forking, &[])
    }

    /// The same with more lines of its description.
    fn with(words: &[&str], forking: &str, lines: &[&str]) -> Self {
        let fixture = Fixture::new(BINARIES);
        let directory = fixture.sandbox.work();
        let script = directory.join("daemon.py");
        std::fs::write(&script, PROGRAM).expect("a sandbox takes files");
        let mut command = vec!["python3".to_owned(), shown(&script), shown(&directory)];
        command.extend(words.iter().map(|&word| word.to_owned()));
        let listen = "{ name = \"http\", tcp = \"127.0.0.1:0\", mode = \"proxy\", to = \"env:PORT\" }";
        let offer = fixture.offer("1.0.0").listen(Some(listen)).ready(None);
        let offer = offer.line(&format!("command = {command:?}")).line(&format!("forking = {forking}"));
        lines.iter().fold(offer, |offer, line| offer.line(line)).write();
        Self { fixture }
    }

    /// One that writes its pid into `run.pid`.
    fn with_pid_file(words: &[&str]) -> Self {
        let words: Vec<&str> = ["pid=run.pid"].into_iter().chain(words.iter().copied()).collect();
        Self::new(&words, PID_FILE)
    }

    /// The process that `status` calls the program.
    fn program(&self) -> ProcessHandle {
        processes::program(&self.fixture.status())
    }

    fn pid_file(&self) -> PathBuf {
        self.fixture.sandbox.work().join("run.pid")
    }

    /// Who did `what`, by the program's own account.
    fn story(&self, what: &str) -> Vec<u32> {
        let story = std::fs::read_to_string(self.fixture.sandbox.work().join("story")).unwrap_or_default();
        let said = story.lines().filter_map(|line| line.split_once(' ')).filter(|(said, _)| *said == what);
        said.map(|(_, pid)| pid.parse().expect("a pid")).collect()
    }

    /// A start that fails: its answer.
    fn fails(&self) -> Output {
        let failed = self.fixture.ensure().run().expect(1);
        // Its host was ended with the time, and the shim ends the rest: a stop waits for that.
        assert!([0, 3].contains(&self.fixture.stop().run().code()));
        failed
    }

    /// Stops it; the sandbox finds what was left.
    fn end(&self) {
        self.fixture.stop().run().expect(0);
        assert!(self.story("double").is_empty(), "never two at once");
    }
}

/// For starts that cannot succeed.
const SHORT: &str = "start_timeout = \"8s\"";

const PID_FILE: &str = "{ pid_file = \"run.pid\" }";

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn count(events: &[Event], what: What) -> usize {
    events.iter().filter(|event| event.what == what).count()
}

#[test]
fn the_only_process_that_is_left_is_the_main_one_and_is_asked_to_end() {
    for words in [&["once"][..], &[]] {
        let daemon = Daemon::new(words, "true");
        daemon.fixture.ensure().run().expect(0);
        let program = daemon.program();
        assert_eq!(daemon.story("serves"), [program.pid()]);
        assert_ne!(daemon.story("first"), [program.pid()]);
        daemon.end();
        assert_eq!(daemon.story("asked"), [program.pid()]);
    }
}

#[test]
fn the_process_in_the_pid_file_is_the_main_one_and_the_file_is_removed_with_it() {
    let daemon = Daemon::with_pid_file(&["helpers=2"]);
    daemon.fixture.ensure().run().expect(0);
    let program = daemon.program();
    assert_eq!(daemon.story("serves"), [program.pid()]);
    assert!(daemon.pid_file().exists());
    daemon.end();
    assert_eq!(daemon.story("asked"), [program.pid()]);
    assert!(!daemon.pid_file().exists(), "the daemon leaves it, and it is removed");
}

#[test]
fn a_pid_file_that_is_written_late_is_waited_for() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("late");
    let meeting = Meeting::at(&path);
    let daemon = Daemon::with_pid_file(&[&format!("late={}", shown(&path))]);
    let start = daemon.fixture.ensure().start();
    let late = meeting.meet();
    let told = daemon.fixture.status().json()["app"]["not_ready"].clone();
    assert_eq!((&told["target"], &told["answer"]), (&"its main process".into(), &"is not known yet".into()));
    let pid = late.pid;
    late.release();
    start.wait().expect(0);
    assert_eq!(daemon.program().pid(), pid);
    daemon.end();
}

#[test]
fn a_pid_file_that_names_a_stranger_is_told_and_nobody_of_it_is_touched() {
    let elsewhere = Sandbox::new(BINARIES.tenure);
    let innocent = elsewhere.command(Path::new("/bin/sleep"), ["1000"]).start();
    let pid = innocent.child().pid();
    let wrong = format!("wrong={pid}");
    for (words, why) in [
        (&[][..], format!("names pid {pid} since before this start")),
        (&["pid=run.pid", &wrong][..], format!("names pid {pid}, which is no process of this program")),
    ] {
        let daemon = Daemon::with(words, PID_FILE, &[SHORT]);
        std::fs::write(daemon.pid_file(), format!("{pid}\n")).expect("a sandbox takes files");
        let failed = daemon.fails();
        assert!(answer::message(&failed).contains(&why), "{}", failed.stdout);
        assert!(failed.stdout.contains("pid_file"), "{}", failed.stdout);
        assert!(!innocent.child().handle().has_ended());
        assert!(daemon.pid_file().exists(), "it names nobody that was ended");
    }
    innocent.signal(Signal::Kill);
    drop(innocent.wait());
}

#[test]
fn several_processes_need_a_pid_file() {
    let daemon = Daemon::with(&["helpers=1"], "true", &[SHORT]);
    let failed = daemon.fails();
    let message = answer::message(&failed);
    assert!(message.contains("and nothing says which of them is the main process"), "{message}");
    assert!(failed.stdout.contains("forking = { pid_file = "), "{}", failed.stdout);
}

#[test]
fn a_program_that_stays_in_the_foreground_is_told_to_be_no_daemon() {
    let failed = Daemon::with(&["stay"], "true", &[SHORT]).fails();
    let told = &failed.stdout;
    assert!(told.contains("still runs") && told.contains("remove `forking`"), "{told}");
}

#[test]
fn a_first_process_that_fails_is_a_failed_start() {
    let daemon = Daemon::with_pid_file(&["exit=3"]);
    let failed = daemon.fixture.ensure().run().expect(1);
    assert!(answer::message(&failed).contains("exit status 3"), "{}", failed.stdout);
    assert!(daemon.story("serves").is_empty());
}

#[test]
fn a_daemon_that_dies_is_started_again() {
    // The last one is no child of the shim: only its handle tells that it has ended.
    let kept = Daemon::with_pid_file(&["keeper"]);
    for daemon in [Daemon::new(&[], "true"), Daemon::with_pid_file(&["helpers=1"]), kept] {
        daemon.fixture.ensure().run().expect(0);
        let first = daemon.program();
        let again = |events: &[Event]| {
            count(events, What::ProgramStarted) == 2
                && events
                    .iter()
                    .rev()
                    .find(|event| event.what == What::MainProcess)
                    .is_some_and(|event| event.pid.is_some_and(|pid| pid != first.pid()))
        };
        processes::kill(&first);
        daemon.fixture.until_events(again);
        assert_eq!(daemon.fixture.status().json()["program"]["starts"], 2);
        daemon.end();
    }
}

#[test]
fn a_main_process_that_another_one_succeeds_has_not_ended_the_program() {
    let daemon = Daemon::with(&["pid=run.pid"], PID_FILE, &["reload = \"USR1\""]);
    daemon.fixture.ensure().run().expect(0);
    daemon.fixture.sandbox.tenure(["reload", "w", "--json"]).run().expect(0);
    daemon.fixture.until_events(|events| count(events, What::MainProcess) == 2);
    assert_eq!(daemon.story("heir"), [daemon.program().pid()]);
    assert_eq!(daemon.fixture.status().json()["program"]["starts"], 1);
    daemon.fixture.stop().run().expect(0);
    assert!(!daemon.pid_file().exists());
}

#[test]
fn a_pid_file_that_another_process_has_written_stays() {
    let daemon = Daemon::with_pid_file(&[]);
    daemon.fixture.ensure().run().expect(0);
    std::fs::write(daemon.pid_file(), "1\n").expect("a sandbox takes files");
    daemon.end();
    assert_eq!(std::fs::read_to_string(daemon.pid_file()).expect("it stays"), "1\n");
}

#[test]
fn a_host_that_is_killed_leaves_no_daemon_behind() {
    let daemon = Daemon::with_pid_file(&["helpers=1"]);
    daemon.fixture.ensure().run().expect(0);
    let program = daemon.program();
    let shim = worker::shim(&daemon.fixture.sandbox);
    processes::kill(&processes::host(&daemon.fixture.status()));
    processes::await_end(&shim);
    assert!(program.has_ended());
    assert!(!daemon.pid_file().exists(), "the shim removes it");
    daemon.fixture.ensure().run().expect(0);
    daemon.end();
}

/// The daemon has closed the lock of its tree, so only the record and its cookie tell.
#[test]
fn a_daemon_whose_host_and_shim_are_killed_is_ended_before_the_next_one_starts() {
    let daemon = Daemon::with_pid_file(&[]);
    daemon.fixture.ensure().run().expect(0);
    let program = daemon.program();
    let shim = worker::shim(&daemon.fixture.sandbox);
    let host = processes::host(&daemon.fixture.status());
    // The shim cannot hear of the end of its host.
    processes::freeze(&shim);
    processes::kill(&host);
    processes::kill(&shim);
    assert!(!program.has_ended());
    daemon.fixture.ensure().run().expect(0);
    assert!(program.has_ended());
    assert_eq!(daemon.story("serves").len(), 2);
    daemon.end();
}

#[test]
fn a_restart_refuses_nobody_and_never_has_two_daemons() {
    let daemon = Daemon::with_pid_file(&["helpers=1"]);
    let first = daemon.fixture.ensure().run().expect(0);
    let clients = Clients {
        fresh: 4,
        kept: 0,
        pace: Duration::from_millis(3),
        shape: Shape::Any,
        ..Clients::default()
    };
    let load = clients.load(ask::address(&first));
    for _ in 0..3 {
        daemon.fixture.restart().run().expect(0);
    }
    let load = load.stop();
    assert!(load.refused_nothing() && load.cut_nothing(), "{load}");
    assert_eq!(daemon.story("serves").len(), 4);
    daemon.end();
    assert!(!daemon.pid_file().exists());
}
