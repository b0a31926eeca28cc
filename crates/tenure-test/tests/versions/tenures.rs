//! Several installations of `tenure` itself at one worker: the older one passes on what it cannot know, and takes nothing
//! back.

use std::path::PathBuf;

use serde_json::{Value, json};
use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::system;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// Records as a newer `tenure` may leave them: another format, and who it is.
fn rewrite(fixture: &Fixture, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let path = fixture.state().join(name);
    let text = std::fs::read(&path).expect("a worker leaves its records");
    let mut record: Value = serde_json::from_slice(&text).expect("a record is JSON");
    change(&mut record);
    std::fs::write(&path, record.to_string()).expect("ours");
    record.to_string()
}

fn is_of_tomorrow(record: &mut Value) {
    record["schema_version"] = json!(99);
}

fn kept_by(exe: &std::path::Path) -> impl FnOnce(&mut Value) + use<> {
    let host = json!({ "exe": exe.display().to_string(), "version": "99.0.0", "hosts": true });
    move |record| {
        is_of_tomorrow(record);
        record["host"] = host;
    }
}

/// A worker ran and was stopped.
fn former() -> Fixture {
    let fixture = Fixture::with(BINARIES, &[]);
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    fixture
}

/// The newer `tenure`: it writes down how it was called, and ends in a way of its own. Written by another process, so
/// that no process of the tests can have it open for writing when it is run.
fn newer(fixture: &Fixture) -> PathBuf {
    let path = fixture.sandbox.path().join("tenure-99");
    let text = "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$0.args\"\necho \"$PWD\" > \"$0.cwd\"\nexit 42\n";
    let line = "printf '%s' \"$TEXT\" > \"$FILE\" && chmod 755 \"$FILE\"";
    let write =
        system::shell(&fixture.sandbox, line).env("TEXT", text).env("FILE", &path.display().to_string());
    write.run().expect(0);
    path
}

#[test]
fn an_older_tenure_passes_the_whole_call_on_to_the_newer_one() {
    for (record, command) in
        [("ledger.json", "ensure"), ("desired.json", "ensure"), ("desired.json", "restart")]
    {
        let fixture = former();
        let newer = newer(&fixture);
        rewrite(&fixture, "ledger.json", kept_by(&newer));
        if record != "ledger.json" {
            rewrite(&fixture, "ledger.json", |ledger| ledger["schema_version"] = json!(1));
            rewrite(&fixture, record, is_of_tomorrow);
        }
        let passed = fixture.launcher(command, "1.0.0").run();
        assert_eq!(passed.code(), 42, "{record} {command}: {}{}", passed.stdout, passed.stderr);
        assert!(passed.stdout.is_empty(), "the answer is that of the newer one: {}", passed.stdout);
        let file = fixture.file("1.0.0").display().to_string();
        let words = [command, "w", "--json", "--timeout", "40s", "--config", &file].join("\n") + "\n";
        let told =
            |what: &str| std::fs::read_to_string(format!("{}.{what}", newer.display())).expect("it was run");
        assert_eq!(told("args"), words);
        assert_eq!(PathBuf::from(told("cwd").trim()), fixture.sandbox.work());
        assert_eq!(fixture.sandbox.oracle().count("start"), 1, "nothing was started here");
    }
}

#[test]
fn a_call_that_was_passed_on_is_not_passed_on_again() {
    let fixture = former();
    let newer = newer(&fixture);
    let written = rewrite(&fixture, "ledger.json", kept_by(&newer));
    let refused = fixture.ensure().env("TENURE_PASSED_ON", "1").run().expect(4);
    assert_eq!(refused.state(), "state-unusable");
    let said = answer::complaint(&refused);
    assert!(said.contains("ledger.json") && said.contains("format 99"), "{said}");
    assert!(
        !newer.with_extension("args").exists() && !fixture.sandbox.path().join("tenure-99.args").exists()
    );
    let left = std::fs::read_to_string(fixture.state().join("ledger.json")).expect("it is there");
    assert_eq!(left, written, "a record that is not known is left as it is");
}

