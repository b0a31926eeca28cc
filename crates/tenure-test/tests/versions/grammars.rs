//! Versions as programs write them: one order whatever their form, builds that have none, and answers of real programs.

use std::fs;

use tenure_core::store::event::What;
use tenure_test::fixtures::answer::{complaint, pid, version, warnings};
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

fn format(fixture: &Fixture, record: &str) -> u64 {
    let text = fs::read_to_string(fixture.state().join(record)).expect("it was written");
    let json: serde_json::Value = serde_json::from_str(&text).expect("a record is JSON");
    json["schema_version"].as_u64().expect("a number")
}

#[test]
fn versions_of_all_forms_replace_each_other_upwards_and_never_downwards() {
    let fixture = Fixture::new(BINARIES);
    let rising =
        ["1.0rc1", "1.0.0", "1.0-1-gabc1234", "v1.0.1", "1.0.1.4", "2024.01.03", "2024.1.10", "1!0.1"];
    for text in rising {
        fixture.offer(text).write();
        let started = fixture.launcher("ensure", text).run().expect(0);
        assert_eq!(version(&started), text.trim_start_matches('v'), "{}", started.stdout);
    }
    let last = fixture.status().expect(0);
    for text in rising {
        let up = fixture.launcher("ensure", text).run().expect(0);
        assert_eq!((pid(&up), version(&up).as_str()), (pid(&last), "1!0.1"), "{text} is older");
    }
    assert_eq!(fixture.count(What::Replacing), rising.len() - 1);
    assert_eq!((format(&fixture, "desired.json"), format(&fixture, "ledger.json")), (4, 2));
    fixture.stop().run().expect(0);
}

#[test]
fn semantic_versions_are_recorded_in_the_format_of_before() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0-rc.1").write();
    fixture.launcher("ensure", "1.0.0-rc.1").run().expect(0);
    assert_eq!((format(&fixture, "desired.json"), format(&fixture, "ledger.json")), (3, 1));
    fixture.stop().run().expect(0);
}

#[test]
fn a_build_replaces_nothing_is_said_to_be_one_and_restart_starts_it() {
    let fixture = Fixture::new(BINARIES);
    for build in ["4f2a9c1", "nightly"] {
        fixture.offer(build).line("command = [\"sleep\", \"1000\"]").listen(None).write();
    }
    let first = fixture.launcher("ensure", "4f2a9c1").run().expect(0);
    assert_eq!(version(&first), "4f2a9c1");
    assert!(warnings(&fixture.launcher("ensure", "4f2a9c1").run().expect(0)).is_empty());

    let other = fixture.launcher("ensure", "nightly").run().expect(0);
    assert_eq!((pid(&other), warnings(&other)), (pid(&first), vec!["build-offered".to_owned()]));
    let message = other.json()["warnings"][0]["message"].to_string();
    assert!(message.contains("build 4f2a9c1") && message.contains("no order"), "{message}");
    let shown = fixture.sandbox.tenure(["status", "w"]).run().expect(0).stdout;
    assert!(shown.contains("4f2a9c1 is a build, which has no order"), "{shown}");

    for build in ["nightly", "4f2a9c1", "nightly"] {
        let before = pid(&fixture.status().expect(0));
        let restarted = fixture.launcher("restart", build).run().expect(0);
        assert_ne!(pid(&restarted), before);
        assert_eq!(version(&fixture.status().expect(0)), build);
    }

    let refused = fixture.pin("nightly").run().expect(5);
    assert!(complaint(&refused).contains("a pin holds a version"), "{}", complaint(&refused));
    fixture.sandbox.tenure(["forget", "w", "4f2a9c1", "--json"]).run().expect(5);
    fixture.sandbox.tenure(["forget", "w", "nightly", "--json"]).run().expect(0);
    fixture.stop().run().expect(0);
}

#[test]
fn config_check_says_that_a_version_has_no_order() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("nightly").write();
    let file = fixture.file("nightly").display().to_string();
    let checked = fixture.sandbox.tenure(["config", "check", "--json", "--config", &file]).run().expect(0);
    let notices = checked.json()["warnings"].to_string();
    assert!(
        notices.contains("build-without-order") && notices.contains("has no order"),
        "{}",
        checked.stdout
    );
}

#[test]
fn an_answer_with_several_versions_is_an_error_whose_key_works_when_it_is_written() {
    let fixture = Fixture::new(BINARIES);
    let command = r#"command = ["sh", "-c", "printf 'Python 3.11.2\\nFlask 2.2.2\\n' >&2"]"#;
    let mut key = format!("version = {{ {command} }}");
    let mut written = Vec::new();
    for said in ["stderr = true", "pattern = "] {
        fixture.offer("1.0.0").line(&key).write();
        let refused = fixture.ensure().run().expect(1);
        let told = complaint(&refused);
        assert!(told.contains("Flask 2.2.2") && told.contains(said), "{told}");
        let start = told.find("`version = ").expect("a key") + 1;
        key = told[start..].split('`').next().expect("it ends").to_owned();
        written.push(key.clone());
    }
    fixture.offer("1.0.0").line(&key).write();
    assert_eq!(version(&fixture.ensure().run().expect(0)), "3.11.2", "{written:?}");
    fixture.stop().run().expect(0);
}

#[test]
fn a_text_that_is_no_version_is_refused_with_what_to_write() {
    let fixture = Fixture::new(BINARIES);
    for (value, said) in [
        ("\"15.5-1\"", "write 15.5.post1 for a later version, or 15.5-rc.1 for an earlier one"),
        ("\"1.2.x\"", "write numbers with dots between them"),
        ("1.5", "write a version, or the command that prints it, such as \"1.4.0\""),
    ] {
        fixture.offer("1.0.0").line(&format!("version = {value}")).write();
        let refused = fixture.ensure().run().expect(6);
        assert!(complaint(&refused).contains(said), "{}", complaint(&refused));
    }
    fixture.offer("1.0.0").write();
    let refused = fixture.sandbox.tenure(["ensure", "w", "--json", "--version", "1.2.x"]).run().expect(2);
    assert!(complaint(&refused).contains("write numbers with dots"), "{}", refused.stdout);
}
