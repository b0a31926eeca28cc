//! What holds for an embedded worker, one behaviour each.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use tenure_core::fault::Point;
use tenure_core::launch::end::stop_and_prove::ProvedEnd;
use tenure_core::protocol::ends::UnaskedEndKind;
use tenure_core::protocol::wire::{AppState, Hello, Role};
use tenure_core::spec::IdleTimeout;
use tenure_core::spec::amount::Span;
use tenure_core::store::paths::file;
use tenure_core::store::records::read_ledger;
use tenure_core::{Ensured, ErrorKind, How};
use tenure_sys::process::Signal;
use tenure_sys::socket;

use crate::kit::{
    Case, LONG, ask, cases, ensure, events, gone, handle, happened, launcher_dies_at, serving, spec, state,
    stop,
};

cases!(
    a_worker_boots_serves_on_its_listener_and_is_found_again,
    a_stop_leaves_records_and_no_socket,
    a_termination_signal_is_a_stop,
    a_boot_that_fails_tells_its_launcher_why,
    a_boot_that_hangs_is_ended_by_its_own_watchdog,
    a_boot_that_outlives_its_launcher_is_ended_all_the_same,
    a_worker_that_is_stopped_while_it_boots_says_so,
    a_worker_that_does_not_drain_is_gone_within_a_second_of_its_deadline,
    a_worker_whose_runtime_stalls_is_ended,
    a_stopped_process_is_not_a_stalled_runtime,
    a_worker_records_itself_when_its_launcher_died_before,
    a_worker_goes_on_when_its_launcher_died_after_recording_it,
    a_worker_without_descriptors_still_answers,
    a_child_of_a_worker_is_no_worker,
    a_worker_that_nobody_uses_ends_and_says_so,
);

fn tcp(hello: &Hello) -> SocketAddr {
    hello.endpoints[0].address.tcp().expect("a port")
}

fn a_worker_boots_serves_on_its_listener_and_is_found_again() {
    let spec = spec("serve");
    let Ok(Ensured::Serving(How::Started, first)) = ensure(&spec) else { panic!("it starts") };
    let first = first.hello;
    assert_eq!((first.generation, first.role, first.app.state), (1, Role::Active, AppState::Ready));
    let mut said = String::new();
    let mut stream = socket::connect_tcp(tcp(&first), LONG).expect("it serves");
    stream.read_to_string(&mut said).expect("text");
    assert_eq!(said, first.identity.pid.to_string());

    let Ok(Ensured::Serving(How::Up, again)) = ensure(&spec) else { panic!("it is up") };
    assert_eq!(again.hello.instance, first.instance);
    assert!(happened("Ready: it serves"));
    stop();
}

fn a_stop_leaves_records_and_no_socket() {
    let hello = serving(&spec("serve"));
    assert!(state().dir().exists(file::PID).expect("readable"));
    let stopped = stop();
    assert_eq!((stopped.pid, stopped.ending), (Some(hello.identity.pid), ProvedEnd::Asked));
    assert!(!state().dir().exists(file::CONTROL).expect("readable"));
    assert!(!state().dir().exists(file::PID).expect("readable"));
    let ledger = read_ledger(&state()).expect("readable");
    assert_eq!((ledger.generation, ledger.booting_until), (1, None));
    assert_eq!(ledger.lineage, [hello.identity]);
    assert!(happened("Draining: test"));
}

fn a_termination_signal_is_a_stop() {
    let worker = handle(&serving(&spec("serve")));
    worker.signal(Signal::Term).expect("an own process");
    gone(&worker);
    assert!(happened("Draining: signal TERM"), "{:?}", events());
    assert!(!state().dir().exists(file::CONTROL).expect("readable"));
}

fn a_boot_that_fails_tells_its_launcher_why() {
    let error = ensure(&spec("fails")).expect_err("it fails");
    assert_eq!((error.kind(), error.stage()), (ErrorKind::SpawnFailed, Some("config")));
    assert!(format!("{error:?}").contains("no such file: app.toml"));
    assert!(!state().dir().exists(file::CONTROL).expect("readable"));
}

fn a_boot_that_hangs_is_ended_by_its_own_watchdog() {
    let mut spec = spec("hangs");
    spec.start_timeout = Span::millis(300);
    let error = ensure(&spec).expect_err("it hangs");
    assert_eq!((error.kind(), error.stage()), (ErrorKind::SpawnFailed, Some("start")));
    assert!(
        error.last_words().iter().any(|line| line.contains("the watchdog ends this worker")),
        "{error:?}"
    );
}

