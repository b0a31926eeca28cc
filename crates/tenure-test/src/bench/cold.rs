//! Cold starts and healing: what `tenure` adds to the program's own boot.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::socket;
use tenure_sys::spawn::{self, Launch};

use super::figure::{Row, difference, median, show};
use super::warm::timed;
use crate::meeting::PATIENCE;
use crate::sandbox::Sandbox;

/// Cold start and healing after kill -9 of the host, in turn with the program started bare.
///
/// # Panics
/// If the fixture cannot be run.
#[must_use]
pub fn rows(sandbox: &Sandbox, program: &Path, runs: usize) -> Vec<Row> {
    let (mut cold, mut healed, mut boots) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        drop(sandbox.stop("one").expect(0));
        boots.push(bare_boot(sandbox, program));
        cold.push(timed(|| drop(ensure(sandbox))));
        let pid = ensure(sandbox).json()["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let host = ProcessHandle::open(pid.expect("an answer has a pid")).expect("the host lives");
        host.signal(Signal::Kill).expect("our own worker can be killed");
        host.wait_ended(Some(PATIENCE)).expect("a killed process ends");
        healed.push(timed(|| drop(ensure(sandbox))));
    }
    let against = format!("the program's own boot: {}", show(median(&boots)));
    let row = |what: &str, samples: &[Duration]| Row {
        what: what.to_owned(),
        median: show(median(samples)),
        against: against.clone(),
        pair: format!("{:+.1} ms", difference(samples, &boots) / 1e3),
        promise: "≤ +10 ms",
    };
    vec![
        row("cold `tenure ensure`, whole process, to ready", &cold),
        row("kill -9 of the host to serving, by the next `ensure`", &healed),
    ]
}

fn ensure(sandbox: &Sandbox) -> crate::sandbox::Output {
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
