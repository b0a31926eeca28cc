//! Whoever holds a lease without a listener, and whoever is inherited by a subreaper: named, ended or left alone, rightly.

use std::fs;

use tenure_sys::process::Signal;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;

use crate::BINARIES;

const TENURE: &str = BINARIES.tenure;

#[test]
fn a_worker_started_from_inside_another_workers_program_outlives_it() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let nest = format!("{TENURE} ensure inner -- sleep 2000 && exec sleep 3000");
    sandbox.tenure(["ensure", "outer", "--", "sh", "-c", &nest]).run().expect(0);
    // The outer program is ready before its shell has come to the inner worker: its own call loses that race, or wins it.
    let inner = processes::host(
        &sandbox.tenure(["ensure", "inner", "--json", "--", "sleep", "2000"]).run().expect(0),
    );
    sandbox.stop("outer").expect(0);
    assert!(!inner.has_ended(), "the inner worker is nobody's child");
    assert_eq!(sandbox.tenure(["status", "inner", "--json"]).run().expect(0).state(), "up");
    sandbox.stop("inner").expect(0);
}

#[test]
fn a_stopped_worker_whose_socket_is_gone_is_named_by_status_and_ended_by_stop() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let worker =
        processes::host(&sandbox.tenure(["ensure", "w", "--json", "--", "sleep", "2000"]).run().expect(0));
    fs::remove_file(sandbox.scope("w").join("control.sock")).expect("the socket was there");
    let seen = sandbox.tenure(["status", "w", "--json"]).run();
    assert_ne!(seen.state(), "down", "somebody holds the lease: {}", seen.stdout);
    assert!(seen.stdout.contains(&worker.pid().to_string()), "and is named: {}", seen.stdout);
    worker.signal(Signal::Stop).expect("our own worker can be stopped");
    let stopped = sandbox.tenure(["stop", "w", "--json", "--timeout", "20s"]).run().expect(0);
    assert!(worker.has_ended());
    assert!(stopped.stdout.contains(&worker.pid().to_string()), "{}", stopped.stdout);
}
