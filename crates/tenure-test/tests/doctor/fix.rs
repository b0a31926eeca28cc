//! What `doctor --fix` does and what it keeps its hands off: each fix is safe, told, and made under gate and lease.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tenure_sys::process::ProcessHandle;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::processes::{freeze, kill};
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{NOBODY, give_away, is_root};
use tenure_test::fixtures::worker::{ensure, started, status, stop};

use crate::BINARIES;

fn doctor(sandbox: &Sandbox) -> Output {
    sandbox.tenure(["doctor", "w", "--json"]).run()
}

fn fix(sandbox: &Sandbox) -> Output {
    sandbox.tenure(["doctor", "w", "--fix", "--json"]).run()
}

fn names(output: &Output) -> Vec<String> {
    let json = output.json();
    let findings = json["findings"].as_array().expect("a list").iter();
    let names = findings.map(|finding| finding["check"].as_str().expect("a name").to_owned());
    names.filter(|name| name != "other-root").collect()
}

/// What was done, one line each; nothing may have failed.
fn done(output: &Output) -> Vec<String> {
    let json = output.json();
    let fixed = json["fixed"].as_array().expect("a list").iter();
    fixed
        .map(|fixed| {
            assert_eq!(fixed["done"], true, "{json}");
            fixed["said"].as_str().expect("words").to_owned()
        })
        .collect()
}

/// The shim and the program of `w`, as its ledger names them.
fn recorded(sandbox: &Sandbox) -> [ProcessHandle; 2] {
    let text = fs::read_to_string(sandbox.scope("w").join("ledger.json")).expect("ours");
    let ledger: serde_json::Value = serde_json::from_str(&text).expect("a record");
    ["shim", "identity"].map(|who| {
        let pid = ledger["program"][who]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        ProcessHandle::open(pid.expect("it is recorded")).expect("it lives")
    })
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o7777
}

#[test]
fn a_directory_that_is_open_to_others_is_closed() {
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    let scope = sandbox.scope("w");
    fs::set_permissions(&scope, fs::Permissions::from_mode(0o755)).expect("ours");
    assert_eq!(names(&doctor(&sandbox).expect(7)), ["open-to-others"]);
    assert_eq!(mode(&scope), 0o755, "a look changes nothing");
    assert_eq!(done(&fix(&sandbox).expect(0)).len(), 1);
    assert_eq!(mode(&scope), 0o700);
    assert_eq!(status(&sandbox).expect(0).state(), "up", "the worker was left alone");
    stop(&sandbox).expect(0);
}

#[test]
fn a_root_and_a_directory_of_trust_that_others_can_write_are_closed() {
    let sandbox = BINARIES.sandbox(&[]);
    let trust = sandbox.state_root().join("trust");
    fs::create_dir_all(&trust).expect("ours");
    for path in [sandbox.state_root(), trust] {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("ours");
    }
    for path in [sandbox.state_root(), sandbox.state_root().join("trust")] {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("ours");
        let output = doctor(&sandbox).expect(7);
        assert_eq!(names(&output), ["open-to-others"]);
        // Closed by hand, it would keep what others have changed.
        assert!(output.stdout.contains("\"`tenure doctor --fix`\""), "{}", output.stdout);
        assert_eq!(done(&fix(&sandbox).expect(0)).len(), 1);
        assert_eq!(mode(&path), 0o700);
    }
}

