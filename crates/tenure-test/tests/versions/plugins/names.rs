//! Two apps that ask for one name: nobody's program is replaced by a stranger's, and a person can give the name to another.

use tenure_test::fixtures::sandbox::Sandbox;

use super::{Plugin, call, fine, replaced, started};
use crate::BINARIES;

/// A sandbox's plugin of `acme`, which has asked first, and one of another vendor in a higher version.
fn two_apps(sandbox: &Sandbox) -> [Plugin<'_>; 2] {
    let first = Plugin::install(sandbox, "acme", Some("acme.notes"), "1.0.0");
    first.ensure().expect(0);
    [first, Plugin::install(sandbox, "other", Some("other.notes"), "9.0.0")]
}

fn hint(refused: &serde_json::Value) -> &str {
    refused["error"]["hint"].as_str().unwrap_or_default()
}

#[test]
fn another_app_is_refused_whatever_its_version_is_while_the_worker_runs_and_while_nothing_does() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let [first, other] = two_apps(&sandbox);
    for command in ["ensure", "start", "restart"] {
        let refused = other.call(command, &[]).run().expect(5);
        assert_eq!(refused.state(), "other-app", "{command}");
        let told = refused.json().to_string();
        assert!(told.contains("app other.notes") && told.contains("app acme.notes"), "{told}");
    }
    sandbox.stop("notes").expect(0);
    assert_eq!(other.ensure().expect(5).state(), "other-app");
    assert_eq!(first.ensure().expect(0).state(), "started");
    assert_eq!((started(&sandbox), replaced(&sandbox.scope("notes"))), (vec!["1.0.0".into(); 2], 0));
    sandbox.stop("notes").expect(0);
}

#[test]
fn each_remedy_for_a_name_that_is_kept_works_as_it_is_printed() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let [first, other] = two_apps(&sandbox);
    let refused = other.ensure().expect(5).json();
    assert!(hint(&refused).contains("--key"), "{refused}");
    assert_eq!(other.call("ensure", &["--key", "other"]).run().expect(0).state(), "started");
    sandbox.stop("notes@other").expect(0);

    let file = other.file().display().to_string();
    let remedy = ["forget", "notes", "--app", "--config", &file];
    assert!(hint(&refused).contains(&format!("`tenure {}`", remedy.join(" "))), "{refused}");
    let given_up = fine(call(&sandbox, &remedy));
    assert_eq!(
        (&given_up["whose"]["app"], &given_up["forgotten"][0]),
        (&"acme.notes".into(), &"1.0.0".into())
    );
    assert_eq!(first.ensure().expect(0).state(), "up", "its worker goes on until somebody else asks");
    assert_eq!(other.ensure().expect(0).state(), "replaced");
    assert_eq!(first.ensure().expect(5).state(), "other-app", "from now on it is the other's");
    sandbox.stop("notes").expect(0);
}

#[test]
fn a_name_is_given_up_with_its_pin_and_what_nobody_has_need_not_be_given_up() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let [_first, other] = two_apps(&sandbox);
    call(&sandbox, &["pin", "notes", "1.0.0"]).expect(0);
    assert_eq!(other.ensure().expect(5).state(), "other-app");
    let given_up = fine(call(&sandbox, &["forget", "notes", "--app"]));
    assert_eq!(given_up["unpinned"], "1.0.0");
    let again = fine(call(&sandbox, &["forget", "notes", "--app"]));
    assert_eq!((&again["state"], &again["whose"]), (&"forgotten".into(), &serde_json::Value::Null));
    assert_eq!(other.ensure().expect(0).state(), "replaced");
    sandbox.stop("notes").expect(0);
}

#[test]
fn without_a_name_two_files_are_two_apps_and_a_persons_restart_takes_the_name_over() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let first = Plugin::install(&sandbox, "first", None, "9.0.0");
    let second = Plugin::install(&sandbox, "second", None, "1.0.0");
    first.ensure().expect(0);
    let refused = second.ensure().expect(5);
    assert_eq!(refused.state(), "other-app");
    let remedy = format!("`tenure restart notes --config {}`", second.file().display());
    assert!(hint(&refused.json()).contains(&remedy), "{}", refused.stdout);
    let restarted = fine(second.call("restart", &["--timeout", "40s"]).run());
    assert_eq!((&restarted["version"], &restarted["forgotten"][0]), (&"1.0.0".into(), &"9.0.0".into()));
    assert_eq!(restarted["displaced"]["from"]["file"], first.file().display().to_string(), "{restarted}");
    assert_eq!(first.ensure().expect(5).state(), "other-app");
    second.describe(None, "2.0.0", &["say=changed"], "");
    assert_eq!(second.ensure().expect(0).state(), "replaced", "one file may change its command");
    sandbox.stop("notes").expect(0);
}

#[test]
fn a_file_that_gives_its_app_a_name_keeps_its_worker_and_shares_it_from_then_on() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let first = Plugin::install(&sandbox, "first", None, "1.0.0");
    let second = Plugin::install(&sandbox, "second", Some("acme.notes"), "2.0.0");
    first.ensure().expect(0);
    assert_eq!(second.ensure().expect(5).state(), "other-app");
    first.describe(Some("acme.notes"), "1.1.0", &[], "");
    assert_eq!(first.ensure().expect(0).state(), "replaced");
    assert_eq!(second.ensure().expect(0).state(), "replaced");
    sandbox.stop("notes").expect(0);
}

#[test]
fn a_program_that_was_mistyped_or_removed_keeps_no_name() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let ensure = |command: &[&str]| {
        let words = ["ensure", "nap", "--json", "--"];
        sandbox.tenure(words.into_iter().chain(command.iter().copied())).run()
    };
    assert_eq!(ensure(&["slepe", "1000"]).expect(1).state(), "spawn-failed");
    assert_eq!(ensure(&["sleep", "1000"]).expect(0).state(), "started");
    assert_eq!(ensure(&["tail", "-f", "/dev/null"]).expect(5).state(), "other-app");
    sandbox.stop("nap").expect(0);
}

#[test]
fn programs_of_calls_are_apps_by_their_names() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let ensure = |version: &str, command: &[&str]| {
        let words = ["ensure", "nap", "--json", "--version", version, "--"];
        sandbox.tenure(words.into_iter().chain(command.iter().copied())).run()
    };
    ensure("1.0.0", &["sleep", "1000"]).expect(0);
    assert_eq!(ensure("1.1.0", &["sleep", "1001"]).expect(0).state(), "replaced");
    assert_eq!(ensure("2.0.0", &["tail", "-f", "/dev/null"]).expect(5).state(), "other-app");
    assert_eq!(ensure("1.1.0", &["sleep", "1002"]).expect(5).state(), "spec-conflict");
    sandbox.stop("nap").expect(0);
}
