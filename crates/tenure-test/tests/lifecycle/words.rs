//! What a caller is told: data on stdout and nothing else, in every state, on the very first run too.

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::{Call, Output};
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// One document, in one line, that says this state; whatever else there is to say is on stderr.
fn document(output: &Output, state: &str) {
    let line = output.stdout.trim_end();
    assert_eq!(line.lines().count(), 1, "{state}: one line: {line:?}");
    let document: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!((&document["state"], &document["schema_version"]), (&state.into(), &1.into()), "{line}");
    assert!(output.stdout.ends_with('\n'));
}

/// Without `--json` these commands have no data: what is said goes to stderr.
fn silent(output: &Output) {
    assert_eq!(output.stdout, "", "{}", output.stderr);
    assert!(!output.stderr.is_empty(), "it is said somewhere");
}

#[test]
fn stdout_is_data_only_on_the_very_first_run_in_an_empty_directory() {
    for json in [true, false] {
        let sandbox = Sandbox::new(BINARIES.tenure);
        for directory in [sandbox.state_root(), sandbox.path().join("home")] {
            std::fs::remove_dir(directory).expect("nothing was put there");
        }
        let flag = if json { "--json" } else { "--color=auto" };
        let sleeper = ["ensure", "w", flag, "--", "sleep", "1000"];
        let first = sandbox.tenure(sleeper).run().expect(0);
        let second = sandbox.tenure(sleeper).run().expect(0);
        if json {
            document(&first, "started");
            document(&second, "up");
            assert_eq!(first.stderr, "", "nothing to say besides");
        } else {
            silent(&first);
            silent(&second);
        }
        sandbox.stop("w").expect(0);
    }
}

/// The same call with and without `--json`; `make` gets the flag.
fn both<'fixture>(state: &str, code: i32, make: impl Fn(&'static str) -> Call<'fixture>) {
    let as_document = make("--json").run();
    document(&as_document.expect(code), state);
    silent(&make("--color=auto").run().expect(code));
}

#[test]
fn stdout_is_data_only_when_a_worker_serves() {
    let fixture = Fixture::with(BINARIES, &[]);
    let call = |words: &[&str]| fixture.sandbox.tenure(words.iter().copied());
    both("down", 3, |flag| call(&["ensure", "w", "--no-daemon", flag]));
    document(&fixture.ensure().run().expect(0), "started");
    both("up", 0, |flag| call(&["ensure", "w", flag]));
    both("other-app", 5, |flag| call(&["ensure", "w", "--version", "1.0.0", flag, "--", "sleep", "1"]));
    call(&["ensure", "nap", "--", "sleep", "1000"]).run().expect(0);
    both("spec-conflict", 5, |flag| call(&["ensure", "nap", flag, "--", "sleep", "1001"]));
    fixture.sandbox.stop("nap").expect(0);
    fixture.offer("2.0.0").write();
    document(&fixture.launcher("ensure", "2.0.0").run().expect(0), "replaced");
    both("replaced", 0, |flag| call(&["restart", "w", flag]));
    document(&call(&["status", "w", "--json"]).run().expect(0), "up");
    let words = call(&["status", "w"]).run().expect(0);
    assert!(words.stdout.starts_with("w: up\n") && words.stderr.is_empty(), "status is data: {words:?}");
    document(&fixture.stop().run().expect(0), "stopped");
    both("stopped", 0, |flag| call(&["stop", "w", flag]));
    document(&fixture.status().expect(3), "down");
}

#[test]
fn stdout_is_data_only_when_nothing_serves() {
    let fixture = Fixture::with(BINARIES, &["say=to the log", "exit=3"]);
    let call = |words: &[&str]| fixture.sandbox.tenure(words.iter().copied());
    document(&fixture.ensure().run().expect(1), "spawn-failed");
    both("spawn-suppressed", 1, |flag| call(&["ensure", "w", flag]));
    both("restart-unproved", 1, |flag| call(&["restart", "w", flag]));
    both("wrong-use", 2, |flag| call(&["ensure", "w", "--no-such-flag", flag]));
    both("not-configured", 6, |flag| call(&["ensure", "unheard-of", flag]));
    std::fs::write(fixture.sandbox.config().join("w.toml"), "[worker.w]\ncomand = 3\n").expect("ours");
    both("bad-config", 6, |flag| call(&["ensure", "w", flag]));
}

