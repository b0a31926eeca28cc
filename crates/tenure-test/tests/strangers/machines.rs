//! The machine's id: changed, gone or not readable under a worker, and homes that several machines share. No directory has two
//! workers, and nobody of another machine is touched.

use std::fs;

use serde_json::json;
use tenure_sys::process::Signal;
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox;
use tenure_test::fixtures::worker::{ensure, record, shim, status, stop, worker};

use crate::BINARIES;

#[test]
fn a_machine_id_that_changes_under_a_worker_makes_no_second_one() {
    let sandbox = BINARIES.sandbox(&[]);
    let first = worker(&sandbox);
    sandbox.be_machine(Some("0123456789abcdef0123456789abcdef"));
    let said = ensure(&sandbox).run().expect(0);
    assert_eq!((said.state(), &said.json()["pid"]), ("up".to_owned(), &json!(first.pid())));
    assert_eq!(status(&sandbox).expect(0).json()["pid"], json!(first.pid()));
    let told = sandbox.tenure(["doctor", "w"]).run();
    assert!(told.stdout.contains("machine id was changed"), "{}{}", told.stdout, told.stderr);
    // Once it is gone, the new name counts.
    stop(&sandbox).expect(0);
    assert!(first.has_ended());
    assert_eq!(status(&sandbox).expect(3).state(), "down");
    // Under each name there is a directory now, and still one worker.
    let second = worker(&sandbox);
    sandbox.be_machine(Some(sandbox::MACHINE));
    let said = ensure(&sandbox).run().expect(0);
    assert_eq!((said.state(), &said.json()["pid"]), ("up".to_owned(), &json!(second.pid())));
    let listed = sandbox.tenure(["list", "--json"]).run().expect(0).json();
    assert_eq!(listed["workers"][0]["pid"], json!(second.pid()), "{listed}");
    stop(&sandbox).expect(0);
    assert!(second.has_ended());
    assert_eq!(sandbox.oracle().count("double"), 0);
}

#[test]
fn a_machine_id_that_cannot_be_read_just_now_is_an_error_and_no_other_name() {
    let sandbox = BINARIES.sandbox(&[]);
    let first = worker(&sandbox);
    let refused = sandbox.tenure(["ensure", "w", "--json"]).nofile(3).run();
    assert!(complaint(&refused).contains("open files"), "{}", refused.stdout);
    assert!(!sandbox.state_root().join("nohost").exists());
    assert_eq!(ensure(&sandbox).run().expect(0).json()["pid"], json!(first.pid()));
    stop(&sandbox).expect(0);
}

#[test]
fn what_is_left_under_another_machine_id_is_found_though_no_worker_lives() {
    let sandbox = BINARIES.sandbox(&[]);
    sandbox.be_machine(Some("0123456789abcdef0123456789abcdef"));
    let host = worker(&sandbox);
    let program = tenure_test::fixtures::processes::program(&status(&sandbox).expect(0));
    let shim = shim(&sandbox);
    tenure_test::fixtures::processes::freeze(&shim);
    tenure_test::fixtures::processes::kill(&host);
    tenure_test::fixtures::processes::kill(&shim);
    assert!(!program.has_ended(), "it has lost its shim");
    sandbox.be_machine(Some("fedcba9876543210fedcba9876543210"));
    ensure(&sandbox).run().expect(0);
    assert!(program.has_ended());
    assert_eq!(sandbox.oracle().count("double"), 0);
    stop(&sandbox).expect(0);
}

#[test]
fn another_hosts_worker_in_a_shared_home_is_another_worker() {
    let sandbox = BINARIES.sandbox(&[]);
    let own = worker(&sandbox);
    // As a machine with another boot sees it: the same root, and the directory of a host that is not it.
    let mut identity = record(&sandbox, "identity.json");
    identity["boot"] = json!("another-boot");
    fs::write(sandbox.scope("w").join("identity.json"), identity.to_string()).expect("ours");
    let shared = sandbox.scope("w").parent().expect("a host").with_file_name("0011223344556677");
    fs::rename(sandbox.scope("w").parent().expect("a host"), &shared).expect("the same root");
    assert_eq!(status(&sandbox).expect(3).state(), "down");
    own.signal(Signal::Term).expect("ours");
    processes::await_end(&own);
}
