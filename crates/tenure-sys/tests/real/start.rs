//! What a started program gets, exactly.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use tenure_sys::process::{self, Delivery};
use tenure_sys::spawn::{self, Launch, SpawnError, Stream};

use crate::kit::{Ended, is_root, role, shell, skipped, start, variables, with_path, words};

#[test]
fn a_child_tells_how_it_ended() {
    let mut started = shell("read x; exit 3");
    assert_eq!(started.child.try_wait().expect("a look"), None);
    assert_eq!(started.child.wait_within(std::time::Duration::from_millis(1)).expect("a wait"), None);
    started.stdin = None;
    assert_eq!(started.child.wait().expect("its end").to_string(), "exit status 3");
    assert_eq!(started.child.try_wait().expect("known").and_then(|status| status.code), Some(3));
    assert_eq!(started.child.kill().expect("nobody is signalled"), Delivery::AlreadyGone);

    let started = shell("read x");
    assert_eq!(started.child.kill().expect("it can be ended"), Delivery::Sent);
    assert_eq!(started.child.wait().expect("its end").to_string(), "signal 9 (SIGKILL)");
}

#[test]
fn a_program_gets_its_environment_and_nothing_of_the_callers() {
    let env = variables(&[("ONE", "1"), ("LISTEN_PID", "stale"), ("TWO", "a=b c")]);
    let launch = Launch {
        env: &env,
        pid_env: Some("LISTEN_PID"),
        ..Launch::new(Path::new("/usr/bin/env"), Path::new("/"))
    };
    let mut started = start(&launch);
    let mut lines = Vec::new();
    for _ in 0..3 {
        lines.push(started.line());
    }
    assert_eq!(lines, ["ONE=1", "TWO=a=b c", &format!("LISTEN_PID={}", started.child.pid())]);
    assert_eq!(started.line(), "");
}

#[test]
fn a_program_gets_its_directory_umask_limit_and_name() {
    let (args, env) = (words(&["-c", "pwd; umask; ulimit -Sn; echo $0; read x", "named"]), with_path(&[]));
    let launch = Launch {
        arg0: Some("other".as_ref()),
        args: &args,
        env: &env,
        umask: Some(0o027),
        nofile: Some(77),
        ..Launch::new(Path::new("/bin/sh"), Path::new("/proc"))
    };
    let mut started = start(&launch);
    assert_eq!(started.line(), "/proc");
    assert_eq!(started.line(), "0027");
    assert_eq!(started.line(), "77");
    assert_eq!(started.line(), "named");
    let command = process::command_line(started.child.pid()).expect("it runs");
    assert!(command.starts_with("other -c"), "{command}");
}

#[test]
fn a_detached_program_is_nobodys_child_and_leads_its_own_session() {
    let (read, _hold) = tenure_sys::pipe::pipe().expect("a pipe");
    let launch =
        Launch { stdin: Stream::Fd(read.as_fd()), ..Launch::new(Path::new("/bin/cat"), Path::new("/")) };
    let worker = Ended(spawn::detached(&launch).expect("a start"));
    let pid = worker.0.pid();
    assert_ne!(process::parent_of(pid), Some(std::process::id()));
    let number = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    assert_eq!(rustix::process::getsid(Some(number)).ok(), Some(number));
    assert!(
        process::command_line(pid).is_some_and(|command| command == "/bin/cat"),
        "it is the program already"
    );
    assert_eq!(worker.0.identity(), process::ProcessHandle::open(pid).expect("it lives").identity());
}

#[test]
fn no_descriptor_is_inherited_that_was_not_given() {
    let null = std::fs::File::open("/dev/null").expect("it is there");
    // Duplicated without close-on-exec.
    let stray: Vec<OwnedFd> = (0..50).map(|_| rustix::io::dup(&null).expect("room")).collect();
    let (read, hold) = tenure_sys::pipe::pipe().expect("a pipe");
    let (says, said) = tenure_sys::pipe::pipe().expect("a pipe");
    let (one, two) = tenure_sys::pipe::pipe().expect("a pipe");
    let launch = Launch {
        stdin: Stream::Fd(read.as_fd()),
        stdout: Stream::Fd(said.as_fd()),
        fds: &[two.as_fd(), one.as_fd(), two.as_fd()],
        ..Launch::new(Path::new("/bin/cat"), Path::new("/"))
    };
    let worker = Ended(spawn::detached(&launch).expect("a start"));
    // Once it answers it has read its libraries, which it opens for a moment.
    rustix::io::write(&hold, b"x").expect("room");
    rustix::io::read(&says, &mut [0_u8; 1]).expect("its answer");
    let place = format!("/proc/{}/fd", worker.0.pid());
    let mut open: Vec<OsString> = std::fs::read_dir(&place)
        .expect("it lives")
        .map(|entry| entry.expect("a name").file_name())
        .collect();
    open.sort();
    assert_eq!(open, words(&["0", "1", "2", "3", "4", "5"]));
    let leads_to = |fd: &str| std::fs::read_link(format!("{place}/{fd}")).expect("it is open");
    let inode = |fd: &OwnedFd| tenure_sys::dir::fstat(fd.as_fd()).expect("it is open").ino;
    assert_eq!(leads_to("2"), Path::new("/dev/null"));
    assert_eq!(leads_to("3"), Path::new(&format!("pipe:[{}]", inode(&two))));
    assert_eq!(leads_to("4"), leads_to("3"), "both ends of one pipe have one number");
    drop(stray);
}

