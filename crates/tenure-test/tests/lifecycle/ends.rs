//! How a worker ends: all of it, provably, on one path, and nobody else with it.

use std::os::fd::AsFd;
use std::path::Path;

use tenure_core::store::event::What;
use tenure_sys::identity::Identity;
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::spawn::{self, Launch};
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::{Output, Running};
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

const PROGRAM: &str = BINARIES.program;

fn ended(process: &ProcessHandle) -> bool {
    process.wait_ended(Some(PATIENCE)).expect("it can be waited for")
}

/// A living process that has nothing to do with the worker.
struct Innocent(Option<Running>);

impl Innocent {
    fn of(fixture: &Fixture) -> Self {
        Self(Some(fixture.sandbox.command(std::path::Path::new("/bin/sleep"), ["1000"]).start()))
    }

    fn running(&self) -> &Running {
        self.0.as_ref().expect("it is taken at its end only")
    }

    fn identity(&self) -> Identity {
        self.running().child().handle().identity().clone()
    }

    /// Somebody else who had its number. Where a kernel has the inode, that alone tells; here the start does.
    fn of_another_start(&self) -> Identity {
        let own = self.identity();
        Identity { start: own.start + 1, inode: None, ..own }
    }

    fn spared(mut self) {
        let running = self.0.take().expect("it ends once");
        assert!(!running.child().handle().has_ended(), "nobody had a reason to end it");
        running.signal(Signal::Kill);
        assert_eq!(running.wait().status.signal, Some(9));
    }
}

impl Drop for Innocent {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            running.signal(Signal::Kill);
        }
    }
}

/// Host, program and escapee of the worker that serves.
fn everybody(fixture: &Fixture) -> Vec<ProcessHandle> {
    let status = fixture.status().expect(0);
    let lines = fixture.sandbox.oracle().lines();
    let escapee = lines.iter().find(|line| line.what == "escapee").expect("the program has one");
    let escapee = ProcessHandle::open(escapee.detail.parse().expect("a pid")).expect("it lives");
    vec![processes::host(&status), processes::program(&status), escapee]
}

#[test]
fn the_whole_tree_is_gone_escapees_included() {
    let fixture = Fixture::with(BINARIES, &["escapee"]);
    fixture.ensure().run().expect(0);
    let everybody = everybody(&fixture);
    let oracle = fixture.sandbox.oracle();
    assert!(oracle.is_held("program") && everybody.iter().all(|process| !process.has_ended()));
    fixture.stop().run().expect(0);
    assert!(everybody.iter().all(ProcessHandle::has_ended), "stop returns when all of it is gone");
    assert!(!oracle.is_held("program") && !oracle.is_held("escapee"));
}

#[test]
fn death_is_proved() {
    // Neither the program nor what escaped it listens to TERM.
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").words(&["deaf", "escapee"]).line("stop = { grace = \"100ms\" }").write();
    fixture.ensure().run().expect(0);
    let everybody = everybody(&fixture);
    fixture.stop().run().expect(0);
    assert!(everybody.iter().all(ProcessHandle::has_ended), "a signal that was sent is no proof");
    let oracle = fixture.sandbox.oracle();
    assert!(!oracle.is_held("program") && !oracle.is_held("escapee"));
    fixture.stop().run().expect(0);
}

#[test]
fn a_stop_that_kills_says_so() {
    let fixture = Fixture::with(BINARIES, &[]);
    let host = processes::host(&fixture.ensure().run().expect(0));
    processes::freeze(&host);
    let stopped = fixture.stop().run().expect(0);
    assert_eq!((&stopped.json()["ending"], &stopped.json()["signal"]), (&"forced".into(), &"KILL".into()));
    assert!(host.has_ended());
    assert!(!fixture.sandbox.oracle().is_held("program"));
}