#[test]
fn stdout_is_data_only_when_something_is_in_the_way() {
    let fixture = Fixture::new(BINARIES);
    let (meeting, boot) = (fixture.sandbox.meeting("gate"), fixture.sandbox.meeting("boot"));
    let word = format!("meet={}", fixture.sandbox.path().join("boot").display());
    fixture.offer("1.0.0").words(&[&word]).line("start_timeout = \"10m\"").write();
    let holder = fixture.ensure().fault(&meeting.armed(Point::LeaseTaken)).start();
    let met = meeting.meet();
    let call = |words: &[&str]| fixture.sandbox.tenure(words.iter().copied());
    both("gate-held", 8, |flag| call(&["ensure", "w", "--timeout", "300ms", flag]));
    met.release();
    let booting = boot.meet();
    both("warming", 124, |flag| call(&["ensure", "w", "--timeout", "2s", flag]));
    document(&fixture.status().expect(7), "booting");
    document(&fixture.stop().run().expect(0), "stopped");
    drop(booting);
    assert_ne!(holder.wait().code(), 0);
}

#[test]
fn stdout_is_data_only_when_a_worker_is_wedged() {
    let fixture = Fixture::with(BINARIES, &[]);
    let host = processes::host(&fixture.ensure().run().expect(0));
    fixture.settled();
    processes::freeze(&host);
    document(&fixture.status().expect(7), "wedged");
    let next = fixture.ensure().wedged_soon().run().expect(0);
    assert_eq!(next.stdout.lines().count(), 1);
    fixture.stop().run().expect(0);
}

#[test]
fn events_and_logs_are_lines_of_data() {
    let fixture = Fixture::with(BINARIES, &["say=hello"]);
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    for words in [["events", "w", "--json"], ["logs", "w", "--json"]] {
        let said = fixture.sandbox.tenure(words).run().expect(0);
        assert!(!said.stdout.is_empty(), "{words:?}");
        for line in said.stdout.lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{words:?}: {line}");
        }
    }
}

#[test]
fn the_exit_reason_and_the_tail_are_in_the_error_and_in_events() {
    let fixture = Fixture::with(BINARIES, &["say=cannot open the store", "exit=3"]);
    let failed = fixture.ensure().run().expect(1);
    assert!(answer::message(&failed).contains("exit status 3"), "{}", failed.stdout);
    assert!(failed.json()["error"]["last_words"].to_string().contains("cannot open the store"));
    let events = fixture.events();
    let told =
        events.iter().find(|event| event.what == What::StartFailed).expect("a failed start is an event");
    assert!(told.why.contains("exit status 3"), "{told:?}");
    assert!(events.iter().any(|event| event.what == What::ProgramExited), "{events:?}");
    // The log outlives the worker.
    let logs = fixture.sandbox.tenure(["logs", "w"]).run().expect(0);
    assert!(logs.stdout.contains("cannot open the store"), "{}", logs.stdout);
    // Everybody who is turned away is told the same.
    let next = fixture.ensure().run().expect(1);
    assert!(answer::message(&next).contains("exit status 3"), "{}", next.stdout);
}

#[test]
fn logs_are_bounded_by_default() {
    let fixture = Fixture::with(BINARIES, &["flood=55000000"]);
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    let sizes: Vec<u64> = std::fs::read_dir(fixture.state().join("logs"))
        .expect("there are logs")
        .map(|entry| entry.expect("listed").metadata().expect("it is there").len())
        .collect();
    let all: u64 = sizes.iter().sum();
    // Four files of 10 MB; a line is not torn, so each may go a little beyond.
    assert!((30_000_000..41_000_000).contains(&all), "{sizes:?}");
}
