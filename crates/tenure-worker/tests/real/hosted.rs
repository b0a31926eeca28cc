//! What holds for a program under a host, one behaviour each.

use std::io::{Read, Write};

use tenure_core::protocol::wire::{AppState, Hello};
use tenure_core::spec::amount::Span;
use tenure_core::spec::{Health, Listen, ListenMode, Ready, Spec};
use tenure_core::{Ensured, Error, Request};
use tenure_sys::process::{self, ProcessHandle, Verified};
use tenure_sys::socket;

use crate::kit::{Case, LONG, ask, cases, end, events, gone, handle, happened, scope, state, stop};

cases!(
    a_program_serves_on_a_listener_that_outlives_it,
    a_program_that_ends_before_it_is_ready_is_told_with_its_last_words,
    a_host_whose_limit_is_spent_ends_and_the_next_ensure_starts_anew,
    a_host_that_is_killed_leaves_nothing_in_the_way,
    a_shim_that_is_killed_costs_a_restart,
    a_program_binds_its_own_port,
    a_stranger_on_the_port_of_a_restart_is_named,
    each_way_to_tell_readiness_is_heard,
    a_program_whose_health_fails_is_started_again,
    a_program_that_is_done_ends_its_worker,
    a_program_that_never_gets_ready_is_ended_with_its_boot,
);

/// This test's own program in one of its modes.
fn own(words: &[&str]) -> Spec {
    let own = std::env::current_exe().expect("a program has a path").display().to_string();
    let words = ["program"].iter().chain(words).map(|&word| word.to_owned());
    Spec::of_command([own].into_iter().chain(words).collect(), "/".into())
}

fn shell(script: &str) -> Spec {
    Spec::of_command(["sh", "-c", script].map(str::to_owned).to_vec(), "/".into())
}

fn listening(mut spec: Spec, address: &str, mode: ListenMode) -> Spec {
    let mut listen = Listen::inherit("http", address.parse().expect("an address"));
    listen.mode = mode;
    spec.listen = vec![listen];
    spec
}

fn http() -> Spec {
    let mut spec = listening(own(&["http"]), "127.0.0.1:0", ListenMode::Inherit);
    spec.ready = Some(Ready::Http("/readyz".into()));
    spec
}

fn ensure(spec: &Spec) -> Result<Ensured, Error> {
    let host = std::env::current_exe().expect("a program has a path");
    // One app, whatever its program is.
    let mut spec = spec.clone();
    spec.app = Some("real.hosted".into());
    tenure_core::ensure(&Request::new(scope(), spec).expect("a good spec").budget(LONG).host(host))
}

fn serving(spec: &Spec) -> Hello {
    let ensured = ensure(spec).map_err(|error| format!("{error:?} {:?}", error.last_words()));
    ensured.expect("it starts").hello().expect("it serves").clone()
}

/// A handle of the program.
fn program(hello: &Hello) -> ProcessHandle {
    let identity = hello.program.as_ref().and_then(|program| program.identity.as_ref());
    let verified = process::verify(identity.expect("it runs"));
    let Verified::Same(handle) = verified else { panic!("the program cannot be verified: {verified:?}") };
    handle
}

/// The pid that answers on the worker's first address. Waits in the kernel's queue while nobody accepts.
fn answered_by(hello: &Hello) -> u32 {
    let mut stream =
        socket::connect_tcp(hello.endpoints[0].address.tcp().expect("a port"), LONG).expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("room");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("text");
    said.lines().last().and_then(|line| line.parse().ok()).expect("a pid")
}

fn a_program_serves_on_a_listener_that_outlives_it() {
    let mut spec = http();
    spec.restart.backoff = tenure_core::spec::Backoff::new(Span::millis(1), Span::secs(30));
    let first = serving(&spec);
    let old = program(&first);
    assert_eq!(answered_by(&first), old.pid());
    assert_eq!(first.program.as_ref().map(|program| program.starts), Some(1));
    end(&old);
    // Nobody accepts now; the connection waits for the next one.
    let new = answered_by(&first);
    assert_ne!(new, old.pid());
    let Ok(Ensured::Serving(_, again)) = ensure(&spec) else { panic!("it serves again") };
    assert_eq!((again.hello.generation, &again.hello.instance), (first.generation, &first.instance));
    let account = again.hello.program.expect("a program");
    assert_eq!((account.starts, account.last_exit.as_deref()), (2, Some("signal 9 (SIGKILL)")));
    let stopped = stop();
    assert_eq!((stopped.pid, stopped.leftovers.len()), (Some(first.identity.pid), 0));
    assert!(happened("ProgramExited: program ended with signal 9 (SIGKILL)"), "{:?}", events());
}

fn a_program_that_ends_before_it_is_ready_is_told_with_its_last_words() {
    let mut spec = shell("echo no such table: users; exit 3");
    spec.ready = Some(Ready::Log("ready".into()));
    let error = ensure(&spec).expect_err("it cannot start");
    assert!(
        error.to_string().contains("exit status 3") || format!("{error:?}").contains("exit status 3"),
        "{error:?}"
    );
    assert!(error.last_words().iter().any(|line| line == "no such table: users"), "{:?}", error.last_words());
}

