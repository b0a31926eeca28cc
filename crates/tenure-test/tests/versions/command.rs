//! The version that a command tells: asked once, for as long as what it depends on stays the same. And whose worker a name
//! is: one for each project, and never two descriptions at once.

use std::fs;
use std::path::Path;

use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::system;
use tenure_test::fixtures::versions::Fixture;
use tenure_test::fixtures::worker;

use crate::BINARIES;

/// `w`, whose version the script tells; each run of it leaves a line. Written by another process, so that no process of
/// the tests can have it open for writing when it is run.
fn told_by_a_script(tells: &str) -> Fixture {
    let fixture = Fixture::new(BINARIES);
    let text = format!("#!/bin/sh\necho run >> runs\n{tells}\n");
    let write = system::shell(&fixture.sandbox, "printf '%s' \"$TEXT\" > v.sh && chmod 755 v.sh");
    write.env("TEXT", &text).run().expect(0);
    fs::write(fixture.sandbox.work().join("VERSION"), "1.0.0\n").expect("a sandbox takes files");
    fixture.offer("1.0.0").line("version = { command = [\"./v.sh\"], inputs = [\"VERSION\"] }").write();
    fixture
}

fn runs(fixture: &Fixture) -> usize {
    fs::read_to_string(fixture.sandbox.work().join("runs")).unwrap_or_default().lines().count()
}

#[test]
fn a_command_that_tells_the_version_is_run_once_for_everybody_and_again_when_its_input_has_changed() {
    let fixture = told_by_a_script("cat VERSION");
    let first = fixture.ensure().run().expect(0);
    assert_eq!((answer::version(&first).as_str(), runs(&fixture)), ("1.0.0", 1));
    // An answer about files that are younger than a tick of the clock is not kept; a worker was started since.
    fixture.ensure().run().expect(0);
    let asked = runs(&fixture);
    assert!(asked <= 2, "{asked}");
    for up in answer::answers(fixture.crowd(["1.0.0"; 20])) {
        assert_eq!(answer::pid(&up.expect(0)), answer::pid(&first));
    }
    assert_eq!(runs(&fixture), asked, "twenty launchers, and nobody asks");

    fs::write(fixture.sandbox.work().join("VERSION"), "2.0.0\n").expect("a sandbox takes files");
    for answer in answer::answers(fixture.crowd(["1.0.0"; 20])) {
        assert_eq!(answer::version(&answer.expect(0)), "2.0.0");
    }
    assert_eq!((fixture.count(What::Replacing), fixture.count(What::Spawned)), (1, 2));
    fixture.ensure().run().expect(0);
    let asked = runs(&fixture);
    for up in answer::answers(fixture.crowd(["1.0.0"; 20])) {
        assert_eq!(up.expect(0).state(), "up");
    }
    assert_eq!(runs(&fixture), asked);
    fixture.stop().run().expect(0);
}

#[test]
fn looking_asks_no_command() {
    let fixture = told_by_a_script("cat VERSION");
    fixture.status().expect(3);
    fixture.stop().run().expect(0);
    assert_eq!(runs(&fixture), 0);
    let config = fixture.file("1.0.0").display().to_string();
    let named =
        fixture.sandbox.tenure(["ensure", "w", "--json", "--config", &config, "--version", "3.0.0"]).run();
    assert_eq!(
        (answer::version(&named.expect(0)).as_str(), runs(&fixture)),
        ("3.0.0", 0),
        "one that is named needs none"
    );
    fixture.stop().run().expect(0);
}

