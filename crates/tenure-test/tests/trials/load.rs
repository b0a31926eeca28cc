//! Workers replaced while clients use them: no new connection is refused or reset, no answer ends in the middle.
//!
//! The control stands first: where a worker is stopped and another is started, the same clients see what is lost, so that
//! a count of nothing is worth something.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_sys::process::Signal;
use tenure_sys::spawn::{self, Child, Launch, Stream};
use tenure_sys::{pipe, socket};
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system;
use tenure_test::load::subject::Subject;
use tenure_test::load::{Clients, Load};

use crate::BINARIES;

fn server(words: &[&str], lines: &[&str]) -> Subject {
    Subject::server(BINARIES.tenure, BINARIES.server, words, lines)
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// Replaces a subject under load and ends it.
fn replaced(subject: &Subject, clients: &Clients, replacements: u64) -> Load {
    let load = subject.replaced_under_load(clients, replacements);
    subject.stop();
    told(&load);
    load
}

/// What the clients saw, for whoever reads the output.
#[expect(clippy::print_stderr, reason = "what was counted is worth a look when it is nothing, too")]
fn told(load: &Load) {
    eprintln!("{load}");
}

/// What is promised of every kind of worker. Every generation must have answered, or the load was not there.
fn nothing_is_lost(load: &Load, generations: u64) {
    assert!(load.refused_nothing() && load.cut_nothing(), "{load}");
    assert!(load.generations().into_iter().eq(1..=generations), "{load}");
}

/// What is promised besides where the program waits for the next request of a connection before it closes it.
fn no_request_is_on_its_way_when_a_connection_closes(load: &Load) {
    assert_eq!(load.kept.raced, 0, "{load}");
}

#[test]
fn a_worker_that_is_stopped_and_started_refuses_connections() {
    let subject = server(&["ready=fd", "boot=20"], &[]);
    let load = subject.closed_then_spawned(&Clients::default(), 3);
    subject.stop();
    told(&load);
    assert!(load.fresh.refused > 0 && !load.refused_nothing(), "{load}");
    assert_eq!(load.generations(), [1, 2, 3, 4]);
    assert_eq!(load.fresh.wrong + load.fresh.timed_out + load.kept.wrong + load.kept.timed_out, 0, "{load}");
    assert!(load.fresh.longest_with_retries >= Duration::from_millis(20), "{load}");
}

#[test]
fn load_on_a_worker_that_is_left_alone_loses_nothing() {
    let subject = server(&["ready=fd"], &[]);
    let clients = Clients { streams: 2, chunks: 5, every: Duration::from_millis(10), ..Clients::default() };
    let load = subject.under_load(&clients, |_| drop(subject.call("status").run().expect(0)));
    subject.stop();
    nothing_is_lost(&load, 1);
    assert_eq!((load.generations(), load.kept.connections, load.kept.closed), (vec![1], 4, 0));
    assert!(load.streams.complete >= 2, "{load}");
}

/// Generations of a program on a listener that stays open in this process.
struct Generations {
    listener: TcpListener,
    program: PathBuf,
    args: Vec<OsString>,
}

impl Generations {
    fn of(program: &Path, args: &[&str]) -> Self {
        let listener = socket::bind_tcp("127.0.0.1:0".parse().expect("an address"), 4096).expect("free");
        Self { listener, program: program.to_owned(), args: args.iter().map(OsString::from).collect() }
    }

    /// Starts one, and returns once it has said that it serves.
    fn start(&self, generation: u64) -> Child {
        let env = [("LISTEN_FDS", "1".to_owned()), ("TENURE_GENERATION", generation.to_string())]
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let (said, out) = pipe::pipe().expect("a pipe");
        let fds = [self.listener.as_fd()];
        let launch = Launch {
            args: &self.args,
            env: &env,
            fds: &fds,
            stdout: Stream::Fd(out.as_fd()),
            ..Launch::new(&self.program, Path::new("/"))
        };
        let child = spawn::child(&launch).expect("the server starts");
        drop(out);
        assert!(File::from(said).read(&mut [0_u8; 256]).expect("it is read") > 0, "it says that it serves");
        child
    }

    /// Load while generations follow each other: each starts before the former one drains, or after.
    fn under_load(&self, clients: &Clients, count: u64, overlap: bool) -> Load {
        let mut server = self.start(1);
        let load = clients.load(self.listener.local_addr().expect("bound"));
        for next in 2..=count {
            let early = overlap.then(|| self.start(next));
            drained(&server);
            server = early.unwrap_or_else(|| self.start(next));
            load.flows_on();
        }
        let load = load.stop();
        drained(&server);
        told(&load);
        load
    }
}

fn drained(server: &Child) {
    server.handle().signal(Signal::Term).expect("our own child can be signalled");
    let ended = server.wait_within(PATIENCE).expect("it can be waited for").expect("it ends");
    assert_eq!(ended.code, Some(0));
}

/// Streams that end soon, besides the usual clients.
fn short_streams() -> Clients {
    Clients { streams: 2, chunks: 5, every: Duration::from_millis(10), ..paced() }
}

/// The other control: the clients find nothing lost where nothing can be, whoever keeps the socket open.
#[test]
fn servers_that_follow_each_other_on_one_open_socket_lose_nothing() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let oracle = sandbox.oracle().directory().display().to_string();
    for overlap in [false, true] {
        let servers =
            Generations::of(Path::new(BINARIES.server), &[&oracle, "1.0.0", "ready=log", "overlaps"]);
        let load = servers.under_load(&short_streams(), 20, overlap);
        nothing_is_lost(&load, 20);
        no_request_is_on_its_way_when_a_connection_closes(&load);
    }
}

