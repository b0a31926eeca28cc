//! `config check`, `config show` and `init`; and what the environment says instead of a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::kit::{Sandbox, assert_words};

const SLEEPER: &str = "command = ['sleep', '1000']\n";

fn filters() -> Vec<(&'static str, &'static str)> {
    vec![(r"[0-9a-f]{16}", "[key]"), (r" {2,}", "  ")]
}

#[test]
fn every_value_is_shown_with_what_says_it() {
    let mut sandbox = Sandbox::with_project(&format!(
        "[worker.memory]\n{SLEEPER}version = '1.2.3'\nstop.grace = '9s'\n\n[worker.memory.env.set]\n\
         LOG = 'info'\nAPI_TOKEN = 'hush'\n"
    ));
    sandbox.set("TENURE_START_TIMEOUT", "77s");
    assert_words!(sandbox, sandbox.call("config show memory"), filters());
}

#[test]
fn what_is_shown_is_a_document_for_programs() {
    let mut sandbox = Sandbox::with_project(&format!(
        "[worker.memory]\n{SLEEPER}version = {{ command = ['git', 'describe'] }}\n[worker.web]\n{SLEEPER}"
    ));
    sandbox.set("TENURE_WEDGED_AFTER", "3s");
    let document = sandbox.call("config show --json").document();
    assert_eq!(document["workers"].as_array().map(Vec::len), Some(2));
    let value = |key: &str| {
        let values = document["workers"][0]["values"].as_array().expect("values");
        values.iter().find(|value| value["key"] == key).expect(key).clone()
    };
    assert_eq!(value("version")["value"]["command"][0], "git");
    assert_eq!(
        (&value("command")["source"]["kind"], &value("command")["source"]["line"]),
        (&"project".into(), &2.into())
    );
    assert_eq!(value("wedged_after")["source"]["name"], "TENURE_WEDGED_AFTER");
    assert_eq!(value("wedged_after")["value"], "3s");
    assert_eq!(value("cwd")["source"]["kind"], "default");
    assert!(
        !sandbox.call("config show --json").stdout.contains("\"note\":\"the command printed"),
        "nothing was asked"
    );
}

#[test]
fn a_flag_before_the_environment_before_the_file() {
    let mut sandbox = Sandbox::with_project(&format!("[worker.memory]\n{SLEEPER}version = '1.0.0'\n"));
    let version = |sandbox: &Sandbox, line: &str| sandbox.call(line).document()["version"].clone();
    assert_eq!(version(&sandbox, "ensure memory --json"), "1.0.0");
    sandbox.set("TENURE_VERSION", "2.0.0");
    assert_eq!(version(&sandbox, "ensure memory --json"), "2.0.0");
    assert_eq!(version(&sandbox, "ensure memory --json --version 3.0.0"), "3.0.0");
    assert_eq!(version(&sandbox, "ensure typed --json -- sleep 1000"), "2.0.0");
    sandbox.set("TENURE_VERSION", "1.2.x");
    assert_words!(sandbox, sandbox.call("ensure memory"));
    assert_eq!(sandbox.call("status memory").code, Some(0), "what only looks needs no version");
}

#[test]
fn the_time_of_a_call_is_the_flags_then_the_variables() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TENURE_TIMEOUT", "0s");
    assert_eq!(sandbox.call("ensure web -- sleep 1000").code, Some(124));
    assert_eq!(sandbox.call("ensure web --timeout 20s -- sleep 1000").code, Some(0));
    sandbox.set("TENURE_TIMEOUT", "soon");
    assert_eq!(sandbox.call("stop web").code, Some(6));
    sandbox.set("TENURE_TIMEOUT", "");
}

#[test]
fn a_configuration_without_a_fault_is_valid() {
    let sandbox = Sandbox::with_project(&format!("[worker.memory]\n{SLEEPER}"));
    sandbox.write("user/mine.toml", &format!("[worker.mine]\n{SLEEPER}cwd = '/'\n"));
    assert_words!(sandbox, sandbox.call("config check"));
    let document = sandbox.call("config check --json").document();
    assert_eq!((&document["state"], &document["faults"]), (&"valid".into(), &serde_json::json!([])));
    assert_eq!(document["files"][0]["trust"], "trusted");
}

#[test]
fn every_fault_of_every_file_is_told_with_its_line() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "project/tenure.toml",
        "[worker.memory]\ncomand = ['x']\nstart_timeout = 5\nready = 'tcp'\nlisten = [{ name = 'a', tcp = 'b' }]\n",
    );
    sandbox.write("user/a.toml", "[worker.w\n[worker.v]\ncommand = []\n");
    sandbox.write("user/b.toml", &format!("[wroker.u]\n{SLEEPER}[worker.u]\n{SLEEPER}build = ['x']\n"));
    assert_words!(sandbox, sandbox.call("config check"));
    let document = sandbox.call("config check --json").document();
    assert_eq!(document["state"], "bad-config");
    assert!(document["faults"].as_array().is_some_and(|faults| faults.len() > 5), "{document}");
}

#[test]
fn what_is_odd_is_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", "[worker.memory]\ncommand = ['./no-such-program']\n");
    sandbox.write("user/mine.toml", &format!("[worker.mine]\n{SLEEPER}cwd = '/no/such/directory'\n"));
    fs::set_permissions(sandbox.path("user/mine.toml"), fs::Permissions::from_mode(0o666)).expect("ours");
    assert_words!(sandbox, sandbox.call("config check"));
}

#[test]
fn a_file_that_is_given_is_checked_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", "broken");
    sandbox.write("project/given.toml", &format!("[worker.w]\n{SLEEPER}"));
    assert_eq!(sandbox.call("config check --config given.toml").code, Some(0));
    assert_eq!(sandbox.call("config check").code, Some(6));
}

#[test]
fn a_file_to_begin_with_is_written_once_and_works_as_it_is() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("init memory -- sleep 1000"));
    assert_words!(sandbox, sandbox.call("init memory -- sleep 9"));
    assert_eq!(sandbox.call("config check").stdout, "1 worker in 1 file, no fault\n");
    assert_eq!(sandbox.call("ensure memory").code, Some(0), "who types the command has trusted it");
    insta::assert_snapshot!(fs::read_to_string(sandbox.path("project/tenure.toml")).expect("written"));
}

#[test]
fn a_file_to_begin_with_needs_no_command_and_takes_the_directorys_name() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("my app")).expect("made");
    let written = sandbox.start_in(&sandbox.path("my app"), "init --json").end().document();
    assert_eq!((&written["name"], &written["trusted"]), (&"my-app".into(), &false.into()));
    assert_eq!(sandbox.call("-C '../my app' config check").stdout, "0 workers in 1 file, no fault\n");
    assert_eq!(sandbox.call("init 'a b'").code, Some(2));
}