fn a_host_whose_limit_is_spent_ends_and_the_next_ensure_starts_anew() {
    let mut spec = http();
    spec.restart.limit = 0;
    let first = serving(&spec);
    let host = handle(&first);
    end(&program(&first));
    gone(&host);
    assert!(events().iter().any(|event| event.contains("0 restarts within 1m are spent")), "{:?}", events());
    assert_eq!(serving(&spec).generation, first.generation + 1);
    stop();
}

fn a_host_that_is_killed_leaves_nothing_in_the_way() {
    let first = serving(&http());
    let old = program(&first);
    end(&handle(&first));
    let second = serving(&http());
    assert_eq!(second.generation, first.generation + 1);
    assert!(old.has_ended(), "proved before the next one was started");
    assert_eq!(second.endpoints, first.endpoints);
    stop();
}

fn a_shim_that_is_killed_costs_a_restart() {
    let mut spec = http();
    spec.restart.backoff = tenure_core::spec::Backoff::new(Span::millis(1), Span::secs(30));
    let first = serving(&spec);
    let old = program(&first);
    let ledger = tenure_core::store::records::read_ledger(&state()).expect("readable");
    let shim = ledger.program.and_then(|program| program.shim).expect("recorded");
    end(&ProcessHandle::open(shim.pid).expect("it runs"));
    gone(&old);
    assert_ne!(answered_by(&first), old.pid());
    stop();
}

fn a_free_port() -> String {
    let address = "127.0.0.1:0".parse().expect("an address");
    let listener = socket::bind_tcp(address, 1).expect("a port");
    listener.local_addr().expect("an address").to_string()
}

fn a_program_binds_its_own_port() {
    let port = a_free_port();
    let spec = listening(own(&["self", &port]), &port, ListenMode::SelfBound);
    let first = serving(&spec);
    assert_eq!(answered_by(&first), program(&first).pid());
    stop();
}

fn a_stranger_on_the_port_of_a_restart_is_named() {
    let port = a_free_port();
    let mut spec = listening(own(&["self", &port]), &port, ListenMode::SelfBound);
    spec.restart.limit = 1;
    let first = serving(&spec);
    let host = handle(&first);
    end(&program(&first));
    // Well within the back-off of 250 ms.
    let _stranger = socket::bind_tcp(port.parse().expect("an address"), 1).expect("it is free now");
    gone(&host);
    let named = format!("pid {} (", std::process::id());
    assert!(events().iter().any(|event| event.contains(&named)), "{:?}", events());
}

fn each_way_to_tell_readiness_is_heard() {
    let mut by_fd = shell("echo ready >&$TENURE_READY_FD; exec sleep 1000");
    by_fd.ready = Some(Ready::Fd);
    let mut by_log = shell("echo starting; echo listening on 80; exec sleep 1000");
    by_log.ready = Some(Ready::Log("^listening on [0-9]+$".into()));
    let mut by_notify = own(&["notify"]);
    by_notify.ready = Some(Ready::Notify);
    let mut by_command = shell("exec sleep 1000");
    by_command.ready = Some(Ready::Exec(vec!["true".into()]));
    for spec in [by_fd, by_log, by_notify, by_command, shell("exec sleep 1000")] {
        let hello = serving(&spec);
        assert_eq!(hello.app.state, AppState::Ready, "{:?}", spec.ready);
        stop();
    }
}

fn a_program_whose_health_fails_is_started_again() {
    let well = tempfile::NamedTempFile::new().expect("a file");
    let test = ["test", "-e"].map(str::to_owned).into_iter().chain([well.path().display().to_string()]);
    let mut spec = http();
    spec.restart.backoff = tenure_core::spec::Backoff::new(Span::millis(1), Span::secs(30));
    let mut health = Health::of(Ready::Exec(test.collect()));
    (health.interval, health.failures) = (Span::millis(10), 2);
    spec.health = Some(health);
    let first = serving(&spec);
    let old = program(&first);
    drop(well);
    gone(&old);
    assert!(happened("Unhealthy: its health check failed 2 times in a row"), "{:?}", events());
    stop();
}

fn a_program_that_is_done_ends_its_worker() {
    let (go, held) = tenure_sys::pipe::pipe().expect("a pipe");
    let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&go));
    // Ends when the test closes the pipe.
    let first = serving(&shell(&format!("cat {path}")));
    let host = handle(&first);
    drop(held);
    gone(&host);
    assert!(happened("ProgramExited: program ended with exit status 0"), "{:?}", events());
    assert!(
        tenure_core::launch::ask::client::connect(
            &state(),
            tenure_core::deadline::Deadline::start(LONG).stage("test").expect("fresh")
        )
        .is_err()
    );
}

fn a_program_that_never_gets_ready_is_ended_with_its_boot() {
    let mut spec = shell("exec sleep 1000");
    spec.ready = Some(Ready::Exec(vec!["false".into()]));
    spec.start_timeout = Span::millis(200);
    let error = ensure(&spec).expect_err("it never gets ready");
    assert!(format!("{error:?}").contains("ready"), "{error:?}");
    // The shim ends the tree by itself; the next start has to wait for no more than that.
    let hello = serving(&shell("exec sleep 2000"));
    assert_eq!(ask().generation, hello.generation);
    stop();
}
