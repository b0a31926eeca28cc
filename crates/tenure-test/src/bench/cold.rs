//! Cold starts and healing: what `tenure` adds to the program's own boot.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tenure_sys::dir::Dir;
use tenure_sys::identity::Identity;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::{self, ProcessHandle, Signal, Verified};
use tenure_sys::socket;
use tenure_sys::spawn::{self, Launch};
use tenure_sys::watch::Watch;

use crate::fixtures::limits::PATIENCE;
use crate::fixtures::sandbox::Sandbox;

use super::figure::{Row, difference, median, show};
use super::warm::timed;

/// Who is killed before a worker heals, by the names that the ledger has for them.
const KILLED: [(&str, &[&str]); 3] = [
    ("the host", &["lineage/0"]),
    ("host and shim, the program lives", &["program/shim", "lineage/0"]),
    ("host, shim and program", &["program/shim", "program/identity", "lineage/0"]),
];

/// Cold start, and healing after a kill -9, in turn with the program started bare.
///
/// # Panics
/// If the fixture cannot be run.
#[must_use]
pub fn rows(sandbox: &Sandbox, program: &Path, runs: usize) -> Vec<Row> {
    let (mut cold, mut boots) = (Vec::new(), Vec::new());
    let mut healed = KILLED.map(|_| Vec::new());
    for _ in 0..runs {
        drop(sandbox.stop("one").expect(0));
        boots.push(bare_boot(sandbox, program));
        cold.push(timed(|| drop(ensure(sandbox))));
        for ((_, killed), took) in KILLED.iter().zip(&mut healed) {
            settled(sandbox);
            kill(sandbox, killed);
            took.push(timed(|| drop(ensure(sandbox))));
        }
    }
    let against = format!("the program's own boot: {}", show(median(&boots)));
    let row = |what: String, samples: &[Duration], promise: &'static str| Row {
        what,
        median: show(median(samples)),
        against: against.clone(),
        pair: format!("{:+.1} ms", difference(samples, &boots) / 1e3),
        promise,
    };
    let mut rows = vec![row("cold `tenure ensure`, whole process, to ready".to_owned(), &cold, "≤ +10 ms")];
    let healing = KILLED.iter().zip(&healed).map(|((who, _), took)| {
        let promise = if *who == "the host" { "≤ +10 ms" } else { "≤ +50 ms" };
        row(format!("kill -9 of {who}, to serving, by the next `ensure`"), took, promise)
    });
    rows.extend(healing);
    rows
}

/// Waits until the worker has written its record for the last time in its boot.
fn settled(sandbox: &Sandbox) {
    let scope = Dir::open_private(&sandbox.scope("one")).expect("its directory is ours");
    let watch = Watch::of(&scope).expect("a directory can be watched");
    while ledger(sandbox)["booting_until"].is_object() {
        poll::wait(&mut [Interest::new(watch.as_fd(), Readiness::Read)], Some(PATIENCE)).expect("a wait");
        watch.drain();
    }
}

fn ledger(sandbox: &Sandbox) -> Value {
    let text = std::fs::read_to_string(sandbox.scope("one").join("ledger.json")).expect("it was written");
    serde_json::from_str(&text).expect("a whole record")
}

/// Kills processes of the worker, each by the handle of whom the ledger names, and waits until they have ended.
fn kill(sandbox: &Sandbox, killed: &[&str]) {
    let ledger = ledger(sandbox);
    let handle = |name: &&str| {
        let recorded = ledger.pointer(&format!("/{name}")).expect("it is on record").clone();
        let identity: Identity = serde_json::from_value(recorded).expect("an identity");
        match process::verify(&identity) {
            Verified::Same(handle) => Some(handle),
            Verified::Gone(_) | Verified::Unverifiable(_) => None,
        }
        .expect("it lives until this kills it")
    };
    let handles: Vec<ProcessHandle> = killed.iter().map(handle).collect();
    for handle in &handles {
        handle.signal(Signal::Kill).expect("our own worker can be killed");
    }
    for handle in &handles {
        assert!(handle.wait_ended(Some(PATIENCE)).expect("a wait"), "a killed process ends");
    }
}

fn ensure(sandbox: &Sandbox) -> crate::fixtures::call::Output {
    sandbox.tenure(["ensure", "one", "--json"]).run().expect(0)
}

/// The program alone: from spawn to its `READY=1`, with a listener inherited as under the host.
fn bare_boot(sandbox: &Sandbox, program: &Path) -> Duration {
    let path = sandbox.path().join("bare-notify");
    drop(std::fs::remove_file(&path));
    let notify = UnixDatagram::bind(&path).expect("a fresh path binds");
    notify.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    let listener = socket::bind_tcp("127.0.0.1:0".parse().expect("address"), 16).expect("a free port");
    let oracle = sandbox.path().join("bare-oracle");
    std::fs::create_dir_all(&oracle).expect("a sandbox takes directories");
    let args: Vec<OsString> = vec![oracle.into(), "1.0.0".into(), "notify".into()];
    let env: Vec<(OsString, OsString)> =
        vec![("NOTIFY_SOCKET".into(), path.into()), ("LISTEN_FDS".into(), "1".into())];
    let fds = [listener.as_fd()];
    let launch = Launch { args: &args, env: &env, fds: &fds, ..Launch::new(program, Path::new("/")) };
    let mut child = None;
    let boot = timed(|| {
        child = Some(spawn::child(&launch).expect("the fixture starts"));
        notify.recv(&mut [0u8; 256]).expect("the fixture says READY=1");
    });
    let child = child.expect("it was started");
    child.kill().expect("our own child can be killed");
    child.wait().expect("our own child can be waited for");
    boot
}
