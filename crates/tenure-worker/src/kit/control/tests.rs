//! The control thread over a real socket in a directory of its own, asked as launchers ask.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use tenure_core::deadline::Stage;
use tenure_core::launch::ask::client::{Connection, Silence, connect};
use tenure_core::protocol::wire::{AppState, Role, Until};
use tenure_core::store::event;
use tenure_sys::process::ProcessHandle;
use tenure_sys::socket;

use crate::ownership::tests::{Fixture, fixture};
use crate::status::tests::status_of;

use super::*;

const LONG: Duration = Duration::from_secs(20);

struct ControlThread {
    fixture: Fixture,
    status: Status,
}

/// A control thread at work; it lasts as long as the test process.
fn control_thread() -> ControlThread {
    let mut fixture = fixture();
    let status = status_of(&fixture.ownership.state.by_path());
    let listener = fixture.listener.take().expect("a new fixture");
    listener.set_nonblocking(true).expect("a socket");
    fixture.ownership.control_listener.open(listener);
    let signals = SignalFd::for_termination().expect("a descriptor");
    let context = Arc::new(TakeoverContext::new(Arc::clone(&fixture.ownership), status.clone()));
    let account = ControlAccount {
        status: status.clone(),
        build_watcher: BuildWatcher::new().expect("an eventfd"),
        context,
    };
    start(account, Arc::clone(&fixture.ownership), signals).expect("a thread");
    ControlThread { fixture, status }
}

fn stage(limit: Duration) -> Stage {
    Deadline::start(limit).stage("test").expect("fresh")
}

impl ControlThread {
    fn connect(&self) -> Connection<'_> {
        connect(&self.fixture.ownership.state, stage(LONG)).expect("it listens")
    }
}

#[test]
fn hello_is_answered_while_the_app_boots() {
    let control = control_thread();
    let hello = control.connect().hello(stage(LONG)).expect("an answer");
    assert_eq!((hello.generation, hello.role, hello.app.state), (3, Role::Booting, AppState::Booting));
}

#[test]
fn a_wait_is_answered_when_the_app_settles() {
    let control = control_thread();
    let mut connection = control.connect();
    let hello = thread::scope(|scope| {
        let waiter = scope.spawn(move || connection.wait(Until::Settled, stage(LONG)));
        // The second peer's answer shows that the thread goes on while the first one waits.
        control.connect().hello(stage(LONG)).expect("an answer");
        control.status.set(AppState::Ready, None);
        waiter.join().expect("no panic").expect("an answer")
    });
    assert_eq!(hello.app.state, AppState::Ready);
}

#[test]
fn a_wait_that_does_not_come_true_is_answered_at_its_end() {
    let control = control_thread();
    let hello = control.connect().wait(Until::Settled, stage(Duration::from_millis(30))).expect("an answer");
    assert_eq!(hello.app.state, AppState::Booting);
}

#[test]
fn a_stop_closes_the_listener_before_it_is_answered() {
    let control = control_thread();
    let mut early = control.connect();
    early.hello(stage(LONG)).expect("an answer");
    let within = control.connect().stop("test", LONG, &Asker::default(), stage(LONG)).expect("an answer");
    assert!(within <= control.fixture.ownership.handshake.spec.end_budget());
    assert!(matches!(connect(&control.fixture.ownership.state, stage(LONG)), Err(Silence::Refused)));
    let hello = early.hello(stage(LONG)).expect("who is connected keeps getting answers");
    assert_eq!((hello.role, hello.draining), (Role::Draining, true));
    let events = event::read_all(&control.fixture.ownership.state).expect("readable");
    assert!(events.iter().any(|event| event.what == What::Draining && event.why == "test"));
}

