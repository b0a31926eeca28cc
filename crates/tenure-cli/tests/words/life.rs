//! A worker from its first call to its end, in words.

use crate::kit::{Sandbox, assert_words};

const SERVER: &str = "[worker.web]\ncommand = ['TENURE', 'demo-worker', '1.0.0']\nversion = '1.0.0'\n\
    listen = [{ name = 'http', tcp = '127.0.0.1:0' }]\nready = { http = '/' }\n";

fn server() -> Sandbox {
    Sandbox::with_project(&SERVER.replace("TENURE", crate::kit::TENURE))
}

#[test]
fn a_start_says_what_was_started() {
    let sandbox = server();
    assert_words!(sandbox, sandbox.call("ensure web"));
}

#[test]
fn a_worker_that_is_up_is_said_to_be_up() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("start web"));
}

#[test]
fn the_first_document_of_an_empty_directory_is_all_of_stdout() {
    let sandbox = server();
    assert_words!(sandbox, sandbox.call("ensure web --json"));
}

#[test]
fn a_newer_version_replaces_and_says_so() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("ensure web --version 1.1.0"));
}

#[test]
fn an_older_version_gets_the_newer_worker() {
    let sandbox = server();
    sandbox.call("ensure web --version 1.1.0");
    let older = sandbox.call("ensure web --json").document();
    assert_eq!((&older["state"], &older["version"]), (&"up".into(), &"1.1.0".into()));
}

#[test]
fn status_tells_the_worker_the_program_and_its_age() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("status web"));
}

#[test]
fn status_is_a_document_for_programs() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("status web --json"));
}

#[test]
fn status_of_nothing_is_three_and_starts_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", SERVER);
    assert_words!(sandbox, sandbox.call("status web"));
    assert!(!sandbox.path("state").exists());
}

#[test]
fn status_without_a_name_tells_of_all_that_are_configured() {
    let sandbox = server();
    assert_words!(sandbox, sandbox.call("status"));
}

#[test]
fn list_shows_every_worker_that_ever_ran() {
    let sandbox = server();
    sandbox.call("ensure web");
    sandbox.call("ensure other -- sleep 1000");
    sandbox.call("stop other");
    assert_words!(sandbox, sandbox.call("list"));
}

#[test]
fn list_is_a_document_for_programs() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("list --json"));
}

#[test]
fn a_list_of_nothing_says_how_to_begin() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("list"));
}

#[test]
fn a_restart_is_told_with_its_proof() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("restart web"));
}

#[test]
fn a_restart_is_a_document_with_both_workers() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("restart web --json"));
}

#[test]
fn a_restart_of_nothing_starts_one() {
    let sandbox = server();
    assert_words!(sandbox, sandbox.call("restart web"));
}

#[test]
fn an_overlap_that_the_description_does_not_allow_stops_nothing() {
    let sandbox = server();
    let before = sandbox.call("ensure web --json").document()["pid"].clone();
    assert_words!(sandbox, sandbox.call("restart web --overlap"));
    let refused = sandbox.call("restart web --overlap --json").document();
    assert_eq!(refused["state"], "bad-config");
    assert_eq!(sandbox.call("status web --json").document()["pid"], before);
}

#[test]
fn a_forced_restart_says_that_the_old_one_was_stopped_first() {
    let sandbox = server();
    sandbox.call("ensure web");
    let document = sandbox.call("restart web --force --json").document();
    assert_eq!((&document["state"], &document["manner"]), (&"replaced".into(), &"stopped-first".into()));
}

#[test]
fn a_restart_that_may_start_nothing_stops_nothing() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("restart web --no-daemon"));
    assert_eq!(sandbox.call("status web").code, Some(0));
}

#[test]
fn a_stop_says_how_it_ended_and_is_idempotent() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("stop web"));
    assert_eq!(sandbox.call("stop web").code, Some(0));
}

#[test]
fn a_stop_is_a_document_for_programs() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("stop web --json"));
}

#[test]
fn a_stop_of_nothing_is_success() {
    let sandbox = server();
    assert_words!(sandbox, sandbox.call("stop web"));
}

#[test]
fn quiet_says_nothing_that_went_well() {
    let sandbox = server();
    for line in ["ensure web -q", "restart web -q", "status web -q", "stop web -q"] {
        let said = sandbox.call(line);
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(0), "", ""), "{line}");
    }
}

