//! What shipped systems of this kind promise and what went wrong with them, in general form.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::AsFd;

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_sys::spawn::{self, Launch, Stream};
use tenure_sys::{pipe, process};
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

fn usual() -> Fixture {
    Fixture::with(BINARIES, &[])
}

fn environ(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).expect("it lives");
    bytes.split(|&byte| byte == 0).map(|entry| String::from_utf8_lossy(entry).into_owned()).collect()
}

/// What each descriptor of a process leads to, by number.
fn descriptors(pid: u32) -> Vec<(u32, String)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
    let mut all: Vec<(u32, String)> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, std::fs::read_link(entry.path()).ok()?.display().to_string()))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn stdio_is_never_inherited() {
    let fixture = usual();
    let (read, write) = pipe::pipe().expect("a pipe");
    let config = fixture.file("1.0.0").display().to_string();
    let words = ["ensure", "w", "--json", "--config", &config].map(Into::into);
    let state = fixture.sandbox.state_root();
    let env = [("TENURE_STATE_DIR", state.display().to_string()), ("PATH", "/usr/bin:/bin".to_owned())]
        .map(|(name, value)| (name.into(), value.into()));
    let out = Stream::Fd(write.as_fd());
    let work = fixture.sandbox.work();
    let tenure = std::path::Path::new(BINARIES.tenure);
    // A descriptor that the caller forgot to close is no more the worker's than its streams are.
    let fds = [write.as_fd()];
    let launch = Launch {
        args: &words,
        env: &env,
        stdin: out,
        stdout: out,
        stderr: out,
        fds: &fds,
        ..Launch::new(tenure, &work)
    };
    let launcher = spawn::child(&launch).expect("it starts");
    drop(write);
    let mut said = String::new();
    File::from(read).read_to_string(&mut said).expect("text");
    assert!(launcher.wait_within(PATIENCE).expect("ours").is_some_and(|status| status.success()), "{said}");
    assert_eq!(fixture.status().expect(0).state(), "up", "the pipe ended, and the worker lives");
    fixture.stop().run().expect(0);
}

#[test]
fn listeners_only_by_name() {
    let fixture = usual();
    fixture.ensure().run().expect(0);
    let status = fixture.status().expect(0);
    let program = processes::program(&status);
    let open = descriptors(program.pid());
    let numbers: Vec<u32> = open.iter().map(|(number, _)| *number).filter(|number| *number < 5).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4], "{open:?}");
    assert_eq!(open[0].1, "/dev/null");
    assert!(open[3].1.starts_with("socket:"), "the listener: {open:?}");
    assert!(open[4].1.ends_with("/w/program"), "the lock that proves its end: {open:?}");
    // What is above it opened itself: the oracle's lock.
    let oracle = fixture.sandbox.oracle().directory().display().to_string();
    assert!(open[5..].iter().all(|(_, path)| path.starts_with(&oracle)), "{open:?}");
    let environ = environ(program.pid());
    assert!(environ.contains(&"LISTEN_FDNAMES=http".to_owned()));
    assert!(environ.contains(&format!("LISTEN_PID={}", program.pid())));
    let shim = process::parent_of(program.pid()).expect("it has a parent");
    assert!(
        descriptors(shim).iter().all(|(_, path)| !path.ends_with("/instance")),
        "the lease is the host's"
    );
    fixture.stop().run().expect(0);
}

#[test]
fn the_worker_is_nobodys_child_in_a_session_of_its_own() {
    let fixture = usual();
    let launcher = fixture.ensure().start();
    let own = launcher.child().pid();
    let host = answer::pid(&launcher.wait().expect(0));
    let parent = process::parent_of(host).expect("it lives");
    assert!(parent != own && parent != std::process::id(), "its parent is {parent}");
    let stat = std::fs::read_to_string(format!("/proc/{host}/stat")).expect("it lives");
    let after = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after.split_whitespace().collect();
    // Fields 5, 6 and 7 of proc_pid_stat(5): group, session, terminal.
    assert_eq!((fields[3], fields[4]), (host.to_string().as_str(), "0"), "{stat}");
    fixture.stop().run().expect(0);
}

