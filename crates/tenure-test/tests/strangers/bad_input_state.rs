//! State directories that cannot be trusted or used: named with a remedy, and nothing is started, changed or followed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Call;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{NOBODY, as_user, give_away, is_root, shell};
use tenure_test::fixtures::worker::{ensure, status, stop};

use crate::BINARIES;

fn once_run() -> Sandbox {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    sandbox
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

/// Every word that looks at the scope says the same and nothing is started.
fn every_word_refuses(sandbox: &Sandbox, word: &str) {
    for words in [&["ensure", "w"], &["status", "w"], &["stop", "w"], &["restart", "w"], &["logs", "w"]] {
        let refused = sandbox.tenure(words.iter().copied().chain(["--json"])).run().expect(4);
        let complaint = complaint(&refused);
        assert_eq!(refused.state(), "state-unusable", "{words:?}: {complaint}");
        assert!(complaint.contains(word) && complaint.contains("state"), "{words:?}: {complaint}");
    }
    assert!(sandbox.processes().is_empty(), "nothing was started");
}

#[test]
fn a_state_directory_that_is_open_to_others_is_refused_and_not_repaired() {
    let sandbox = once_run();
    for open in [0o777, 0o755, 0o770, 0o701] {
        mode(&sandbox.scope("w"), open);
        every_word_refuses(&sandbox, "open to others");
        let found = fs::metadata(sandbox.scope("w")).expect("there").permissions().mode() & 0o777;
        assert_eq!(found, open, "its mode is left alone");
    }
    mode(&sandbox.scope("w"), 0o700);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
}

#[test]
fn a_state_root_in_which_others_could_put_another_directory_is_refused() {
    let sandbox = once_run();
    let host = tenure_core::store::paths::host_directory(&sandbox.state_root()).expect("its own file tells");
    for path in [sandbox.state_root(), host] {
        for open in [0o777, 0o770, 0o702] {
            mode(&path, open);
            every_word_refuses(&sandbox, "open to others");
        }
        mode(&path, 0o700);
    }
    // What others may see, or not move, is safe.
    for safe in [0o755, 0o1777, 0o700] {
        mode(&sandbox.state_root(), safe);
        ensure(&sandbox).run().expect(0);
        stop(&sandbox).expect(0);
    }
}

#[test]
fn a_state_directory_of_another_user_is_refused() {
    if !is_root() {
        return;
    }
    let sandbox = once_run();
    chown(sandbox.scope("w"), Some(NOBODY), Some(NOBODY)).expect("root");
    every_word_refuses(&sandbox, "belongs to uid 65534");
    chown(sandbox.scope("w"), Some(0), Some(0)).expect("root");
    let host = tenure_core::store::paths::host_directory(&sandbox.state_root()).expect("its own file tells");
    chown(host, Some(NOBODY), Some(NOBODY)).expect("root");
    let listed = sandbox.tenure(["list", "--json"]).run().expect(4);
    assert!(complaint(&listed).contains("belongs to uid 65534"), "{}", listed.stdout);
}

#[test]
fn a_state_directory_that_is_a_link_is_not_followed() {
    let sandbox = once_run();
    let (scope, elsewhere) = (sandbox.scope("w"), sandbox.path().join("elsewhere"));
    fs::rename(&scope, &elsewhere).expect("ours");
    symlink(&elsewhere, &scope).expect("ours");
    let names = || fs::read_dir(&elsewhere).expect("there").count();
    let before = names();
    every_word_refuses(&sandbox, "which is not followed here");
    assert_eq!(names(), before, "nothing was written through the link");
    let remedy = doctors_remedy(&sandbox, "no-directory");
    assert_eq!(remedy, format!("`rm {0} && mv {1} {0}`", scope.display(), elsewhere.display()));
    shell(&sandbox, remedy.trim_matches('`')).run().expect(0);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
}

/// What the doctor says is to be typed about a finding.
fn doctors_remedy(sandbox: &Sandbox, check: &str) -> String {
    let found = sandbox.tenure(["doctor", "w", "--json"]).run().json();
    let findings = found["findings"].as_array().expect("a list").clone();
    let mut of_check = findings.iter().filter(|finding| finding["check"] == check);
    of_check.next().expect("it is found")["remedy"].as_str().expect("text").to_owned()
}

#[test]
fn a_state_root_that_is_a_link_is_followed_and_told_and_one_that_leads_nowhere_is_named() {
    let sandbox = once_run();
    let (root, elsewhere) = (sandbox.state_root(), sandbox.path().join("elsewhere"));
    fs::rename(&root, &elsewhere).expect("ours");
    symlink(&elsewhere, &root).expect("ours");
    ensure(&sandbox).run().expect(0);
    assert_eq!(sandbox.tenure(["doctor", "w"]).run().code(), 0);
    assert!(doctors_remedy(&sandbox, "root-is-a-link").contains("nothing"));
    stop(&sandbox).expect(0);
    mode(&elsewhere, 0o777);
    every_word_refuses(&sandbox, "open to others");
    sandbox.tenure(["doctor", "--fix"]).run().expect(0);
    fs::rename(&elsewhere, sandbox.path().join("unmounted")).expect("ours");
    let refused = ensure(&sandbox).run().expect(4);
    assert!(complaint(&refused).contains("where there is nothing"), "{}", refused.stdout);
    let remedy = doctors_remedy(&sandbox, "no-directory");
    assert!(remedy.starts_with(&format!("`rm {}`,", root.display())), "{remedy}");
    fs::remove_file(&root).expect("ours");
    fs::rename(sandbox.path().join("unmounted"), &root).expect("ours");
}

#[test]
fn a_state_directory_that_is_a_file_is_refused_and_kept() {
    let sandbox = once_run();
    let scope = sandbox.scope("w");
    fs::rename(&scope, sandbox.path().join("elsewhere")).expect("ours");
    fs::write(&scope, "mine").expect("ours");
    every_word_refuses(&sandbox, "not a directory");
    assert_eq!(fs::read_to_string(&scope).expect("still there"), "mine");
}

#[test]
fn a_state_root_that_is_a_file_is_refused() {
    let sandbox = BINARIES.sandbox(&[]);
    fs::remove_dir(sandbox.state_root()).expect("empty");
    fs::write(sandbox.state_root(), "mine").expect("ours");
    every_word_refuses(&sandbox, "not a directory");
    let listed = sandbox.tenure(["list", "--json"]).run().expect(4);
    assert!(complaint(&listed).contains("not a directory"), "{}", listed.stdout);
}

#[test]
fn a_bad_scope_stands_in_no_other_scopes_way() {
    let sandbox = once_run();
    let host = tenure_core::store::paths::host_directory(&sandbox.state_root()).expect("its own file tells");
    fs::write(host.join("a-file"), "").expect("ours");
    fs::create_dir(host.join("open")).expect("ours");
    mode(&host.join("open"), 0o777);
    fs::create_dir(host.join("no scope at all!")).expect("ours");
    ensure(&sandbox).run().expect(0);
    let listed = sandbox.tenure(["list", "--json"]).run().expect(0).json();
    let workers = listed["workers"].as_array().expect("a list").clone();
    let state = |name: &str| {
        let row = workers.iter().find(|row| row["name"] == name).expect("a row");
        row["state"].as_str().expect("a word").to_owned()
    };
    assert_eq!((state("w"), state("open")), ("up".to_owned(), "state-unusable".to_owned()));
    stop(&sandbox).expect(0);
}

/// A command line of a user whose state directory cannot be written.
fn as_nobody<'sandbox>(sandbox: &'sandbox Sandbox, words: &[&str]) -> Option<Call<'sandbox>> {
    as_user(sandbox, NOBODY, words)
}