#[test]
fn the_demo_holds_what_it_promises_and_leaves_nothing() {
    let mut sandbox = Sandbox::new();
    let temporary = sandbox.path("project").to_string_lossy().into_owned();
    sandbox.set("TMPDIR", &temporary);
    let shown = sandbox.call("demo --json");
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let shown = shown.document();
    let measured = shown["measured"].as_array().expect("a list");
    assert_eq!(measured.len(), 11);
    for act in ["an upgrade under load", "a rollback under load"] {
        let row = measured.iter().find(|row| row["what"] == act).expect("it was shown");
        let result = row["result"].as_str().expect("text");
        assert!(result.ends_with(" answered, 0 refused, 0 reset"), "{result}");
    }
    let left = std::fs::read_dir(sandbox.path("project")).expect("there").count();
    assert_eq!(left, 0, "the demo left something");
    assert!(!sandbox.path("state").exists(), "the demo used the state directory of its caller");
}

/// A worker of 1.1.0 that took the place of one of 1.0.0, with no probation that a slow machine would see end in a test.
fn upgraded() -> Sandbox {
    let server = SERVER.replace("TENURE", crate::kit::TENURE);
    let sandbox = Sandbox::with_project(&format!("{server}bake = '0s'\n"));
    sandbox.call("ensure web");
    assert_eq!(sandbox.call("ensure web --version 1.1.0").code, Some(0));
    sandbox
}

#[test]
fn a_pin_says_what_made_room_and_how_to_release_it() {
    let sandbox = upgraded();
    assert_words!(sandbox, sandbox.call("pin web 1.0.0"));
    assert_words!(sandbox, sandbox.call("ensure web --version 1.1.0"));
    assert_words!(sandbox, sandbox.call("status web"));
    assert_words!(sandbox, sandbox.call("list"));
}

#[test]
fn a_pin_of_what_runs_changes_nothing_and_says_so() {
    let sandbox = upgraded();
    assert_words!(sandbox, sandbox.call("pin web v1.1.0"));
}

#[test]
fn a_pin_is_a_document_with_both_workers() {
    let sandbox = upgraded();
    assert_words!(sandbox, sandbox.call("pin web 1.0.0 --json"));
}

#[test]
fn an_unpin_says_what_may_come_next() {
    let sandbox = upgraded();
    sandbox.call("pin web 1.0.0");
    assert_words!(sandbox, sandbox.call("unpin web"));
    assert_words!(sandbox, sandbox.call("unpin web"));
    assert_words!(sandbox, sandbox.call("unpin web --json"));
}

#[test]
fn a_stop_that_holds_is_told_by_everybody_until_a_start() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("stop web --hold"));
    assert_words!(sandbox, sandbox.call("status web"));
    assert_words!(sandbox, sandbox.call("ensure web"));
    assert_words!(sandbox, sandbox.call("restart web --json"));
    assert_words!(sandbox, sandbox.call("start web"));
    assert_eq!(sandbox.call("ensure web").code, Some(0));
}

#[test]
fn a_version_that_fails_is_told_by_status_with_its_next_try() {
    let sandbox = Sandbox::new();
    let bad = r#"{"command":["sh","-c","exit 3"],"version":"1.1.0","ready":{"log":"up"}}"#;
    sandbox.call_with("ensure web --spec -", r#"{"command":["sh","-c","exec sleep 1000"]}"#);
    assert_words!(sandbox, sandbox.call_with("ensure web --spec -", bad));
    assert_words!(sandbox, sandbox.call("status web"));
    sandbox.call_with("ensure alone --spec -", bad);
    assert_words!(sandbox, sandbox.call("status alone"));
}

#[test]
fn status_of_nothing_says_what_starts_it_and_that_it_never_ran() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("status nobody"));
    assert_eq!(sandbox.call("status nobody --json").document()["state"], "down");
}

#[test]
fn verbose_status_tells_where_the_worker_comes_from() {
    let sandbox = server();
    sandbox.call("ensure web");
    assert_words!(sandbox, sandbox.call("status web -v"));
}

#[test]
fn ls_is_list() {
    let sandbox = Sandbox::new();
    sandbox.call("ensure web -- sleep 1000");
    let first = |said: &str| said.lines().next().map(str::to_owned);
    assert_eq!(first(&sandbox.call("ls").stdout), first(&sandbox.call("list").stdout));
}
