//! The warm path: a worker is up, a launcher asks.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use tenure_core::deadline::monotonic;
use tenure_core::{Request, Spec};

use crate::fixtures::sandbox::Sandbox;

use super::figure::{Row, difference, median, ratio, show};

/// Whole processes: `tenure ensure --json` from a three-worker file, in turn with an empty static program and `/bin/true`.
#[must_use]
pub fn whole(sandbox: &Sandbox, empty: &Path, runs: usize) -> Vec<Row> {
    let tenure = || sandbox.tenure(["ensure", "one", "--json"]);
    let (mut ours, mut floor, mut peer) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs + 5 {
        let sample = [
            timed(|| drop(tenure().run())),
            timed(|| drop(sandbox.command(empty, [""; 0]).run())),
            timed(|| drop(sandbox.command(Path::new("/bin/true"), [""; 0]).run())),
        ];
        // The first runs warm the page cache and are not counted.
        if run >= 5 {
            ours.push(sample[0]);
            floor.push(sample[1]);
            peer.push(sample[2]);
        }
    }
    let row = |what: &str, against: String, pair: String, promise| Row {
        what: what.to_owned(),
        median: show(median(&ours)),
        against,
        pair,
        promise,
    };
    vec![
        row(
            "warm `tenure ensure --json`, whole process",
            format!("empty static Rust program: {}", show(median(&floor))),
            format!("{:+.0} µs, ratio {:.2}", difference(&ours, &floor), ratio(&ours, &floor)),
            "≤ +150 µs",
        ),
        row(
            "the same",
            format!("`/bin/true`: {}", show(median(&peer))),
            format!("{:+.0} µs, ratio {:.2}", difference(&ours, &peer), ratio(&ours, &peer)),
            "ratio ≤ 1",
        ),
    ]
}

/// The same call by an executable that was built for another C library, in turn with `/bin/true`.
///
/// # Panics
/// If it does not find the worker up.
#[must_use]
pub fn other_build(sandbox: &Sandbox, tenure: &Path, runs: usize) -> Row {
    let call = || sandbox.command(tenure, ["ensure", "one", "--json"]);
    drop(sandbox.tenure(["ensure", "one", "--json"]).run().expect(0));
    assert_eq!(call().run().state(), "up");
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        ours.push(timed(|| drop(call().run())));
        peer.push(timed(|| drop(sandbox.command(Path::new("/bin/true"), [""; 0]).run())));
    }
    Row {
        what: "warm `tenure ensure --json`, built for musl".to_owned(),
        median: show(median(&ours)),
        against: format!("`/bin/true`: {}", show(median(&peer))),
        pair: format!("{:+.0} µs, ratio {:.2}", difference(&ours, &peer), ratio(&ours, &peer)),
        promise: "ratio ≤ 1",
    }
}

/// In process: one `ensure`, in turn with a bare connect and echo over a Unix socket.
#[must_use]
pub fn in_process(order: &Request, runs: usize) -> Row {
    let echo = Echo::start();
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        ours.push(timed(|| drop(tenure_core::ensure(order))));
        floor.push(timed(|| echo.round_trip()));
    }
    Row {
        what: "warm `ensure`, in process".to_owned(),
        median: show(median(&ours)),
        against: format!("connect and echo on a Unix socket: {}", show(median(&floor))),
        pair: format!("{:+.0} µs, ratio {:.2}", difference(&ours, &floor), ratio(&ours, &floor)),
        promise: "≤ 60 µs",
    }
}

/// The order of the sandbox's first worker.
///
/// # Panics
/// If the fixture spec is invalid.
#[must_use]
pub fn order(spec: &Spec) -> Request {
    Request::new("one".parse().expect("a valid name"), spec.clone()).expect("the fixture spec is valid")
}

/// How long `work` takes.
pub fn timed(work: impl FnOnce()) -> Duration {
    let began = monotonic();
    work();
    monotonic().saturating_sub(began)
}

/// The floor of a call over a Unix socket: another thread that echoes one kilobyte, about what HELLO is.
struct Echo {
    path: std::path::PathBuf,
    _directory: tempfile::TempDir,
}

impl Echo {
    fn start() -> Self {
        use std::io::{Read, Write};

        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("echo");
        let listener = UnixListener::bind(&path).expect("a fresh path binds");
        std::thread::spawn(move || {
            let mut buffer = [0u8; 1024];
            for mut stream in listener.incoming().flatten() {
                drop(stream.read(&mut buffer));
                drop(stream.write_all(&buffer));
            }
        });
        Self { path, _directory: directory }
    }

    fn round_trip(&self) {
        use std::io::{Read, Write};

        let mut stream = UnixStream::connect(&self.path).expect("the echo listens");
        stream.write_all(b"hello").expect("the echo reads");
        stream.read_exact(&mut [0u8; 1024]).expect("the echo answers");
    }
}
