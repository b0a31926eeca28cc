//! Containers and copies: state directories that share a path, an id or a kernel with others. Nobody is signalled who
//! belongs to another directory or counts in another pid namespace, answers come at once, and no directory has two
//! workers.

use std::ffi::OsString;
use std::path::Path;

use tenure_core::spec::scope::{COOKIE_VARIABLE, program_cookie};
use tenure_sys::process::ProcessHandle;
use tenure_test::fixtures::call::{Call, Output, Running};
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::can_unshare;
use tenure_test::fixtures::worker::{ensure, record, worker};

use crate::BINARIES;

mod directories;
mod other_namespaces;
mod pids;

/// `script` in namespaces of its own (`words` of unshare(1)), where `$T` is `tenure` and `$W` the scope's directory.
fn inside<'sandbox>(sandbox: &'sandbox Sandbox, words: &[&str], script: &str) -> Call<'sandbox> {
    let unshare = Path::new("/usr/bin/unshare");
    let script = script.to_owned();
    let words = words.iter().copied().chain(["--fork", "--kill-child", "/bin/sh", "-euc", &script]);
    let words: Vec<OsString> = words.map(OsString::from).collect();
    let tenure = sandbox.executable().display().to_string();
    let scope = sandbox.scope("w").display().to_string();
    sandbox.command(unshare, words).env("T", &tenure).env("W", &scope)
}

/// Whether namespaces of these kinds can be made here; if not, a line says what is skipped.
fn can(words: &[&str]) -> bool {
    can_unshare(&Sandbox::new(BINARIES.tenure), words).is_some()
}

/// A worker that is started outside of such namespaces; `None`, with a line that says so, where none can be made.
fn worker_outside(words: &[&str]) -> Option<(Sandbox, ProcessHandle)> {
    let sandbox = can(words).then(|| BINARIES.sandbox(&[]))?;
    let outer = worker(&sandbox);
    Some((sandbox, outer))
}

const PID: [&str; 3] = ["--pid", "--mount-proc", "--mount"];

fn id(sandbox: &Sandbox) -> String {
    record(sandbox, "identity.json")["id"].as_str().expect("an id").to_owned()
}

fn serves_as(sandbox: &Sandbox, worker: &ProcessHandle) {
    assert!(!worker.has_ended(), "the worker was left alone: {}", sandbox.story());
    let now = ensure(sandbox).run().expect(0);
    assert_eq!((now.state().as_str(), now.json()["pid"].as_u64()), ("up", Some(u64::from(worker.pid()))));
}

/// Something that carries the cookie of a program of that scope id.
fn carrier_of(sandbox: &Sandbox, scope_id: &str) -> Running {
    let cookie = program_cookie(scope_id, 1);
    sandbox.command(Path::new("/bin/sleep"), ["1000"]).env(COOKIE_VARIABLE, &cookie).start()
}

/// The names of the findings about the worker.
fn findings(said: &Output) -> Vec<String> {
    let json = said.json();
    let findings = json["findings"].as_array().expect("a list").iter().filter(|one| one["worker"] == "w");
    findings.map(|one| one["check"].as_str().expect("a name").to_owned()).collect()
}
