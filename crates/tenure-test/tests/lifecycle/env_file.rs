//! `env.file`: the program gets its values, and nothing else shows them.

use std::fs;

use tenure_test::fixtures::answer;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

const SECRET: &str = "hunter2-of-the-canary";

fn described() -> Fixture {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").line("env = { file = \".env\", set = { NAME = \"set\" } }").write();
    fixture
}

fn write(fixture: &Fixture, text: &str) {
    fs::write(fixture.sandbox.work().join(".env"), text).expect("a sandbox takes files");
}

fn environment(fixture: &Fixture) -> String {
    let program = processes::program(&fixture.status()).pid();
    let bytes = fs::read(format!("/proc/{program}/environ")).expect("ours");
    String::from_utf8_lossy(&bytes).replace('\0', "\n")
}

#[test]
fn the_program_has_its_values_and_nothing_that_is_kept_or_told_does() {
    let fixture = described();
    write(&fixture, &format!("API_TOKEN={SECRET}\nNAME=file\n"));
    fixture.ensure().run().expect(0);
    let variables = environment(&fixture);
    assert!(variables.contains(&format!("API_TOKEN={SECRET}\n")) && variables.contains("NAME=set\n"));
    for name in fixture.files() {
        let bytes = fs::read(fixture.state().join(&name)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{name}");
    }
    let config = fixture.file("1.0.0").display().to_string();
    for words in
        [&["status", "w"][..], &["doctor", "w"], &["events", "w"], &["config", "show", "w"], &["list"]]
    {
        let named = if words[0] == "config" { vec!["--config", &config] } else { Vec::new() };
        let told = fixture.sandbox.tenure(words.iter().copied().chain(["--json"]).chain(named)).run();
        assert!(!told.stdout.contains(SECRET), "{words:?}: {}", told.stdout);
    }
    fixture.stop().run().expect(0);
}

#[test]
fn a_restart_reads_it_again() {
    let fixture = described();
    write(&fixture, "MODE=one\n");
    fixture.ensure().run().expect(0);
    write(&fixture, "MODE=two\n");
    fixture.restart().run().expect(0);
    assert!(environment(&fixture).contains("MODE=two\n"));
    fixture.stop().run().expect(0);
}

#[test]
fn one_that_is_missing_or_not_understood_is_named_and_stops_nothing_that_runs() {
    let fixture = described();
    let missing = fixture.ensure().run();
    assert!(answer::message(&missing).contains(".env"), "{}", missing.stdout);
    write(&fixture, "A=1\n");
    let up = fixture.ensure().run().expect(0);
    write(&fixture, &format!("A=1\n{SECRET} is no variable\n"));
    let refused = fixture.restart().run();
    assert!(answer::message(&refused).contains("is not NAME=VALUE"), "{}", refused.stdout);
    assert!(!refused.stdout.contains(SECRET));
    assert_eq!(answer::pid(&fixture.ensure().run().expect(0)), answer::pid(&up), "it goes on");
    fixture.stop().run().expect(0);
}
