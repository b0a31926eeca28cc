//! The words of `prune`, `list` and `status` for workers whose project is gone.

use std::fs;

use crate::kit::{Sandbox, assert_words, filters};

const SLEEPER: &str = "[worker.memory]\ncommand = ['sleep', '1000']\nversion = '1.0.0'\n";

/// A project whose worker has run and was stopped.
fn has_run(sandbox: &Sandbox, name: &str) {
    sandbox.write(&format!("project/{name}/tenure.toml"), SLEEPER);
    for command in ["trust", "ensure memory", "stop memory"] {
        let said = sandbox.call(&format!("-C {name} {command}"));
        assert_eq!(said.code, Some(0), "{command}: {said:?}");
    }
}

fn gone(sandbox: &Sandbox, name: &str) {
    fs::remove_dir_all(sandbox.path(&format!("project/{name}"))).expect("ours");
}

fn with_sizes() -> Vec<(&'static str, &'static str)> {
    let sizes = [(r"\d+\.\d kB|\d+ B\b", "[size]"), (r#""bytes":\d+"#, r#""bytes":"[number]""#)];
    sizes.into_iter().chain(filters()).collect()
}

#[test]
fn what_would_be_removed_is_shown_with_what_is_kept_and_why() {
    let sandbox = Sandbox::new();
    has_run(&sandbox, "old");
    has_run(&sandbox, "disk/p");
    sandbox.write("project/README", "");
    gone(&sandbox, "old");
    gone(&sandbox, "disk");
    assert_words!(sandbox, sandbox.call("prune"), with_sizes());
}

#[test]
fn a_pinned_one_is_kept_and_the_remedy_works() {
    let sandbox = Sandbox::new();
    has_run(&sandbox, "old");
    sandbox.call("-C old ensure memory");
    assert_eq!(sandbox.call("-C old pin memory 1.0.0").code, Some(0));
    sandbox.call("-C old stop memory");
    sandbox.write("project/README", "");
    gone(&sandbox, "old");
    let said = sandbox.call("prune");
    assert_words!(sandbox, said, with_sizes());
    let remedy = said.stderr.split("`tenure ").nth(1).and_then(|rest| rest.split('`').next());
    assert_eq!(sandbox.call(remedy.expect("a command")).code, Some(0));
    assert_eq!(sandbox.call("prune --yes --json").document()["workers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_was_removed_is_told() {
    let sandbox = Sandbox::new();
    has_run(&sandbox, "old");
    sandbox.write("project/README", "");
    gone(&sandbox, "old");
    assert_words!(sandbox, sandbox.call("prune --yes"), with_sizes());
}

#[test]
fn nothing_to_remove_is_no_failure() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("prune --yes"), with_sizes());
}
