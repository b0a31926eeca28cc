//! Control sockets that are dead, forbidden, or in the hands of a stranger: a dead one is replaced, a forbidden one is no
//! proof of anything, and nothing that a stranger says is believed.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::{fs, thread};

use tenure_core::protocol::wire;
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{NOBODY, as_user, give_away, is_root};
use tenure_test::fixtures::worker::{self, ensure, status, stop};

use crate::BINARIES;

fn socket(sandbox: &Sandbox) -> PathBuf {
    sandbox.scope("w").join("control.sock")
}

/// A sandbox whose scope exists, and a listener of a stranger at its control socket's path. Each connection is read from
/// and given `answer`; `None` keeps it open in silence.
fn with_stranger(answer: Option<Vec<u8>>) -> Sandbox {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    let listener = UnixListener::bind(socket(&sandbox)).expect("the path is free");
    // Ends with the test's process: nobody waits for it.
    thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            if let Some(answer) = &answer {
                drop(stream.read(&mut [0; 4096]));
                drop(stream.write_all(answer));
            }
            open.push(stream);
        }
    });
    sandbox
}

/// The stranger is named, keeps the path, and nothing is started.
fn is_not_believed(sandbox: &Sandbox, word: &str) {
    for refused in [ensure(sandbox).run(), status(sandbox)] {
        assert_eq!(refused.state(), "not-ours", "{}{}", refused.stdout, refused.stderr);
        assert_eq!(refused.code(), 4);
        assert!(refused.stdout.contains(word), "{word}: {}", refused.stdout);
    }
    assert!(sandbox.processes().is_empty(), "nothing was started");
    assert!(UnixStream::connect(socket(sandbox)).is_ok(), "its socket was left alone");
}

#[test]
fn garbage_from_a_stranger_is_not_believed() {
    is_not_believed(&with_stranger(Some(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())), "first byte is 72");
}

#[test]
fn a_frame_that_is_too_long_is_refused_unread() {
    is_not_believed(&with_stranger(Some(vec![1, 255, 255, 255, 255])), "4294967295 bytes");
}

#[test]
fn a_frame_that_is_no_message_is_not_believed() {
    let frame = wire::encode(&serde_json::json!({"answer": "hello", "scope": 7})).expect("encodes");
    is_not_believed(&with_stranger(Some(frame)), "as a message");
}

#[test]
fn the_worker_of_another_scope_is_not_believed() {
    let other = BINARIES.sandbox(&[]);
    let pid = worker::started(&other);
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    // The very socket of a healthy worker, at a path that is not its own.
    fs::hard_link(socket(&other), socket(&sandbox)).expect("one file system");
    is_not_believed(&sandbox, "it answers for");
    stop(&sandbox).expect(0);
    assert_eq!(status(&other).json()["pid"], pid, "and it was not told to stop");
    stop(&other).expect(0);
}

#[test]
fn a_stranger_who_says_nothing_holds_no_lease_and_is_replaced() {
    let sandbox = with_stranger(None);
    assert_eq!(ensure(&sandbox).wedged_soon().run().expect(0).state(), "started");
    assert_eq!(sandbox.oracle().count("double"), 0);
    stop(&sandbox).expect(0);
}

#[test]
fn a_half_frame_and_then_silence_is_silence() {
    let sandbox = with_stranger(Some(vec![1, 0, 0, 0, 200, b'{']));
    assert_eq!(ensure(&sandbox).wedged_soon().run().expect(0).state(), "started");
    stop(&sandbox).expect(0);
}

#[test]
fn a_stranger_on_the_path_does_not_keep_a_stop_from_proving_that_nothing_runs() {
    let sandbox = with_stranger(Some(b"garbage".to_vec()));
    assert_eq!(stop(&sandbox).expect(0).state(), "stopped");
}

#[test]
fn a_dead_socket_is_replaced() {
    let sandbox = BINARIES.sandbox(&[]);
    let worker = ProcessHandle::open(worker::started(&sandbox)).expect("it lives");
    worker.signal(Signal::Kill).expect("ours");
    processes::await_end(&worker);
    assert!(socket(&sandbox).exists(), "a worker that was killed leaves its socket");
    assert_eq!(status(&sandbox).expect(3).state(), "down");
    let next = ensure(&sandbox).run().expect(0);
    assert_eq!((next.state().as_str(), &next.json()["generation"]), ("started", &2.into()));
    stop(&sandbox).expect(0);
}