#[test]
fn the_environment_is_the_specs_and_not_the_winners() {
    let fixture = Fixture::new(BINARIES);
    fixture
        .offer("1.0.0")
        .line("env = { preset = \"agent\", keep = [\"CLAUDE_CODE_OAUTH_TOKEN\", \"HTTPS_PROXY\"] }")
        .write();
    fixture
        .ensure()
        .env("CLAUDECODE", "1")
        .env("CLAUDE_CODE_ENTRYPOINT", "cli")
        .env("CLAUDE_CODE_OAUTH_TOKEN", "token")
        .env("MCP_SESSION_ID", "session")
        .env("HTTPS_PROXY", "http://proxy")
        .env("SOMETHING_ELSE", "1")
        .run()
        .expect(0);
    let environ = environ(processes::program(&fixture.status().expect(0)).pid());
    for fixture in ["CLAUDE_CODE_OAUTH_TOKEN=token", "HTTPS_PROXY=http://proxy"] {
        assert!(environ.contains(&fixture.to_owned()), "{fixture}");
    }
    for dropped in ["CLAUDECODE=", "CLAUDE_CODE_ENTRYPOINT=", "MCP_SESSION_ID=", "SOMETHING_ELSE="] {
        assert!(!environ.iter().any(|entry| entry.starts_with(dropped)), "{dropped}");
    }
    fixture.stop().run().expect(0);
}

#[test]
fn start_is_a_success_only_after_an_answer_of_the_right_generation() {
    let fixture = usual();
    let meeting = fixture.sandbox.meeting("socket");
    let starter = fixture.ensure().fault(&meeting.armed(Point::SocketRenamed)).start();
    let met = meeting.meet();
    assert!(fixture.state().join("control.sock").exists(), "the file is there, and nobody to answer");
    let early = fixture.launcher_within("1s", "ensure", "1.0.0").run();
    assert_ne!(early.code(), 0, "{}", early.stdout);
    met.release();
    let served = starter.wait().expect(0);
    let body = ask::get(ask::address(&served), "/").expect("it serves when its start is told");
    assert!(body.starts_with("1.0.0 ") && body.ends_with(" 1"), "{body}");
    let again = fixture.restart().run().expect(0);
    let body = ask::get(ask::address(&again), "/").expect("it serves when its start is told");
    assert!(body.ends_with(" 2"), "{body}");
    assert_eq!(again.json()["generation"], 2);
    fixture.stop().run().expect(0);
}

fn named_at_once(failed: &Output, state: &str) {
    let own = format!("pid {}", std::process::id());
    let message = answer::message(failed) + &failed.json()["error"]["causes"].to_string();
    assert_eq!(failed.state(), state, "{}", failed.stdout);
    assert!(message.contains(&own), "whose it is: {message}");
    let executable = std::env::current_exe().expect("the kernel tells it");
    assert!(message.contains(&executable.display().to_string()), "which command: {message}");
}

#[test]
fn a_foreign_listener_on_the_port_is_named_at_once() {
    let foreign = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = foreign.local_addr().expect("bound");
    for mode in ["inherit", "self"] {
        let fixture = Fixture::new(BINARIES);
        let listen = format!("{{ name = \"http\", tcp = \"{address}\", mode = \"{mode}\" }}");
        fixture.offer("1.0.0").listen(Some(&listen)).write();
        let failed = fixture.ensure().run().expect(1);
        named_at_once(&failed, "spawn-failed");
        assert_eq!(failed.json()["error"]["stage"], "listen", "{mode}: before anything is waited for");
        assert_eq!(fixture.sandbox.oracle().count("start"), 0, "{mode}: nothing was started for it");
        assert_eq!(fixture.status().expect(3).state(), "down");
    }
    assert!(foreign.local_addr().is_ok());
}

