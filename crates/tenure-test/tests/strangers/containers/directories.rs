//! A state directory that was copied, is reached by another name, or is from another boot or from before directories
//! had ids.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tenure_core::spec::scope::program_cookie;
use tenure_test::fixtures::worker::{ensure, record, status, stop, worker};

use super::{carrier_of, id, serves_as};
use crate::BINARIES;

#[test]
fn a_copied_directory_gets_an_id_of_its_own_and_touches_nobody_of_the_first() {
    let sandbox = BINARIES.sandbox(&[]);
    let first = worker(&sandbox);
    let copy = sandbox.path().join("copied");
    let root = copy.display().to_string();
    let copied = sandbox.command(Path::new("/bin/cp"), ["-a", "state", "copied"]).cwd(sandbox.path()).run();
    copied.expect(0);
    let at = |words: &[&str]| sandbox.tenure(words.to_vec()).env("TENURE_STATE_DIR", &root).run();
    // A reader writes nothing, and a stop finds nothing of its own.
    assert_eq!(at(&["status", "w", "--json"]).expect(3).state(), "down");
    at(&["stop", "w", "--json"]).expect(0);
    assert!(!first.has_ended());
    let second = at(&["ensure", "w", "--json", "--timeout", "20s"]).expect(0);
    assert_eq!(second.state(), "started");
    let scope = copy.join(sandbox.scope("w").strip_prefix(sandbox.state_root()).expect("below it"));
    let identity: Value =
        serde_json::from_str(&fs::read_to_string(scope.join("identity.json")).expect("there")).expect("JSON");
    assert_ne!(identity["id"], json!(id(&sandbox)));
    at(&["stop", "w", "--json", "--timeout", "20s"]).expect(0);
    serves_as(&sandbox, &first);
    stop(&sandbox).expect(0);
}

#[test]
fn a_directory_of_another_boot_keeps_its_id() {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    let (before, mut identity) = (id(&sandbox), record(&sandbox, "identity.json"));
    identity["boot"] = json!("another-boot");
    identity["ino"] = json!(1);
    identity["former"] = json!("w:0123456789abcdef");
    fs::write(sandbox.scope("w").join("identity.json"), identity.to_string()).expect("ours");
    ensure(&sandbox).run().expect(0);
    let now = record(&sandbox, "identity.json");
    assert_eq!((now["id"].as_str(), &now["former"]), (Some(before.as_str()), &Value::Null));
    assert_ne!(now["boot"], json!("another-boot"));
    stop(&sandbox).expect(0);
}

#[test]
fn one_directory_by_two_names_has_one_worker() {
    let sandbox = BINARIES.sandbox(&[]);
    let first = worker(&sandbox);
    let alias = sandbox.path().join("alias");
    std::os::unix::fs::symlink(sandbox.state_root(), &alias).expect("a fresh name");
    let root = alias.display().to_string();
    let by_alias = ensure(&sandbox).env("TENURE_STATE_DIR", &root).run().expect(0);
    assert_eq!((by_alias.state(), &by_alias.json()["pid"]), ("up".to_owned(), &json!(first.pid())));
    // Who starts it by the second name leaves cookies that are found by the first.
    let stopped = sandbox.tenure(["stop", "w", "--json"]).env("TENURE_STATE_DIR", &root).run().expect(0);
    assert_eq!(stopped.json()["pid"], json!(first.pid()));
    let stray = carrier_of(&sandbox, &format!("w:{}", id(&sandbox)));
    ensure(&sandbox).env("TENURE_STATE_DIR", &root).run().expect(0);
    assert!(stray.child().handle().has_ended(), "what carries the directory's cookie was a leftover");
    drop(stray.wait());
    stop(&sandbox).expect(0);
}

#[test]
fn marks_by_the_path_count_only_where_a_directory_is_from_before() {
    let sandbox = BINARIES.sandbox(&[]);
    let by_path = "w".parse::<tenure_core::Scope>().expect("valid").id(&sandbox.scope("w"));
    let stray = carrier_of(&sandbox, &by_path);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    assert!(!stray.child().handle().has_ended(), "a directory that was made with an id has no such cookies");
    // A directory from before: a ledger, and no id.
    fs::remove_file(sandbox.scope("w").join("identity.json")).expect("there");
    ensure(&sandbox).run().expect(0);
    assert!(stray.child().handle().has_ended(), "it is a leftover of the tenure before");
    drop(stray.wait());
    assert_eq!(record(&sandbox, "identity.json")["former"], json!(by_path));
    stop(&sandbox).expect(0);
}

#[test]
fn what_an_older_tenure_has_started_beside_an_id_is_found_by_its_own_word() {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    let by_path = "w".parse::<tenure_core::Scope>().expect("valid").id(&sandbox.scope("w"));
    let stray = carrier_of(&sandbox, &by_path);
    let mut ledger = record(&sandbox, "ledger.json");
    let cookie = program_cookie(&by_path, 1);
    ledger["program"] = json!({"cookie": cookie, "command": "x", "shim": null, "identity": null});
    fs::write(sandbox.scope("w").join("ledger.json"), ledger.to_string()).expect("ours");
    ensure(&sandbox).run().expect(0);
    assert!(stray.child().handle().has_ended());
    drop(stray.wait());
    stop(&sandbox).expect(0);
}

#[test]
fn a_worker_from_before_is_used_taken_over_and_stopped() {
    let sandbox = BINARIES.sandbox(&[]);
    let first = worker(&sandbox);
    fs::remove_file(sandbox.scope("w").join("identity.json")).expect("there");
    serves_as(&sandbox, &first);
    let restart = sandbox.tenure(["restart", "w", "--json", "--timeout", "20s"]).run().expect(0);
    assert_ne!(restart.json()["pid"], json!(first.pid()));
    // The cookies of both have the path: one that fails is looked for by the other.
    assert!(!sandbox.scope("w").join("identity.json").exists());
    stop(&sandbox).expect(0);
    ensure(&sandbox).run().expect(0);
    assert!(record(&sandbox, "identity.json")["former"].is_string(), "a ledger stood there before the id");
    stop(&sandbox).expect(0);
}

#[test]
fn readers_make_no_identity() {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    fs::remove_file(sandbox.scope("w").join("identity.json")).expect("there");
    status(&sandbox).expect(0);
    let reading: [&[&str]; 4] = [&["doctor", "w"], &["logs", "w"], &["events", "w"], &["list"]];
    for words in reading {
        drop(sandbox.tenure(words.to_vec()).run());
    }
    stop(&sandbox).expect(0);
    assert!(!sandbox.scope("w").join("identity.json").exists());
}
