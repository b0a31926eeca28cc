//! `before_start`, which must succeed before each start of a program, and a standard input that stays open.

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_sys::process::Signal;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::meeting::Meeting;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// A fixture whose one version runs this script before each start.
fn before(script: &str, lines: &[&str]) -> Fixture {
    let fixture = Fixture::new(BINARIES);
    let before_start = format!("before_start = {:?}", ["sh", "-c", script]);
    let offer = fixture.offer("1.0.0").line(&before_start);
    lines.iter().fold(offer, |offer, line| offer.line(line)).write();
    fixture
}

#[test]
fn it_runs_before_each_start_with_what_the_program_gets() {
    let fixture =
        before("echo $TENURE_GENERATION >> starts", &["restart = { backoff = [\"1ms\", \"1ms\"] }"]);
    let log = fixture.sandbox.work().join("starts");
    let starts = || std::fs::read_to_string(&log).expect("it writes into its directory");
    fixture.ensure().run().expect(0);
    assert_eq!(starts(), "1\n");
    processes::program(&fixture.status()).signal(Signal::Kill).expect("ours");
    fixture
        .until_events(|events| events.iter().filter(|event| event.what == What::ProgramStarted).count() == 2);
    assert_eq!(starts(), "1\n1\n");
    fixture.restart().run().expect(0);
    assert_eq!(starts(), "1\n1\n2\n");
    fixture.stop().run().expect(0);
}

#[test]
fn what_it_leaves_running_ends_with_the_program() {
    let fixture = before("sleep 1000 & exit 0", &[]);
    fixture.ensure().run().expect(0);
    // The sandbox finds what is left.
    fixture.stop().run().expect(0);
}

#[test]
fn one_that_fails_is_the_reason_of_the_start_and_leaves_nothing() {
    let fixture = before("echo the disk is full; sleep 1000 & exit 3", &["stop = { grace = \"100ms\" }"]);
    let failed = fixture.ensure().run();
    assert_eq!(failed.state(), "spawn-failed", "{}", failed.stdout);
    let message = answer::message(&failed);
    assert!(message.contains("`before_start` (sh): it ended with exit status 3"), "{message}");
    assert!(failed.stdout.contains("the disk is full"), "{}", failed.stdout);
    assert_eq!(fixture.count(What::ProgramStarted), 0);
}

#[test]
fn one_that_does_not_end_is_ended_with_the_time_of_the_start() {
    let fixture = before("sleep 1000", &["start_timeout = \"500ms\"", "stop = { grace = \"100ms\" }"]);
    let failed = fixture.ensure().run();
    assert_eq!(failed.state(), "spawn-failed", "{}", failed.stdout);
    assert_eq!(fixture.count(What::ProgramStarted), 0);
    // Its host was ended with the time, and the shim ends the rest: a stop waits for that.
    fixture.stop().run().expect(0);
}

/// As on a file system that does not answer: the program is to be executed, and is not.
#[test]
fn a_later_start_that_hangs_before_its_program_runs_is_ended_with_the_time_of_the_start() {
    let fixture = Fixture::new(BINARIES);
    let lines = [
        "start_timeout = \"3s\"",
        "stop = { grace = \"100ms\" }",
        "restart = { backoff = [\"1ms\", \"1ms\"] }",
    ];
    lines.iter().fold(fixture.offer("1.0.0"), |offer, line| offer.line(line)).write();
    let meeting = Meeting::at(&fixture.sandbox.path().join("meeting"));
    let caller = fixture.ensure().fault(&meeting.armed(Point::ShimReleased)).start();
    meeting.meet().release();
    caller.wait().expect(0);
    processes::program(&fixture.status()).signal(Signal::Kill).expect("ours");
    let hanging = meeting.meet();
    // There is a next start, although this one was not let go.
    let next = meeting.meet();
    assert_ne!(hanging.pid, next.pid);
    next.release();
    fixture
        .until_events(|events| events.iter().filter(|event| event.what == What::ProgramStarted).count() == 2);
    drop(hanging);
    fixture.stop().run().expect(0);
}

#[test]
fn one_whose_program_is_missing_is_told_at_once() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").line("before_start = [\"no-such-program-anywhere\"]").write();
    let failed = fixture.ensure().run();
    let message = answer::message(&failed);
    assert!(failed.code() != 0 && message.contains("no-such-program-anywhere"), "{}", failed.stdout);
}

/// `cat` ends when its standard input does.
#[test]
fn a_program_that_ends_with_its_standard_input_stays_where_that_stays_open() {
    for (line, code) in [("stdin = \"open\"", 0), ("stdin = \"null\"", 1)] {
        let fixture = Fixture::new(BINARIES);
        let config = fixture.sandbox.path().join("cat.toml");
        let text = format!("[worker.w]\ncommand = [\"cat\"]\nversion = \"1.0.0\"\n{line}\n");
        std::fs::write(&config, text).expect("a sandbox takes files");
        let path = config.display().to_string();
        let told = fixture.sandbox.tenure(["ensure", "w", "--json", "--config", &path]).run();
        assert_eq!(told.code(), code, "{line}: {}", told.stdout);
        assert!([0, 3].contains(&fixture.stop().run().code()));
    }
}
