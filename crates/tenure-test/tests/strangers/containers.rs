//! Containers and copies: state directories that share a path, an id or a kernel with others. Nobody is signalled who belongs
//! to another directory or counts in another pid namespace, answers come at once, and no directory has two workers.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tenure_core::spec::scope::{COOKIE_VARIABLE, program_cookie};
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::{Call, Output, Running};
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{can_unshare, shell};
use tenure_test::fixtures::worker::{ensure, record, shim, started, status, stop, worker};

use crate::BINARIES;

/// `script` in namespaces of its own (`words` of unshare(1)), where `$T` is `tenure` and `$W` the scope's directory.
fn inside<'sandbox>(sandbox: &'sandbox Sandbox, words: &[&str], script: &str) -> Call<'sandbox> {
    let unshare = Path::new("/usr/bin/unshare");
    let script = script.to_owned();
    let words = words.iter().copied().chain(["--fork", "--kill-child", "/bin/sh", "-euc", &script]);
    let words: Vec<OsString> = words.map(OsString::from).collect();
    let tenure = sandbox.executable().display().to_string();
    let scope = sandbox.scope("w").display().to_string();
    sandbox.command(unshare, words).env("T", &tenure).env("W", &scope).env("TENURE_WEDGED_AFTER", "300ms")
}

/// Whether namespaces of these kinds can be made here; if not, a line says what is skipped.
fn can(words: &[&str]) -> bool {
    can_unshare(&Sandbox::new(BINARIES.tenure), words).is_some()
}

const PID: [&str; 3] = ["--pid", "--mount-proc", "--mount"];

fn id(sandbox: &Sandbox) -> String {
    record(sandbox, "identity.json")["id"].as_str().expect("an id").to_owned()
}

fn serves_as(sandbox: &Sandbox, worker: &ProcessHandle) {
    assert!(!worker.has_ended(), "the worker was left alone: {}", sandbox.story());
    let now = ensure(sandbox).run().expect(0);
    assert_eq!((now.state().as_str(), now.json()["pid"].as_u64()), ("up", Some(u64::from(worker.pid()))));
}

/// Something that carries the cookie of a program of that scope id.
fn marked(sandbox: &Sandbox, scope_id: &str) -> Running {
    let cookie = program_cookie(scope_id, 1);
    sandbox.command(Path::new("/bin/sleep"), ["1000"]).env(COOKIE_VARIABLE, &cookie).start()
}

#[test]
fn another_directory_at_the_same_path_ends_nobody_of_this_one() {
    if !can(&["--mount"]) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let outer = worker(&sandbox);
    let script = "mount -t tmpfs -o mode=700 none \"$TENURE_STATE_DIR\"\n\
                  \"$T\" ensure w --json --timeout 20s; \"$T\" stop w -q --timeout 20s";
    let inner = inside(&sandbox, &["--mount"], script).run().expect(0);
    assert_eq!(inner.state(), "started");
    serves_as(&sandbox, &outer);
    stop(&sandbox).expect(0);
    assert_eq!(
        sandbox.oracle().count("double"),
        1,
        "two directories, and each had a program while the other had one"
    );
}

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
    // Who starts it by the second name leaves marks that are found by the first.
    let stopped = sandbox.tenure(["stop", "w", "--json"]).env("TENURE_STATE_DIR", &root).run().expect(0);
    assert_eq!(stopped.json()["pid"], json!(first.pid()));
    let stray = marked(&sandbox, &format!("w:{}", id(&sandbox)));
    ensure(&sandbox).env("TENURE_STATE_DIR", &root).run().expect(0);
    assert!(stray.child().handle().has_ended(), "what carries the directory's mark was a leftover");
    drop(stray.wait());
    stop(&sandbox).expect(0);
}

