//! Crowds at a worker's control socket: whatever thousands of peers do there, a newcomer is answered, and a healthy worker is
//! never taken for one that is wedged.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use tenure_sys::dir::Dir;
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::socket;
use tenure_test::fixtures::peers::{self, Crowd, Kind};
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::worker::{ensure, started, stop};

use crate::BINARIES;

/// More than a worker keeps connected, and more than its queue holds besides.
const SIZE: usize = 7_000;

/// While the crowd comes and when all of it is there: `ensure` finds the worker that was there before, by its answer alone.
fn stays_beside(kind: Kind) {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = started(&sandbox);
    let crowd = Crowd::gather(&sandbox.scope("w"), kind, SIZE);
    let stays = || {
        let call = sandbox.tenure(["ensure", "w", "--json", "--timeout", "60s"]);
        let answer = call.env("TENURE_FIRST_ANSWER", "20s").run().expect(0);
        assert_eq!(
            (answer.state().as_str(), &answer.json()["pid"]),
            ("up", &pid.into()),
            "{}",
            answer.stdout
        );
    };
    stays();
    crowd.has_come();
    stays();
    assert!((0..3).any(|_| peers::newcomer(&sandbox.scope("w")).is_some()), "a newcomer is answered");
    drop(crowd);
    assert_eq!(stop(&sandbox).expect(0).json()["pid"], pid, "it is the same to the end");
    assert_eq!(sandbox.oracle().count("start"), 1);
}

#[test]
fn a_worker_stays_beside_thousands_who_say_nothing() {
    stays_beside(Kind::Many);
}

#[test]
fn a_worker_stays_beside_thousands_of_half_requests() {
    stays_beside(Kind::Half);
    stays_beside(Kind::Loris);
}

#[test]
fn a_worker_stays_beside_thousands_who_wait_for_what_never_comes() {
    stays_beside(Kind::Wait);
}

#[test]
fn a_worker_stays_beside_thousands_who_ask_and_read_no_answer() {
    stays_beside(Kind::Pipeline);
}

#[test]
fn a_worker_stays_beside_thousands_who_send_nonsense() {
    stays_beside(Kind::Huge);
    stays_beside(Kind::Fuzz);
}

#[test]
fn a_worker_stays_beside_thousands_who_come_and_go() {
    stays_beside(Kind::Churn);
}

/// Fills the queue of a worker that takes nobody.
fn fill(sandbox: &Sandbox) -> Vec<UnixStream> {
    tenure_sys::limits::set_nofile_soft(u64::MAX).expect("a limit");
    let dir = Dir::open_private(&sandbox.scope("w")).expect("ours");
    let connect = || socket::connect_unix(&dir, "control.sock", Duration::from_millis(1)).ok();
    std::iter::from_fn(connect).collect()
}

#[test]
fn a_worker_that_is_stopped_is_replaced_however_full_its_queue_is() {
    let sandbox = BINARIES.sandbox(&[]);
    let worker = ProcessHandle::open(started(&sandbox)).expect("it lives");
    processes::freeze(&worker);
    let queue = fill(&sandbox);
    assert!(queue.len() > 100, "{}", queue.len());
    let next = ensure(&sandbox).wedged_soon().run().expect(0);
    assert_eq!(
        (next.state().as_str(), &next.json()["generation"]),
        ("started", &2.into()),
        "{}",
        next.stdout
    );
    processes::await_end(&worker);
    drop(queue);
    stop(&sandbox).expect(0);
}

#[test]
fn a_stop_that_does_not_get_through_a_full_queue_asks_by_signal() {
    let sandbox = BINARIES.sandbox(&[]);
    let worker = ProcessHandle::open(started(&sandbox)).expect("it lives");
    processes::freeze(&worker);
    let queue = fill(&sandbox);
    let call = sandbox.tenure(["stop", "w", "--json", "--timeout", "30s"]);
    let stopping = call.wedged_soon().start();
    worker.signal(Signal::Cont).expect("ours");
    assert_eq!(stopping.wait().expect(0).state(), "stopped");
    drop(queue);
}
