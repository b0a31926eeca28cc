//! What is left of workers whose project is gone is shown, and removed on request; what runs, what a person has decided about,
//! and what is not proved gone stays.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tenure_core::Scope;
use tenure_core::fault::Point;
use tenure_test::fixtures::call::{Call, Output};
use tenure_test::fixtures::limits::Limits;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{NOBODY, as_user, give_away, is_root};

use crate::BINARIES;

/// A sandbox whose working directory has something in it besides projects.
fn world() -> Sandbox {
    let sandbox = Sandbox::new(BINARIES.tenure);
    fs::write(sandbox.work().join("README"), "").expect("a sandbox takes files");
    sandbox
}

/// A trusted project that describes `w`, and the whole name of its worker.
fn project(sandbox: &Sandbox, name: &str) -> (PathBuf, String) {
    let directory = sandbox.work().join(name);
    fs::create_dir_all(&directory).expect("a sandbox takes directories");
    let command = [BINARIES.program, &sandbox.oracle().directory().display().to_string(), "1.0.0"];
    let text = format!(
        "[worker.w]\napp = \"shop.w\"\nversion = \"1.0.0\"\ncommand = {command:?}\nstart_timeout = {:?}\nstop.grace = \"1s\"\n",
        Limits::GENEROUS.boot
    );
    fs::write(directory.join("tenure.toml"), text).expect("and files");
    call(sandbox, &directory, &["trust"]).run().expect(0);
    let scope = format!("w@{}", Scope::project_key(&directory));
    (directory, scope)
}

fn call<'sandbox>(sandbox: &'sandbox Sandbox, directory: &Path, words: &[&str]) -> Call<'sandbox> {
    sandbox.tenure(words.iter().copied().chain(["--json", "--timeout", "40s"])).cwd(directory)
}

/// A project whose worker has run and was stopped.
fn has_run(sandbox: &Sandbox, name: &str) -> (PathBuf, String) {
    let (directory, scope) = project(sandbox, name);
    call(sandbox, &directory, &["ensure", "w"]).run().expect(0);
    call(sandbox, &directory, &["stop", "w"]).run().expect(0);
    (directory, scope)
}

fn prune(sandbox: &Sandbox, words: &[&str]) -> Output {
    let words: Vec<&str> = ["prune"].iter().chain(words).copied().collect();
    call(sandbox, &sandbox.work(), &words).run()
}

/// The whole names of the rows.
fn scopes(rows: &Value) -> Vec<String> {
    let rows = rows.as_array().expect("a list").iter();
    rows.map(|row| format!("w@{}", row["key"].as_str().expect("a key"))).collect()
}

/// The one worker that is kept: its reason, and that in words.
fn kept(pruned: &Output) -> (String, String) {
    let document = pruned.json();
    let rows = document["kept"].as_array().expect("a list");
    assert_eq!(rows.len(), 1, "{document}");
    let text = |key: &str| rows[0][key].as_str().expect("text").to_owned();
    (text("reason"), text("why"))
}