fn a_boot_that_outlives_its_launcher_is_ended_all_the_same() {
    let mut spec = spec("hangs");
    spec.start_timeout = Span::millis(600);
    let order = tenure_core::Request::new(crate::kit::scope(), spec).expect("a good spec");
    let Ok(Ensured::Warming(_)) = tenure_core::ensure(&order.budget(Duration::from_millis(250))) else {
        panic!("it boots longer than that")
    };
    gone(&handle(&ask()));
    assert!(happened("StartFailed: start: it was not ready within 600ms"), "{:?}", events());
}

fn a_worker_that_is_stopped_while_it_boots_says_so() {
    let order =
        tenure_core::Request::new(crate::kit::scope(), spec("boots-until-stop")).expect("a good spec");
    // Time for a start on a machine that is busy with other tests: the boot itself has no end.
    let Ok(Ensured::Warming(_)) = tenure_core::ensure(&order.budget(Duration::from_secs(3))) else {
        panic!("it boots until it is stopped")
    };
    let booting = ask();
    assert_eq!((booting.role, booting.app.state), (Role::Booting, AppState::Booting));
    assert_eq!(stop().ending, ProvedEnd::Asked);
    assert!(happened("StartFailed: stop: it was asked to end before it was ready (test)"), "{:?}", events());
}

fn a_worker_that_does_not_drain_is_gone_within_a_second_of_its_deadline() {
    let mut spec = spec("deaf");
    spec.drain_timeout = Span::millis(200);
    serving(&spec);
    let began = tenure_core::deadline::monotonic();
    assert_eq!(stop().ending, ProvedEnd::Asked);
    let took = tenure_core::deadline::monotonic().saturating_sub(began);
    // The promise is a time, a second; the rest is for a machine that is busy with other tests. What is stuck is so for ever.
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(happened("Overran: "), "{:?}", events());
}

fn a_worker_whose_runtime_stalls_is_ended() {
    let mut spec = spec("stalls");
    spec.stall_timeout = Span::millis(300);
    gone(&handle(&serving(&spec)));
    assert!(happened("Stalled: its runtime did not answer for 300ms"), "{:?}", events());
}

fn a_stopped_process_is_not_a_stalled_runtime() {
    let mut spec = spec("stalls");
    spec.stall_timeout = Span::secs(1);
    let worker = handle(&serving(&spec));
    worker.signal(Signal::Stop).expect("an own process");
    // Longer than the limit and the delay that the watchdog forgives.
    assert!(!worker.wait_ended(Some(Duration::from_millis(2500))).expect("a wait"));
    worker.signal(Signal::Cont).expect("an own process");
    assert_eq!(ask().app.state, AppState::Ready);
    // It gets its time again, and no more.
    gone(&worker);
    assert!(happened("Stalled: "));
}

fn a_worker_records_itself_when_its_launcher_died_before() {
    launcher_dies_at(Point::WorkerSpawned);
    let hello = serving(&spec("serve"));
    assert_eq!(hello.generation, 1, "the next launcher finds the worker of the dead one");
    stop();
    let ledger = read_ledger(&state()).expect("readable");
    assert_eq!(ledger.lineage, std::slice::from_ref(&hello.identity));
    assert_eq!(ledger.endpoints, hello.endpoints);
    assert!(ledger.host.is_some_and(|host| host.exe == hello.worker_path));
}

fn a_worker_goes_on_when_its_launcher_died_after_recording_it() {
    launcher_dies_at(Point::WorkerRecorded);
    let hello = serving(&spec("serve"));
    assert_eq!(hello.generation, 1);
    stop();
    assert_eq!(read_ledger(&state()).expect("readable").lineage, [hello.identity]);
}

fn a_worker_without_descriptors_still_answers() {
    let hello = serving(&spec("hungry"));
    let mut stream = socket::connect_tcp(tcp(&hello), LONG).expect("it serves");
    stream.read_exact(&mut [0u8; 5]).expect("it says when it has none left");
    for _ in 0..20 {
        assert_eq!(ask().instance, hello.instance);
    }
    stop();
}

fn a_child_of_a_worker_is_no_worker() {
    let hello = serving(&spec("child"));
    assert_eq!(hello.app.checks[0].detail, "exit status 42");
    stop();
}

fn a_worker_that_nobody_uses_ends_and_says_so() {
    let mut spec = spec("serve");
    spec.idle_timeout = IdleTimeout::after(Span::secs(3));
    let worker = handle(&serving(&spec));
    gone(&worker);
    assert!(happened("Idle: 3s without use"), "{:?}", events());
    assert!(!state().dir().exists(file::CONTROL).expect("readable"));
    let end = read_ledger(&state()).expect("readable").last_end().cloned().expect("it is on record");
    assert_eq!((end.how, end.pid), (UnaskedEndKind::Idle, Some(worker.pid())));
}
