//! Where things are: who may touch the path, what a file proves, and which surroundings change nothing.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tenure_core::fault::Point;
use tenure_sys::process::Signal;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

fn usual() -> Fixture {
    Fixture::with(BINARIES, &[])
}

fn socket(fixture: &Fixture) -> PathBuf {
    fixture.state().join("control.sock")
}

fn inode(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).expect("it is there").ino()
}

#[test]
fn only_the_lease_holder_touches_the_path() {
    let mut fixture = usual();
    fixture.offer("0.9.0").write();
    fixture.move_program(Path::new("/no/such/program"));
    fixture.offer("2.0.0").write();
    fixture.ensure().run().expect(0);
    let before = inode(&socket(&fixture));
    fixture.ensure().run().expect(0);
    fixture.launcher("ensure", "0.9.0").run().expect(0);
    fixture.launcher("ensure", "2.0.0").run().expect(0);
    fixture.status().expect(0);
    fixture.sandbox.tenure(["list"]).run().expect(0);
    assert_eq!(inode(&socket(&fixture)), before);
    fixture.stop().run().expect(0);
}

#[test]
fn a_slow_workers_live_socket_is_not_touched() {
    let fixture = usual();
    let first = fixture.ensure().run().expect(0);
    fixture.settled();
    let (slow, before) = (processes::host(&first), inode(&socket(&fixture)));
    processes::freeze(&slow);
    let hurried = fixture.launcher_within("700ms", "ensure", "1.0.0");
    let hurried = hurried.env("TENURE_FIRST_ANSWER", "100ms").run();
    assert_ne!(hurried.code(), 0, "{}", hurried.stdout);
    assert_eq!(inode(&socket(&fixture)), before);
    slow.signal(Signal::Cont).expect("our own process can be continued");
    let again = fixture.ensure().run().expect(0);
    assert_eq!((again.state().as_str(), answer::pid(&again)), ("up", slow.pid()));
    assert_eq!((inode(&socket(&fixture)), fixture.sandbox.oracle().count("start")), (before, 1));
    fixture.stop().run().expect(0);
}

