//! What is written where: logs, events, and readers that go away.

use crate::kit::{Sandbox, assert_words};

const TALKER: &str = "ensure talker -- sh -c 'for n in 1 2 3; do echo line $n; done; exec sleep 1000'";

/// A worker whose program has written all that it will.
fn talker() -> Sandbox {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.call(TALKER).code, Some(0));
    let mut following = sandbox.start("logs talker -f");
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
    assert_eq!(sandbox.call("logs talker -n 1").stdout, "line 3\n");
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
    let mut following = sandbox.start("logs talker -f");
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

#[test]
fn colours_are_for_terminals_unless_they_are_asked_for() {
    let sandbox = Sandbox::new();
    assert!(!sandbox.call("ensure web").stderr.contains('\u{1b}'));
    assert!(!sandbox.call("ensure web --color never").stderr.contains('\u{1b}'));
    assert!(sandbox.call("ensure web --color always").stderr.contains('\u{1b}'));
}
