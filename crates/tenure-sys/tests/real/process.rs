//! Identity and handles against processes that end, change or cannot be seen.

use std::time::Duration;

use tenure_sys::identity::Identity;
use tenure_sys::process::{
    Delivery, Doubt, GoneReason, OpenError, ProcessHandle, RunState, Signal, Verified, state_of, verify,
};
use tenure_sys::spawn;

use crate::kit::{Ended, LONG, can, role, role_under, shell, skipped};

/// A pid namespace with a `/proc` of its own.
const PIDS: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

#[test]
fn a_zombie_is_gone() {
    let started = shell("exit 0");
    let handle = started.child.handle();
    assert!(handle.wait_ended(Some(LONG)).expect("a wait"));
    let verdict = verify(handle.identity());
    assert!(matches!(verdict, Verified::Gone(GoneReason::Zombie)), "{verdict:?}");
    assert_eq!(state_of(handle.pid()), Some(RunState::Zombie));
    assert!(matches!(ProcessHandle::open(handle.pid()), Err(OpenError::Gone)));
    assert_eq!(handle.signal(Signal::Kill).expect("nobody is signalled"), Delivery::AlreadyGone);
}

#[test]
fn a_living_process_is_the_same_and_an_ended_one_is_not() {
    let started = shell("read x");
    let recorded = started.child.handle().identity().clone();
    assert!(matches!(verify(&recorded), Verified::Same(_)));
    assert!(!started.child.handle().wait_ended(Some(Duration::from_millis(1))).expect("a wait"));
    drop(started);
    assert!(matches!(verify(&recorded), Verified::Gone(GoneReason::NoSuchProcess | GoneReason::PidReused)));
}

#[test]
fn a_record_without_an_inode_is_still_recognised() {
    let started = shell("read x");
    let recorded = Identity { inode: None, ..started.child.handle().identity().clone() };
    assert!(matches!(verify(&recorded), Verified::Same(_)));
    let other = Identity { start: recorded.start + 1, ..recorded };
    assert!(matches!(verify(&other), Verified::Gone(GoneReason::PidReused)));
}

#[test]
fn a_record_of_another_boot_is_void() {
    let own = Identity::current().expect("own identity");
    let other = Identity { boot: "11111111-2222-3333-4444-555555555555".to_owned(), ..own };
    assert!(matches!(verify(&other), Verified::Gone(GoneReason::OtherBoot)));
}

#[test]
fn a_reused_pid_is_not_the_process_that_had_it() {
    if !can(&PIDS) {
        return;
    }
    let mut started = role_under(&PIDS, "reuses_a_pid", "1", &[]);
    assert!(!started.line_with("reused ").is_empty());
}

#[test]
fn a_process_that_counts_in_another_namespace_cannot_be_verified() {
    if !can(&PIDS) {
        return;
    }
    let mut started = role_under(&PIDS, "reports_itself", "1", &[]);
    let recorded: Identity = serde_json::from_str(&started.line_with("identity ")).expect("a record");
    assert_eq!(recorded.pid, 1);
    assert!(matches!(verify(&recorded), Verified::Unverifiable(Doubt::ForeignPidNamespace)));
}

#[test]
fn what_a_process_says_of_itself_is_what_others_see() {
    let mut started = role("reports_itself", "1", &[]);
    let recorded: Identity = serde_json::from_str(&started.line_with("identity ")).expect("a record");
    assert_eq!(&recorded, started.child.handle().identity());
}

#[test]
fn the_end_of_a_stranger_is_known_where_the_kernel_keeps_it() {
    let (read, write) = tenure_sys::pipe::pipe().expect("a pipe");
    let args = crate::kit::words(&["-c", "read x; exit 42"]);
    let launch = spawn::Launch {
        args: &args,
        stdin: spawn::Stream::Fd(std::os::fd::AsFd::as_fd(&read)),
        ..spawn::Launch::new(std::path::Path::new("/bin/sh"), std::path::Path::new("/"))
    };
    let stranger = Ended(spawn::detached(&launch).expect("a start"));
    assert_eq!(stranger.0.exit_of_stranger(), None, "it runs");
    drop((read, write));
    assert!(stranger.0.wait_ended(Some(LONG)).expect("a wait"));
    if !stranger.0.wait_reaped(Some(LONG)).expect("a wait") {
        return skipped("nobody waits for orphans here, or the kernel does not tell");
    }
    match stranger.0.exit_of_stranger() {
        Some(status) => assert_eq!(status.to_string(), "exit status 42"),
        None => skipped("the kernel does not keep the end of a process (Linux 6.15 does)"),
    }
}