#[test]
fn a_dying_worker_never_takes_its_successors_files() {
    let fixture = usual();
    let meeting = fixture.sandbox.meeting("end");
    let first = fixture.ensure().fault(&meeting.armed(Point::ProgramEnded)).run().expect(0);
    let dying = processes::host(&first);
    let restart = fixture.restart().start();
    // Its program is gone and it is about to exit, while the one that took over serves.
    let met = meeting.meet();
    assert_eq!(met.pid, dying.pid());
    let restarted = restart.wait().expect(0);
    assert!(!dying.has_ended());
    met.release();
    processes::await_end(&dying);
    assert_eq!(answer::pid(&fixture.status().expect(0)), answer::pid(&restarted));
    let pid: u32 = std::fs::read_to_string(fixture.state().join("worker.pid"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .expect("the successor's own");
    assert_eq!(pid, answer::pid(&restarted));
    fixture.stop().run().expect(0);
}

#[test]
fn econnrefused_under_the_gate_proves_a_socket_dead() {
    let fixture = usual();
    processes::kill(&processes::host(&fixture.ensure().run().expect(0)));
    assert!(socket(&fixture).exists(), "a killed worker leaves its socket");
    assert_eq!(fixture.status().expect(3).state(), "down");
    let again = fixture.ensure().run().expect(0);
    assert_eq!((again.state().as_str(), again.json()["generation"].as_u64()), ("started", Some(2)));
    fixture.stop().run().expect(0);
    // As after a reboot: a socket that nobody listens on, and a file that is none.
    drop(UnixListener::bind(socket(&fixture)).expect("the path is free"));
    assert_eq!(fixture.ensure().run().expect(0).state(), "started");
    fixture.stop().run().expect(0);
    std::fs::write(socket(&fixture), "").expect("the path is free");
    assert_eq!(fixture.ensure().run().expect(0).state(), "started");
    fixture.stop().run().expect(0);
}

#[test]
fn somebody_else_at_the_path_is_no_worker_and_comes_to_no_harm() {
    let fixture = usual();
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    // It accepts and says nothing; the lease is free, so it is nobody's worker.
    let stranger = UnixListener::bind(socket(&fixture)).expect("the path is free");
    let answer = fixture.ensure().env("TENURE_FIRST_ANSWER", "100ms").run().expect(0);
    assert_eq!(answer.state(), "started");
    assert_ne!(answer::pid(&answer), std::process::id());
    assert!(stranger.local_addr().is_ok());
    fixture.stop().run().expect(0);
}

#[test]
fn long_paths_work() {
    let mut fixture = Fixture::new(BINARIES);
    let long = "a directory with spaces and a long name ".repeat(5);
    let root = fixture.sandbox.state_root().join(long.trim()).join("state");
    assert!(root.as_os_str().len() > 150);
    // The program and its directory have spaces in their names too.
    let program = fixture.sandbox.work().join("the program");
    std::fs::copy(BINARIES.program, &program).expect("a program can be copied");
    fixture.move_program(&program);
    fixture.offer("1.0.0").words(&["notify"]).ready(Some("\"notify\"")).write();
    let root = root.display().to_string();
    let first = fixture.ensure().env("TENURE_STATE_DIR", &root).run().expect(0);
    assert!(ask::get(ask::address(&first), "/").expect("it serves").starts_with("1.0.0 "));
    let second = fixture.restart().env("TENURE_STATE_DIR", &root).run().expect(0);
    assert_ne!(answer::pid(&second), answer::pid(&first));
    fixture.stop().env("TENURE_STATE_DIR", &root).run().expect(0);
}

#[test]
fn the_scope_path_ignores_the_sessions_environment() {
    let fixture = usual();
    let first = fixture.ensure().run().expect(0);
    let elsewhere = fixture.sandbox.path().join("session");
    std::fs::create_dir(&elsewhere).expect("a fresh name");
    let place = elsewhere.display().to_string();
    for variable in
        ["TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CACHE_HOME", "CLAUDE_CONFIG_DIR", "HOME"]
    {
        let answer = fixture.ensure().env(variable, &place).run().expect(0);
        assert_eq!(answer::pid(&answer), answer::pid(&first), "{variable}");
    }
    let bare = fixture.ensure().without("HOME").run().expect(0);
    assert_eq!(answer::pid(&bare), answer::pid(&first));
    assert_eq!(std::fs::read_dir(&elsewhere).expect("it is there").count(), 0);
    fixture.stop().run().expect(0);
}

#[test]
fn the_host_id_is_in_the_path() {
    let fixture = usual();
    let first = fixture.ensure().run().expect(0);
    let hosts: Vec<PathBuf> = std::fs::read_dir(fixture.sandbox.state_root())
        .expect("a worker runs there")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    let [host] = hosts.as_slice() else { panic!("one directory for this host: {hosts:?}") };
    assert!(host.join("w/control.sock").exists());
    // Another machine has another boot too: by that its directories are told from those of one whose id was changed.
    let identity = host.join("w/identity.json");
    let text = std::fs::read_to_string(&identity).expect("it was made");
    let boot = tenure_sys::identity::boot_id().expect("the kernel tells it");
    std::fs::write(&identity, text.replace(&boot, "another-boot")).expect("ours");
    fixture.sandbox.be_machine(Some("0123456789abcdef0123456789abcdef"));
    assert_eq!(fixture.status().expect(3).state(), "down");
    fixture.sandbox.be_machine(Some(sandbox::MACHINE));
    assert_eq!(answer::pid(&fixture.status().expect(0)), answer::pid(&first));
    fixture.stop().run().expect(0);
}

#[test]
fn the_pid_file_never_decides() {
    let fixture = usual();
    let file = fixture.state().join("worker.pid");
    let stranger = fixture.sandbox.command(Path::new("/bin/sleep"), ["1000"]).start();
    let innocent = stranger.child().pid().to_string();
    let torn: [(&str, Option<&str>); 3] =
        [("deleted", None), ("truncated", Some("")), ("a stranger's", Some(innocent.as_str()))];
    for (how, text) in torn {
        let first = fixture.ensure().run().expect(0);
        let tear = || match text {
            None => std::fs::remove_file(&file).expect("it is there"),
            Some(text) => std::fs::write(&file, text).expect("ours"),
        };
        tear();
        assert_eq!(answer::pid(&fixture.status().expect(0)), answer::pid(&first), "{how}");
        assert_eq!(fixture.ensure().run().expect(0).state(), "up", "{how}");
        let second = fixture.restart().run().expect(0);
        assert_ne!(answer::pid(&second), answer::pid(&first), "{how}");
        tear();
        let stopped = fixture.stop().run().expect(0);
        assert_eq!(answer::pid(&stopped), answer::pid(&second), "{how}");
        assert_eq!(fixture.status().expect(3).state(), "down", "{how}");
    }
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    assert!(!stranger.child().handle().has_ended(), "whom a file names is not touched");
    stranger.signal(Signal::Kill);
    assert_eq!(stranger.wait().status.signal, Some(9));
}

#[test]
fn what_a_worker_keeps_is_closed_to_others() {
    let fixture = usual();
    fixture.ensure().run().expect(0);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o077;
    assert_eq!(mode(&fixture.state()), 0);
    assert_eq!(mode(&socket(&fixture)), 0);
    fixture.stop().run().expect(0);
}