#[test]
fn a_state_root_that_may_not_be_written_is_named() {
    let sandbox = BINARIES.sandbox_for_others(&[]);
    let Some(call) = as_nobody(&sandbox, &["ensure", "w", "--json"]) else { return };
    give_away(sandbox.path(), NOBODY);
    mode(&sandbox.state_root(), 0o500);
    let refused = call.run().expect(4);
    assert_eq!(refused.state(), "denied", "{}", refused.stdout);
    assert!(complaint(&refused).contains("without permission"), "{}", refused.stdout);
    assert_eq!(fs::read_dir(sandbox.state_root()).expect("there").count(), 0, "nothing was written");
}

#[test]
fn a_scope_whose_directory_became_read_only_still_serves_and_stops() {
    let sandbox = BINARIES.sandbox_for_others(&[]);
    let Some(first) = as_nobody(&sandbox, &["ensure", "w", "--json"]) else { return };
    let run = |words: &[&str]| as_nobody(&sandbox, words).expect("root").run();
    give_away(sandbox.path(), NOBODY);
    first.run().expect(0);
    mode(&sandbox.scope("w"), 0o500);
    assert_eq!(run(&["ensure", "w", "--json"]).expect(0).state(), "up");
    assert_eq!(run(&["status", "w", "--json"]).expect(0).state(), "up");
    run(&["stop", "w", "--json"]).expect(0);
    let refused = run(&["ensure", "w", "--json"]);
    assert_ne!(refused.code(), 0, "{}", refused.stdout);
    assert!(complaint(&refused).contains("Permission denied"), "{}", refused.stdout);
    assert!(sandbox.processes().is_empty(), "nothing was started");
    mode(&sandbox.scope("w"), 0o700);
    run(&["ensure", "w", "--json"]).expect(0);
    run(&["stop", "w", "--json"]).expect(0);
}

#[test]
fn a_path_with_spaces_and_more_than_108_bytes_works() {
    let sandbox = BINARIES.sandbox(&[]);
    let root = sandbox.state_root().join("a place with spaces and 'quotes' and é").join("x".repeat(120));
    let root = root.join("y\nz").display().to_string();
    let run = |words: &[&str]| sandbox.tenure(words.iter().copied()).env("TENURE_STATE_DIR", &root).run();
    let first = run(&["ensure", "w", "--json"]).expect(0);
    assert_eq!(run(&["ensure", "w", "--json"]).expect(0).json()["pid"], first.json()["pid"]);
    assert_eq!(run(&["restart", "w", "--json"]).expect(0).json()["generation"], 2);
    assert_eq!(run(&["list", "--json"]).expect(0).json()["workers"][0]["state"], "up");
    run(&["stop", "w", "--json"]).expect(0);
    assert!(!sandbox.oracle().is_held("program"));
}

#[test]
fn the_variable_of_the_state_directory_must_be_an_absolute_path() {
    let sandbox = BINARIES.sandbox(&[]);
    let call = || ensure(&sandbox);
    let relative = call().env("TENURE_STATE_DIR", "state/here").run().expect(4);
    assert!(complaint(&relative).contains("absolute"), "{}", relative.stdout);
    assert!(!sandbox.work().join("state").exists());
    // This build has fault points: without the variable it must refuse, not touch what is real.
    for unset in [call().env("TENURE_STATE_DIR", ""), call().without("TENURE_STATE_DIR")] {
        let refused = unset.run().expect(4);
        assert!(complaint(&refused).contains("real state directory"), "{}", refused.stdout);
    }
    assert_eq!(status(&sandbox).expect(3).state(), "down");
}