#[test]
fn a_stop_ends_waits_and_tells_the_app_once_everybody_can_know() {
    let control = control_thread();
    let mut connection = control.connect();
    let ended = thread::scope(|scope| {
        let waiter = scope.spawn(move || connection.wait(Until::GenerationAbove(9), stage(LONG)));
        control.status.ask_stop("idle");
        let mut stopping = [Interest::new(control.status.stopping(), Readiness::Read)];
        assert_eq!(poll::wait(&mut stopping, Some(LONG)).expect("waits"), 1);
        let request = control.status.stop_request().expect("announced");
        assert_eq!((request.reason.as_str(), request.by.pid), ("idle", std::process::id()));
        waiter.join().expect("no panic")
    });
    // It was connected before the stop, or its connection was refused with the listener.
    assert!(ended.is_ok_and(|hello| hello.draining));
}

#[test]
fn a_second_stop_is_answered_with_the_end_that_comes_first() {
    let control = control_thread();
    let mut connection = control.connect();
    let by = Asker::default();
    let first = connection.stop("one", Duration::from_secs(1), &by, stage(LONG)).expect("an answer");
    let second = connection.stop("two", LONG, &by, stage(LONG)).expect("an answer");
    assert!(second <= first && first <= Duration::from_secs(1));
    let third = connection.stop("three", Duration::ZERO, &by, stage(LONG)).expect("an answer");
    assert_eq!(third, Duration::ZERO);
}

#[test]
fn garbage_is_closed_and_an_unknown_verb_is_refused_and_neither_disturbs_others() {
    let control = control_thread();
    let mut good = control.connect();
    let mut bad = control.connect().stream().try_clone().expect("a descriptor");
    bad.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("room");
    let mut rest = Vec::new();
    // Closed: with or without a reset, for what was not read.
    drop(bad.read_to_end(&mut rest));
    assert!(rest.is_empty());

    let mut newer = control.connect().stream().try_clone().expect("a descriptor");
    tenure_core::protocol::wire::write(&mut newer, &serde_json::json!({"op": "prepare", "version": "9.0.0"}))
        .expect("room");
    assert!(matches!(
        tenure_core::protocol::wire::read(&mut newer).expect("an answer"),
        Answer::Refused { .. }
    ));
    tenure_core::protocol::wire::write(&mut newer, &ControlRequest::Hello { look: false }).expect("room");
    assert!(matches!(tenure_core::protocol::wire::read(&mut newer).expect("an answer"), Answer::Hello(_)));
    good.hello(stage(LONG)).expect("an answer");
}

#[test]
fn five_hundred_peers_wait_at_once_and_all_are_answered() {
    tenure_sys::limits::set_nofile_soft(u64::MAX).expect("a limit");
    let control = control_thread();
    let mut streams: Vec<UnixStream> =
        (0..500).map(|_| control.connect().stream().try_clone().expect("a descriptor")).collect();
    for stream in &mut streams {
        let wait = ControlRequest::Wait { until: Until::Settled, within_ms: millis(LONG), proved: false };
        tenure_core::protocol::wire::write(stream, &wait).expect("room");
    }
    control.status.set(AppState::Ready, None);
    for stream in &mut streams {
        assert!(matches!(tenure_core::protocol::wire::read(stream).expect("an answer"), Answer::Hello(_)));
    }
}

#[test]
fn a_peer_that_asks_and_never_reads_does_not_keep_others_waiting() {
    let control = control_thread();
    let mut deaf = control.connect().stream().try_clone().expect("a descriptor");
    deaf.set_nonblocking(true).expect("a socket");
    let frame = tenure_core::protocol::wire::encode(&ControlRequest::Hello { look: false }).expect("encodes");
    // Until the kernel takes no more: the answers back up as well.
    while deaf.write(&frame).is_ok() {}
    control.connect().hello(stage(LONG)).expect("an answer");
}

#[test]
fn the_kernel_names_this_process_as_the_one_that_listens() {
    let control = control_thread();
    let connection = control.connect();
    let peer = socket::peer_process(connection.stream()).expect("a kernel with peer handles");
    assert_eq!(peer.pid(), std::process::id());
    assert_eq!(ProcessHandle::open(peer.pid()).expect("lives").identity(), peer.identity());
}
