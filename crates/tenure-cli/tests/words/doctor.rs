//! The doctor's words: a worker that is well, one that is in trouble, and what was mended.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::kit::{Said, Sandbox, assert_words, filters};

/// What the machine of the test itself may have to say is left out: it differs from place to place.
fn of_workers(mut said: Said) -> Said {
    let mut is_of_machine = false;
    let lines = said.stdout.lines().filter(|line| {
        is_of_machine = line.starts_with("machine") || (is_of_machine && line.starts_with(' '));
        !is_of_machine
    });
    said.stdout = lines.map(|line| line.to_owned() + "\n").collect();
    said
}

/// The directory of this host, below the root of all state.
fn host(sandbox: &Sandbox) -> PathBuf {
    tenure_core::store::paths::host_directory(&sandbox.path("state")).expect("a machine has a name, or none")
}

/// The host's directory has another name on each machine.
fn own_filters() -> Vec<(&'static str, &'static str)> {
    let own = [
        (r"damaged-\d+", "damaged-[time]"),
        (r"state/[0-9a-f]{16}", "state/[host]"),
        (r"state/nohost", "state/[host]"),
    ];
    own.into_iter().chain(filters()).collect()
}

#[test]
fn a_worker_that_is_well_is_told_with_all_that_was_looked_at() {
    let sandbox = Sandbox::new();
    sandbox.call("ensure web -- sleep 1000");
    assert_words!(sandbox, of_workers(sandbox.call("doctor web")), own_filters());
}

#[test]
fn what_never_ran_is_said_to_have_never_run() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, of_workers(sandbox.call("doctor web")), own_filters());
    assert!(!sandbox.path("state").exists());
}

#[test]
fn a_damaged_record_is_named_with_what_to_type_and_moved_aside() {
    let sandbox = Sandbox::new();
    sandbox.call("ensure web -- sleep 1000");
    sandbox.call("stop web");
    fs::write(host(&sandbox).join("web/ledger.json"), "{").expect("ours");
    assert_words!(sandbox, of_workers(sandbox.call("doctor web")), own_filters());
    assert_words!(sandbox, of_workers(sandbox.call("doctor web --fix")), own_filters());
}

#[test]
fn a_directory_that_is_open_to_others_is_told_with_its_fix_and_then_closed() {
    let sandbox = Sandbox::new();
    sandbox.call("ensure web -- sleep 1000");
    let host =
        fs::read_dir(sandbox.path("state")).expect("made").next().expect("one").expect("an entry").path();
    fs::set_permissions(host.join("web"), fs::Permissions::from_mode(0o755)).expect("ours");
    assert_words!(sandbox, of_workers(sandbox.call("doctor web")), own_filters());
    assert_words!(sandbox, of_workers(sandbox.call("doctor web --fix")), own_filters());
}

#[test]
fn a_finding_is_a_document_for_programs() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TENURE_HOST", "/nowhere/tenure");
    let document = sandbox.call("doctor --json").document();
    assert_eq!((&document["schema_version"], &document["state"]), (&1.into(), &"findings".into()));
    let findings = document["findings"].as_array().expect("a list");
    let finding = findings.iter().find(|finding| finding["check"] == "host-variable").expect("found");
    assert!(finding["worker"].is_null() && finding["fix"].is_null());
    assert_eq!(finding["remedy"], "`unset TENURE_HOST`");
}