#[test]
fn a_newer_tenure_that_is_gone_is_named_by_what_it_left() {
    let fixture = former();
    let gone = fixture.sandbox.path().join("uninstalled");
    rewrite(&fixture, "ledger.json", kept_by(&gone));
    for command in ["ensure", "restart"] {
        let refused = fixture.launcher(command, "1.0.0").run().expect(4);
        let error = refused.json()["error"].clone();
        assert_eq!(error["kind"], "record-too-new", "{}", refused.stdout);
        let said = answer::complaint(&refused);
        assert!(said.contains("format 99") && said.contains("use the newer tenure"), "{said}");
    }
    assert_eq!(fixture.sandbox.oracle().count("start"), 1);
}

#[test]
fn status_and_stop_need_no_record_and_a_worker_that_serves_is_used() {
    let fixture = Fixture::with(BINARIES, &[]);
    fixture.offer("2.0.0").write();
    let first = fixture.ensure().run().expect(0);
    fixture.settled();
    let gone = fixture.sandbox.path().join("uninstalled");
    rewrite(&fixture, "ledger.json", kept_by(&gone));
    rewrite(&fixture, "desired.json", is_of_tomorrow);
    let up = fixture.ensure().run().expect(0);
    assert_eq!((up.state().as_str(), answer::pid(&up)), ("up", answer::pid(&first)));
    let status = fixture.status().expect(0);
    assert_eq!(answer::pid(&status), answer::pid(&first));
    assert!(
        status.json()["record_error"].as_str().is_some_and(|why| why.contains("format 99")),
        "{}",
        status.stdout
    );
    // What would have to change something refuses, and the worker stays.
    for call in
        [fixture.launcher("ensure", "2.0.0"), fixture.pin("1.0.0"), fixture.unpin(), fixture.restart()]
    {
        let refused = call.run().expect(4);
        assert_eq!(refused.json()["error"]["kind"], "record-too-new", "{}", refused.stdout);
    }
    assert_eq!(answer::pid(&fixture.status().expect(0)), answer::pid(&first));
    let stopped = fixture.stop().run().expect(0);
    assert_eq!((answer::pid(&stopped), fixture.count(What::Spawned)), (answer::pid(&first), 1));
    assert!(fixture.sandbox.processes().is_empty());
}

#[test]
fn a_newer_host_is_not_taken_back_by_an_older_tenure() {
    let fixture = former();
    let newer = fixture.sandbox.path().join("tenure-99");
    let copied = fixture
        .sandbox
        .command("/bin/cp".as_ref(), [BINARIES.tenure.into(), newer.clone().into_os_string()])
        .run();
    copied.expect(0);
    let host = |version: &str, hosts| {
        let host = json!({ "exe": newer.display().to_string(), "version": version, "hosts": hosts });
        rewrite(&fixture, "ledger.json", |ledger| ledger["host"] = host);
        let started = fixture.ensure().run().expect(0);
        let path = fixture.status().expect(0).json()["worker_path"].as_str().unwrap_or_default().to_owned();
        fixture.stop().run().expect(0);
        (started.state(), path == newer.display().to_string())
    };
    let started = |newer| ("started".to_owned(), newer);
    assert_eq!(host("99.0.0", true), started(true));
    assert_eq!(host("0.0.1", true), started(false), "an older one gives way");
    assert_eq!(host("99.0.0", false), started(false), "a program that embeds its worker hosts nobody else");
    std::fs::remove_file(&newer).expect("it is there");
    assert_eq!(host("99.0.0", true), started(false), "one that is gone");
}

#[test]
fn a_newer_tenure_that_does_not_run_is_named_with_the_reason() {
    let fixture = former();
    let broken = fixture.sandbox.path().join("tenure-99");
    std::fs::write(&broken, "").expect("a sandbox takes files");
    rewrite(&fixture, "ledger.json", kept_by(&broken));
    let refused = fixture.ensure().run().expect(4);
    let causes = refused.json()["error"]["causes"].to_string();
    assert!(causes.contains("tenure-99, cannot be run: Permission denied"), "{causes}");
}
