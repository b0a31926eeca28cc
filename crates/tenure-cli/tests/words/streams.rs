//! What is written where: logs, events, and readers that go away.

use crate::kit::{Said, Sandbox, TENURE, assert_words};

const TALKER: &str = "ensure talker -- sh -c 'for n in 1 2 3; do echo line $n; done; exec sleep 1000'";

/// A worker whose program has written all that it will.
fn talker() -> Sandbox {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.call(TALKER).code, Some(0));
    let mut following = sandbox.start("logs talker -f --raw");
    while following.line() != "line 3" {}
    following.stop_reading();
    following.end();
    sandbox
}

#[test]
fn logs_are_the_output_of_the_program() {
    let sandbox = talker();
    assert_words!(sandbox, sandbox.call("logs talker"));
}

#[test]
fn the_last_lines_can_be_counted() {
    let sandbox = talker();
    assert_eq!(sandbox.call("logs talker -n 1 --raw").stdout, "line 3\n");
    assert_eq!(sandbox.call("logs talker -n 0").stdout, "");
}

#[test]
fn logs_are_lines_of_json_for_programs() {
    let sandbox = talker();
    assert_words!(sandbox, sandbox.call("logs talker -n 2 --json"));
}

#[test]
fn logs_of_a_worker_that_never_ran_say_so() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("logs nobody"));
}

#[test]
fn events_tell_who_did_what_and_why() {
    let sandbox = talker();
    sandbox.call("stop talker");
    assert_words!(sandbox, sandbox.call("events talker"));
}

#[test]
fn events_are_lines_of_json_for_programs() {
    let sandbox = talker();
    let said = sandbox.call("events talker --json");
    let events: Vec<serde_json::Value> =
        said.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events[0]["what"], "spawned");
    assert!(sandbox.call("events talker --since 1h").stdout.lines().count() == events.len());
}

#[test]
fn events_are_followed_as_they_happen() {
    let sandbox = talker();
    let mut following = sandbox.start("events talker -f");
    while !following.line().contains("ready") {}
    sandbox.call("stop talker");
    while !following.line().contains("stopped") {}
    following.stop_reading();
    assert_eq!(following.end().code, Some(141));
}

#[test]
fn a_reader_that_goes_away_ends_a_follower_quietly() {
    let sandbox = talker();
    let mut following = sandbox.start("logs talker -f --raw");
    assert_eq!(following.line(), "line 1");
    following.stop_reading();
    let said = following.end();
    assert_eq!((said.code, said.stderr.as_str()), (Some(141), ""));
}

#[test]
fn a_reader_that_is_gone_already_changes_the_exit_code_and_nothing_else() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.start("ensure web --json --spec -");
    running.stop_reading();
    let said = running.fed(r#"{"command":["sleep","1000"]}"#).end();
    assert_eq!((said.code, said.stderr.as_str()), (Some(141), ""));
    assert_eq!(sandbox.call("status web").code, Some(0));
}

/// A line of a shell, where this machine has one.
fn shell(sandbox: &Sandbox, line: &str) -> Option<Said> {
    sandbox.foreign("sh", &format!("-c '{}'", line.replace("tenure", TENURE)), "")
}

#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    let sandbox = Sandbox::new();
    for (line, answers) in [
        ("tenure ensure web --json -- sleep 1000", true),
        ("tenure status web", true),
        ("tenure events web --json", true),
        ("tenure list", true),
        ("tenure doctor", true),
        ("tenure version", true),
        ("tenure --help", true),
        ("tenure completions bash", true),
        ("tenure ensure web -- sleep 1000", false),
    ] {
        for lost in [">&-", ">/dev/full"] {
            let Some(said) = shell(&sandbox, &format!("{line} {lost}")) else { return };
            let told = said.stderr.contains("failed to write to stdout");
            let code = i32::from(answers);
            assert_eq!((said.code, told), (Some(code), answers), "{line} {lost}: {said:?}");
        }
    }
    assert_eq!(sandbox.call("status web").code, Some(0), "what was done stands");
}

#[test]
fn a_closed_stream_is_nobodys_file() {
    let sandbox = Sandbox::new();
    for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let line = format!("tenure ensure web -- sleep 1000 {closed}");
        let Some(said) = shell(&sandbox, &line) else { return };
        assert_eq!(said.code, Some(0), "{closed}: {said:?}");
        let status = sandbox.call("status web --json").document();
        let host = status["pid"].as_u64().expect("a number");
        let stream = |fd: u32| {
            let link = std::fs::read_link(format!("/proc/{host}/fd/{fd}")).expect("ours");
            link.file_name().expect("a name").to_string_lossy().into_owned()
        };
        assert_eq!([0, 1, 2].map(stream), ["null", "worker.log", "worker.log"], "{closed}");
        assert_eq!(sandbox.call("stop web").code, Some(0), "{closed}");
    }
}

#[test]
fn a_description_on_a_closed_stdin_is_told_as_such() {
    let sandbox = Sandbox::new();
    let Some(said) = shell(&sandbox, "tenure ensure web --spec - <&-") else { return };
    assert_eq!(said.code, Some(6), "{said:?}");
    assert!(said.stderr.contains("it was closed when this began"), "{said:?}");
}

#[test]
fn colours_are_for_terminals_unless_they_are_asked_for() {
    let sandbox = Sandbox::new();
    assert!(!sandbox.call("ensure web").stderr.contains('\u{1b}'));
    assert!(!sandbox.call("ensure web --color never").stderr.contains('\u{1b}'));
    assert!(sandbox.call("ensure web --color always").stderr.contains('\u{1b}'));
}
