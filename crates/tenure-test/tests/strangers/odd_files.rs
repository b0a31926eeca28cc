//! Something else in the place of a file: named at once by every word that needs the file, and never waited for.

use std::fs;
use std::path::Path;

use tenure_sys::spawn::{self, Launch};
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{shell, tool};
use tenure_test::fixtures::worker::{ensure, stop};

use crate::BINARIES;

const WORDS: [&str; 7] = ["status", "stop", "doctor", "logs", "events", "list", "ensure"];

/// A file of a scope, and the words that cannot do without it.
const FILES: [(&str, &[&str]); 6] = [
    ("gate", &["ensure"]),
    ("instance", &["ensure", "status"]),
    ("desired.json", &["ensure", "status", "list"]),
    ("ledger.json", &["ensure"]),
    ("events.jsonl", &["events"]),
    ("logs/output.log", &["logs"]),
];

fn once_run() -> Sandbox {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    sandbox
}

/// Puts something in the place of each file in turn, and holds every word against it. A word that waited would never end.
fn every_word_names(kind: &str, put: fn(&Path)) {
    let sandbox = once_run();
    for (name, needed_by) in FILES {
        let path = sandbox.scope("w").join(name);
        let aside = sandbox.path().join("aside");
        // A program that says nothing has no log yet.
        fs::OpenOptions::new().append(true).create(true).open(&path).expect("ours");
        fs::rename(&path, &aside).expect("ours");
        put(&path);
        for word in WORDS {
            let named = if word == "list" { vec![word] } else { vec![word, "w"] };
            let said = sandbox.tenure(named.into_iter().chain(["--json"])).run();
            let text = format!("{}{}", said.stdout, said.stderr);
            if needed_by.contains(&word) {
                let file = name.rsplit('/').next().unwrap_or(name);
                assert!(text.contains(&format!("{file} is {kind}")), "{word} with {kind} as {name}: {text}");
            }
        }
        if stop(&sandbox).state() != "stopped" {
            assert_ne!(name, "events.jsonl", "an account is never needed to stop");
        }
        if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) }.expect("ours");
        fs::rename(&aside, &path).expect("ours");
        stop(&sandbox).expect(0);
    }
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
}

#[test]
fn a_pipe_that_nobody_writes_to_is_named_and_holds_nobody_up() {
    every_word_names("a named pipe", |path| {
        let mkfifo = tool("mkfifo").expect("coreutils");
        let made = spawn::child(&Launch { args: &[path.into()], ..Launch::new(&mkfifo, Path::new("/")) });
        assert!(made.expect("it starts").wait().expect("ours").success());
    });
}

#[test]
fn a_directory_in_the_place_of_a_file_is_named() {
    every_word_names("a directory", |path| fs::create_dir(path).expect("ours"));
}

#[test]
fn a_link_in_the_place_of_a_file_is_named_and_not_followed() {
    every_word_names("a link", |path| std::os::unix::fs::symlink("/dev/zero", path).expect("ours"));
}

#[test]
fn a_socket_in_the_place_of_a_file_is_named() {
    every_word_names("a socket", |path| {
        // Bound by a short name: the sandbox may lie deeper than an address reaches.
        let short = tempfile::tempdir().expect("a directory");
        let bound = short.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&bound).expect("short enough"));
        fs::rename(&bound, path).expect("one file system");
    });
}

/// Every name that a start needs, and those that it can do without.
const NEEDED: [&str; 9] = [
    "gate",
    "instance",
    "program",
    "desired.json",
    "ledger.json",
    "identity.json",
    "control.sock",
    "logs",
    "program.2",
];
const UNNEEDED: [&str; 3] = ["events.jsonl", "worker.pid", "version.json"];