#[test]
fn descriptors_may_be_given_in_places_that_overlap_their_own() {
    let (one, two) = (std::fs::File::open("/dev/null"), std::fs::File::open("/dev/zero"));
    let (one, two) = (one.expect("it is there"), two.expect("it is there"));
    let args = words(&["-c", "readlink /proc/self/fd/3 /proc/self/fd/4 /proc/self/fd/5 /proc/self/fd/6"]);
    let env = with_path(&[]);
    let fds = [two.as_fd(), one.as_fd(), two.as_fd(), one.as_fd()];
    let launch =
        Launch { args: &args, env: &env, fds: &fds, ..Launch::new(Path::new("/bin/sh"), Path::new("/")) };
    let mut started = start(&launch);
    let lines: Vec<String> = (0..4).map(|_| started.line()).collect();
    assert_eq!(lines, ["/dev/zero", "/dev/null", "/dev/zero", "/dev/null"]);
}

#[test]
fn a_program_starts_with_no_signal_blocked_or_ignored() {
    let started = shell("read x");
    let status = std::fs::read_to_string(format!("/proc/{}/status", started.child.pid())).expect("it lives");
    for key in ["SigBlk:", "SigIgn:"] {
        let set = status.lines().find_map(|line| line.strip_prefix(key)).expect("the kernel tells");
        assert_eq!(set.trim(), "0000000000000000", "{key}");
    }
}

fn both(launch: &Launch<'_>) -> [SpawnError; 2] {
    let attached = spawn::child(launch).map(|child| child.pid()).expect_err("it cannot start");
    let detached = spawn::detached(launch).map(|handle| handle.pid()).expect_err("it cannot start");
    [attached, detached]
}

#[test]
fn what_cannot_be_executed_is_named() {
    let (place, root) = (tempfile::tempdir().expect("a directory"), Path::new("/"));
    let plain = place.path().join("plain");
    std::fs::write(&plain, "text").expect("room");
    for error in both(&Launch::new(&place.path().join("absent"), root)) {
        assert!(
            matches!(&error, SpawnError::NotFound { program } if program.ends_with("absent")),
            "{error:?}"
        );
    }
    for error in both(&Launch::new(&plain, root)) {
        assert!(
            matches!(&error, SpawnError::NotExecutable { program, .. } if *program == plain),
            "{error:?}"
        );
    }
    for error in both(&Launch::new(Path::new("/bin/cat"), &place.path().join("absent"))) {
        assert!(
            matches!(&error, SpawnError::BadDirectory { cwd, .. } if cwd.ends_with("absent")),
            "{error:?}"
        );
    }
    let args = words(&["a\0b"]);
    for error in both(&Launch { args: &args, ..Launch::new(Path::new("/bin/cat"), root) }) {
        assert!(matches!(error, SpawnError::Other(_)), "{error:?}");
    }
    let args = vec![OsString::from("x".repeat(1 << 20))];
    for error in both(&Launch { args: &args, ..Launch::new(Path::new("/bin/cat"), root) }) {
        assert!(matches!(error, SpawnError::Exec { .. }), "{error:?}");
    }
}

#[test]
fn a_start_without_free_descriptors_is_refused_with_the_numbers() {
    let mut started = role("runs_out_of_descriptors", "1", &[]);
    assert_eq!(started.line_with("refused "), "with numbers");
}

#[test]
fn many_threads_may_start_programs_at_once() {
    let (read, hold) = tenure_sys::pipe::pipe().expect("a pipe");
    let launch =
        Launch { stdin: Stream::Fd(read.as_fd()), ..Launch::new(Path::new("/bin/cat"), Path::new("/")) };
    let started: Vec<Ended> = std::thread::scope(|scope| {
        let one = || (0..20).map(|_| Ended(spawn::detached(&launch).expect("a start"))).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it does not fail")).collect()
    });
    assert_eq!(started.len(), 80);
    drop(hold);
    for worker in &started {
        assert!(
            worker.0.wait_ended(Some(crate::kit::LONG)).expect("a wait"),
            "nothing but the test held the pipe"
        );
    }
}

#[test]
fn a_program_of_another_user_can_only_be_looked_at() {
    if !is_root() {
        return skipped("a program of another user needs root");
    }
    let mut started = role_as_nobody();
    assert_eq!(started.line_with("as "), "65534");
    assert_eq!(process::uid_of(started.child.pid()), Some(65_534));
}

fn role_as_nobody() -> crate::kit::Started {
    let args = words(&["--reuid=65534", "--clear-groups", "sh", "-c", "echo as $(id -u); read x"]);
    let env = with_path(&[]);
    start(&Launch { args: &args, env: &env, ..Launch::new(Path::new("/usr/bin/setpriv"), Path::new("/")) })
}
