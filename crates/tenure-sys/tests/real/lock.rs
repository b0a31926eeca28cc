//! Locks between processes, and waits for them.

use std::time::Duration;

use tenure_sys::identity::Identity;
use tenure_sys::lock::{FileLock, LockWait, TryLock, holders, lock_within, same_file, try_lock};
use tenure_sys::process::{Signal, Verified, verify};

use crate::kit::{Ended, LONG, role, sandbox};

fn taken(dir: &tenure_sys::dir::Dir) -> FileLock {
    let taken = match lock_within(dir.open_lock("instance").expect("a lock file"), LONG).expect("a wait") {
        LockWait::Taken(lock) => Some(lock),
        LockWait::TimedOut => None,
    };
    taken.expect("the lock is released")
}

fn is_busy(dir: &tenure_sys::dir::Dir) -> bool {
    matches!(try_lock(dir.open_lock("instance").expect("a lock file")).expect("a try"), TryLock::Busy(_))
}

#[test]
fn a_held_lock_is_busy_for_everyone_else() {
    let (_place, dir) = sandbox();
    let lock = taken(&dir);
    assert!(is_busy(&dir));
    assert!(holders(lock.file()).contains(&std::process::id()));
    drop(lock);
    drop(taken(&dir));
}

#[test]
fn a_lock_can_be_tested_by_one_who_can_only_read() {
    let (_place, dir) = sandbox();
    let lock = taken(&dir);
    let observer = dir.open_read("instance").expect("readable");
    assert!(matches!(try_lock(observer), Ok(TryLock::Busy(_))));
    drop(lock);
    let observer = dir.open_read("instance").expect("readable");
    assert!(matches!(lock_within(observer, LONG), Ok(LockWait::Taken(_))));
}

#[test]
fn a_winner_that_comes_too_late_drops_the_lock() {
    let (_place, dir) = sandbox();
    let lock = taken(&dir);
    for _ in 0..8 {
        let file = dir.open_lock("instance").expect("a lock file");
        assert!(matches!(lock_within(file, Duration::from_millis(2)), Ok(LockWait::TimedOut)));
    }
    drop(lock);
    // Behind eight that nobody waits for any more: each has to win and let go.
    drop(taken(&dir));
}

#[test]
fn the_kernel_wakes_the_one_who_waits() {
    let (_place, dir) = sandbox();
    let lock = taken(&dir);
    let file = dir.open_lock("instance").expect("a lock file");
    let waiter = std::thread::spawn(move || lock_within(file, LONG));
    drop(lock);
    assert!(matches!(waiter.join().expect("it does not fail"), Ok(LockWait::Taken(_))));
}

#[test]
fn an_inherited_lock_outlives_the_launcher_and_ends_with_the_worker() {
    let (_place, dir) = sandbox();
    let (never_ends, _hold) = tenure_sys::pipe::pipe().expect("a pipe");
    let place = dir.path().to_str().expect("a plain path").to_owned();
    let mut launcher = role("launcher", &place, &[std::os::fd::AsFd::as_fd(&never_ends)]);
    let worker: Identity = serde_json::from_str(&launcher.line_with("worker ")).expect("a record");
    let Verified::Same(worker) = verify(&worker) else { panic!("the worker lives") };
    let worker = Ended(worker);
    assert!(is_busy(&dir));

    launcher.child.kill().expect("it can be ended");
    assert_eq!(launcher.child.wait().expect("its end").signal, Some(9));
    assert!(is_busy(&dir), "the worker has inherited the lock");
    assert_eq!(holders(&dir.open_lock("instance").expect("a lock file")), [worker.0.pid()]);

    worker.0.signal(Signal::Kill).expect("it can be ended");
    drop(taken(&dir));
    // The kernel closes what a process has a moment before it is a zombie.
    assert!(worker.0.wait_ended(None).expect("its end"));
}

#[test]
fn a_lock_on_a_file_that_was_replaced_is_noticed() {
    let (_place, dir) = sandbox();
    let lock = taken(&dir);
    assert!(same_file(lock.file(), &dir, "instance").expect("a look"));
    dir.write_atomic("instance", b"another").expect("room");
    assert!(!same_file(lock.file(), &dir, "instance").expect("a look"));
    dir.remove("instance").expect("it is there");
    assert!(!same_file(lock.file(), &dir, "instance").expect("a look"));
}