#[test]
fn what_is_no_socket_at_the_path_is_replaced_or_named() {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    fs::write(socket(&sandbox), "a file").expect("ours");
    assert_eq!(ensure(&sandbox).run().expect(0).state(), "started");
    stop(&sandbox).expect(0);
    fs::create_dir(socket(&sandbox)).expect("ours");
    let refused = ensure(&sandbox).run();
    assert_ne!(refused.code(), 0, "{}", refused.stdout);
    assert!(complaint(&refused).contains("control socket"), "{}", refused.stdout);
    assert!(sandbox.processes().is_empty(), "nothing was started");
}

#[test]
fn a_connection_that_is_not_permitted_is_denied_and_nothing_is_touched() {
    let sandbox = BINARIES.sandbox_for_others(&[]);
    let Some(first) = as_user(&sandbox, NOBODY, &["ensure", "w", "--json"]) else { return };
    give_away(sandbox.path(), NOBODY);
    let pid = first.run().expect(0).json()["pid"].as_u64().expect("a pid");
    let worker = ProcessHandle::open(u32::try_from(pid).expect("small")).expect("it lives");
    let forbid = |mode| fs::set_permissions(socket(&sandbox), fs::Permissions::from_mode(mode));
    forbid(0o000).expect("root");
    let asked = |words: &[&str]| as_user(&sandbox, NOBODY, words).expect("root").run();
    let files = || {
        let read = |name| fs::read_to_string(sandbox.scope("w").join(name)).expect("there");
        // The worker itself still writes that its boot is over.
        let ledger: serde_json::Value = serde_json::from_str(&read("ledger.json")).expect("a record");
        (read("desired.json"), ledger["generation"].clone(), ledger["lineage"].clone())
    };
    let before = files();
    for words in [&["ensure", "w", "--json"], &["status", "w", "--json"]] {
        let denied = asked(words).expect(4);
        assert_eq!(denied.state(), "denied", "{words:?}: {}", denied.stdout);
        assert!(denied.stdout.contains("Permission denied"), "{words:?}: {}", denied.stdout);
    }
    assert!(!worker.has_ended(), "the worker was not touched");
    assert_eq!(files(), before, "neither were its records");
    forbid(0o600).expect("root");
    assert_eq!(asked(&["ensure", "w", "--json"]).expect(0).json()["pid"], pid);
    asked(&["stop", "w", "--json"]).expect(0);
    assert_eq!(sandbox.oracle().count("start"), 1);
}

#[test]
fn a_peer_of_another_user_is_refused_on_both_sides() {
    if !is_root() {
        return;
    }
    let theirs = BINARIES.sandbox_for_others(&[]);
    let Some(first) = as_user(&theirs, NOBODY, &["ensure", "w", "--json"]) else { return };
    give_away(theirs.path(), NOBODY);
    first.run().expect(0);

    // A worker hears nobody but its own user, not even root.
    let mut stream = UnixStream::connect(socket(&theirs)).expect("root may connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    drop(wire::write(&mut stream, &wire::ControlRequest::Hello { look: false }));
    assert!(wire::read::<wire::Answer>(&mut stream).is_err(), "it is closed unheard");

    // A launcher believes nobody but its own user.
    let ours = BINARIES.sandbox(&[]);
    ensure(&ours).run().expect(0);
    stop(&ours).expect(0);
    fs::hard_link(socket(&theirs), socket(&ours)).expect("one file system");
    for refused in [ensure(&ours).run(), status(&ours)] {
        assert_eq!((refused.code(), refused.state().as_str()), (4, "denied"), "{}", refused.stdout);
        assert!(refused.stdout.contains("uid 65534"), "{}", refused.stdout);
    }
    assert!(ours.processes().is_empty(), "nothing was started");
    as_user(&theirs, NOBODY, &["stop", "w", "--json"]).expect("root").run().expect(0);
}
