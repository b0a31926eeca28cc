//! Stale and reused process ids in every record: whoever has the number now is neither signalled nor waited for nor named.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tenure_sys::dir::Dir;
use tenure_sys::lock::{self, FileLock, LockWait};
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Running;
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::can_unshare;
use tenure_test::fixtures::worker::{ensure, started, status, stop};

use crate::BINARIES;

/// A process that has nothing to do with the worker.
fn bystander(sandbox: &Sandbox) -> Running {
    sandbox.command(Path::new("/bin/sleep"), ["1000"]).start()
}

fn dismiss(bystander: Running) {
    assert!(!bystander.child().handle().has_ended(), "the bystander was left alone");
    bystander.signal(Signal::Kill);
    drop(bystander.wait());
}

/// Ways in which the bystander's number can stand in a record of somebody else.
fn stale(bystander: &Running) -> Vec<Value> {
    let identity = serde_json::to_value(bystander.child().handle().identity()).expect("writes");
    let with = |key: &str, value: Value| {
        let mut other = identity.clone();
        other[key] = value;
        other
    };
    let start = identity["start"].as_u64().expect("ticks");
    // The start tells where a kernel has no inode; where both sides have one, it alone does.
    let mut older = with("start", json!(start - 1));
    older["inode"] = Value::Null;
    let mut ways = vec![older, with("boot", json!("another-boot"))];
    // The same tick and another process, as in most reuses that are forced: only the inode tells.
    ways.extend(identity["inode"].as_u64().map(|inode| with("inode", json!(inode - 1))));
    ways
}

/// Puts `identity` into every record of the scope.
fn forge(sandbox: &Sandbox, identity: &Value) {
    let scope = sandbox.scope("w");
    let text = fs::read_to_string(scope.join("ledger.json")).expect("there");
    let mut ledger: Value = serde_json::from_str(&text).expect("a record");
    ledger["lineage"] = json!([identity]);
    ledger["program"] =
        json!({"cookie": "w:0/1/-/program", "command": "x", "shim": identity, "identity": identity});
    fs::write(scope.join("ledger.json"), ledger.to_string()).expect("ours");
    fs::write(scope.join("worker.pid"), format!("{}\n", identity["pid"])).expect("ours");
    fs::write(scope.join("gate"), signature(identity)).expect("ours");
}

fn signature(identity: &Value) -> String {
    let since = json!({"boot": identity["boot"], "ms": 1});
    json!({"identity": identity, "command": "sleep 1000", "since": since}).to_string()
}

fn hold(sandbox: &Sandbox, name: &str) -> FileLock {
    let dir = Dir::open_private(&sandbox.scope("w")).expect("ours");
    let file = dir.open_lock(name).expect("ours");
    // A process that another test of this binary starts has a copy of our descriptors until it is its program.
    match lock::lock_within(file, PATIENCE).expect("it can be locked") {
        LockWait::Taken(lock) => Some(lock),
        LockWait::TimedOut => None,
    }
    .expect("nobody holds it")
}

#[test]
fn a_cold_start_signals_nobody_who_only_has_a_recorded_number() {
    let sandbox = BINARIES.sandbox(&[]);
    let bystander = bystander(&sandbox);
    for identity in stale(&bystander) {
        ensure(&sandbox).run().expect(0);
        stop(&sandbox).expect(0);
        forge(&sandbox, &identity);
        assert_eq!(status(&sandbox).expect(3).state(), "down");
        stop(&sandbox).expect(0);
        forge(&sandbox, &identity);
        assert_eq!(ensure(&sandbox).run().expect(0).state(), "started", "{identity}");
        stop(&sandbox).expect(0);
        assert!(!bystander.child().handle().has_ended(), "{identity}");
    }
    dismiss(bystander);
}

#[test]
fn a_held_program_lock_is_reported_and_nobody_who_has_the_recorded_number_is_ended_for_it() {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    let bystander = bystander(&sandbox);
    for identity in stale(&bystander) {
        forge(&sandbox, &identity);
        let lock = hold(&sandbox, "program");
        let refused = ensure(&sandbox).run().expect(1);
        assert_eq!(refused.state(), "survivor", "{}", refused.stdout);
        // The holder of the lock is this test, and it is named; the bystander is not.
        let complaint = complaint(&refused);
        assert!(complaint.contains(&format!("pid {}", std::process::id())), "{complaint}");
        drop(lock);
    }
    assert_eq!(ensure(&sandbox).run().expect(0).state(), "started");
    stop(&sandbox).expect(0);
    dismiss(bystander);
}

