//! A program's output by time, by boot and by what it says, wherever its lines are kept.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::kit::{Sandbox, assert_words};

/// Writes a line, says that it is ready, and then what it hears from the pipe `more`.
const TALKER: &str = "[worker.web]\ncommand = ['sh', '-c', 'echo \"boot $TENURE_GENERATION\"; echo ready; \
                      exec 3<>more; while read -r line <&3; do echo \"$line\"; done']\nready = { log = 'ready' }\n\
                      logs = { size = '4096B', keep = 2 }\n";

struct Talker {
    sandbox: Sandbox,
    /// How often it was told something.
    said: Cell<u32>,
}

impl Talker {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("project/tenure.toml", TALKER);
        assert!(sandbox.foreign("mkfifo", "more", "").is_some(), "mkfifo is there");
        assert_eq!(sandbox.call("trust").code, Some(0));
        assert_eq!(sandbox.call("ensure web").code, Some(0));
        Self { sandbox, said: Cell::new(0) }
    }

    /// Has the program write these lines, and waits until they are in the log.
    fn say(&self, lines: &[&str]) {
        let mut follower = self.sandbox.start("logs web -f -n 1000 --raw");
        self.said.set(self.said.get() + 1);
        let last = format!("said {}", self.said.get());
        let said = lines.iter().copied().chain([last.as_str()]);
        let text = said.map(|line| format!("{line}\n")).collect::<Vec<_>>().concat();
        fs::write(self.sandbox.path("project/more"), text).expect("it listens");
        while follower.line() != last {}
        follower.stop_reading();
        follower.end();
    }

    fn lines(&self, args: &str) -> Vec<String> {
        let said = self.sandbox.call(&format!("logs {args}"));
        assert_eq!(said.code, Some(0), "{said:?}");
        said.stdout.lines().map(str::to_owned).collect()
    }

    fn log(&self) -> PathBuf {
        let host = fs::read_dir(self.sandbox.path("state")).expect("there").flatten();
        let scopes = host.filter_map(|host| fs::read_dir(host.path()).ok()).flatten().flatten();
        let mut logs = scopes.map(|scope| scope.path().join("logs/output.log"));
        logs.find(|log| log.exists()).expect("a log")
    }
}

#[test]
fn every_line_has_its_time_and_a_boot_its_lines() {
    let talker = Talker::new();
    assert_words!(talker.sandbox, talker.sandbox.call("logs web"));
    assert_eq!(talker.sandbox.call("restart web").code, Some(0));
    assert_eq!(talker.lines("web --raw"), ["boot 1", "ready", "boot 2", "ready"]);
    assert_eq!(talker.lines("web --raw --boot"), ["boot 2", "ready"]);
    assert_eq!(talker.lines("web --raw --boot current"), ["boot 2", "ready"]);
    assert_eq!(talker.lines("web --raw --boot -1"), ["boot 1", "ready"]);
    assert_eq!(talker.lines("web --raw --boot 1 --match boot"), ["boot 1"]);
    assert!(talker.lines("web --boot 9").is_empty());
    for line in talker.lines("web --json") {
        let line: Value = serde_json::from_str(&line).expect("a document");
        assert!(line["at_ms"].is_u64() && line["generation"].is_u64(), "{line}");
    }
}

#[test]
fn lines_are_chosen_by_time_over_rotated_files_too() {
    let talker = Talker::new();
    let long = "x".repeat(1000);
    for number in 1..=5 {
        talker.say(&[&format!("{number} {long}")]);
    }
    assert!(talker.log().with_extension("log.1").exists(), "it was rotated");
    let line = |text: &str| -> Value { serde_json::from_str(text).expect("a document") };
    let all: Vec<Value> = talker.lines("web --json -n 1000").iter().map(|text| line(text)).collect();
    let third = all.iter().find(|line| line["line"].as_str().is_some_and(|text| text.starts_with("3 ")));
    let at_ms = third.expect("kept")["at_ms"].as_u64().expect("a time");
    let at = tenure_core::utc::text(at_ms);
    let texts = |args: &str| -> Vec<String> {
        talker.lines(args).iter().map(|line| line.chars().take(2).collect()).collect()
    };
    assert_eq!(texts(&format!("web --raw --match xxx --since {at}")), ["3 ", "4 ", "5 "]);
    assert_eq!(texts(&format!("web --raw --match xxx --since {at} -n 2")), ["4 ", "5 "]);
    assert_eq!(texts("web --raw --match ^[24].*xxx"), ["2 ", "4 "]);
    assert!(!texts(&format!("web --raw --match xxx --until {at}")).contains(&"3 ".to_owned()));
    assert!(talker.lines("web --until 2026-01-01").is_empty());
    assert_eq!(talker.lines("web --since 1h --match ^boot --raw"), ["boot 1"]);
}

#[test]
fn what_is_followed_is_chosen_too() {
    let talker = Talker::new();
    let mut follower = talker.sandbox.start("logs web -f --raw --since 1h --match ^GET");
    talker.say(&["POST /a", "GET /b", "POST /c", "GET /d"]);
    assert_eq!((follower.line(), follower.line()), ("GET /b".to_owned(), "GET /d".to_owned()));
    follower.stop_reading();
    follower.end();
}

#[test]
fn a_log_that_is_moved_or_removed_goes_on_and_nothing_is_lost() {
    let talker = Talker::new();
    let log = talker.log();
    let moved = log.with_file_name("elsewhere");
    fs::rename(&log, &moved).expect("moved");
    talker.say(&["two"]);
    assert_eq!(talker.lines("web --raw"), ["two", "said 1"]);
    assert!(fs::read_to_string(&moved).expect("there").contains("boot 1"));
    fs::remove_file(&log).expect("removed");
    talker.say(&["three"]);
    assert_eq!(talker.lines("web --raw"), ["three", "said 2"]);
    fs::write(&log, "").expect("emptied");
    talker.say(&["four"]);
    assert_eq!(talker.lines("web --raw"), ["four", "said 3"]);
}

#[test]
fn lines_of_an_older_tenure_are_shown_as_they_are() {
    let talker = Talker::new();
    assert_eq!(talker.sandbox.call("stop web").code, Some(0));
    fs::write(talker.log(), "old and plain\n2026-01-02T03:04:05.678Z INFO its own time\nhalf")
        .expect("written");
    assert_eq!(talker.sandbox.call("start web").code, Some(0));
    let own = "2026-01-02T03:04:05.678Z INFO its own time";
    assert_eq!(talker.lines("web --raw"), ["old and plain", own, "half", "boot 2", "ready"]);
    assert_eq!(talker.lines("web -n 5")[..3], ["old and plain", own, "half"]);
    assert_eq!(talker.lines("web --raw --since 1h"), ["boot 2", "ready"]);
}

#[test]
fn what_cannot_be_chosen_says_what_to_write() {
    let talker = Talker::new();
    for line in [
        "logs web --since yesterday",
        "logs web --boot last",
        "logs web --match (",
        "logs web --worker --since 1h",
        "logs web --follow --until 1h",
        "events web --since noon",
    ] {
        let said = talker.sandbox.call(line);
        assert_eq!(said.code, Some(2), "{line}: {said:?}");
    }
    assert_words!(talker.sandbox, talker.sandbox.call("logs web --worker --since 1h"));
    assert!(talker.lines("web --worker").is_empty());
}
