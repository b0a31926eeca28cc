//! Runs each case in a process and a state root of its own, and proves at its end that nothing of it is left.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_core::protocol::wire::Hello;
use tenure_core::spec::{Kind, Listen, Spec};
use tenure_core::store::paths::{ROOT_VARIABLE, StateDir};
use tenure_core::{Ensured, Error, Request, Scope};
use tenure_sys::process::{self, ProcessHandle, Signal, Verified};
use tenure_sys::spawn::{self, Child, Launch, Stream};
use tenure_sys::tree;

/// Longer than anything takes here; reached only where something is broken.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A named behaviour.
pub(crate) type Case = (&'static str, fn());

/// Lists the cases of a file.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        /// Every case.
        pub(crate) const ALL: &[Case] = &[$((stringify!($name), $name)),+];
    };
}
pub(crate) use cases;

/// Runs every case whose name contains one of the words, or all.
pub(crate) fn run_all(words: &[String], cases: &[Case]) -> ExitCode {
    let words: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let mut failed = 0;
    for (name, _) in cases.iter().filter(|(name, _)| chosen(name)) {
        let (passed, said) = run_apart(name);
        print(&format!("test {name} ... {}\n", if passed { "ok" } else { "FAILED" }));
        if !passed {
            failed += 1;
            print(&said);
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one case as a child with a state root of its own.
fn run_apart(name: &str) -> (bool, String) {
    let root = tempfile::Builder::new()
        .prefix("tenure-worker-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()
        .expect("a temporary directory");
    let place = root.path().display().to_string();
    let mut output = tempfile::tempfile().expect("a temporary file");
    let child = start_case(name, &[], &place, &output);
    let status = child.wait_within(LONG * 2).expect("a child can be waited for");
    let mut left: Vec<String> = Vec::new();
    for carrier in tree::with_environ(ROOT_VARIABLE, &place) {
        left.push(format!("{} {}\n", carrier.handle.pid(), carrier.command));
        end(&carrier.handle);
    }
    let mut said = String::new();
    output.rewind().and_then(|()| output.read_to_string(&mut said)).expect("output is text");
    if !left.is_empty() {
        said.extend(["left behind: ".to_owned(), left.concat()]);
    }
    if status.is_none() {
        said.push_str("it hung\n");
    }
    (status.is_some_and(|status| status.success()) && left.is_empty(), said)
}

/// Starts a case, with its output going to a file.
fn start_case(name: &str, more: &[(&str, &str)], place: &str, output: &File) -> Child {
    let own = std::env::current_exe().expect("a program has a path");
    let args: Vec<OsString> = ["case", name].map(OsString::from).to_vec();
    let mut env = vec![("PATH", "/usr/bin:/bin"), (ROOT_VARIABLE, place)];
    env.extend(more);
    let env: Vec<(OsString, OsString)> =
        env.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    let launch = Launch {
        args: &args,
        env: &env,
        stdout: Stream::Fd(output.as_fd()),
        stderr: Stream::Fd(output.as_fd()),
        ..Launch::new(&own, Path::new("/"))
    };
    spawn::child(&launch).expect("a case starts")
}

/// The body of the child.
pub(crate) fn run_case(words: &[String], cases: &[Case]) -> ExitCode {
    let case = cases.iter().find(|(name, _)| words.first().is_some_and(|word| word == name));
    match case {
        Some((_, body)) => {
            body();
            ExitCode::SUCCESS
        }
        None if words.first().is_some_and(|word| word == "launch") => {
            // A launcher that a fault point ends.
            drop(ensure(&spec("serve")));
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

/// A launcher in a process of its own that dies at a fault point.
pub(crate) fn launcher_dies_at(point: tenure_core::fault::Point) {
    let place = std::env::var(ROOT_VARIABLE).expect("a case has a root");
    let output = tempfile::tempfile().expect("a temporary file");
    let fault = format!("{}=kill", point.name());
    let launcher = start_case("launch", &[("TENURE_FAULT", &fault)], &place, &output);
    let status = launcher.wait_within(LONG).expect("a child can be waited for").expect("it dies");
    assert_eq!(status.signal, Some(9), "{status}");
}

pub(crate) fn scope() -> Scope {
    "memory".parse().expect("valid")
}

pub(crate) fn state() -> StateDir {
    StateDir::open(&scope()).expect("usable").expect("there")
}

/// The app of this test, embedded, with one inherited listener.
pub(crate) fn spec(mode: &str) -> Spec {
    let own = std::env::current_exe().expect("a program has a path");
    let command = [own.display().to_string(), "app".to_owned(), mode.to_owned()].to_vec();
    let mut spec = Spec::of_command(command, "/".into());
    spec.kind = Kind::Embedded;
    spec.listen = vec![Listen::inherit("http", "127.0.0.1:0".parse().expect("an address"))];
    spec
}

pub(crate) fn ensure(spec: &Spec) -> Result<Ensured, Error> {
    tenure_core::ensure(&Request::new(scope(), spec.clone()).expect("a good spec").budget(LONG))
}

/// A worker that serves.
pub(crate) fn serving(spec: &Spec) -> Hello {
    let ensured = ensure(spec).unwrap_or_else(|error| panic!("{error:?}"));
    ensured.hello().expect("it serves").clone()
}

/// A handle of the worker that has said HELLO.
pub(crate) fn handle(hello: &Hello) -> ProcessHandle {
    match process::verify(&hello.identity) {
        Verified::Same(handle) => handle,
        other @ (Verified::Gone(_) | Verified::Unverifiable(_)) => {
            panic!("the worker that answers cannot be verified: {other:?}")
        }
    }
}

pub(crate) fn stop() -> tenure_core::Stopped {
    let mut order = tenure_core::StopOptions::new(scope(), "test");
    order.budget = LONG;
    tenure_core::stop(&order).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Waits until the process has ended.
pub(crate) fn gone(handle: &ProcessHandle) {
    assert!(handle.wait_ended(Some(LONG)).expect("a handle can be waited for"), "it does not end");
}

pub(crate) fn end(handle: &ProcessHandle) {
    handle.signal(Signal::Kill).expect("an own process can be ended");
    gone(handle);
}

/// HELLO over a new connection.
pub(crate) fn ask() -> Hello {
    let stage = Deadline::start(LONG).stage("test").expect("fresh");
    tenure_core::launch::ask::client::connect(&state(), stage)
        .expect("it listens")
        .hello(stage)
        .expect("it answers")
}

/// Says why each event happened, as `what: why`.
pub(crate) fn events() -> Vec<String> {
    let events = tenure_core::store::event::read_all(&state()).expect("readable");
    events.iter().map(|event| format!("{:?}: {}", event.what, event.why)).collect()
}

/// Whether an event begins like this.
pub(crate) fn happened(start: &str) -> bool {
    events().iter().any(|event| event.starts_with(start))
}

#[expect(clippy::print_stdout, reason = "the runner says what passed")]
fn print(text: &str) {
    print!("{text}");
}