#[test]
fn a_command_that_fails_is_told_with_its_words_and_changes_nothing() {
    let fixture = told_by_a_script("test -f broken && { echo no manifest here >&2; exit 7; }; cat VERSION");
    let first = fixture.ensure().run().expect(0);
    fs::write(fixture.sandbox.work().join("broken"), "").expect("a sandbox takes files");
    fs::write(fixture.sandbox.work().join("VERSION"), "2.0.0\n").expect("a sandbox takes files");
    for _ in 0..3 {
        let failed = fixture.ensure().run().expect(1);
        let said = failed.json()["error"].to_string();
        assert!(
            said.contains("./v.sh") && said.contains("no manifest here") && said.contains("exit status 7"),
            "{said}"
        );
    }
    assert_eq!(answer::pid(&fixture.status().expect(0)), answer::pid(&first));
    fs::remove_file(fixture.sandbox.work().join("broken")).expect("it is there");
    assert_eq!(answer::version(&fixture.ensure().run().expect(0)), "2.0.0", "a failure is not remembered");
    fixture.stop().run().expect(0);
}

/// A project in which `w` is the fixture with this word.
fn project(fixture: &Fixture, name: &str, word: &str) -> String {
    let directory = fixture.sandbox.work().join(name);
    fs::create_dir(&directory).expect("a sandbox takes directories");
    describe(fixture, &directory, word)
}

fn describe(fixture: &Fixture, directory: &Path, word: &str) -> String {
    let oracle = fixture.sandbox.path().join(directory.file_name().expect("it has a name"));
    fs::create_dir_all(&oracle).expect("a sandbox takes directories");
    let command = [BINARIES.program, &oracle.display().to_string(), "1.0.0", word];
    let lines = format!("scope = \"project\"\nversion = \"1.0.0\"\ncommand = {command:?}\n{}", worker::HTTP);
    let file = directory.join("tenure.toml");
    fs::write(&file, format!("[worker.w]\n{lines}")).expect("a sandbox takes files");
    file.display().to_string()
}

#[test]
fn the_same_name_in_two_projects_is_two_workers() {
    let fixture = Fixture::new(BINARIES);
    let files = [project(&fixture, "one", "say=one"), project(&fixture, "two", "say=two")];
    let call =
        |command: &str, file: &str| fixture.sandbox.tenure([command, "w", "--json", "--config", file]).run();
    let started: Vec<_> = files.iter().map(|file| call("ensure", file).expect(0)).collect();
    assert!(started.iter().all(|answer| answer.state() == "started"), "{started:?}");
    assert_ne!(answer::pid(&started[0]), answer::pid(&started[1]));
    assert_ne!(started[0].json()["key"], started[1].json()["key"]);
    for (file, own) in files.iter().zip(&started) {
        assert_eq!(
            (call("ensure", file).state().as_str(), answer::pid(&call("status", file))),
            ("up", answer::pid(own))
        );
    }
    let listed = fixture.sandbox.tenure(["list", "--json"]).run().expect(0).json();
    assert_eq!(listed["workers"].as_array().map(Vec::len), Some(2), "{listed}");
    call("stop", &files[0]).expect(0);
    assert_eq!(
        answer::pid(&call("status", &files[1])),
        answer::pid(&started[1]),
        "the other one is nobody's concern"
    );
    call("stop", &files[1]).expect(0);
}

#[test]
fn the_same_scope_with_another_command_is_a_conflict_that_shows_both() {
    let fixture = Fixture::new(BINARIES);
    let file = project(&fixture, "one", "say=first");
    let call = |command: &str| fixture.sandbox.tenure([command, "w", "--json", "--config", &file]).run();
    let first = call("ensure").expect(0);
    describe(&fixture, &fixture.sandbox.work().join("one"), "say=second");
    for _ in 0..3 {
        let refused = call("ensure").expect(5);
        assert_eq!(refused.state(), "spec-conflict");
        let said = answer::complaint(&refused);
        assert!(said.contains("say=first") && said.contains("say=second"), "both: {said}");
        assert!(said.contains("tenure restart"), "{said}");
    }
    assert_eq!(answer::pid(&call("status")), answer::pid(&first), "neither ends the other");
    let restarted = call("restart").expect(0);
    assert_eq!(answer::pid(&call("ensure").expect(0)), answer::pid(&restarted));
    call("stop").expect(0);
}