#[test]
fn a_silent_worker_is_ended_and_not_who_has_the_number_in_its_record() {
    let sandbox = BINARIES.sandbox(&[]);
    let bystander = bystander(&sandbox);
    for identity in stale(&bystander) {
        let worker = ProcessHandle::open(started(&sandbox)).expect("it lives");
        forge(&sandbox, &identity);
        processes::freeze(&worker);
        assert_eq!(ensure(&sandbox).wedged_soon().run().expect(0).state(), "started", "{identity}");
        assert!(worker.has_ended(), "the stopped worker was found by its cookie");
        stop(&sandbox).expect(0);
        assert!(!bystander.child().handle().has_ended(), "{identity}");
    }
    assert_eq!(sandbox.oracle().count("double"), 0);
    dismiss(bystander);
}

#[test]
fn a_lease_that_nobody_verifiable_holds_is_wedged_and_nothing_is_touched() {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    let bystander = bystander(&sandbox);
    let foreign = {
        let mut identity = serde_json::to_value(bystander.child().handle().identity()).expect("writes");
        identity["pidns"] = json!(1);
        identity
    };
    for identity in stale(&bystander).into_iter().chain([foreign]) {
        forge(&sandbox, &identity);
        let lease = hold(&sandbox, "instance");
        let refused = sandbox.tenure(["stop", "w", "--json", "--timeout", "2s"]).run();
        assert_ne!(refused.code(), 0, "{}", refused.stdout);
        assert!(!bystander.child().handle().has_ended(), "{identity}");
        drop(lease);
    }
    stop(&sandbox).expect(0);
    dismiss(bystander);
}

#[test]
fn a_gate_that_was_signed_by_somebody_who_is_gone_names_who_really_holds_it() {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    let bystander = bystander(&sandbox);
    for identity in stale(&bystander) {
        let gate = hold(&sandbox, "gate");
        fs::write(sandbox.scope("w").join("gate"), signature(&identity)).expect("ours");
        let held = sandbox.tenure(["ensure", "w", "--json", "--timeout", "300ms"]).run().expect(8);
        let complaint = complaint(&held);
        // The lock is this very test's, by the kernel's own list.
        assert!(complaint.contains(&format!("pid {}", std::process::id())), "{complaint}");
        assert!(!complaint.contains(&format!("pid {}", bystander.child().pid())), "{complaint}");
        drop(gate);
    }
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    dismiss(bystander);
}

/// In a pid namespace of its own: the worker, its shim and its program die, and bystanders get exactly their numbers.
const REUSE: &str = r#"
set -eu
scope() { echo "$TENURE_STATE_DIR"/*/w; }
number() { sed "s/.*\"$1\":{\"boot\":\"[^\"]*\",\"pidns\":[0-9]*,\"pid\":\([0-9]*\).*/\1/" "$HOME/ledger"; }
"$T" ensure w -q
tr -d ' \n' < "$(scope)/ledger.json" > "$HOME/ledger"
worker=$(sed 's/.*"lineage":\[{"boot":"[^"]*","pidns":[0-9]*,"pid":\([0-9]*\).*/\1/' "$HOME/ledger")
shim=$(number shim); program=$(number identity)
kill -9 "$worker" "$shim" "$program" || true # the shim may have been faster
flock "$(scope)/instance" true
flock "$(scope)/program" true
bystanders=
for pid in $worker $shim $program; do
    echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid
    sleep 1000 9>&- &
    test "$!" = "$pid" || { echo "no reuse: $! is not $pid"; continue; }
    bystanders="$bystanders $!"
done
echo "reused$bystanders"
"$T" status w || test $? = 3
"$T" ensure w --json
kill -0 $bystanders
"$T" stop w --timeout 10s
kill -0 $bystanders
kill -9 $bystanders
echo done
"#;

#[test]
fn a_number_that_was_really_reused_belongs_to_a_stranger() {
    let sandbox = BINARIES.sandbox(&[]);
    let Some(unshare) = can_unshare(&sandbox, &["--pid", "--mount-proc"]) else { return };
    let words = ["--pid", "--fork", "--mount-proc", "/bin/sh", "-c", REUSE];
    let tenure = sandbox.executable().display().to_string();
    let ran = sandbox.command(&unshare, words).env("T", &tenure).run().expect(0);
    let reused = ran.stdout.lines().find_map(|line| line.strip_prefix("reused")).expect("a line");
    assert_eq!(reused.split_whitespace().count(), 3, "three numbers were used again: {}", ran.stdout);
    assert!(ran.stdout.contains("\"generation\":2"), "{}", ran.stdout);
    assert!(ran.stdout.trim_end().ends_with("done"), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(sandbox.oracle().count("double"), 0);
}