#[test]
fn restart_proves_itself() {
    let fixture = usual();
    let mut last = fixture.ensure().run().expect(0);
    for generation in 2..=10_u64 {
        let restarted = fixture.restart().run().expect(0);
        assert_ne!(answer::pid(&restarted), answer::pid(&last));
        assert_eq!(restarted.json()["generation"].as_u64(), Some(generation));
        assert_eq!(ask::address(&restarted), ask::address(&last), "the port is taken again");
        last = restarted;
    }
    assert_eq!((fixture.sandbox.oracle().count("start"), fixture.sandbox.oracle().count("double")), (10, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn stop_never_respawns() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").line("restart = { on = \"always\", backoff = [\"1ms\", \"1ms\"] }").write();
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
    assert_eq!(fixture.status().expect(3).state(), "down");
    assert_eq!(fixture.sandbox.oracle().count("start"), 1);
    assert!(fixture.sandbox.processes().is_empty());
}

#[test]
fn an_uncaught_crash_is_restarted_by_policy_and_recorded() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").line("restart = { backoff = [\"1ms\", \"1ms\"] }").write();
    let first = fixture.ensure().run().expect(0);
    let crashed = processes::program(&fixture.status().expect(0));
    processes::kill(&crashed);
    // The connection waits in the kernel's queue until the next program accepts it.
    let body = ask::get(ask::address(&first), "/").expect("nothing is refused");
    assert!(!body.contains(&crashed.pid().to_string()), "{body}");
    let again = fixture.ensure().run().expect(0);
    assert_eq!(answer::pid(&again), answer::pid(&first), "the same worker, the same generation");
    let status = fixture.status().expect(0).json();
    assert_eq!(status["program"]["starts"], 2);
    assert!(status["program"]["last_exit"].as_str().is_some_and(|exit| exit.contains("SIGKILL")), "{status}");
    let exits: Vec<_> =
        fixture.events().into_iter().filter(|event| event.what == What::ProgramExited).collect();
    assert!(exits.len() == 1 && exits[0].why.contains("SIGKILL"), "{exits:?}");
    fixture.stop().run().expect(0);
}

#[test]
fn a_fresh_spawn_failure_suppresses_the_next_try_and_says_why() {
    let fixture = Fixture::with(BINARIES, &["exit=3"]);
    assert_eq!(fixture.ensure().run().expect(1).state(), "spawn-failed");
    let suppressed = fixture.ensure().run().expect(1);
    assert_eq!(suppressed.state(), "spawn-suppressed");
    assert!(answer::message(&suppressed).contains("exit status 3"), "{}", suppressed.stdout);
    let wait = suppressed.json()["error"]["retry_after_ms"].as_u64().expect("it says when");
    assert!((1..=30_000).contains(&wait), "{wait}");
    assert_eq!(fixture.sandbox.oracle().count("start"), 1, "one start, one failure");
    // A changed description has a clean slate.
    fixture.offer("1.0.0").write();
    fixture.ensure().run().expect(0);
    fixture.stop().run().expect(0);
}

#[test]
fn who_may_start_nothing_starts_nothing() {
    let fixture = usual();
    let config = fixture.file("1.0.0").display().to_string();
    let words = ["ensure", "w", "--json", "--no-daemon", "--config", &config];
    assert_eq!(fixture.sandbox.tenure(words).run().expect(3).state(), "down");
    assert_eq!(fixture.ensure().env("TENURE_NO_SPAWN", "1").run().expect(3).state(), "down");
    assert!(!fixture.state().exists(), "nothing was written either");
    let first = fixture.ensure().run().expect(0);
    let found = fixture.ensure().env("TENURE_NO_SPAWN", "1").run().expect(0);
    assert_eq!((found.state().as_str(), answer::pid(&found)), ("up", answer::pid(&first)));
    fixture.stop().run().expect(0);
}
