//! What a worker may touch, and what it leaves to another one.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use tenure_core::deadline::Moment;
use tenure_core::spec::Spec;
use tenure_core::spec::scope::Scope;
use tenure_core::store::lease::TryLease;
use tenure_sys::socket;

use super::*;

/// What a worker owns, in a directory of its own, its control socket, and the launcher's end of its channel.
pub(crate) struct Fixture {
    pub(crate) _root: tempfile::TempDir,
    pub(crate) ownership: Arc<Ownership>,
    pub(crate) listener: Option<UnixListener>,
    pub(crate) launcher: std::os::fd::OwnedFd,
}

pub(crate) fn fixture() -> Fixture {
    use std::os::fd::AsFd;
    let private = std::fs::Permissions::from_mode(0o700);
    let root = tempfile::Builder::new().permissions(private).tempdir().expect("a directory");
    let scope: Scope = "memory".parse().expect("valid");
    let state = StateDir::at(root.path(), &scope).expect("private");
    let TryLease::Free(lease) = Lease::try_take(&state).expect("lockable") else { panic!("a new directory") };
    let listener = socket::bind_unix(state.dir(), file::CONTROL, 16).expect("binds");
    let handshake = Handshake {
        state_dir: root.path().to_owned(),
        scope,
        generation: 3,
        spec: Spec::of_command(vec!["server".into()], "/".into()),
        started_by: Asker::default(),
        booting_until: Moment::now(),
        listeners: Vec::new(),
        nofile: 64,
        whose: None,
        succeeds: None,
    };
    let (launcher, theirs) = socket::pair().expect("a pair");
    socket::send(launcher.as_fd(), &serde_json::to_vec(&handshake).expect("writes"), &[]).expect("room");
    let (channel, handshake) = Channel::open(theirs).expect("a handshake");
    let ownership = Arc::new(Ownership::own(state, channel, handshake, lease).expect("readable"));
    Fixture { _root: root, ownership, listener: Some(listener), launcher }
}

#[test]
fn the_socket_of_a_successor_is_never_removed() {
    let fixture = fixture();
    let dir = fixture.ownership.state.dir();
    let _other = socket::bind_unix(dir, "other", 1).expect("binds");
    dir.rename("other", file::CONTROL).expect("renames");
    fixture.ownership.clear_paths();
    assert!(dir.exists(file::CONTROL).expect("readable"));
}

#[test]
fn the_own_socket_and_pid_file_are_removed() {
    let fixture = fixture();
    fixture.ownership.write_pid().expect("writes");
    fixture.ownership.clear_paths();
    assert!(!fixture.ownership.state.dir().exists(file::CONTROL).expect("readable"));
    assert!(!fixture.ownership.state.dir().exists(file::PID).expect("readable"));
}

#[test]
fn without_its_lease_a_worker_writes_no_ledger() {
    let fixture = fixture();
    fixture.ownership.write_ledger(|ledger| ledger.generation = 3).expect("its own");
    fixture.ownership.state.dir().remove(file::LEASE).expect("removes");
    assert!(matches!(fixture.ownership.write_ledger(|_| {}), Err(RecordError::Write { .. })));
}

#[test]
fn what_is_said_while_another_writes_the_ledger_is_written_with_the_next_generation() {
    let fixture = fixture();
    let ownership = &fixture.ownership;
    ownership.write_ledger(|ledger| ledger.generation = 3).expect("its own");
    ownership.leave_ledger();
    let record =
        |cookie: &str| Some(tenure_core::record::ledger::ProgramRecord::of_cookie(cookie.to_owned()));
    ownership.write_ledger(|ledger| ledger.program = record("kept")).expect("kept");
    let written = || records::read_ledger(&ownership.state).expect("readable");
    assert_eq!(written().program, None);
    let opened = ownership.open_generation(|found, kept| Ledger {
        generation: found.generation + 2,
        program: kept.program.clone(),
        ..found
    });
    assert_eq!((opened.expect("writes"), ownership.generation()), (5, 5));
    assert_eq!((written().generation, written().program), (5, record("kept")));
    ownership.write_ledger(|ledger| ledger.program = None).expect("its own again");
    assert_eq!(written().program, None);
}

#[test]
fn a_worker_that_left_the_ledger_to_another_removes_nothing() {
    let fixture = fixture();
    fixture.ownership.leave_ledger();
    fixture.ownership.clear_paths();
    assert!(fixture.ownership.state.dir().exists(file::CONTROL).expect("readable"));
}

#[test]
fn a_failure_that_no_launcher_hears_is_an_event() {
    let fixture = fixture();
    drop(fixture.launcher);
    fixture.ownership.report_failure(&"config".into(), "no such file", None);
    let events = event::read_all(&fixture.ownership.state).expect("readable");
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].what, events[0].why.as_str()), (What::StartFailed, "config: no such file"));
}
