//! Records that are damaged, newer than this tenure, or not to be read: named with a remedy, never repaired, and never in
//! the way of `status` and `stop`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tenure_sys::process::ProcessHandle;
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{self, NOBODY};
use tenure_test::fixtures::worker::{self, ensure, status, stop};

use crate::BINARIES;

const RECORDS: [&str; 2] = ["ledger.json", "desired.json"];

/// Contents that are no record of this format, with a word of the complaint.
const BROKEN: [(&[u8], &str); 6] = [
    (b"", "damaged"),
    (b"{ \"schema_version\": 1, ", "damaged"),
    (b"[]", "damaged"),
    (b"\xff\xfe\x00\x01", "damaged"),
    (b"{\"schema_version\": 1}", "damaged"),
    (b"{\"schema_version\": 9, \"shape\": \"unknown\"}", "format 9"),
];

fn record(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.scope("w").join(name)
}

fn once_run() -> Sandbox {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    sandbox
}

#[test]
fn a_broken_record_is_named_with_a_remedy_and_left_as_it_is() {
    let sandbox = once_run();
    for name in RECORDS {
        let path = record(&sandbox, name);
        let good = fs::read(&path).expect("it was written");
        for (bytes, word) in BROKEN {
            fs::write(&path, bytes).expect("ours");
            let refused = ensure(&sandbox).run().expect(4);
            let complaint = complaint(&refused);
            assert_eq!(refused.state(), "state-unusable", "{name}: {complaint}");
            assert!(complaint.contains(name) && complaint.contains(word), "{complaint}");
            assert_eq!(fs::read(&path).expect("still there"), bytes, "{name} is untouched");
            assert!(sandbox.processes().is_empty(), "{name}: nothing was started");
            assert_eq!(status(&sandbox).expect(3).state(), "down");
            stop(&sandbox).expect(0);
            assert_eq!(fs::read(&path).expect("still there"), bytes, "{name} is untouched by a stop");
        }
        fs::write(&path, good).expect("ours");
        ensure(&sandbox).run().expect(0);
        stop(&sandbox).expect(0);
    }
}

#[test]
fn a_worker_serves_is_told_of_and_is_stopped_whatever_became_of_its_records() {
    for name in RECORDS {
        for (bytes, _) in [BROKEN[1], BROKEN[5]] {
            let sandbox = BINARIES.sandbox(&["escapee"]);
            worker::started(&sandbox);
            let path = record(&sandbox, name);
            fs::write(&path, bytes).expect("ours");
            assert_eq!(ensure(&sandbox).run().expect(0).state(), "up");
            assert_eq!(status(&sandbox).expect(0).state(), "up");
            let stopped = stop(&sandbox).expect(0);
            assert_eq!(stopped.state(), "stopped");
            assert!(!sandbox.oracle().is_held("program") && !sandbox.oracle().is_held("escapee"));
            assert_eq!(fs::read(&path).expect("still there"), bytes, "{name} is untouched");
        }
    }
}

#[test]
fn a_restart_that_cannot_write_its_record_stops_nothing() {
    for name in RECORDS {
        let sandbox = BINARIES.sandbox(&[]);
        let pid = worker::started(&sandbox);
        fs::write(record(&sandbox, name), b"{").expect("ours");
        let refused = sandbox.tenure(["restart", "w", "--json", "--timeout", "20s"]).run();
        assert_ne!(refused.code(), 0, "{}", refused.stdout);
        assert!(complaint(&refused).contains(name), "{}", refused.stdout);
        assert_eq!(status(&sandbox).expect(0).json()["pid"], pid, "{name}: the worker stands");
        stop(&sandbox).expect(0);
    }
}

#[test]
fn a_silent_worker_without_a_ledger_is_found_by_its_cookie_and_stopped() {
    let sandbox = BINARIES.sandbox(&[]);
    let worker = ProcessHandle::open(worker::started(&sandbox)).expect("it lives");
    fs::write(record(&sandbox, "ledger.json"), b"{").expect("ours");
    processes::freeze(&worker);
    stop(&sandbox).expect(0);
    assert!(worker.has_ended());
}

#[test]
fn a_record_that_may_not_be_read_is_named_and_untouched() {
    let sandbox = BINARIES.sandbox_for_others(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    system::give_away_if_root(&sandbox);
    for name in RECORDS {
        let path = record(&sandbox, name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("ours");
        let words = ["ensure", "w", "--json", "--timeout", "20s"];
        let Some(call) = system::as_user(&sandbox, NOBODY, &words) else { return };
        let refused = call.run().expect(4);
        assert!(complaint(&refused).contains(name), "{}", refused.stdout);
        assert!(complaint(&refused).contains("Permission denied"), "{}", refused.stdout);
        let asked = |words: &[&str]| system::as_user(&sandbox, NOBODY, words).expect("root").run();
        assert_eq!(asked(&["status", "w", "--json"]).code(), 3);
        assert_eq!(asked(&["stop", "w", "--json"]).code(), 0);
        let mode = fs::metadata(&path).expect("still there").permissions().mode();
        assert_eq!(mode & 0o777, 0, "{name} is untouched");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
    }
}

#[test]
fn a_huge_record_is_refused_without_being_read() {
    let sandbox = once_run();
    for name in RECORDS {
        let path = record(&sandbox, name);
        let good = fs::read(&path).expect("it was written");
        let file = fs::OpenOptions::new().write(true).open(&path).expect("ours");
        file.set_len(1 << 40).or_else(|_| file.set_len(1 << 30)).expect("a sparse file");
        let refused = ensure(&sandbox).run().expect(4);
        assert!(complaint(&refused).contains("more than"), "{}", refused.stdout);
        fs::write(&path, good).expect("ours");
    }
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
}