/// Puts a pipe and then a directory in the place of a file, and types what is told.
#[test]
fn what_stands_in_the_way_is_found_by_the_doctor_stays_as_it_is_and_moves_away_by_what_is_told() {
    let sandbox = once_run();
    for (name, needed) in
        NEEDED.map(|name| (name, true)).into_iter().chain(UNNEEDED.map(|name| (name, false)))
    {
        for kind in ["mkfifo", "mkdir"] {
            let path = sandbox.scope("w").join(name);
            let shown = path.display();
            let put = format!("rm -rf {shown} {shown}.aside && {kind} {shown}");
            // Where a directory should be, one is in nobody's way.
            if name == "logs" && kind == "mkdir" {
                continue;
            }
            shell(&sandbox, &put).run().expect(0);
            let typed = format!("mv {shown} {shown}.aside");
            let remedy = format!("`{typed}`");
            let begun = ensure(&sandbox).run();
            if needed && name != "program.2" {
                assert_eq!(begun.code(), 4, "{name}: {}", begun.stdout);
                assert!(begun.stdout.contains(&remedy), "{name}: {}", begun.stdout);
            }
            let found = sandbox.tenure(["doctor", "w", "--json"]).run().json();
            let findings = found["findings"].as_array().expect("a list").clone();
            let told = findings.iter().find(|finding| finding["check"] == "in-the-way").expect("it is found");
            assert_eq!(
                (told["remedy"].as_str(), told["severity"] == "error"),
                (Some(remedy.as_str()), needed)
            );
            assert!(!findings.iter().any(|finding| finding["check"] == "not-looked-at"), "{found}");
            drop(sandbox.tenure(["doctor", "w", "--fix"]).run());
            drop(stop(&sandbox));
            assert!(fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()), "{name}: it stays");
            shell(&sandbox, &typed).run().expect(0);
            ensure(&sandbox).run().expect(0);
            stop(&sandbox).expect(0);
            assert!(fs::symlink_metadata(sandbox.scope("w").join(format!("{name}.aside"))).is_ok());
        }
    }
}

#[test]
fn what_is_no_program_is_named_by_what_it_is() {
    let sandbox = BINARIES.sandbox(&[]);
    let made = "mkdir d && mkfifo f && echo hi >plain && ln -s nowhere dangling";
    shell(&sandbox, made).cwd(&sandbox.work()).run().expect(0);
    for (program, what) in [
        ("./d", "a directory, and no file"),
        ("./f", "a named pipe, and no file"),
        ("./plain", "`chmod +x`"),
        ("./dangling", "a link that leads nowhere"),
        ("./none", "there is no program"),
    ] {
        let refused = sandbox.tenure(["ensure", "v", "--json", "--", program]).run().expect(1);
        assert!(refused.stdout.contains(what), "{program}: {}", refused.stdout);
    }
}

#[test]
fn a_log_without_a_line_end_and_a_long_account_are_told() {
    let sandbox = once_run();
    let log = sandbox.scope("w").join("logs/output.log");
    fs::write(&log, vec![b'x'; 24 << 20]).expect("ours");
    let told = sandbox.tenure(["logs", "w", "-n", "1"]).run().expect(0);
    assert_eq!(told.stdout.len(), (24 << 20) + 1);
    let events = sandbox.scope("w").join("events.jsonl");
    let lines = fs::read_to_string(&events).expect("there");
    let file = fs::OpenOptions::new().append(true).open(&events).expect("ours");
    file.set_len(20_000_000).expect("sparse");
    std::io::Write::write_all(&mut &file, format!("\n{lines}").as_bytes()).expect("room");
    let told = sandbox.tenure(["events", "w"]).run().expect(0);
    assert!(told.stdout.contains("stopped") || told.stdout.contains("draining"), "{}", told.stdout);
    fs::write(&log, "").expect("ours");
    ensure(&sandbox).run().expect(0);
    assert!(fs::metadata(&events).map_or(0, |found| found.len()) < 1_100_000, "rotated by the next writer");
    stop(&sandbox).expect(0);
}

#[test]
fn a_description_full_of_unknown_keys_is_checked_in_a_moment() {
    let sandbox = BINARIES.sandbox(&[]);
    let unknown = (0..40_000).map(|number| format!("unknown_{number} = 1\n"));
    let text: String =
        ["[worker.w]\ncommand = [\"/bin/cat\"]\n".to_owned()].into_iter().chain(unknown).collect();
    let path = sandbox.work().join("tenure.toml");
    fs::write(&path, text).expect("ours");
    let told = sandbox.tenure(["config", "check", "--config", path.to_str().expect("text")]).run();
    let text = format!("{}{}", told.stdout, told.stderr);
    assert!(text.contains("there is no key `worker.w.unknown_"), "{text}");
    assert!(text.contains("there may be more"), "{text}");
    assert!(text.len() < 100_000, "{} bytes", text.len());
}
