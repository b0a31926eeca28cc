//! Families: cookies, groups, orphans.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

use tenure_sys::process::{Delivery, ProcessHandle, Signal, command_line, parent_of};
use tenure_sys::spawn::Launch;
use tenure_sys::tree::{children_of, descendants_of, signal_group, with_cookie, with_environ};

use crate::kit::{LONG, role, shell, start, with_path, words};

#[test]
fn a_cookie_finds_what_has_forked_twice_and_left_the_session() {
    let cookie = format!("sweep/{}/", tenure_sys::random::hex(8).expect("randomness"));
    let (read, _hold) = tenure_sys::pipe::pipe().expect("a pipe");
    let env = with_path(&[("TENURE_COOKIE", &format!("{cookie}1"))]);
    let args = words(&["-c", "(setsid sh -c 'cat <&3 >/dev/null & echo $!' &) ; exit 0"]);
    let launch = Launch {
        args: &args,
        env: &env,
        fds: &[read.as_fd()],
        ..Launch::new(Path::new("/bin/sh"), Path::new("/"))
    };
    let mut started = start(&launch);
    let escaped: u32 = started.line().parse().expect("a pid");
    started.child.wait().expect("its end");
    assert!(!descendants_of(std::process::id()).contains(&escaped), "it has left the tree");

    let found = with_cookie(&cookie);
    let carrier = found.iter().find(|carrier| carrier.handle.pid() == escaped).expect("the cookie finds it");
    assert_eq!(carrier.cookie, format!("{cookie}1"));
    for carrier in &found {
        carrier.handle.signal(Signal::Kill).expect("an own process can be ended");
        assert!(carrier.handle.wait_ended(Some(LONG)).expect("a wait"));
    }
    assert!(with_cookie(&cookie).is_empty());
    assert!(with_environ("TENURE_COOKIE", &cookie).is_empty());
}

#[test]
fn a_family_is_listed_below_its_head() {
    let mut started = shell("exec 3<&0; sh -c 'echo $$; read x <&3; :' & wait");
    let grandchild: u32 = started.line().parse().expect("a pid");
    let child = started.child.pid();
    assert!(children_of(std::process::id()).contains(&child));
    assert_eq!(children_of(child), [grandchild]);
    assert_eq!(descendants_of(child), [grandchild]);
    let all = descendants_of(std::process::id());
    assert!(all.contains(&child) && all.contains(&grandchild));
    assert_eq!(parent_of(grandchild), Some(child));
    let grandchild = ProcessHandle::open(grandchild).expect("it lives");
    grandchild.signal(Signal::Kill).expect("it can be ended");
    started.child.wait().expect("its end");
}

#[test]
fn a_group_is_signalled_through_its_unreaped_leader_only() {
    let (args, env) = (words(&["-c", "exec 3<&0; read x <&3 & echo ready; wait"]), with_path(&[]));
    let launch =
        Launch { args: &args, env: &env, session: true, ..Launch::new(Path::new("/bin/sh"), Path::new("/")) };
    let mut started = start(&launch);
    assert_eq!(started.line(), "ready");
    assert_eq!(signal_group(started.child.handle(), Signal::Kill).expect("a group"), Delivery::Sent);
    let mut rest = String::new();
    started.stdout.read_to_string(&mut rest).expect("the end, once all of the group are gone");
    started.child.wait().expect("its end");
    let error = signal_group(started.child.handle(), Signal::Kill).expect_err("its number may be anyone's");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);

    let started = shell("read x");
    let error = signal_group(started.child.handle(), Signal::Term).expect_err("it leads no group");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let parent = ProcessHandle::open(parent_of(std::process::id()).expect("a parent")).expect("it lives");
    let error = signal_group(&parent, Signal::Term).expect_err("it is not a child");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
}

#[test]
fn an_orphan_comes_to_the_subreaper() {
    let mut started = role("adopts_orphans", "1", &[]);
    assert_eq!(started.line_with("adopted "), "one");
}

#[test]
fn what_becomes_another_program_while_it_is_looked_at_keeps_its_cookie_and_its_name() {
    let cookie = format!("exec/{}/", tenure_sys::random::hex(8).expect("randomness"));
    let filler = "x".repeat(100_000);
    // In front of the cookie there is more than one read gives.
    let env = with_path(&[("A_FILLER", &filler), ("TENURE_COOKIE", &cookie)]);
    let again = "exec /bin/sh -c \"$0\" \"$0\"";
    let args = words(&["-c", again, again]);
    let launch = Launch { args: &args, env: &env, ..Launch::new(Path::new("/bin/sh"), Path::new("/")) };
    let started = start(&launch);
    let pid = started.child.pid();
    let seen = (0..1000).filter(|_| !with_cookie(&cookie).is_empty()).count();
    let named = (0..1000).filter(|_| command_line(pid).is_some()).count();
    started.child.handle().signal(Signal::Kill).expect("an own process can be ended");
    started.child.wait().expect("its end");
    assert_eq!((seen, named), (1000, 1000), "looks that found it");
}
