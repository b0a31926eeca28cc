//! One app in two places: the version alone decides, and nothing is replaced for a path.

use std::fs;

use tenure_test::fixtures::call::Running;
use tenure_test::fixtures::sandbox::Sandbox;

use super::{Plugin, call, fine, replaced, started, two, warnings};
use crate::BINARIES;

#[test]
fn the_hooks_of_two_agents_share_one_worker_of_one_plugin_in_turn() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let [claude, codex] = two(&sandbox, ["1.0.0", "1.0.0"]);
    let first = fine(claude.ensure());
    assert_eq!(first["state"], "started");
    for _ in 0..3 {
        let (own, other) = (fine(claude.ensure()), fine(codex.ensure()));
        assert_eq!([&own["state"], &own["pid"]], [&"up".into(), &first["pid"]], "{own}");
        assert_eq!([&other["state"], &other["pid"]], [&"up".into(), &first["pid"]], "{other}");
        assert_eq!((warnings(&own).len(), warnings(&other)), (0, vec!["other-place"]));
    }
    codex.call("ensure", &["--strict"]).run().expect(0);
    let status = fine(call(&sandbox, &["status", "notes"]));
    assert_eq!(status["whose"]["app"], "acme.notes", "{status}");
    assert_eq!(status["whose"]["from"]["file"], claude.file().display().to_string());
    assert_eq!((started(&sandbox).len(), replaced(&sandbox.scope("notes"))), (1, 0));
    sandbox.stop("notes").expect(0);
}

#[test]
fn a_higher_version_in_the_other_place_replaces_the_worker_once() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let [claude, codex] = two(&sandbox, ["1.0.0", "1.1.0"]);
    let states: Vec<String> =
        [&claude, &codex, &claude, &codex, &claude].map(|plugin| plugin.ensure().expect(0).state()).into();
    assert_eq!(states, ["started", "replaced", "up", "up", "up"]);
    assert_eq!(
        (started(&sandbox), replaced(&sandbox.scope("notes"))),
        (vec!["1.0.0".into(), "1.1.0".into()], 1)
    );
    sandbox.stop("notes").expect(0);
}

#[test]
fn eight_hooks_of_two_places_at_once_get_one_worker() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let plugins = two(&sandbox, ["1.0.0", "1.0.0"]);
    let hooks: Vec<Running> =
        (0..8).map(|at| plugins[at % 2].call("ensure", &["--timeout", "40s"]).start()).collect();
    let answers: Vec<_> = hooks.into_iter().map(|hook| fine(hook.wait())).collect();
    assert!(answers.iter().all(|answer| answer["pid"] == answers[0]["pid"]), "{answers:#?}");
    assert_eq!((started(&sandbox).len(), replaced(&sandbox.scope("notes"))), (1, 0));
    sandbox.stop("notes").expect(0);
}

#[test]
fn a_hook_whose_budget_is_shorter_than_the_boot_leaves_the_boot_to_the_next_one() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let [claude, codex] = two(&sandbox, ["1.0.0", "1.0.0"]);
    let slow = sandbox.meeting("slow");
    let word = format!("meet={}", sandbox.path().join("slow").display());
    for plugin in [&claude, &codex] {
        plugin.describe(Some("acme.notes"), "1.0.0", &[&word], "");
    }
    let hurried = claude.call("ensure", &["--timeout", "300ms"]).run().expect(124);
    assert_eq!(hurried.state(), "warming");
    codex.call("ensure", &["--timeout", "300ms", "--accept-warming"]).run().expect(0);
    let patient = codex.call("ensure", &["--timeout", "40s"]).start();
    drop(slow.meet());
    patient.wait().expect(0);
    assert_eq!(claude.ensure().expect(0).state(), "up");
    assert_eq!((started(&sandbox).len(), replaced(&sandbox.scope("notes"))), (1, 0));
    sandbox.stop("notes").expect(0);
}

#[test]
fn a_version_that_was_published_by_mistake_is_withdrawn() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let [claude, codex] = two(&sandbox, ["1.0.0", "9.9.9"]);
    claude.ensure().expect(0);
    assert_eq!(codex.ensure().expect(0).state(), "replaced");
    codex.describe(Some("acme.notes"), "1.0.1", &[], "");
    assert_eq!(fine(codex.ensure())["version"], "9.9.9", "it goes on");
    let forgotten = fine(call(&sandbox, &["forget", "notes", "9.9.9"]));
    assert_eq!(forgotten["state"], "forgotten");
    let restarted = fine(codex.call("restart", &["--timeout", "40s"]).run());
    assert_eq!(restarted["version"], "1.0.1", "{restarted}");
    assert_eq!(fine(claude.ensure())["version"], "1.0.1");
    sandbox.stop("notes").expect(0);
}

#[test]
fn a_plugin_that_is_removed_while_its_worker_serves_leaves_the_worker_to_the_other_installation() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let [claude, codex] = two(&sandbox, ["1.0.0", "1.0.0"]);
    let first = fine(claude.ensure());
    fs::remove_dir_all(&claude.directory).expect("ours");
    assert_eq!(fine(codex.ensure())["pid"], first["pid"], "it goes on");
    let restarted = fine(codex.call("restart", &["--timeout", "40s"]).run());
    assert_eq!(
        (&restarted["state"], &restarted["displaced"]),
        (&"replaced".into(), &serde_json::Value::Null)
    );
    sandbox.stop("notes").expect(0);
    assert_eq!(codex.ensure().expect(0).state(), "started");
    sandbox.stop("notes").expect(0);
}

#[test]
fn the_only_installation_is_removed_and_a_restart_says_so_and_stops_nothing() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let plugin = Plugin::install(&sandbox, "notes", Some("acme.notes"), "1.0.0");
    let first = fine(plugin.ensure());
    fs::remove_dir_all(&plugin.directory).expect("ours");
    let refused = call(&sandbox, &["restart", "notes"]).expect(1).json();
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("there is no directory") && message.contains("nothing was stopped"),
        "{refused}"
    );
    assert_eq!(fine(call(&sandbox, &["status", "notes"]))["pid"], first["pid"]);
    sandbox.stop("notes").expect(0);
}

#[test]
fn what_two_installations_of_one_version_do_otherwise_is_a_warning_and_an_error_under_strict() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let [claude, codex] = two(&sandbox, ["1.0.0", "1.0.0"]);
    claude.ensure().expect(0);
    codex.describe(Some("acme.notes"), "1.0.0", &["say=other"], "");
    assert_eq!(warnings(&fine(codex.ensure())), ["other-description"]);
    let strict = codex.call("ensure", &["--strict"]).run().expect(5);
    assert_eq!(
        (strict.state().as_str(), &strict.json()["error"]["kind"]),
        ("spec-conflict", &"other-description".into())
    );
    codex.describe(Some("acme.notes"), "1.0.0", &[], "env = { set = { A = \"b\" } }\n");
    assert_eq!(warnings(&fine(codex.ensure())), ["drift", "other-place"]);
    codex.call("ensure", &["--strict"]).run().expect(5);
    assert_eq!(replaced(&sandbox.scope("notes")), 0);
    sandbox.stop("notes").expect(0);
}
