//! Processes that tests need besides themselves. Each is a test that does nothing unless it was started as a role.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use tenure_sys::dir::{Dir, DirError};
use tenure_sys::identity::Identity;
use tenure_sys::lock::{TryLock, try_lock};
use tenure_sys::process::{Delivery, GoneReason, ProcessHandle, Verified, verify};
use tenure_sys::spawn::{self, Launch, SpawnError, Stream};
use tenure_sys::tree::{self, Reaped};

use crate::kit::{LONG, ROLE, start, words};

fn argument() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Waits until the test lets go of the standard input, or ends this process first.
fn wait_for_release() {
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).expect("standard input is open");
}

fn cat() -> Launch<'static> {
    Launch::new(Path::new("/bin/cat"), Path::new("/"))
}

/// Takes the lock `instance` in the given directory, starts a worker that inherits it, and waits to be ended.
#[test]
fn launcher() {
    let Some(place) = argument() else { return };
    let dir = Dir::open_private(Path::new(&place)).expect("the directory of the test");
    let file = dir.open_lock("instance").expect("a lock file");
    let TryLock::Taken(lock) = try_lock(file).expect("a lock") else { panic!("somebody holds the lock") };
    let never_ends = tenure_sys::fdset::take_inherited(1).expect("the pipe of the test").remove(0);
    let launch = Launch { stdin: Stream::Fd(never_ends.as_fd()), fds: &[lock.as_fd()], ..cat() };
    let worker = spawn::detached(&launch).expect("a worker");
    let record = serde_json::to_string(worker.identity()).expect("a record");
    println!("worker {record}");
    wait_for_release();
}

/// Says who it is, as it sees itself.
#[test]
fn reports_itself() {
    if argument().is_none() {
        return;
    }
    let own = Identity::current().expect("own identity");
    println!("identity {}", serde_json::to_string(&own).expect("a record"));
    wait_for_release();
}

/// In a pid namespace of its own: makes the kernel give the number of an ended process to another one.
#[test]
fn reuses_a_pid() {
    if argument().is_none() {
        return;
    }
    let first = start(&cat());
    let (recorded, stale) = (first.child.handle().identity().clone(), first.child.handle().try_clone());
    assert!(matches!(verify(&recorded), Verified::Same(_)));
    drop(first);
    assert!(matches!(verify(&recorded), Verified::Gone(GoneReason::NoSuchProcess)));
    std::fs::write("/proc/sys/kernel/ns_last_pid", (recorded.pid - 1).to_string())
        .expect("the last pid can be set");
    let second = start(&cat());
    assert_eq!(second.child.pid(), recorded.pid, "the number was to be reused");
    let verdict = verify(&recorded);
    assert!(matches!(verdict, Verified::Gone(GoneReason::PidReused)), "{verdict:?}");
    let stale = stale.expect("a second handle");
    let sent = stale.signal(tenure_sys::process::Signal::Kill).expect("an old handle can be used");
    assert_eq!(sent, Delivery::AlreadyGone);
    assert_eq!(second.child.try_wait().expect("a look"), None, "the new process was not touched");
    println!("reused {}", recorded.pid);
}

/// Listens again on the inherited listener, says so, and waits.
#[test]
fn relistens() {
    if argument().is_none() {
        return;
    }
    let listener = tenure_sys::fdset::take_inherited(1).expect("the listener").remove(0);
    assert!(tenure_sys::fdset::take_inherited(1).is_err(), "ownership is given once");
    println!("inherited now");
    let mut go = [0_u8; 1];
    std::io::stdin().read_exact(&mut go).expect("the word of the test");
    tenure_sys::socket::relisten(listener.as_fd(), 16).expect("it is a listener");
    println!("listening now");
    wait_for_release();
}