#[test]
fn marks_by_the_path_count_only_where_a_directory_is_from_before() {
    let sandbox = BINARIES.sandbox(&[]);
    let by_path = "w".parse::<tenure_core::Scope>().expect("valid").id(&sandbox.scope("w"));
    let stray = marked(&sandbox, &by_path);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    assert!(!stray.child().handle().has_ended(), "a directory that was made with an id has no such marks");
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
    let stray = marked(&sandbox, &by_path);
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
    // Both are marked by the path: one that fails is looked for by the other.
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

/// Runs `script` beside a worker outside of its pid namespace, and gives what it said.
fn beside_outer_worker(script: &str) -> Option<(Sandbox, ProcessHandle, Output)> {
    if !can(&PID) {
        return None;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let outer = worker(&sandbox);
    let said = inside(&sandbox, &PID, script).run();
    Some((sandbox, outer, said))
}

#[test]
fn a_worker_outside_of_the_containers_pid_namespace_is_used() {
    let script = "\"$T\" ensure w --json --timeout 20s";
    let Some((sandbox, outer, said)) = beside_outer_worker(script) else { return };
    assert_eq!(said.expect(0).state(), "up");
    serves_as(&sandbox, &outer);
    stop(&sandbox).expect(0);
}

/// The names of the findings about the worker.
fn findings(said: &Output) -> Vec<String> {
    let json = said.json();
    let findings = json["findings"].as_array().expect("a list").iter().filter(|one| one["worker"] == "w");
    findings.map(|one| one["check"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn doctor_calls_a_worker_that_it_cannot_look_at_no_stranger() {
    for words in [&PID[..], &["--user", "--map-root-user"], &["--net"]] {
        if !can(words) {
            continue;
        }
        let sandbox = BINARIES.sandbox(&[]);
        let outer = worker(&sandbox);
        let said = inside(&sandbox, words, "\"$T\" doctor w --json").run();
        let found = findings(&said);
        for wrong in ["port-of-another", "port-silent"] {
            assert!(!found.contains(&wrong.to_owned()), "{words:?}: {}", said.stdout);
        }
        assert!(!said.stdout.contains("end the process"), "{words:?}: {}", said.stdout);
        said.expect(0);
        serves_as(&sandbox, &outer);
        stop(&sandbox).expect(0);
    }
}

#[test]
fn nothing_is_told_of_whoever_has_here_the_number_that_a_worker_has_in_its_own_namespace() {
    if !can(&PID) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let there = sandbox.path().display().to_string();
    shell(&sandbox, "mkfifo up go").cwd(sandbox.path()).run().expect(0);
    let script =
        "\"$T\" ensure w --json --timeout 20s >\"$D/up\"; cat \"$D/go\"; \"$T\" stop w -q --timeout 20s";
    let container = inside(&sandbox, &PID, script).env("D", &there).start();
    let up = fs::read_to_string(sandbox.path().join("up")).expect("it was started");
    let answer: Value = serde_json::from_str(&up).expect("an answer");
    let told = sandbox.tenure(["doctor", "w", "--json"]).run();
    let status = sandbox.tenure(["status", "w"]).run();
    let list = sandbox.tenure(["list"]).run();
    fs::write(sandbox.path().join("go"), "").expect("it waits");
    container.wait().expect(0);
    assert!(!findings(&told).contains(&"inherited".to_owned()), "{}", told.stdout);
    assert!(!findings(&told).contains(&"port-of-another".to_owned()), "{}", told.stdout);
    told.expect(0);
    let pid = format!("{} of another pid namespace", answer["pid"]);
    for said in [status, list] {
        assert!(said.stdout.contains(&pid), "{}{}", said.stdout, said.stderr);
    }
}

#[test]
fn nobody_takes_the_place_of_a_worker_of_another_pid_namespace_and_that_is_said_at_once() {
    for word in ["restart w", "restart w --force", "ensure w --version 9.0.0"] {
        // Far longer than the test waits for any process: whoever spends its budget on this fails it.
        let script = format!("\"$T\" {word} --json --timeout 1h");
        let Some((sandbox, outer, said)) = beside_outer_worker(&script) else { return };
        let refused = said.expect(4);
        assert_eq!(refused.state(), "denied", "{word}: {}", refused.stdout);
        assert!(complaint(&refused).contains("pid namespace"), "{word}: {}", refused.stdout);
        assert!(complaint(&refused).contains("tenure stop w"), "the remedy: {}", refused.stdout);
        assert!(!outer.has_ended(), "{word}");
        stop(&sandbox).expect(0);
    }
}

#[test]
fn the_remedy_works_a_worker_of_another_pid_namespace_ends_when_it_is_asked() {
    let script =
        "\"$T\" stop w --json --timeout 20s >&2; \"$T\" ensure w --json --timeout 20s; \"$T\" stop w -q";
    let Some((sandbox, outer, said)) = beside_outer_worker(script) else { return };
    assert_eq!(said.expect(0).state(), "started");
    assert!(outer.has_ended());
    assert_eq!(sandbox.oracle().count("double"), 0);
}

#[test]
fn a_silent_worker_of_another_pid_namespace_is_named_and_not_signalled() {
    if !can(&PID) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let outer = worker(&sandbox);
    tenure_test::fixtures::processes::freeze(&outer);
    let script = "\"$T\" ensure w --json --timeout 60s";
    let refused = inside(&sandbox, &PID, script).run();
    assert_eq!(refused.state(), "wedged", "{}{}", refused.stdout, refused.stderr);
    assert!(!outer.has_ended());
    outer.signal(Signal::Cont).expect("ours");
    serves_as(&sandbox, &outer);
    stop(&sandbox).expect(0);
}

#[test]
fn a_worker_of_another_mount_namespace_is_used_replaced_and_told() {
    if !can(&["--mount"]) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let outer = worker(&sandbox);
    let at = |words: &str| inside(&sandbox, &["--mount"], &format!("\"$T\" {words}")).run();
    assert_eq!(at("ensure w --json --timeout 20s").expect(0).state(), "up");
    let told = at("doctor w");
    assert!(told.stdout.contains("other mounts"), "{}{}", told.stdout, told.stderr);
    let restarted = at("restart w --json --timeout 20s").expect(0);
    assert_ne!(restarted.json()["pid"], json!(outer.pid()));
    stop(&sandbox).expect(0);
    assert!(outer.has_ended());
    assert_eq!(sandbox.oracle().count("double"), 0);
}

#[test]
fn a_container_that_starts_again_on_its_volume_has_a_worker_again() {
    if !can(&PID) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    // The container ends with its worker in it; the next one is another pid namespace of the same boot.
    let script = "\"$T\" ensure w --json --timeout 20s";
    assert_eq!(inside(&sandbox, &PID, script).run().expect(0).state(), "started");
    let mark = format!("w:{}", id(&sandbox));
    let elsewhere = marked(&sandbox, &mark);
    let script = format!("{script}; \"$T\" stop w -q --timeout 20s");
    assert_eq!(inside(&sandbox, &PID, &script).run().expect(0).state(), "started");
    // It counts outside, and no container ends it.
    assert!(!elsewhere.child().handle().has_ended(), "it was left alone");
    let again = ensure(&sandbox).run().expect(0);
    assert_eq!(again.state(), "started", "from outside of both as well");
    assert!(
        elsewhere.child().handle().has_ended(),
        "what an earlier worker has left here is ended from here"
    );
    stop(&sandbox).expect(0);
    let events = fs::read_to_string(sandbox.scope("w").join("events.jsonl")).expect("there");
    assert!(events.contains("\"unverified\""), "what could not be verified is on record: {events}");
    assert_eq!(sandbox.oracle().count("double"), 0);
}

#[test]
fn what_was_left_here_is_ended_here_whoever_of_another_pid_namespace_was_there_meanwhile() {
    let words = ["--pid", "--mount-proc"];
    if !can(&words) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    stop(&sandbox).expect(0);
    // Only its mark is left of it: it holds no lock.
    let left = marked(&sandbox, &format!("w:{}", id(&sandbox)));
    let script = "\"$T\" ensure w --json --timeout 20s; \"$T\" stop w -q --timeout 20s";
    inside(&sandbox, &words, script).run().expect(0);
    assert!(!left.child().handle().has_ended(), "nobody there can tell whether it is theirs");
    stop(&sandbox).expect(0);
    assert!(left.child().handle().has_ended(), "a stop here finds it, though the record does not name it");
    drop(left.wait());
}

#[test]
fn what_holds_its_lock_in_another_pid_namespace_is_named_with_a_remedy_that_works() {
    if !can(&PID) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let host = worker(&sandbox);
    let program = tenure_test::fixtures::processes::program(&status(&sandbox).expect(0));
    // Its shim cannot end it, and its host cannot be asked any more.
    let shim = shim(&sandbox);
    tenure_test::fixtures::processes::freeze(&shim);
    tenure_test::fixtures::processes::kill(&host);
    let refused = inside(&sandbox, &PID, "\"$T\" stop w --json --timeout 20s").run();
    let told = complaint(&refused);
    assert!(told.contains("in another pid namespace") && told.contains("the same command where"), "{told}");
    let doctor = inside(&sandbox, &PID, "\"$T\" doctor w").run();
    assert!(doctor.stdout.contains("where the worker was started"), "{}", doctor.stdout);
    assert!(!program.has_ended());
    stop(&sandbox).expect(0);
    assert!(program.has_ended());
}

#[test]
fn in_a_user_namespace_that_maps_the_user_the_worker_is_the_same() {
    let words = ["--user", "--map-root-user"];
    if !can(&words) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let outer = worker(&sandbox);
    let said = inside(&sandbox, &words, "\"$T\" ensure w --json --timeout 20s").run();
    assert_eq!(said.expect(0).state(), "up");
    serves_as(&sandbox, &outer);
    stop(&sandbox).expect(0);
}

#[test]
fn nobody_takes_the_place_of_a_worker_from_another_network_unless_a_person_insists() {
    if !can(&["--net"]) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let first = worker(&sandbox);
    let there =
        |words: &str| inside(&sandbox, &["--net"], &format!("\"$T\" {words} --json --timeout 20s")).run();
    assert_eq!(there("ensure w").expect(0).state(), "up");
    let refused = there("restart w").expect(4);
    assert!(complaint(&refused).contains("another network namespace"), "{}", refused.stdout);
    assert!(!first.has_ended());
    let told = inside(&sandbox, &["--net"], "\"$T\" doctor w").run();
    assert!(told.stdout.contains("-> tenure restart --force w"), "{}", told.stdout);
    // Its own network is up, so that the check of the worker that is started there can pass.
    let up = "ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || exit 77";
    let forced =
        inside(&sandbox, &["--net"], &format!("{up}; \"$T\" restart w --force --json --timeout 20s")).run();
    if forced.code() != 77 {
        assert_eq!(forced.expect(0).json()["manner"], "stopped-first");
        assert!(first.has_ended());
    }
    stop(&sandbox).expect(0);
}

#[test]
fn a_worker_of_another_time_namespace_is_the_same_process() {
    let words = ["--time", "--boottime", "1000000"];
    if !can(&words) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let first = worker(&sandbox);
    // Its start reads otherwise in there; it is verified and replaced all the same.
    let script = "\"$T\" restart w --json --timeout 20s";
    let restarted = inside(&sandbox, &words, script).run().expect(0);
    assert_ne!(restarted.json()["pid"], json!(first.pid()));
    stop(&sandbox).expect(0);
    assert!(first.has_ended());
    assert_eq!(sandbox.oracle().count("double"), 0);
}

#[test]
fn a_boot_that_ends_in_another_time_namespace_is_not_waited_for() {
    let sandbox = BINARIES.sandbox(&[]);
    let frozen = worker(&sandbox);
    tenure_test::fixtures::processes::freeze(&frozen);
    let mut ledger = record(&sandbox, "ledger.json");
    let boot = ledger["lineage"][0]["boot"].clone();
    ledger["booting_until"] = json!({"boot": boot, "ms": u64::MAX});
    fs::write(sandbox.scope("w").join("ledger.json"), ledger.to_string()).expect("ours");
    assert_eq!(ensure(&sandbox).run().expect(0).state(), "started");
    assert!(frozen.has_ended());
    stop(&sandbox).expect(0);
}
