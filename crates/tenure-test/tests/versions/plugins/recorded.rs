//! A worker that no configuration describes here is known by its record: `ensure`, `start`, `restart` and `config show` use
//! what was offered.

use std::fs;

use tenure_test::fixtures::sandbox::Sandbox;

use super::{Plugin, call, fine};
use crate::BINARIES;

#[test]
fn a_worker_of_a_call_is_restarted_started_and_shown_by_its_name() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    call(&sandbox, &["ensure", "nap"]).expect(6);
    let first = fine(sandbox.tenure(["ensure", "nap", "--json", "--", "sleep", "1000"]).run());
    assert_eq!(fine(call(&sandbox, &["ensure", "nap"]))["pid"], first["pid"]);
    assert_eq!(fine(call(&sandbox, &["restart", "nap"]))["old"]["pid"], first["pid"]);
    call(&sandbox, &["stop", "nap", "--hold"]).expect(0);
    assert_eq!(call(&sandbox, &["ensure", "nap"]).expect(3).state(), "down");
    assert_eq!(fine(call(&sandbox, &["start", "nap"]))["state"], "started");
    let shown = fine(call(&sandbox, &["config", "show", "nap"]));
    let values = shown["workers"][0]["values"].as_array().expect("values");
    let command = values.iter().find(|value| value["key"] == "command").expect("a command");
    assert_eq!(command["value"], serde_json::json!(["sleep", "1000"]));
    assert_eq!(command["source"]["kind"], "record");
    sandbox.stop("nap").expect(0);
}

#[test]
fn a_worker_of_a_description_on_stdin_is_known_by_its_name() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let spec = sandbox.path().join("spec.json");
    fs::write(&spec, r#"{"command":["sleep","1000"],"version":"1.2.0","app":"acme.nap"}"#).expect("ours");
    let stdin = fs::File::open(&spec).expect("it is there");
    sandbox.tenure(["ensure", "nap", "--spec", "-"]).stdin(stdin).run().expect(0);
    assert_eq!(fine(call(&sandbox, &["restart", "nap"]))["version"], "1.2.0");
    assert_eq!(fine(call(&sandbox, &["list"]))["workers"][0]["whose"]["app"], "acme.nap");
    sandbox.stop("nap").expect(0);
}

#[test]
fn a_worker_of_a_named_file_is_known_by_its_name_after_the_file_is_gone() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let plugin = Plugin::install(&sandbox, "notes", Some("acme.notes"), "1.0.0");
    plugin.ensure().expect(0);
    fs::remove_file(plugin.file()).expect("ours");
    assert_eq!(fine(call(&sandbox, &["restart", "notes"]))["state"], "replaced");
    assert_eq!(fine(call(&sandbox, &["start", "notes", "--version", "1.1.0"]))["version"], "1.1.0");
    sandbox.stop("notes").expect(0);
    assert_eq!(fine(call(&sandbox, &["ensure", "notes"]))["state"], "started");
    sandbox.stop("notes").expect(0);
}

#[test]
fn what_a_project_offered_starts_nothing_by_its_name_once_its_trust_is_gone() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let plugin = Plugin::install(&sandbox, "project", None, "1.0.0");
    plugin.describe(None, "1.0.0", &[], "scope = \"user\"\n");
    let directory = plugin.directory.display().to_string();
    call(&sandbox, &["trust", &directory]).expect(0);
    sandbox.tenure(["ensure", "notes"]).cwd(&plugin.directory).run().expect(0);
    sandbox.stop("notes").expect(0);
    assert_eq!(fine(call(&sandbox, &["ensure", "notes"]))["state"], "started", "from anywhere");
    sandbox.stop("notes").expect(0);
    call(&sandbox, &["trust", &directory, "--revoke"]).expect(0);
    for command in ["ensure", "start", "restart"] {
        assert_eq!(call(&sandbox, &[command, "notes"]).expect(6).state(), "untrusted", "{command}");
    }
}
