//! Launchers with odd descriptors: closed streams, readers that have gone, and too few descriptors left. No crash, no
//! hang, and no descriptor of the worker where a stream should be.

use std::fs;
use std::path::PathBuf;

use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::shell;
use tenure_test::fixtures::worker::{ensure, started, status, stop};

use crate::BINARIES;

const CLOSED: [&str; 7] = ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"];

fn stream(pid: u32, number: u32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/fd/{number}")).expect("the streams of a worker are open")
}

fn calm(output: &Output) {
    assert!(output.status.signal.is_none(), "no signal: {:?}", output.status);
    assert_ne!(output.code(), 101, "no panic: {}", output.stderr);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}

#[test]
fn a_launcher_with_closed_streams_starts_a_worker_whose_streams_are_its_log() {
    let sandbox = BINARIES.sandbox(&[]);
    for closed in CLOSED {
        let launched = shell(&sandbox, &format!("exec \"$T\" ensure w --json {closed}")).run();
        calm(&launched);
        let unheard = closed.split(' ').any(|one| one == ">&-");
        assert_eq!(launched.code(), i32::from(unheard), "{closed}: {}", launched.stderr);
        let standing = status(&sandbox).expect(0).json();
        let pid = |value: &serde_json::Value| u32::try_from(value.as_u64().expect("a pid")).expect("small");
        let host = pid(&standing["pid"]);
        assert_eq!(stream(host, 0).to_str(), Some("/dev/null"), "{closed}");
        for number in [1, 2] {
            assert!(
                stream(host, number).ends_with("logs/worker.log"),
                "{closed}: {:?}",
                stream(host, number)
            );
        }
        // It answers, serves and ends as any other.
        assert_eq!(ensure(&sandbox).run().expect(0).json()["pid"], host);
        let stopped = shell(&sandbox, &format!("exec \"$T\" stop w {closed}")).run();
        calm(&stopped);
        assert_eq!(stopped.code(), 0, "{closed}");
        assert!(!sandbox.oracle().is_held("program"));
    }
}

#[test]
fn every_word_survives_closed_streams() {
    let sandbox = BINARIES.sandbox(&["say=hello"]);
    started(&sandbox);
    for words in
        ["status w", "list", "logs w", "events w", "version", "--help", "no-such-word", "status ../w"]
    {
        for closed in CLOSED {
            calm(&shell(&sandbox, &format!("exec \"$T\" {words} {closed}")).run());
        }
    }
    stop(&sandbox).expect(0);
}

#[test]
fn a_reader_that_has_gone_ends_the_writer_quietly() {
    let sandbox = BINARIES.sandbox(&["say=hello"]);
    started(&sandbox);
    for words in ["status w", "status w --json", "list", "events w", "events w --json", "version", "--help"] {
        // The reader is gone before the writer starts: the read blocks until the other end is closed.
        let line = format!(
            "{{ read -r _ < \"$HOME/gone\"; \"$T\" {words}; echo $? > \"$HOME/code\"; }} | exec 3>\"$HOME/gone\" 0<&-"
        );
        let line = format!("mkfifo \"$HOME/gone\"; {line}; rm \"$HOME/gone\"");
        let piped = shell(&sandbox, &line).run();
        calm(&piped);
        assert_eq!(piped.stderr, "", "{words}: nothing is said to nobody");
        let code = fs::read_to_string(sandbox.path().join("home/code")).expect("it was written");
        assert_eq!(code.trim(), "141", "{words}: as a program that SIGPIPE ended");
    }
    let head = shell(&sandbox, "\"$T\" events w | head -1").run().expect(0);
    assert!(head.stdout.contains("spawned"), "{}", head.stdout);
    assert_eq!(head.stderr, "");
    stop(&sandbox).expect(0);
}

#[test]
fn a_full_stdout_is_an_error_and_not_a_panic() {
    let sandbox = BINARIES.sandbox(&["say=hello"]);
    started(&sandbox);
    for words in ["status w", "status w --json", "list", "events w", "--help"] {
        let full = shell(&sandbox, &format!("exec \"$T\" {words} > /dev/full")).run().expect(1);
        calm(&full);
        assert!(full.stderr.contains("write to stdout"), "{words}: {}", full.stderr);
    }
    stop(&sandbox).expect(0);
}

/// Ends with a success, or with an error that names the lack of descriptors; and leaves a scope that heals.
fn with_few(sandbox: &Sandbox, line: &str, what: &str) -> bool {
    let launched = shell(sandbox, line).run();
    calm(&launched);
    if launched.code() != 0 {
        let said = format!("{}{}", launched.stdout, launched.stderr).to_lowercase();
        let named = said.contains("too many open files") || said.contains("free descriptors");
        assert!(named, "{what}: {said}");
        let left: Vec<_> = sandbox.processes().iter().map(|left| left.command.clone()).collect();
        assert!(left.is_empty(), "{what}: nothing half-started: {left:?}");
    }
    assert_eq!(ensure(sandbox).run().expect(0).state(), if launched.code() == 0 { "up" } else { "started" });
    stop(sandbox).expect(0);
    launched.code() == 0
}

#[test]
fn every_small_limit_of_descriptors_gives_a_named_error_or_a_worker() {
    let sandbox = BINARIES.sandbox(&[]);
    let mut came_up = Vec::new();
    for limit in (4..=32).chain([64]) {
        let line = format!("ulimit -Sn {limit}; exec \"$T\" ensure w --json --timeout 20s");
        if with_few(&sandbox, &line, &format!("ulimit -Sn {limit}")) {
            came_up.push(limit);
        }
    }
    assert!(came_up.contains(&64), "64 are enough for a launcher: {came_up:?}");
    assert_eq!(sandbox.oracle().count("double"), 0);
}

#[test]
fn a_launcher_whose_descriptors_are_in_use_gives_a_named_error_or_a_worker() {
    let sandbox = BINARIES.sandbox(&[]);
    for open in [9, 30, 50, 54, 58, 60] {
        // Shells other than dash take two digits only in words of their own; dup by opening over and over.
        let opened: String = (0..open).map(|_| "exec {none}</dev/null 2>/dev/null; ".to_owned()).collect();
        let Some(bash) = tenure_test::fixtures::system::tool("bash") else { return };
        let line = format!("ulimit -Sn 64; {opened} exec \"$T\" ensure w --json --timeout 20s");
        with_few(&sandbox, &format!("exec {} -c '{line}'", bash.display()), &format!("{open} of 64 in use"));
    }
}

#[test]
fn a_hint_of_a_launcher_without_descriptors_says_which_limit_to_raise() {
    let sandbox = BINARIES.sandbox(&[]);
    let failed = shell(&sandbox, "ulimit -Sn 16; exec \"$T\" ensure w --json").run();
    assert!(complaint(&failed).contains("ulimit -n"), "{}", failed.stdout);
}
