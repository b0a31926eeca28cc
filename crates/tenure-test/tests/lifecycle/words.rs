//! What a caller is told: data on stdout and nothing else, in every state, on the very first run too.

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_test::kept::{self, Kept};
use tenure_test::sandbox::{Call, Output, Sandbox};

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

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
        let sandbox = Sandbox::new(TENURE);
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
fn both<'kept>(state: &str, code: i32, make: impl Fn(&'static str) -> Call<'kept>) {
    let as_document = make("--json").run();
    document(&as_document.expect(code), state);
    silent(&make("--color=auto").run().expect(code));
}

#[test]
fn stdout_is_data_only_when_a_worker_serves() {
    let kept = Kept::with(TENURE, PROGRAM, &[]);
    let call = |words: &[&str]| kept.sandbox.tenure(words.iter().copied());
    both("down", 3, |flag| call(&["ensure", "w", "--no-daemon", flag]));
    document(&kept.ensure().run().expect(0), "started");
    both("up", 0, |flag| call(&["ensure", "w", flag]));
    both("spec-conflict", 5, |flag| call(&["ensure", "w", "--version", "1.0.0", flag, "--", "sleep", "1"]));
    kept.offer("2.0.0").write();
    document(&kept.launcher("ensure", "2.0.0").run().expect(0), "replaced");
    both("replaced", 0, |flag| call(&["restart", "w", flag]));
    document(&call(&["status", "w", "--json"]).run().expect(0), "up");
    let words = call(&["status", "w"]).run().expect(0);
    assert!(words.stdout.starts_with("w: up\n") && words.stderr.is_empty(), "status is data: {words:?}");
    document(&kept.stop().run().expect(0), "stopped");
    both("stopped", 0, |flag| call(&["stop", "w", flag]));
    document(&kept.status().expect(3), "down");
}

#[test]
fn stdout_is_data_only_when_nothing_serves() {
    let kept = Kept::with(TENURE, PROGRAM, &["say=to the log", "exit=3"]);
    let call = |words: &[&str]| kept.sandbox.tenure(words.iter().copied());
    document(&kept.ensure().run().expect(1), "spawn-failed");
    both("spawn-suppressed", 1, |flag| call(&["ensure", "w", flag]));
    both("restart-unproved", 1, |flag| call(&["restart", "w", flag]));
    both("wrong-use", 2, |flag| call(&["ensure", "w", "--no-such-flag", flag]));
    both("not-configured", 6, |flag| call(&["ensure", "unheard-of", flag]));
    std::fs::write(kept.sandbox.config().join("w.toml"), "[worker.w]\ncomand = 3\n").expect("ours");
    both("bad-config", 6, |flag| call(&["ensure", "w", flag]));
}

#[test]
fn stdout_is_data_only_when_something_is_in_the_way() {
    let kept = Kept::new(TENURE, PROGRAM);
    let (meeting, boot) = (kept.sandbox.meeting("gate"), kept.sandbox.meeting("boot"));
    let word = format!("meet={}", kept.sandbox.path().join("boot").display());
    kept.offer("1.0.0").words(&[&word]).line("start_timeout = \"10m\"").write();
    let holder = kept.ensure().fault(&meeting.armed(Point::LeaseTaken)).start();
    let met = meeting.meet();
    let call = |words: &[&str]| kept.sandbox.tenure(words.iter().copied());
    both("gate-held", 8, |flag| call(&["ensure", "w", "--timeout", "300ms", flag]));
    met.release();
    let booting = boot.meet();
    both("warming", 124, |flag| call(&["ensure", "w", "--timeout", "2s", flag]));
    document(&kept.status().expect(7), "booting");
    document(&kept.stop().run().expect(0), "stopped");
    drop(booting);
    assert_ne!(holder.wait().code(), 0);
}

#[test]
fn stdout_is_data_only_when_a_worker_is_wedged() {
    let kept = Kept::with(TENURE, PROGRAM, &[]);
    let host = kept::host(&kept.ensure().run().expect(0));
    kept.settled();
    kept::freeze(&host);
    document(&kept.status().expect(7), "wedged");
    let next = kept.ensure().env("TENURE_WEDGED_AFTER", "300ms").run().expect(0);
    assert_eq!(next.stdout.lines().count(), 1);
    kept.stop().run().expect(0);
}

#[test]
fn events_and_logs_are_lines_of_data() {
    let kept = Kept::with(TENURE, PROGRAM, &["say=hello"]);
    kept.ensure().run().expect(0);
    kept.stop().run().expect(0);
    for words in [["events", "w", "--json"], ["logs", "w", "--json"]] {
        let said = kept.sandbox.tenure(words).run().expect(0);
        assert!(!said.stdout.is_empty(), "{words:?}");
        for line in said.stdout.lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{words:?}: {line}");
        }
    }
}

#[test]
fn the_exit_reason_and_the_tail_are_in_the_error_and_in_events() {
    let kept = Kept::with(TENURE, PROGRAM, &["say=cannot open the store", "exit=3"]);
    let failed = kept.ensure().run().expect(1);
    assert!(kept::message(&failed).contains("exit status 3"), "{}", failed.stdout);
    assert!(failed.json()["error"]["last_words"].to_string().contains("cannot open the store"));
    let events = kept.events();
    let told =
        events.iter().find(|event| event.what == What::StartFailed).expect("a failed start is an event");
    assert!(told.why.contains("exit status 3"), "{told:?}");
    assert!(events.iter().any(|event| event.what == What::ProgramExited), "{events:?}");
    // The log outlives the worker.
    let logs = kept.sandbox.tenure(["logs", "w"]).run().expect(0);
    assert!(logs.stdout.contains("cannot open the store"), "{}", logs.stdout);
    // Everybody who is turned away is told the same.
    let next = kept.ensure().run().expect(1);
    assert!(kept::message(&next).contains("exit status 3"), "{}", next.stdout);
}

#[test]
fn logs_are_bounded_by_default() {
    let kept = Kept::with(TENURE, PROGRAM, &["flood=55000000"]);
    kept.ensure().run().expect(0);
    kept.stop().run().expect(0);
    let sizes: Vec<u64> = std::fs::read_dir(kept.state().join("logs"))
        .expect("there are logs")
        .map(|entry| entry.expect("listed").metadata().expect("it is there").len())
        .collect();
    let all: u64 = sizes.iter().sum();
    // Four files of 10 MB; a line is not torn, so each may go a little beyond.
    assert!((30_000_000..41_000_000).contains(&all), "{sizes:?}");
}
