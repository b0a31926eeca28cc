//! What no file and no program describes any more makes room for what is described, and an offer can be taken back.

use std::fs;
use std::path::Path;

use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::sandbox::Sandbox;

use super::{call, serving, text, told, user};
use crate::BINARIES;

#[test]
fn a_restart_forgets_a_higher_version_that_its_file_does_not_state_any_more() {
    let (sandbox, work) = serving("11.0.0");
    user(&sandbox, "1.1.0");

    let restarted = call(&sandbox, &work, &["restart", "w"]).expect(0).json();

    assert_eq!(restarted["version"], "1.1.0");
    assert_eq!(restarted["forgotten"], serde_json::json!(["11.0.0"]));
    assert_eq!(
        call(&sandbox, &work, &["ensure", "w"]).expect(0).json()["version"],
        "1.1.0",
        "and it stays so"
    );
    sandbox.stop("w");
}

#[test]
fn a_restart_forgets_a_higher_version_that_failed_and_is_not_stated_any_more() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    let broken = "[worker.w]\nversion = \"11.0.0\"\ncommand = [\"sh\", \"-c\", \"exit 3\"]\n";
    fs::write(sandbox.config().join("w.toml"), broken).expect("a sandbox takes files");
    assert!(!call(&sandbox, &work, &["ensure", "w"]).status.success(), "it exits at once");
    user(&sandbox, "1.1.0");

    let restarted = call(&sandbox, &work, &["restart", "w"]).expect(0).json();

    assert_eq!(restarted["version"], "1.1.0");
    assert_eq!(restarted["forgotten"], serde_json::json!(["11.0.0"]));
    let forgotten = call(&sandbox, &work, &["forget", "w", "11.0.0"]).expect(5);
    assert!(complaint(&forgotten).contains("known: 1.1.0"), "{}", forgotten.stdout);
    sandbox.stop("w");
}

#[test]
fn a_restart_from_an_older_copy_starts_what_is_described_elsewhere_and_says_so() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    user(&sandbox, "2.0.0");
    fs::write(work.join("old.toml"), text(&sandbox, "1.0.0", "")).expect("a sandbox takes files");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);

    let restarted = call(&sandbox, &work, &["restart", "w", "--config", "old.toml"]).expect(0).json();

    assert_eq!((&restarted["version"], &restarted["passed_over"]), (&"2.0.0".into(), &"1.0.0".into()));
    let told = sandbox.tenure(["restart", "w", "--config", "old.toml"]).cwd(&work).run().expect(0);
    let said = told.stdout + &told.stderr;
    assert!(said.contains("2.0.0 was started and not 1.0.0"), "{said}");
    sandbox.stop("w");
}

#[test]
fn a_file_that_is_gone_describes_nothing() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    fs::write(work.join("new.toml"), text(&sandbox, "2.0.0", "")).expect("a sandbox takes files");
    user(&sandbox, "1.0.0");
    call(&sandbox, &work, &["ensure", "w", "--config", "new.toml"]).expect(0);
    fs::remove_file(work.join("new.toml")).expect("it is ours");

    let restarted = call(&sandbox, &work, &["restart", "w"]).expect(0).json();

    assert_eq!(
        (&restarted["version"], &restarted["forgotten"]),
        (&"1.0.0".into(), &serde_json::json!(["2.0.0"]))
    );
    sandbox.stop("w");
}

/// A call that describes what to start, as this version of the same app.
fn typed(sandbox: &Sandbox, program: &Path, version: &str) -> Output {
    let oracle = sandbox.oracle();
    let command = [program, oracle.directory(), Path::new(version)];
    let spec = serde_json::json!({ "app": "fixture.w", "version": version, "command": command });
    let file = sandbox.path().join("spec.json");
    fs::write(&file, spec.to_string()).expect("a sandbox takes files");
    let stdin = fs::File::open(&file).expect("it is there");
    sandbox.tenure(["ensure", "w", "--json", "--spec", "-"]).stdin(stdin).run()
}

#[test]
fn what_a_call_offered_without_a_file_is_described_as_long_as_its_program_exists() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    let program = work.join("server");
    fs::copy(BINARIES.program, &program).expect("a sandbox takes files");
    user(&sandbox, "1.0.0");
    typed(&sandbox, &program, "9.0.0").expect(0);

    let there = call(&sandbox, &work, &["restart", "w"]).expect(0).json();
    fs::remove_file(&program).expect("it is ours");
    let gone = call(&sandbox, &work, &["restart", "w"]).expect(0).json();

    assert_eq!((&there["version"], &there["passed_over"]), (&"9.0.0".into(), &"1.0.0".into()));
    assert_eq!((&gone["version"], &gone["forgotten"]), (&"1.0.0".into(), &serde_json::json!(["9.0.0"])));
    fs::copy(BINARIES.program, &program).expect("a sandbox takes files");
    let after = call(&sandbox, &work, &["ensure", "w"]).expect(0).json();
    assert_eq!(after["version"], "1.0.0", "it does not come back with its program");
    sandbox.stop("w");
}