fn left(sandbox: &Sandbox, scope: &str) -> Vec<String> {
    let entries = fs::read_dir(sandbox.scope(scope)).expect("the directory stays");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_removed_projects_worker_is_shown_and_then_removed() {
    let sandbox = world();
    let (gone, scope) = has_run(&sandbox, "gone");
    let (_, standing) = has_run(&sandbox, "standing");
    fs::remove_dir_all(&gone).expect("ours");

    let shown = prune(&sandbox, &[]).expect(0);

    assert_eq!((shown.state(), scopes(&shown.json()["workers"])), ("prunable".into(), vec![scope.clone()]));
    assert_eq!(shown.json()["workers"][0]["directory"], gone.display().to_string());
    assert!(shown.json()["workers"][0]["last_end"]["at_ms"].is_number(), "{}", shown.stdout);
    assert!(left(&sandbox, &scope).contains(&"events.jsonl".to_owned()), "nothing is removed yet");
    let pruned = prune(&sandbox, &["--yes"]).expect(0);
    assert_eq!((pruned.state(), scopes(&pruned.json()["workers"])), ("pruned".into(), vec![scope.clone()]));
    let locks = ["gate", "identity.json", "instance", "ledger.json", "program"];
    assert_eq!(left(&sandbox, &scope), locks);
    let listed = call(&sandbox, &sandbox.work(), &["list"]).run().json();
    assert_eq!(scopes(&listed["workers"]), [standing]);
    assert!(scopes(&prune(&sandbox, &["--yes"]).json()["workers"]).is_empty(), "once is enough");
    let told = sandbox.tenure(["status", &scope]).cwd(&sandbox.work()).run().expect(3);
    let typed = format!("tenure ensure {scope}");
    assert!(
        told.stdout.contains("in the directory of its project") && !told.stdout.contains(&typed),
        "{}",
        told.stdout
    );
}

#[test]
fn a_project_that_is_there_again_begins_anew_in_the_next_generation() {
    let sandbox = world();
    let (gone, scope) = has_run(&sandbox, "p");
    fs::remove_dir_all(&gone).expect("ours");
    prune(&sandbox, &["--yes"]).expect(0);

    let (again, _) = project(&sandbox, "p");
    let ensured = call(&sandbox, &again, &["ensure", "w"]).run().expect(0);

    assert_eq!((ensured.state(), ensured.json()["generation"].as_u64()), ("started".into(), Some(2)));
    sandbox.stop(&scope);
}

#[test]
fn a_worker_that_runs_is_kept_until_it_is_stopped() {
    let sandbox = world();
    let (gone, scope) = project(&sandbox, "p");
    let pid = call(&sandbox, &gone, &["ensure", "w"]).run().expect(0).json()["pid"].clone();
    fs::remove_dir_all(&gone).expect("ours");

    let pruned = prune(&sandbox, &["--yes"]).expect(0);

    assert_eq!(kept(&pruned).0, "running");
    let said = sandbox.tenure(["prune"]).cwd(&sandbox.work()).run().expect(0).stderr;
    let remedy = format!("`tenure stop {scope}` ends it");
    assert!(said.contains(&remedy), "{said}");
    assert_eq!(call(&sandbox, &sandbox.work(), &["status", &scope]).run().json()["pid"], pid);
    sandbox.stop(&scope).expect(0);
    assert_eq!(scopes(&prune(&sandbox, &["--yes"]).json()["workers"]), [scope]);
}

#[test]
fn a_project_that_moved_leaves_its_old_worker_only() {
    let sandbox = world();
    let (old, old_scope) = has_run(&sandbox, "old");
    let new = sandbox.work().join("new");
    fs::rename(&old, &new).expect("ours");
    call(&sandbox, &new, &["trust"]).run().expect(0);
    let pid = call(&sandbox, &new, &["ensure", "w"]).run().expect(0).json()["pid"].clone();

    let pruned = prune(&sandbox, &["--yes"]).expect(0);

    assert_eq!(scopes(&pruned.json()["workers"]), [old_scope]);
    assert_eq!(call(&sandbox, &new, &["status", "w"]).run().json()["pid"], pid);
    call(&sandbox, &new, &["stop", "w"]).run().expect(0);
}

#[test]
fn what_a_person_has_decided_about_is_kept() {
    for (words, reason) in [(&["pin", "w", "1.0.0"][..], "pinned"), (&["stop", "w", "--hold"], "held-down")] {
        let sandbox = world();
        let (gone, scope) = project(&sandbox, "p");
        call(&sandbox, &gone, &["ensure", "w"]).run().expect(0);
        call(&sandbox, &gone, words).run().expect(0);
        sandbox.stop(&scope).expect(0);
        fs::remove_dir_all(&gone).expect("ours");

        let pruned = prune(&sandbox, &["--yes"]).expect(0);

        assert_eq!(kept(&pruned).0, reason);
    }
}

#[test]
fn workers_that_no_project_describes_alone_are_left() {
    let sandbox = world();
    let (gone, scope) = has_run(&sandbox, "p");
    let program = [BINARIES.program, &sandbox.oracle().directory().display().to_string(), "2.0.0"];
    let words = ["ensure", "mine", "--version", "1.0.0", "--json", "--"].map(str::to_owned);
    sandbox.tenure(words.into_iter().chain(program.map(str::to_owned))).cwd(&gone).run().expect(0);
    sandbox.stop("mine").expect(0);
    // Another installation of the same app, outside of the project.
    let elsewhere = sandbox.work().join("elsewhere.toml");
    let text = format!(
        "[worker.w]\napp = \"shop.w\"\nversion = \"2.0.0\"\ncommand = {program:?}\nstop.grace = \"1s\"\n"
    );
    fs::write(&elsewhere, text).expect("a sandbox takes files");
    let (_, key) = scope.split_once('@').expect("a key");
    let elsewhere = elsewhere.display().to_string();
    call(&sandbox, &sandbox.work(), &["ensure", "w", "--key", key, "--config", &elsewhere]).run().expect(0);
    sandbox.stop(&scope).expect(0);
    fs::remove_dir_all(&gone).expect("ours");

    let pruned = prune(&sandbox, &["--yes"]).expect(0);

    assert_eq!(kept(&pruned).0, "offered-otherwise");
    assert!(sandbox.scope("mine").join("desired.json").exists());
}

#[test]
fn what_may_only_not_be_mounted_is_kept() {
    let sandbox = world();
    let (_, scope) = has_run(&sandbox, "disk/p");
    let disk = sandbox.work().join("disk");
    fs::remove_dir_all(&disk).expect("ours");

    let (reason, why) = kept(&prune(&sandbox, &["--yes"]).expect(0));

    assert!(reason == "unproved" && why.contains("disk is missing too"), "{why}");
    fs::create_dir(&disk).expect("ours");
    let (reason, why) = kept(&prune(&sandbox, &["--yes"]).expect(0));
    assert!(reason == "unproved" && why.contains("disk is empty"), "{why}");
    fs::write(disk.join("other"), "").expect("ours");
    assert_eq!(scopes(&prune(&sandbox, &["--yes"]).json()["workers"]), [scope]);
}

#[test]
fn what_stands_below_a_directory_that_cannot_be_read_is_kept() {
    let mut sandbox = world();
    if !is_root() {
        return;
    }
    sandbox.bring_executable();
    has_run(&sandbox, "locked/p");
    give_away(sandbox.path(), NOBODY);
    let locked = sandbox.work().join("locked");
    chown(&locked, Some(0), Some(0)).expect("root can take it back");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).expect("ours");
    let Some(call) = as_user(&sandbox, NOBODY, &["prune", "--yes", "--json"]) else { return };

    let (reason, why) = kept(&call.run().expect(0));

    assert!(reason == "unproved" && why.contains("cannot be looked at"), "{why}");
}