#[test]
fn a_server_behind_a_wrapper_that_keeps_the_signal_to_itself_is_asked_in_time() {
    let fixture = Fixture::new(BINARIES);
    let oracle = fixture.sandbox.oracle().directory().display().to_string();
    let meeting = fixture.sandbox.meeting("there");
    let there = fixture.sandbox.path().join("there").display().to_string();
    let line = format!("trap : TERM; {PROGRAM} {oracle} 1.0.0 meet={there} & wait $!; wait $!");
    let command = format!("command = {:?}", ["/bin/sh", "-c", &line]);
    fixture.offer("1.0.0").listen(None).line(&command).line("stop = { grace = \"2s\" }").write();
    fixture.ensure().run().expect(0);
    meeting.meet().release();
    fixture.stop().run().expect(0);
    assert_eq!(fixture.count(What::Killed), 0, "{:?}", fixture.events());
    assert!(!fixture.sandbox.oracle().is_held("program"));
}

#[test]
fn a_program_that_ignores_its_end_is_killed_when_its_grace_is_over_and_its_child_has_time_after_that() {
    let fixture = Fixture::new(BINARIES);
    let pipe = fixture.sandbox.path().join("pipe").display().to_string();
    // The child ends when the program is gone, and for nothing else that is polite.
    let line = format!(
        "trap : TERM; mkfifo {pipe}; (trap '' TERM; exec cat <{pipe}) & exec 3>{pipe}; while :; do wait; done"
    );
    let command = format!("command = {:?}", ["/bin/sh", "-c", &line]);
    fixture.offer("1.0.0").listen(None).line(&command).line("stop = { grace = \"500ms\" }").write();
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    let killed: Vec<String> = fixture
        .events()
        .into_iter()
        .filter(|event| event.what == What::Killed)
        .map(|event| event.why)
        .collect();
    assert!(killed.len() == 1 && killed[0].starts_with("/bin/sh"), "{killed:?}");
}

#[test]
fn a_restart_takes_over_from_a_worker_that_is_silent_for_a_moment() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").write();
    fixture.ensure().run().expect(0);
    let host = processes::host(&fixture.status().expect(0));
    processes::freeze(&host);
    let restart = fixture.restart().start();
    // Each of these gives a silent worker half a second.
    for _ in 0..2 {
        assert_eq!(fixture.status().json()["app"], serde_json::Value::Null);
    }
    host.signal(Signal::Cont).expect("ours");
    let restarted = restart.wait().expect(0);
    assert_eq!(restarted.json()["manner"], "taken-over", "{}", restarted.stdout);
    fixture.stop().run().expect(0);
}

#[test]
fn a_restart_says_of_a_silent_worker_that_it_was_ended() {
    let fixture = Fixture::with(BINARIES, &[]);
    let host = processes::host(&fixture.ensure().run().expect(0));
    processes::freeze(&host);
    let restarted = fixture.restart().wedged_soon().run().expect(0).json();
    assert!(host.has_ended());
    assert_eq!((&restarted["state"], &restarted["manner"]), (&"replaced".into(), &"stopped-first".into()));
    assert_eq!(restarted["why"], "it does not answer");
    fixture.stop().run().expect(0);
    let restarted = fixture.restart().run().expect(0).json();
    assert_eq!((&restarted["state"], &restarted["manner"]), (&"started".into(), &"none-ran".into()));
    fixture.stop().run().expect(0);
}

