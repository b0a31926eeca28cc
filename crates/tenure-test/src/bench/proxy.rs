//! The proxy, in turn with haproxy in TCP mode: one thread each, before one and the same program, under the load of `wrk`.
//!
//! Program and load have the same two cores as the proxy that is measured, so throughput alone would flatter the slower one;
//! the processor time that each proxy's thread took is told beside it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_proxy::Proxy;
use tenure_sys::process::Signal;
use tenure_worker::host::readiness::{CheckResult, CheckTarget, Inquiry, TcpConnection};

use crate::fixtures::call::{Call, Running};
use crate::fixtures::sandbox::Sandbox;

use super::figure::Row;

mod account;
mod program;

use account::{Account, Sample};

/// Connections of the load, each used for one request after the other.
const CONNECTIONS: usize = 32;

/// How long and how often it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Pairs.
    pub runs: usize,
    /// One measurement.
    pub span: Duration,
}

/// A load: its name, the path that says how long answers are, and what `wrk` is told besides.
struct Load {
    what: &'static str,
    path: &'static str,
    more: &'static [&'static str],
}

const LOADS: [Load; 3] = [
    Load { what: "answers of 4 KiB, connections kept", path: "/4096", more: &[] },
    Load { what: "answers of 4 KiB, a connection each", path: "/4096", more: &["-H", "Connection: close"] },
    Load { what: "answers of 4 MiB, connections kept", path: "/4194304", more: &[] },
];

/// The environment variables that make a program of the benchmarks a relay: where it listens, and where the program does.
const RELAY: [&str; 2] = ["BENCH_RELAY_LISTEN", "BENCH_RELAY_PROGRAM"];

/// Relays until it is killed, where this process was started for that: like its peer, the proxy has a process of its own.
///
/// # Panics
/// If it cannot listen.
pub fn relay_if_asked() {
    let [listen, program] = RELAY.map(|name| std::env::var(name).ok().and_then(|text| text.parse().ok()));
    let (Some(listen), Some(program)): (Option<SocketAddr>, Option<SocketAddr>) = (listen, program) else {
        return;
    };
    let listener = TcpListener::bind(listen).expect("it is free");
    let proxy = Proxy::start(vec![("http".to_owned(), listener)]).expect("a thread can be started");
    proxy.open(vec![("http".to_owned(), program)], |_| false, |_| {});
    loop {
        std::thread::park();
    }
}

/// All rows, with `relay` as the program that calls [`relay_if_asked`]; where something is missing that is not part of this
/// machine, one that says what.
///
/// # Panics
/// If what is there cannot be started.
#[must_use]
pub fn rows(sandbox: &Sandbox, relay: &Path, effort: Effort) -> Vec<Row> {
    let program = program::start();
    let address = free_address();
    let [listen, to] = RELAY;
    let call = sandbox.command(relay, [""; 0]).env(listen, &address.to_string());
    let ours = Peer::start(call.env(to, &program.to_string()), address, "tenure-proxy");
    let mut rows = match (installed("wrk"), installed("haproxy")) {
        (None, None | Some(_)) => vec![missing("wrk")],
        (Some(_), None) => vec![missing("haproxy")],
        (Some(wrk), Some(haproxy)) => {
            let theirs = start_haproxy(sandbox, &haproxy, program);
            let rows = LOADS.iter().flat_map(|load| pairs(sandbox, &wrk, load, (&ours, &theirs), effort));
            let rows = rows.collect();
            theirs.end();
            rows
        }
    };
    rows.push(idle(&ours, effort.span));
    ours.end();
    rows
}

/// A proxy that runs.
struct Peer {
    running: Running,
    address: SocketAddr,
    account: Account,
}

impl Peer {
    /// From its start to its first connection.
    fn start(call: Call<'_>, address: SocketAddr, thread: &str) -> Self {
        let running = call.start();
        let pid = running.child().pid();
        let (told, heard) = std::sync::mpsc::channel();
        let check = Box::new(TcpConnection(CheckTarget { address: address.into(), tree: Some(pid) }));
        let inquiry = Inquiry::until_answered(check, move |finding| drop(told.send(finding)));
        assert!(heard.iter().any(|result| result == CheckResult::Passed), "it listens");
        drop(inquiry);
        Self { running, address, account: Account::of(pid, thread) }
    }

    fn end(self) {
        self.running.signal(Signal::Kill);
        drop(self.running.wait());
    }
}

fn pairs(
    sandbox: &Sandbox,
    wrk: &Path,
    load: &Load,
    (ours, theirs): (&Peer, &Peer),
    effort: Effort,
) -> [Row; 2] {
    let measure = |peer: &Peer| {
        let began = peer.account.cpu();
        let rate = generate(sandbox, wrk, load, (peer.address, effort.span));
        Sample { rate, cpu: peer.account.cpu().saturating_sub(began), span: effort.span }
    };
    let pairs: Vec<(Sample, Sample)> = (0..effort.runs).map(|_| (measure(ours), measure(theirs))).collect();
    account::rows(load.what, &pairs)
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

fn start_haproxy(sandbox: &Sandbox, haproxy: &Path, program: SocketAddr) -> Peer {
    let address = free_address();
    let config = format!(
        "global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  \
         timeout server 60s\nlisten relay\n  bind {address}\n  server program {program}\n"
    );
    let file = sandbox.work().join("haproxy.cfg");
    std::fs::write(&file, config).expect("a sandbox takes files");
    let args = ["-db".to_owned(), "-f".to_owned(), file.display().to_string()];
    Peer::start(sandbox.command(haproxy, args), address, "haproxy")
}

/// Requests in a second, as `wrk` counts them.
fn generate(sandbox: &Sandbox, wrk: &Path, load: &Load, (address, span): (SocketAddr, Duration)) -> f64 {
    let mut args: Vec<String> =
        vec!["-t1".into(), format!("-c{CONNECTIONS}"), format!("-d{}s", span.as_secs().max(1))];
    args.extend(load.more.iter().map(|&word| word.to_owned()));
    args.push(format!("http://{address}{}", load.path));
    let output = sandbox.command(wrk, args).run().expect(0);
    let rate = output.stdout.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok()).unwrap_or_default()
}

/// One row: what a hundred relays cost on which nothing moves.
fn idle(ours: &Peer, span: Duration) -> Row {
    let kept: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(ours.address).expect("the proxy listens")).collect();
    // What their beginning takes is not counted.
    account::pass(Duration::from_millis(100));
    let (cpu, switches) = (ours.account.cpu(), ours.account.switches());
    account::pass(span);
    let (cpu, switches) = (ours.account.cpu().saturating_sub(cpu), ours.account.switches() - switches);
    drop(kept);
    Row {
        what: format!("proxy with 100 idle relays, {} s", span.as_secs()),
        median: format!("{} µs of processor time, {switches} wake-ups", cpu.as_micros()),
        against: "–".to_owned(),
        pair: "–".to_owned(),
        promise: "none",
    }
}

fn missing(program: &str) -> Row {
    let dash = || "–".to_owned();
    Row {
        what: format!("{program} is not installed: apt-get install {program}"),
        median: dash(),
        against: dash(),
        pair: dash(),
        promise: "–",
    }
}

fn installed(program: &str) -> Option<PathBuf> {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    places.iter().map(|place| Path::new(place).join(program)).find(|path| path.is_file())
}