#[test]
fn a_launcher_at_work_is_not_disturbed() {
    let sandbox = world();
    let (gone, scope) = has_run(&sandbox, "p");
    let meeting = sandbox.meeting("gate");
    let ensure = call(&sandbox, &gone, &["ensure", "w"]).fault(&meeting.armed(Point::GateEntered)).start();
    let met = meeting.meet();
    let aside = sandbox.work().join("aside");
    fs::rename(&gone, &aside).expect("ours");

    let pruned = prune(&sandbox, &["--yes"]).expect(0);

    assert_eq!(kept(&pruned).0, "gate-held");
    fs::rename(&aside, &gone).expect("ours");
    met.release();
    ensure.wait().expect(0);
    sandbox.stop(&scope);
}

#[test]
fn a_project_that_is_back_when_the_gate_is_entered_loses_nothing() {
    let sandbox = world();
    let (gone, scope) = has_run(&sandbox, "p");
    let aside = sandbox.work().join("aside");
    fs::rename(&gone, &aside).expect("ours");
    let meeting = sandbox.meeting("gate");
    let pruning = call(&sandbox, &sandbox.work(), &["prune", "--yes"]);
    let pruning = pruning.fault(&meeting.armed(Point::GateEntered)).start();
    let met = meeting.meet();
    fs::rename(&aside, &gone).expect("ours");
    let ensure = call(&sandbox, &gone, &["ensure", "w"]).start();
    met.release();

    assert!(scopes(&pruning.wait().expect(0).json()["workers"]).is_empty());

    let ensured = ensure.wait().expect(0);
    assert_eq!((ensured.state(), ensured.json()["generation"].as_u64()), ("started".into(), Some(2)));
    assert!(sandbox.scope(&scope).join("events.jsonl").exists());
    sandbox.stop(&scope);
}

#[test]
fn ensure_never_fails_and_no_generation_comes_twice_while_prune_runs_again_and_again() {
    let sandbox = world();
    let (there, scope) = has_run(&sandbox, "p");
    let aside = sandbox.work().join("aside");
    let done = AtomicBool::new(false);
    let removed = std::thread::scope(|threads| {
        let pruner = threads.spawn(|| {
            let mut removed = 0;
            while !done.load(Ordering::SeqCst) {
                removed += scopes(&prune(&sandbox, &["--yes"]).expect(0).json()["workers"]).len();
            }
            removed
        });
        let mut last = 1;
        for _ in 0..8 {
            fs::rename(&there, &aside).expect("ours");
            let again = prune(&sandbox, &["--yes"]).expect(0);
            fs::rename(&aside, &there).expect("ours");
            let ensured = call(&sandbox, &there, &["ensure", "w"]).run().expect(0);
            let generation = ensured.json()["generation"].as_u64().expect("a number");
            assert!(generation > last, "{generation} after {last}: {}", again.stdout);
            last = generation;
            call(&sandbox, &there, &["stop", "w"]).run().expect(0);
        }
        done.store(true, Ordering::SeqCst);
        pruner.join().expect("it ends")
    });
    assert!(removed <= 8, "{removed}");
    assert_eq!(sandbox.oracle().count("double"), 0, "{}", sandbox.story());
    sandbox.stop(&scope);
}