#[test]
fn node_servers_that_follow_each_other_on_one_open_socket_lose_nothing() {
    let Some(node) = system::tool("node") else { return };
    let script = example("node").join("server.mjs").display().to_string();
    for overlap in [false, true] {
        let load = Generations::of(&node, &[&script]).under_load(&short_streams(), 5, overlap);
        nothing_is_lost(&load, 5);
    }
}

#[test]
fn a_hundred_restarts_and_upgrades_on_an_inherited_socket_lose_nothing() {
    let subject = server(&["ready=fd"], &[]);
    let load = replaced(&subject, &paced(), 100);
    nothing_is_lost(&load, 101);
    no_request_is_on_its_way_when_a_connection_closes(&load);
}

#[test]
fn both_programs_on_one_socket_lose_nothing() {
    let subject = server(&["ready=fd", "boot=20", "overlaps"], &["overlap = true"]);
    let load = replaced(&subject, &paced(), 20);
    nothing_is_lost(&load, 21);
    no_request_is_on_its_way_when_a_connection_closes(&load);
}

#[test]
fn answers_that_take_their_time_are_given_by_whoever_accepted_them() {
    let subject = server(&["ready=notify", "slow=30"], &["ready = \"notify\""]);
    let load = replaced(&subject, &Clients::default(), 10);
    nothing_is_lost(&load, 11);
    no_request_is_on_its_way_when_a_connection_closes(&load);
}

#[test]
fn long_streams_are_drained_and_not_cut() {
    let subject = server(&["ready=fd"], &[]);
    let clients = Clients { streams: 4, chunks: 10, every: Duration::from_millis(50), ..Clients::default() };
    let load = replaced(&subject, &clients, 4);
    nothing_is_lost(&load, 5);
    assert!(load.streams.complete >= 8, "{load}");
}

#[test]
fn a_node_server_loses_nothing() {
    if system::tool("node").is_none() {
        return;
    }
    let subject = Subject::of_project(Subject::copy(BINARIES.tenure, &example("node")), "web");
    let clients = Clients { streams: 2, chunks: 10, every: Duration::from_millis(20), ..paced() };
    let load = replaced(&subject, &clients, 10);
    nothing_is_lost(&load, 11);
}

