//! Sockets between processes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use tenure_sys::process::OpenError;
use tenure_sys::socket::{
    ConnectError, bind_tcp, bind_unix, connect_tcp, connect_unix, listener_pids, owner_of_tcp, pair,
    peer_cred, peer_process, send,
};

use crate::kit::{LONG, role, sandbox, skipped};

#[test]
fn a_path_longer_than_the_kernel_takes_is_bound_and_reached() {
    let (_place, mut dir) = sandbox();
    while dir.path().as_os_str().len() <= 108 {
        dir = dir.child_private("a-part-of-a-long-path").expect("a private directory");
    }
    let listener = bind_unix(&dir, "control.sock", 8).expect("it is bound");
    let mut client = connect_unix(&dir, "control.sock", LONG).expect("it is reached");
    let (mut server, _) = listener.accept().expect("a connection");
    client.write_all(b"x").expect("room");
    let mut byte = [0_u8];
    server.read_exact(&mut byte).expect("it was written");
    let stat = dir.stat("control.sock").expect("a look").expect("it is there");
    assert!(stat.is_socket);
}

#[test]
fn a_socket_is_private_and_knows_its_peer() {
    let (_place, dir) = sandbox();
    let listener = bind_unix(&dir, "s", 8).expect("it is bound");
    assert_eq!(dir.stat("s").expect("a look").map(|stat| stat.mode), Some(0o600));
    let client = connect_unix(&dir, "s", LONG).expect("it is reached");
    let (server, _) = listener.accept().expect("a connection");
    for side in [&client, &server] {
        let cred = peer_cred(side).expect("the kernel knows");
        assert_eq!((cred.pid, cred.uid), (std::process::id(), tenure_sys::user::effective_uid()));
    }
    assert_eq!(bind_unix(&dir, "s", 8).expect_err("taken").kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn a_socket_that_does_not_answer_says_why() {
    let (_place, dir) = sandbox();
    let connect = |name: &str| connect_unix(&dir, name, Duration::from_millis(5));
    assert!(matches!(connect("absent"), Err(ConnectError::Absent)));

    let listener = bind_unix(&dir, "s", 0).expect("it is bound");
    let mut queued = Vec::new();
    let full = loop {
        match connect("s") {
            Ok(stream) => queued.push(stream),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, ConnectError::Full), "{full:?}");
    assert_eq!(queued.len(), 1, "the queue of a backlog of zero holds one");

    drop(listener);
    // The reset of those in the queue tells that the last copy of the listener is closed.
    for mut stream in queued {
        stream.read(&mut [0_u8]).expect_err("a reset, and not an end");
    }
    assert!(matches!(connect("s"), Err(ConnectError::Refused)));
    dir.write_atomic("plain", b"").expect("room");
    assert!(matches!(connect("plain"), Err(ConnectError::Refused)));
}

#[test]
fn the_peer_of_an_inherited_listener_is_the_one_who_listened_last() {
    let (_place, dir) = sandbox();
    let listener = bind_unix(&dir, "s", 16).expect("it is bound");
    let mut heir = role("relistens", "1", &[listener.as_fd()]);
    assert_eq!(heir.line_with("inherited "), "now");
    let before = connect_unix(&dir, "s", LONG).expect("it is reached");
    let mut stdin = File::from(heir.stdin.take().expect("it was not dropped"));
    stdin.write_all(b"x").expect("it is read");
    assert_eq!(heir.line_with("listening "), "now");
    let after = connect_unix(&dir, "s", LONG).expect("it is reached");
    let peer = match peer_process(&before) {
        Err(OpenError::Unsupported) => return skipped("the kernel has no handles of peers (Linux 6.5 has)"),
        peer => peer.expect("the caller lives"),
    };
    assert_eq!(peer.pid(), std::process::id());
    assert_eq!(peer_process(&after).expect("the heir lives").pid(), heir.child.pid());

    drop(listener);
    heir.child.kill().expect("it can be ended");
    heir.child.wait().expect("its end");
    assert!(matches!(peer_process(&after), Err(OpenError::Gone)));
}

#[test]
fn a_descriptor_that_was_sent_works_in_the_other_process() {
    let (ours, theirs) = pair().expect("a pair");
    let mut reader = role("writes_into_what_it_receives", "1", &[theirs.as_fd()]);
    drop(theirs);
    let (read, write) = tenure_sys::pipe::pipe().expect("a pipe");
    send(ours.as_fd(), b"for you", &[write.as_fd()]).expect("room");
    drop(write);
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).expect("text");
    assert_eq!(text, "thanks");
    reader.stdin = None;
    assert!(reader.child.wait().expect("its end").success());
}

#[test]
fn an_address_that_is_taken_is_laid_to_those_who_hold_it() {
    let any = "127.0.0.1:0".parse().expect("an address");
    let listener = bind_tcp(any, 4).expect("it is bound");
    let address = listener.local_addr().expect("an address");
    assert_eq!(bind_tcp(address, 4).expect_err("taken").kind(), std::io::ErrorKind::AddrInUse);
    connect_tcp(address, LONG).expect("it is reached");

    let heir = role("reports_itself", "1", &[listener.as_fd()]);
    assert!(listener_pids(address).contains(&heir.child.pid()));
    drop(listener);
    let owner = owner_of_tcp(address).expect("the heir holds it");
    assert_eq!(owner.pid, Some(heir.child.pid()));
    assert!(owner.command.is_some_and(|command| command.contains("reports_itself")));
}