#[test]
fn a_version_that_only_a_call_gives_to_a_described_worker_is_not_described() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    user(&sandbox, "1.0.0");
    call(&sandbox, &work, &["ensure", "w", "--version", "11.0.0"]).expect(0);

    let restarted = call(&sandbox, &work, &["restart", "w"]).expect(0).json();

    assert_eq!(
        (&restarted["version"], &restarted["forgotten"]),
        (&"1.0.0".into(), &serde_json::json!(["11.0.0"]))
    );
    sandbox.stop("w");
}

#[test]
fn an_offer_is_taken_back_without_stopping_what_runs_and_may_be_offered_again() {
    let (sandbox, work) = serving("1.0.0");
    let new = ["ensure", "w", "--version", "11.0.0"];
    let pid = call(&sandbox, &work, &new).expect(0).json()["pid"].clone();

    let forgotten = call(&sandbox, &work, &["forget", "w", "11.0.0"]).expect(0).json();

    assert_eq!((&forgotten["state"], &forgotten["target"]), (&"forgotten".into(), &"1.0.0".into()));
    assert_eq!((&forgotten["pid"], &forgotten["version"]), (&pid, &"11.0.0".into()), "it goes on");
    assert_eq!(call(&sandbox, &work, &["restart", "w"]).expect(0).json()["version"], "1.0.0");
    assert_eq!(
        call(&sandbox, &work, &new).expect(0).json()["version"],
        "11.0.0",
        "a live launcher offers it again"
    );
    sandbox.stop("w");
}

#[test]
fn a_version_that_is_pinned_or_was_never_offered_is_not_forgotten() {
    let (sandbox, work) = serving("1.0.0");
    call(&sandbox, &work, &["pin", "w", "1.0.0"]).expect(0);

    let pinned = call(&sandbox, &work, &["forget", "w", "1.0.0"]).expect(5);
    let unknown = call(&sandbox, &work, &["forget", "w", "3.0.0"]).expect(5);

    assert_eq!((pinned.state(), unknown.state()), ("version-pinned".into(), "unknown-version".into()));
    assert!(complaint(&pinned).contains("tenure unpin w"), "{}", pinned.stdout);
    assert!(complaint(&unknown).contains("known: 1.0.0"), "{}", unknown.stdout);
    call(&sandbox, &work, &["unpin", "w"]).expect(0);
    call(&sandbox, &work, &["forget", "w", "1.0.0"]).expect(0);
    sandbox.stop("w");
}

#[test]
fn status_list_and_doctor_tell_an_offer_that_nobody_describes_any_more_and_the_remedy_works() {
    let (sandbox, work) = serving("11.0.0");
    user(&sandbox, "1.1.0");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);

    for offers in told(&sandbox) {
        let of = |offer: &serde_json::Value| (offer["version"].clone(), offer["described"].clone());
        let offers: Vec<_> = offers.as_array().expect("a list").iter().map(of).collect();
        assert_eq!(offers, [("11.0.0".into(), false.into())], "the call found it up and offered nothing");
    }
    let list = sandbox.tenure(["list"]).run().stdout;
    assert!(list.contains("11.0.0 described nowhere"), "{list}");
    let findings = call(&sandbox, &work, &["doctor", "w"]).json();
    let found = findings["findings"].as_array().expect("a list");
    let of_it = found.iter().find(|finding| finding["check"] == "offer-undescribed").expect("told");
    let status = sandbox.tenure(["status", "w"]).cwd(&work).run().stdout;
    assert!(status.contains("11.0.0 is described nowhere any more"), "{status}");
    assert!(status.contains("`tenure forget w 11.0.0`"), "{status}");
    assert_eq!(of_it["remedy"], "`tenure forget w 11.0.0`");
    call(&sandbox, &work, &["forget", "w", "11.0.0"]).expect(0);
    let status = sandbox.tenure(["status", "w"]).cwd(&work).run().stdout;
    assert!(!status.contains("described nowhere"), "{status}");
    sandbox.stop("w");
}

#[test]
fn what_an_upgrade_has_left_behind_is_no_news() {
    let (sandbox, work) = serving("1.0.0");
    user(&sandbox, "2.0.0");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);

    let [offers, _] = told(&sandbox);
    assert_eq!(offers[0]["described"], false);
    let status = sandbox.tenure(["status", "w"]).cwd(&work).run().stdout;
    assert!(!status.contains("1.0.0"), "{status}");
    sandbox.stop("w");
}