#[test]
fn a_directory_into_which_a_stranger_put_one_of_his_own_is_left_alone() {
    if !is_root() {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    stop(&sandbox).expect(0);
    let scope = sandbox.scope("w");
    fs::create_dir(scope.join("planted")).expect("ours");
    give_away(&scope.join("planted"), NOBODY);
    fs::set_permissions(&scope, fs::Permissions::from_mode(0o777)).expect("ours");
    let output = fix(&sandbox).expect(7).json();
    assert_eq!(output["fixed"][0]["done"], false, "{output}");
    assert!(output["fixed"][0]["said"].as_str().is_some_and(|said| said.contains("planted")), "{output}");
    assert_eq!(mode(&scope), 0o777);
}

#[test]
fn what_a_dead_worker_left_at_its_sockets_is_removed() {
    let sandbox = BINARIES.sandbox(&[]);
    let worker = ProcessHandle::open(started(&sandbox)).expect("it lives");
    let program = recorded(&sandbox);
    kill(&worker);
    for process in program {
        assert!(process.wait_ended(Some(PATIENCE)).expect("a handle"), "the shim ends the program");
    }
    fs::write(sandbox.scope("w").join(".ledger.json.1.ab.tmp"), "{").expect("ours");
    assert_eq!(names(&doctor(&sandbox).expect(0)), ["stale-socket", "stale-temporaries"]);
    let said = done(&fix(&sandbox).expect(0));
    assert_eq!(said, ["removed control.sock, .ledger.json.1.ab.tmp"]);
    assert!(!sandbox.scope("w").join("control.sock").exists());
    assert_eq!(names(&doctor(&sandbox).expect(0)), [""; 0]);
    let events = sandbox.tenure(["events", "w", "--json"]).run().expect(0).stdout;
    assert!(events.contains("\"repaired\""), "{events}");
}

#[test]
fn what_a_dead_worker_left_running_is_ended() {
    let sandbox = BINARIES.sandbox(&[]);
    let worker = ProcessHandle::open(started(&sandbox)).expect("it lives");
    let [shim, program] = recorded(&sandbox);
    // A stopped shim cannot end its tree when the host dies; killed then, it leaves the program to nobody.
    freeze(&shim);
    kill(&worker);
    kill(&shim);
    assert!(!program.has_ended());
    let output = doctor(&sandbox).expect(0);
    assert_eq!(names(&output), ["leftovers", "stale-socket"]);
    assert!(output.stdout.contains(&format!("pid {} (", program.pid())), "{}", output.stdout);
    assert!(!program.has_ended(), "a look ends nobody");
    let said = done(&fix(&sandbox).expect(0));
    assert!(said.contains(&format!("ended pid {}", program.pid())), "{said:?}");
    assert!(program.has_ended());
    assert!(!sandbox.oracle().is_held("program"));
}

#[test]
fn a_damaged_ledger_is_moved_aside_and_the_generation_goes_on() {
    let sandbox = BINARIES.sandbox(&[]);
    for _ in 0..2 {
        started(&sandbox);
        stop(&sandbox).expect(0);
    }
    let ledger = sandbox.scope("w").join("ledger.json");
    fs::write(&ledger, "{\"schema_version\": 1, \"gener").expect("ours");
    ensure(&sandbox).run().expect(4);
    assert_eq!(names(&doctor(&sandbox).expect(7)), ["record-damaged"]);
    let said = done(&fix(&sandbox).expect(0));
    assert!(said[0].contains("the next generation is 3"), "{said:?}");
    let fixture = fs::read_dir(sandbox.scope("w"))
        .expect("ours")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(
        fixture.filter(|name| name.starts_with("ledger.json.damaged-")).count(),
        1,
        "nothing is deleted"
    );
    assert_eq!(ensure(&sandbox).run().expect(0).json()["generation"], 3);
    stop(&sandbox).expect(0);
}

#[test]
fn a_damaged_record_is_left_alone_while_a_worker_lives() {
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    let desired = sandbox.scope("w").join("desired.json");
    let whole = fs::read_to_string(&desired).expect("ours");
    fs::write(&desired, "{").expect("ours");
    let output = fix(&sandbox).expect(7);
    assert_eq!((names(&output), done(&output).len()), (vec!["record-damaged".to_owned()], 0));
    assert_eq!(fs::read_to_string(&desired).expect("still there"), "{");
    fs::write(&desired, whole).expect("ours");
    stop(&sandbox).expect(0);
}

#[test]
fn what_a_person_holds_is_never_released() {
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    sandbox.tenure(["stop", "w", "--hold"]).run().expect(0);
    let output = fix(&sandbox).expect(0);
    assert_eq!((names(&output), done(&output).len()), (vec!["held-down".to_owned()], 0));
    ensure(&sandbox).run().expect(3);
    // Nor is a record put aside that shows such a word, whatever else is wrong with it.
    let desired = sandbox.scope("w").join("desired.json");
    let torn = fs::read_to_string(&desired).expect("ours").trim_end().trim_end_matches('}').to_owned();
    fs::write(&desired, &torn).expect("ours");
    let output = fix(&sandbox).expect(7);
    assert_eq!((names(&output), done(&output).len()), (vec!["record-damaged".to_owned()], 0));
    assert_eq!(fs::read_to_string(&desired).expect("still there"), torn);
}