#[test]
fn wedged_is_told_apart_and_replaced_by_verified_kill_once() {
    let fixture = Fixture::with(BINARIES, &[]);
    let first = fixture.ensure().run().expect(0);
    let host = processes::host(&first);
    fixture.settled();
    processes::freeze(&host);
    let status = fixture.status().expect(7);
    assert_eq!(status.state(), "wedged");
    assert!(status.json()["reason"].as_str().unwrap_or_default().contains(&host.pid().to_string()));

    let crowd: Vec<Running> = (0..10).map(|_| fixture.ensure().wedged_soon().start()).collect();
    let answers: Vec<Output> = crowd.into_iter().map(|running| running.wait().expect(0)).collect();
    assert!(host.has_ended());
    assert!(answers.iter().all(|answer| answer::pid(answer) == answer::pid(&answers[0])));
    assert_eq!(fixture.count(What::EndedWedged), 1, "{}", fixture.sandbox.story());
    assert_eq!((fixture.sandbox.oracle().count("start"), fixture.sandbox.oracle().count("double")), (2, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn nobody_is_signalled_without_a_verified_handle() {
    let fixture = Fixture::with(BINARIES, &[]);
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    let innocent = Innocent::of(&fixture);
    let own = innocent.identity();
    let other_start = Identity { start: own.start + 1, inode: None, ..own.clone() };
    let other_inode = Identity { inode: own.inode.map(|inode| inode + 1), ..own.clone() };
    // Before 6.9 there is no inode to tell them apart by.
    let strangers = [Some(other_start), own.inode.map(|_| other_inode)];
    for stranger in strangers.into_iter().flatten() {
        fixture.forge(|ledger| {
            ledger.lineage = vec![stranger.clone()];
            if let Some(program) = &mut ledger.program {
                program.shim = Some(stranger.clone());
                program.identity = Some(stranger.clone());
            }
        });
        fixture.ensure().run().expect(0);
        fixture.restart().run().expect(0);
        fixture.stop().run().expect(0);
    }
    innocent.spared();
}

#[test]
fn identity_has_no_wall_clock_in_it() {
    let fixture = Fixture::with(BINARIES, &[]);
    let host = answer::pid(&fixture.ensure().run().expect(0));
    let text = std::fs::read_to_string(fixture.state().join("ledger.json")).expect("there is one");
    let ledger: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let recorded = ledger["lineage"][0].as_object().expect("the host");
    let mut keys: Vec<&str> = recorded.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["boot", "inode", "pid", "pidns", "start"]);
    // Ticks since boot, as the kernel tells them: field 22 of proc_pid_stat(5), twenty after the name.
    let stat = std::fs::read_to_string(format!("/proc/{host}/stat")).expect("it lives");
    let ticks =
        stat.rsplit(')').next().and_then(|after| after.split_whitespace().nth(19)?.parse::<u64>().ok());
    assert_eq!(recorded["start"].as_u64(), ticks);
    fixture.stop().run().expect(0);
}

#[test]
fn a_wedged_worker_is_ended_and_not_whom_the_ledger_names() {
    let fixture = Fixture::with(BINARIES, &[]);
    let host = processes::host(&fixture.ensure().run().expect(0));
    fixture.settled();
    let innocent = Innocent::of(&fixture);
    let stranger = innocent.of_another_start();
    fixture.forge(|ledger| ledger.lineage = vec![stranger]);
    processes::freeze(&host);
    let next = fixture.ensure().wedged_soon().run().expect(0);
    assert!(host.has_ended(), "its own cookie leads to it");
    assert_ne!(answer::pid(&next), host.pid());
    innocent.spared();
    fixture.stop().run().expect(0);
}

#[test]
fn a_lock_that_no_verified_process_holds_is_named_and_nobody_is_signalled() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").line("stop = { grace = \"100ms\" }").write();
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    let innocent = Innocent::of(&fixture);
    let stranger = innocent.of_another_start();
    fixture.forge(|ledger| {
        let program = ledger.program.as_mut().expect("a program was recorded");
        program.shim = Some(stranger.clone());
        program.identity = Some(stranger);
    });
    // This very process stands for something of a former program that cannot be found.
    let file =
        std::fs::File::options().write(true).open(fixture.state().join("program")).expect("it is there");
    file.lock().expect("nobody else holds it");
    let refused = fixture.ensure().run().expect(1);
    assert_eq!(refused.state(), "survivor", "{}", refused.stdout);
    assert!(answer::message(&refused).contains(&std::process::id().to_string()), "{}", refused.stdout);
    drop(file);
    innocent.spared();
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
}

#[test]
fn what_has_inherited_the_lock_of_somebody_who_lives_and_is_not_ours_is_named_and_not_ended() {
    let fixture = Fixture::with(BINARIES, &[]);
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    let file =
        std::fs::File::options().write(true).open(fixture.state().join("program")).expect("it is there");
    file.lock().expect("nobody else holds it");
    let args = ["1000".into()];
    let launch =
        Launch { args: &args, fds: &[file.as_fd()], ..Launch::new(Path::new("/bin/sleep"), Path::new("/")) };
    let heir = spawn::child(&launch).expect("it can be started");
    let refused = fixture.ensure().run().expect(1);
    assert_eq!(refused.state(), "survivor", "{}", refused.stdout);
    assert!(answer::message(&refused).contains(&heir.pid().to_string()), "{}", refused.stdout);
    assert!(!heir.handle().has_ended(), "it is not ours");
    heir.kill().expect("our own child");
    drop(file);
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
}

#[test]
fn records_of_another_boot_are_void() {
    let fixture = Fixture::with(BINARIES, &[]);
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    let innocent = Innocent::of(&fixture);
    let before = Identity { boot: "11111111-2222-3333-4444-555555555555".to_owned(), ..innocent.identity() };
    fixture.forge(|ledger| {
        ledger.lineage = vec![before.clone()];
        ledger.booting_until = Some(tenure_core::deadline::Moment::of(&before.boot, u64::MAX));
        if let Some(program) = &mut ledger.program {
            program.shim = Some(before.clone());
            program.identity = Some(before.clone());
        }
    });
    assert_eq!(fixture.status().expect(3).state(), "down");
    let answer = fixture.ensure().run().expect(0);
    assert_eq!((answer.state().as_str(), answer.json()["generation"].as_u64()), ("started", Some(2)));
    innocent.spared();
    fixture.stop().run().expect(0);
}

#[test]
fn a_failure_of_another_boot_suppresses_nothing() {
    let fixture = Fixture::new(BINARIES);
    let broken = fixture.sandbox.path().join("broken");
    std::fs::write(&broken, "").expect("a sandbox takes files");
    fixture.offer("1.0.0").words(&[&format!("once={}:3", broken.display())]).write();
    fixture.ensure().run().expect(1);
    assert_eq!(fixture.ensure().run().expect(1).state(), "spawn-suppressed");
    std::fs::remove_file(&broken).expect("it is there");
    let path = fixture.state().join("desired.json");
    let text = std::fs::read_to_string(&path).expect("a launcher leaves one");
    let boot = tenure_sys::identity::boot_id().expect("the kernel tells it");
    std::fs::write(&path, text.replace(&boot, "11111111-2222-3333-4444-555555555555")).expect("ours");
    assert_eq!(fixture.ensure().run().expect(0).state(), "started");
    fixture.stop().run().expect(0);
}

#[test]
fn term_to_the_host_takes_the_one_shutdown_path() {
    let fixture = Fixture::with(BINARIES, &["escapee"]);
    fixture.ensure().run().expect(0);
    let everybody = everybody(&fixture);
    everybody[0].signal(Signal::Term).expect("our own process can be signalled");
    assert!(ended(&everybody[0]));
    assert!(
        everybody.iter().all(ProcessHandle::has_ended),
        "the host leaves after everything of its program"
    );
    assert!(fixture.events().iter().any(|event| event.what == What::Draining && event.why.contains("TERM")));
    let files = fixture.files();
    assert!(!files.iter().any(|name| name.starts_with("control") || name == "worker.pid"), "{files:?}");
    assert_eq!(fixture.status().expect(3).state(), "down");
}

#[test]
fn shutdown_leaves_no_file_that_start_made() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").words(&["notify"]).ready(Some("\"notify\"")).write();
    let mut after = Vec::new();
    for _ in 0..3 {
        fixture.ensure().run().expect(0);
        fixture.stop().run().expect(0);
        after.push(fixture.files());
    }
    let stays =
        ["desired.json", "events.jsonl", "gate", "identity.json", "instance", "ledger.json", "program"];
    let own: Vec<&String> = after[0].iter().filter(|name| !name.starts_with("logs/")).collect();
    assert_eq!(own, stays, "records and locks, and nothing that a start made for its own time");
    assert_eq!((&after[0], &after[1]), (&after[2], &after[2]), "nothing adds up");
}