/// Receives a descriptor over the inherited socket and writes into it.
#[test]
fn writes_into_what_it_receives() {
    if argument().is_none() {
        return;
    }
    let socket = tenure_sys::fdset::take_inherited(1).expect("the socket").remove(0);
    let mut message = tenure_sys::socket::recv(socket.as_fd(), 64).expect("a message");
    assert_eq!(message.bytes, b"for you");
    let mut file = std::fs::File::from(message.fds.pop().expect("one descriptor"));
    file.write_all(b"thanks").expect("the other end is read");
}

/// Runs out of descriptors and says what a start then says.
#[test]
fn runs_out_of_descriptors() {
    if argument().is_none() {
        return;
    }
    tenure_sys::limits::set_nofile_soft(24).expect("a limit can be lowered");
    let mut held = Vec::new();
    while let Ok(more) = std::fs::File::open("/dev/null") {
        held.push(more);
    }
    let (_, hard) = tenure_sys::limits::nofile();
    match spawn::detached(&cat()) {
        Err(SpawnError::Descriptors { soft: 24, hard: told }) => assert_eq!(told, hard),
        other => panic!("expected a refusal with the numbers, got {:?}", other.map(|handle| handle.pid())),
    }
    drop(held);
    println!("refused with numbers");
}

/// Adopts an orphan and waits for it.
#[test]
fn adopts_orphans() {
    if argument().is_none() {
        return;
    }
    tree::set_subreaper().expect("a subreaper");
    let (hold, let_go) = tenure_sys::pipe::pipe().expect("a pipe");
    let args = words(&["-c", "(read x <&3; exit 7) & exit 3"]);
    let launch =
        Launch { args: &args, fds: &[hold.as_fd()], ..Launch::new(Path::new("/bin/sh"), Path::new("/")) };
    let child = spawn::child(&launch).expect("a shell");
    drop(hold);
    assert_eq!(child.wait().expect("its end").code, Some(3));
    let orphans = tree::children_of(std::process::id());
    assert_eq!(orphans.len(), 1, "the orphan is ours now");
    assert_eq!(tree::reap_any().expect("a look"), Reaped::NoneReady);
    let orphan = ProcessHandle::open(orphans[0]).expect("it lives");
    drop(let_go);
    assert!(orphan.wait_ended(Some(LONG)).expect("a wait"));
    let Reaped::One(pid, status) = tree::reap_any().expect("a look") else { panic!("it has ended") };
    assert_eq!((pid, status.code), (orphan.pid(), Some(7)));
    assert_eq!(tree::reap_any().expect("a look"), Reaped::NoChildren);
    println!("adopted one");
}

/// On a file system of sixteen pages, mounted at the given place: fills it, then makes it read-only.
#[test]
fn fills_a_disk() {
    let Some(place) = argument() else { return };
    let dir = Dir::create_private(&Path::new(&place).join("state")).expect("room for a directory");
    dir.write_atomic("record.json", b"old").expect("room for a record");
    let before = dir.names().expect("a list");
    let error = dir.write_atomic("record.json", &vec![b'x'; 1 << 20]).expect_err("there is no room");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(dir.names().expect("a list"), before, "nothing was left beside it");
    assert_eq!(dir.read("record.json", 16).expect("readable"), Some(b"old".to_vec()));
    drop(dir.open_lock("gate").expect("room for a lock"));

    let args = words(&["-o", "remount,ro", &place]);
    let mount = ["/usr/bin/mount", "/bin/mount"].into_iter().map(Path::new).find(|path| path.exists());
    let launch = Launch { args: &args, ..Launch::new(mount.expect("it was used before"), Path::new("/")) };
    assert!(start(&launch).child.wait().expect("its end").success());
    let error = dir.write_atomic("record.json", b"new").expect_err("it is read-only");
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    let gate = dir.open_lock("gate").expect("reading is enough");
    assert!(matches!(try_lock(gate), Ok(TryLock::Taken(_))), "a lock needs no right to write");
    let error = Dir::create_private(&Path::new(&place).join("another")).expect_err("it is read-only");
    assert!(matches!(error, DirError::ReadOnly { .. }), "{error:?}");
    println!("filled and sealed");
}
