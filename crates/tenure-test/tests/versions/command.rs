//! The version that a command tells: asked once, for as long as what it depends on stays the same. And whose worker a name
//! is: one for each project, and never two descriptions at once.

use std::fs;
use std::path::Path;

use tenure_core::store::event::What;
use tenure_test::kept::{self, Kept};
use tenure_test::usual;

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

/// `w`, whose version the script tells; each run of it leaves a line. Written by another process, so that no process of
/// the tests can have it open for writing when it is run.
fn told_by_a_script(tells: &str) -> Kept {
    let kept = Kept::new(TENURE, PROGRAM);
    let text = format!("#!/bin/sh\necho run >> runs\n{tells}\n");
    let write = usual::shell(&kept.sandbox, "printf '%s' \"$TEXT\" > v.sh && chmod 755 v.sh");
    write.env("TEXT", &text).run().expect(0);
    fs::write(kept.sandbox.work().join("VERSION"), "1.0.0\n").expect("a sandbox takes files");
    kept.offer("1.0.0").line("version = { command = [\"./v.sh\"], inputs = [\"VERSION\"] }").write();
    kept
}

fn runs(kept: &Kept) -> usize {
    fs::read_to_string(kept.sandbox.work().join("runs")).unwrap_or_default().lines().count()
}

#[test]
fn a_command_that_tells_the_version_is_run_once_for_everybody_and_again_when_its_input_has_changed() {
    let kept = told_by_a_script("cat VERSION");
    let first = kept.ensure().run().expect(0);
    assert_eq!((kept::version(&first).as_str(), runs(&kept)), ("1.0.0", 1));
    // An answer about files that are younger than a tick of the clock is not kept; a worker was started since.
    kept.ensure().run().expect(0);
    let asked = runs(&kept);
    assert!(asked <= 2, "{asked}");
    for up in kept::answers(kept.crowd(["1.0.0"; 20])) {
        assert_eq!(kept::pid(&up.expect(0)), kept::pid(&first));
    }
    assert_eq!(runs(&kept), asked, "twenty launchers, and nobody asks");

    fs::write(kept.sandbox.work().join("VERSION"), "2.0.0\n").expect("a sandbox takes files");
    for answer in kept::answers(kept.crowd(["1.0.0"; 20])) {
        assert_eq!(kept::version(&answer.expect(0)), "2.0.0");
    }
    assert_eq!((kept.count(What::Replacing), kept.count(What::Spawned)), (1, 2));
    kept.ensure().run().expect(0);
    let asked = runs(&kept);
    for up in kept::answers(kept.crowd(["1.0.0"; 20])) {
        assert_eq!(up.expect(0).state(), "up");
    }
    assert_eq!(runs(&kept), asked);
    kept.stop().run().expect(0);
}

#[test]
fn looking_asks_no_command() {
    let kept = told_by_a_script("cat VERSION");
    kept.status().expect(3);
    kept.stop().run().expect(0);
    assert_eq!(runs(&kept), 0);
    let config = kept.file("1.0.0").display().to_string();
    let named =
        kept.sandbox.tenure(["ensure", "w", "--json", "--config", &config, "--version", "3.0.0"]).run();
    assert_eq!(
        (kept::version(&named.expect(0)).as_str(), runs(&kept)),
        ("3.0.0", 0),
        "one that is named needs none"
    );
    kept.stop().run().expect(0);
}

#[test]
fn a_command_that_fails_is_told_with_its_words_and_changes_nothing() {
    let kept = told_by_a_script("test -f broken && { echo no manifest here >&2; exit 7; }; cat VERSION");
    let first = kept.ensure().run().expect(0);
    fs::write(kept.sandbox.work().join("broken"), "").expect("a sandbox takes files");
    fs::write(kept.sandbox.work().join("VERSION"), "2.0.0\n").expect("a sandbox takes files");
    for _ in 0..3 {
        let failed = kept.ensure().run().expect(1);
        let said = failed.json()["error"].to_string();
        assert!(
            said.contains("./v.sh") && said.contains("no manifest here") && said.contains("exit status 7"),
            "{said}"
        );
    }
    assert_eq!(kept::pid(&kept.status().expect(0)), kept::pid(&first));
    fs::remove_file(kept.sandbox.work().join("broken")).expect("it is there");
    assert_eq!(kept::version(&kept.ensure().run().expect(0)), "2.0.0", "a failure is not remembered");
    kept.stop().run().expect(0);
}

/// A project in which `w` is the fixture with this word.
fn project(kept: &Kept, name: &str, word: &str) -> String {
    let directory = kept.sandbox.work().join(name);
    fs::create_dir(&directory).expect("a sandbox takes directories");
    describe(kept, &directory, word)
}

fn describe(kept: &Kept, directory: &Path, word: &str) -> String {
    let oracle = kept.sandbox.path().join(directory.file_name().expect("it has a name"));
    fs::create_dir_all(&oracle).expect("a sandbox takes directories");
    let command = [PROGRAM, &oracle.display().to_string(), "1.0.0", word];
    let lines = format!("scope = \"project\"\nversion = \"1.0.0\"\ncommand = {command:?}\n{}", usual::HTTP);
    let file = directory.join("tenure.toml");
    fs::write(&file, format!("[worker.w]\n{lines}")).expect("a sandbox takes files");
    file.display().to_string()
}

#[test]
fn the_same_name_in_two_projects_is_two_workers() {
    let kept = Kept::new(TENURE, PROGRAM);
    let files = [project(&kept, "one", "say=one"), project(&kept, "two", "say=two")];
    let call =
        |command: &str, file: &str| kept.sandbox.tenure([command, "w", "--json", "--config", file]).run();
    let started: Vec<_> = files.iter().map(|file| call("ensure", file).expect(0)).collect();
    assert!(started.iter().all(|answer| answer.state() == "started"), "{started:?}");
    assert_ne!(kept::pid(&started[0]), kept::pid(&started[1]));
    assert_ne!(started[0].json()["key"], started[1].json()["key"]);
    for (file, own) in files.iter().zip(&started) {
        assert_eq!(
            (call("ensure", file).state().as_str(), kept::pid(&call("status", file))),
            ("up", kept::pid(own))
        );
    }
    let listed = kept.sandbox.tenure(["list", "--json"]).run().expect(0).json();
    assert_eq!(listed["workers"].as_array().map(Vec::len), Some(2), "{listed}");
    call("stop", &files[0]).expect(0);
    assert_eq!(
        kept::pid(&call("status", &files[1])),
        kept::pid(&started[1]),
        "the other one is nobody's concern"
    );
    call("stop", &files[1]).expect(0);
}

#[test]
fn the_same_scope_with_another_command_is_a_conflict_that_shows_both() {
    let kept = Kept::new(TENURE, PROGRAM);
    let file = project(&kept, "one", "say=first");
    let call = |command: &str| kept.sandbox.tenure([command, "w", "--json", "--config", &file]).run();
    let first = call("ensure").expect(0);
    describe(&kept, &kept.sandbox.work().join("one"), "say=second");
    for _ in 0..3 {
        let refused = call("ensure").expect(5);
        assert_eq!(refused.state(), "spec-conflict");
        let said = usual::complaint(&refused);
        assert!(said.contains("say=first") && said.contains("say=second"), "both: {said}");
        assert!(said.contains("tenure restart"), "{said}");
    }
    assert_eq!(kept::pid(&call("status")), kept::pid(&first), "neither ends the other");
    let restarted = call("restart").expect(0);
    assert_eq!(kept::pid(&call("ensure").expect(0)), kept::pid(&restarted));
    call("stop").expect(0);
}
