//! `signal` and `reload`: they reach the program, and nobody else.

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::meeting::Meeting;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// A worker whose program starts again whenever it has ended.
fn serving(lines: &[&str]) -> Fixture {
    let fixture = Fixture::new(BINARIES);
    let offer = fixture.offer("1.0.0").line("restart = { on = \"always\", backoff = [\"1ms\", \"1ms\"] }");
    lines.iter().fold(offer, |offer, line| offer.line(line)).write();
    fixture.ensure().run().expect(0);
    fixture
}

fn typed(fixture: &Fixture, words: &[&str]) -> Output {
    fixture.sandbox.tenure(words.iter().copied().chain(["--json"])).run()
}

/// The program that got this signal ended of it, and another one serves.
fn ended_of(fixture: &Fixture, told: &Output, signal: &str) {
    assert_eq!(told.state(), "signalled", "{}", told.stdout);
    let shown = format!("signal {signal}");
    fixture.until_events(|events| {
        let ended = events.iter().find(|event| event.what == What::ProgramExited);
        ended.is_some_and(|event| event.why.contains(&shown) && event.pid == Some(answer::pid(told)))
            && events.iter().filter(|event| event.what == What::ProgramStarted).count() == 2
    });
    let sent = fixture.events().into_iter().find(|event| event.what == What::Signalled).expect("on record");
    assert_eq!(sent.pid, Some(answer::pid(told)));
}

#[test]
fn a_signal_reaches_the_program_and_its_restart_policy_decides() {
    let fixture = serving(&[]);
    let program = processes::program(&fixture.status()).pid();
    let told = typed(&fixture, &["signal", "w", "SIGUSR1"]);
    assert_eq!((answer::pid(&told), told.json()["signal"].as_str()), (program, Some("USR1")));
    ended_of(&fixture, &told, "10");
    fixture.stop().run().expect(0);
}

#[test]
fn a_reload_sends_the_signal_of_the_description() {
    let fixture = serving(&["reload = \"HUP\""]);
    let told = typed(&fixture, &["reload", "w"]);
    ended_of(&fixture, &told, "1");
    fixture.stop().run().expect(0);
}

#[test]
fn a_reload_that_is_not_described_says_what_to_type_and_that_works() {
    let fixture = serving(&[]);
    let told = typed(&fixture, &["reload", "w"]).expect(6);
    assert!(told.stdout.contains("`tenure signal w HUP`"), "{}", told.stdout);
    let told = typed(&fixture, &["signal", "w", "HUP"]);
    ended_of(&fixture, &told, "1");
    fixture.stop().run().expect(0);
}

#[test]
fn where_no_program_runs_nothing_is_signalled_or_started() {
    let fixture = serving(&[]);
    fixture.stop().run().expect(0);
    for words in [&["signal", "w", "HUP"][..], &["reload", "w"]] {
        assert_eq!(typed(&fixture, words).expect(3).state(), "down");
    }
    assert_eq!((fixture.count(What::Signalled), fixture.count(What::Spawned)), (0, 1));
}

/// Between the new generation and its program's first record, the ledger names the host alone.
#[test]
fn no_signal_reaches_the_host_of_a_program_that_does_not_run_yet() {
    for point in [Point::WorkerAdopted, Point::ProgramIntended, Point::ShimRecorded] {
        let fixture = Fixture::new(BINARIES);
        fixture.offer("1.0.0").line("reload = \"HUP\"").write();
        let meeting = Meeting::at(&fixture.sandbox.path().join("meeting"));
        let caller = fixture.ensure().fault(&meeting.armed(point)).start();
        let met = meeting.meet();
        for words in [&["signal", "w", "HUP"][..], &["reload", "w"]] {
            assert_eq!(typed(&fixture, words).expect(3).state(), "down", "{point:?} {words:?}");
        }
        met.release();
        caller.wait().expect(0);
        fixture.stop().run().expect(0);
    }
}

#[test]
fn a_program_that_is_not_ready_is_not_asked_to_reload() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").line("reload = \"HUP\"").write();
    let meeting = Meeting::at(&fixture.sandbox.path().join("meeting"));
    let caller = fixture.ensure().fault(&meeting.armed(Point::WorkerReady)).start();
    let met = meeting.meet();
    let told = typed(&fixture, &["reload", "w"]).expect(7);
    assert_eq!(told.state(), "booting", "{}", told.stdout);
    met.release();
    caller.wait().expect(0);
    let told = typed(&fixture, &["reload", "w"]);
    assert_eq!(told.state(), "signalled", "{}", told.stdout);
    fixture.stop().run().expect(0);
}

#[test]
fn what_is_no_signal_is_refused_by_name() {
    let fixture = serving(&[]);
    let told = typed(&fixture, &["signal", "w", "SIGSEGV"]).expect(2);
    assert!(told.stdout.contains("write one of TERM, KILL, INT"), "{}", told.stdout);
    fixture.stop().run().expect(0);
}