#[test]
fn an_embedded_axum_worker_loses_nothing() {
    let sandbox = Subject::copy(BINARIES.tenure, &example("axum"));
    let built = PathBuf::from(BINARIES.tenure).with_file_name("example-axum");
    fs::copy(&built, sandbox.work().join("example-axum")).expect("the example is built with the workspace");
    let load = replaced(&Subject::of_project(sandbox, "hello"), &paced(), 100);
    nothing_is_lost(&load, 101);
}

#[test]
fn a_python_server_behind_the_proxy_loses_nothing() {
    if system::tool("python3").is_none() {
        return;
    }
    let sandbox = Subject::copy(BINARIES.tenure, &example("python"));
    let file = sandbox.work().join("tenure.toml");
    let port = system::free_address().port().to_string();
    let text = fs::read_to_string(&file).expect("the example has a description");
    fs::write(&file, text.replace("8419", &port)).expect("a sandbox takes files");
    let subject = Subject::of_project(sandbox, "app");
    let load = replaced(&subject, &paced(), 10);
    nothing_is_lost(&load, 11);
}

/// The listener of a program that binds a port which it is told.
const PROXIED: &str =
    "listen = [{ name = \"http\", tcp = \"127.0.0.1:0\", mode = \"proxy\", to = \"env:PORT\" }]";

/// Longer than a call and a client wait: a drain that somebody holds up is not waited out unseen.
const DRAINS_LONG: &str = "drain_timeout = \"10m\"";

#[test]
fn clients_that_never_pause_do_not_hold_up_who_comes_to_a_proxied_program() {
    let subject = server(&["ready=fd"], &[PROXIED, DRAINS_LONG]);
    let clients = Clients { streams: 2, chunks: 10, every: Duration::from_millis(20), ..Clients::default() };
    let load = replaced(&subject, &clients, 10);
    nothing_is_lost(&load, 11);
    assert!(load.streams.complete > 0, "{load}");
}

#[test]
fn both_programs_behind_one_proxied_socket_lose_nothing() {
    let subject = server(&["ready=fd", "boot=20", "overlaps"], &[PROXIED, "overlap = true", DRAINS_LONG]);
    let load = replaced(&subject, &Clients::default(), 10);
    nothing_is_lost(&load, 11);
}

/// A newer version that dies when it has been ready for a while, and what clients saw of it.
fn rolled_back(lines: &[&str], clients: &Clients) -> Load {
    let words = ["ready=fd", "overlaps", "die-after-ready=200", "dies-as=1.0.1"];
    let subject = server(&words, &[&[PROXIED, "bake = \"20s\""], lines].concat());
    let load = subject.under_load(clients, |load| {
        subject.offer(1);
        let failed = subject.call("restart").run();
        assert_ne!(failed.code(), 0, "{}", failed.stdout);
        load.flows_on();
    });
    let stands = subject.call("status").run();
    assert!(stands.stdout.contains("\"1.0.0\""), "{}", stands.stdout);
    subject.stop();
    told(&load);
    load
}

#[test]
fn a_proxied_program_that_dies_in_its_probation_takes_no_more_with_it_than_it_had() {
    let clients = Clients::default();
    let load = rolled_back(&[], &clients);
    assert_eq!((load.fresh.refused, load.kept.refused, load.fresh.timed_out), (0, 0, 0), "{load}");
    // Each client had one request in its hands when the program died, and may have had one with the proxy when that was noticed.
    assert!(load.fresh.reset + load.kept.reset + load.kept.raced + load.kept.cut <= 2 * (8 + 4), "{load}");
    assert_eq!(load.generations(), [1, 2, 3]);
}

#[test]
fn a_proxied_program_that_dies_beside_the_old_one_takes_nothing_with_it() {
    let load = rolled_back(&["overlap = true"], &Clients::default());
    nothing_is_lost(&load, 1);
}

/// Clients that leave some of the processor to what they load, so that many replacements fit into a test.
fn paced() -> Clients {
    Clients { pace: Duration::from_millis(5), ..Clients::default() }
}
