//! Other mounts, users, networks and clocks.

use std::fs;

use serde_json::json;
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::worker::{ensure, record, stop, worker};

use super::{PID, can, findings, inside, serves_as, worker_outside};
use crate::BINARIES;

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
fn a_worker_of_another_mount_namespace_is_used_replaced_and_told() {
    let Some((sandbox, outer)) = worker_outside(&["--mount"]) else { return };
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
fn in_a_user_namespace_that_maps_the_user_the_worker_is_the_same() {
    let words = ["--user", "--map-root-user"];
    let Some((sandbox, outer)) = worker_outside(&words) else { return };
    let said = inside(&sandbox, &words, "\"$T\" ensure w --json --timeout 20s").run();
    assert_eq!(said.expect(0).state(), "up");
    serves_as(&sandbox, &outer);
    stop(&sandbox).expect(0);
}

#[test]
fn nobody_takes_the_place_of_a_worker_from_another_network_unless_a_person_insists() {
    let Some((sandbox, first)) = worker_outside(&["--net"]) else { return };
    let there =
        |words: &str| inside(&sandbox, &["--net"], &format!("\"$T\" {words} --json --timeout 20s")).run();
    assert_eq!(there("ensure w").expect(0).state(), "up");
    let refused = there("restart w").expect(4);
    assert!(complaint(&refused).contains("another network namespace"), "{}", refused.stdout);
    assert!(!first.has_ended());
    let told = inside(&sandbox, &["--net"], "\"$T\" doctor w").run();
    assert!(told.stdout.contains("-> `tenure restart --force w`"), "{}", told.stdout);
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

/// With the outer `/proc`, the numbers of a pid namespace are those of other processes there.
#[test]
fn another_network_is_seen_in_a_pid_namespace_that_has_the_outer_proc() {
    let words = ["--pid"];
    if !can(&[&words[..], &["--net"]].concat()) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let script = "\"$T\" ensure w --json --timeout 20s >&2
        unshare --net \"$T\" restart w --json --timeout 20s || code=$?
        \"$T\" stop w >&2
        exit ${code:-0}";
    let refused = inside(&sandbox, &words, script).run().expect(4);
    assert!(complaint(&refused).contains("another network namespace"), "{}", refused.stdout);
    assert_eq!(sandbox.oracle().count("start"), 1);
}

#[test]
fn a_worker_of_another_time_namespace_is_the_same_process() {
    let words = ["--time", "--boottime", "1000000"];
    let Some((sandbox, first)) = worker_outside(&words) else { return };
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
    processes::freeze(&frozen);
    let mut ledger = record(&sandbox, "ledger.json");
    let boot = ledger["lineage"][0]["boot"].clone();
    ledger["booting_until"] = json!({"boot": boot, "ms": u64::MAX});
    fs::write(sandbox.scope("w").join("ledger.json"), ledger.to_string()).expect("ours");
    assert_eq!(ensure(&sandbox).wedged_soon().run().expect(0).state(), "started");
    assert!(frozen.has_ended());
    stop(&sandbox).expect(0);
}

#[test]
fn another_directory_at_the_same_path_ends_nobody_of_this_one() {
    let Some((sandbox, outer)) = worker_outside(&["--mount"]) else { return };
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
