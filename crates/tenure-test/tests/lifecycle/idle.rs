//! `idle_timeout`: what is a use, what is none, and that nobody is told of a worker that ends.
//!
//! Where a test waits for more than the timeout, it waits for the end of the worker, which must not come.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;
use tenure_core::deadline::monotonic;
use tenure_core::fault::Point;
use tenure_core::protocol::ends::UnaskedEndKind;
use tenure_core::protocol::wire::{self, Answer, ControlRequest, Hello, Role};
use tenure_core::store::event::What;
use tenure_sys::dir::Dir;
use tenure_sys::process::ProcessHandle;
use tenure_sys::socket;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::{Output, Running};
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::meeting::Meeting;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::{Fixture, Offer};

use crate::BINARIES;

/// The timeout of every worker here, and a time in which it ends if nothing keeps it.
const TIMEOUT: Duration = Duration::from_secs(1);
const LONGER: Duration = Duration::from_millis(2500);

const INHERIT: &str = "{ name = \"http\", tcp = \"127.0.0.1:0\" }";
const PROXY: &str = "{ name = \"http\", tcp = \"127.0.0.1:0\", mode = \"proxy\", to = \"env:PORT\" }";
const AT_A_PATH: &str = "{ name = \"http\", unix = \"\" }";

/// A description that ends without use, and would be started again by its restart policy after any other end.
fn described(listen: &str, words: &[&str]) -> Fixture {
    let fixture = Fixture::new(BINARIES);
    idle(fixture.offer("1.0.0").words(words)).listen(Some(listen)).write();
    fixture
}

fn idle(offer: Offer<'_>) -> Offer<'_> {
    offer.line("idle_timeout = \"1s\"").line("restart = { on = \"always\" }")
}

/// An answer, its host, and what was done with it within the timeout of its worker. On a machine that was too slow for
/// that, the worker may have ended as it should, and it is asked for once more.
fn in_time<T>(fixture: &Fixture, act: impl Fn(&Output) -> T) -> (Output, ProcessHandle, T) {
    loop {
        let asked = monotonic();
        let answer = fixture.ensure().run().expect(0);
        let host = ProcessHandle::open(answer::pid(&answer));
        let acted = act(&answer);
        if let Ok(host) = host
            && monotonic().saturating_sub(asked) < TIMEOUT
        {
            return (answer, host, acted);
        }
    }
}

/// Started, and its host.
fn started(fixture: &Fixture) -> (Output, ProcessHandle) {
    let (answer, host, ()) = in_time(fixture, |_| ());
    (answer, host)
}

/// The same with a timeout that is enough for two calls in a row on any machine.
fn patient(offer: Offer<'_>) -> Offer<'_> {
    idle(offer).line("idle_timeout = \"5s\"")
}

const MORE_PATIENT: Duration = Duration::from_secs(7);

fn stays(host: &ProcessHandle) -> bool {
    !host.wait_ended(Some(LONGER)).expect("a handle can be waited for")
}

/// The worker has ended for lack of use, and all words that look tell it so.
fn ended_unused(fixture: &Fixture, host: &ProcessHandle) {
    processes::await_end(host);
    let last = fixture.ledger().last_end().cloned().expect("it is on record");
    assert_eq!((last.how, last.why.as_str()), (UnaskedEndKind::Idle, "1s without use"));
    assert_eq!(fixture.count(What::Idle), fixture.count(What::Spawned), "{}", fixture.sandbox.story());
    let status = fixture.status().expect(3).json();
    let reason = status["reason"].as_str().unwrap_or_default();
    assert!(reason.ends_with("ago it ended after 1s without use"), "{reason}");
    assert_eq!(status["last_end"]["how"], "idle");
}

/// A caller who has asked, and reads the answer later.
struct Caller(UnixStream);

impl Caller {
    fn new(fixture: &Fixture, look: bool) -> Self {
        let dir = Dir::open_private(&fixture.state()).expect("a worker has a directory of ours");
        let mut stream = socket::connect_unix(&dir, "control.sock", PATIENCE).expect("it listens");
        wire::write(&mut stream, &ControlRequest::Hello { look }).expect("room");
        Self(stream)
    }

    fn hello(mut self) -> Hello {
        self.0.set_read_timeout(Some(PATIENCE)).expect("an option");
        let answer: Answer = wire::read(&mut self.0).expect("an answer");
        let Answer::Hello(hello) = answer else { unreachable!("{answer:?}") };
        *hello
    }
}

/// A worker that meets the test at this point of its end.
fn met_at(point: Point) -> (Fixture, Meeting, Output) {
    let fixture = described(INHERIT, &[]);
    let meeting = fixture.sandbox.meeting("idle");
    let answer = fixture.ensure().fault(&meeting.armed(point)).run().expect(0);
    (fixture, meeting, answer)
}

#[test]
fn a_worker_that_nobody_uses_ends_whatever_it_listens_on() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let own = format!("{{ name = \"http\", tcp = \"{free}\", mode = \"self\" }}");
    let binds = format!("bind={free}");
    let kinds: [(&str, &[&str]); 4] =
        [(INHERIT, &[]), (PROXY, &["bind=env"]), (&own, &[&binds]), (AT_A_PATH, &[])];
    for (listen, words) in kinds {
        let fixture = Fixture::new(BINARIES);
        let offer = idle(fixture.offer("1.0.0").words(words)).listen(Some(listen));
        // The fixture speaks no HTTP at a path.
        if listen == AT_A_PATH { offer.ready(Some("\"up\"")) } else { offer }.write();
        let (_, host) = started(&fixture);
        ended_unused(&fixture, &host);
        let starts = (fixture.sandbox.oracle().count("start"), fixture.count(What::Spawned));
        assert_eq!(starts.0, starts.1, "its restart policy has no say");
        let doctor = fixture.sandbox.tenure(["doctor", "w", "--json"]).run();
        assert!(!doctor.stdout.contains("ended-by-itself"), "{}", doctor.stdout);
        assert_ne!(answer::pid(&fixture.ensure().run().expect(0)), host.pid());
        let _stopped = fixture.stop().run();
    }
}

#[test]
fn what_it_ended_with_is_kept_for_the_next_start() {
    let fixture = described(INHERIT, &[]);
    let (first, host) = started(&fixture);
    let offers = fixture.desired().offers.len();
    ended_unused(&fixture, &host);
    let again = fixture.sandbox.tenure(["ensure", "w", "--json"]).run().expect(0);
    assert_eq!((again.state().as_str(), fixture.desired().offers.len()), ("started", offers));
    assert_eq!(ask::address(&again), ask::address(&first), "its port is its own");
    let _stopped = fixture.stop().run();
}

/// A client of each mode, connected without a word.
fn kept_by_a_client(listen: &str, words: &[&str]) {
    let fixture = described(listen, words);
    let (_, host, client) = in_time(&fixture, |answer| TcpStream::connect(ask::address(answer)));
    assert!(stays(&host), "a client is connected: {}", fixture.sandbox.story());
    drop(client.expect("it serves"));
    ended_unused(&fixture, &host);
}

#[test]
fn an_open_connection_on_an_inherited_listener_keeps_it() {
    kept_by_a_client(INHERIT, &[]);
}

#[test]
fn an_open_connection_on_a_proxied_listener_keeps_it() {
    kept_by_a_client(PROXY, &["bind=env"]);
}

#[test]
fn an_open_connection_on_a_port_of_the_program_keeps_it() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let listen = format!("{{ name = \"http\", tcp = \"{free}\", mode = \"self\" }}");
    kept_by_a_client(&listen, &[&format!("bind={free}")]);
}

#[test]
fn a_client_that_nobody_has_accepted_keeps_it() {
    let fixture = Fixture::new(BINARIES);
    let offer = idle(fixture.offer("1.0.0")).line("command = [\"sleep\", \"1000\"]");
    offer.listen(Some(AT_A_PATH)).ready(Some("\"up\"")).write();
    let connect = |answer: &Output| {
        let path = answer.json()["endpoints"][0]["unix"].as_str().expect("a path").to_owned();
        socket::connect_path(path.as_ref(), PATIENCE)
    };
    let (_, host, client) = in_time(&fixture, connect);
    assert!(stays(&host), "a client waits: {}", fixture.sandbox.story());
    drop(client.expect("it listens"));
    ended_unused(&fixture, &host);
}

#[test]
fn a_proxied_client_that_came_and_went_moves_the_deadline() {
    let fixture = described(PROXY, &["bind=env"]);
    let (answer, host) = started(&fixture);
    // Half of its time later, and again: a machine that is slow finds it ended, as it should be.
    let mut last = monotonic();
    for _ in 0..4 {
        let _over = host.wait_ended(Some(TIMEOUT / 2)).expect("a handle can be waited for");
        let asked = monotonic();
        let served = ask::get(ask::address(&answer), "/").is_ok();
        if monotonic().saturating_sub(last) < TIMEOUT {
            assert!(served, "the client before moved its deadline: {}", fixture.sandbox.story());
        }
        last = asked;
    }
    ended_unused(&fixture, &host);
}

#[test]
fn a_caller_who_comes_before_the_end_is_ruled_keeps_the_worker() {
    let (fixture, meeting, answer) = met_at(Point::IdleAsked);
    let host = processes::host(&answer);
    let met = meeting.meet();
    let caller = Caller::new(&fixture, false);
    met.release();
    let hello = caller.hello();
    assert_eq!((hello.role, hello.draining), (Role::Active, false));
    // It did not end: its deadline comes once more, a whole timeout later.
    meeting.meet().release();
    ended_unused(&fixture, &host);
}

#[test]
fn whoever_only_looks_keeps_nothing() {
    let (fixture, meeting, answer) = met_at(Point::IdleAsked);
    let host = processes::host(&answer);
    let met = meeting.meet();
    let looks = Caller::new(&fixture, true);
    // Each of them has asked, and leaves before the worker goes on.
    for words in [&["status", "w"][..], &["list"], &["doctor", "w"], &["events", "w"], &["logs", "w"]] {
        let _told = fixture.sandbox.tenure(words).run();
    }
    met.release();
    assert_eq!(looks.hello().role, Role::Active);
    ended_unused(&fixture, &host);
}

#[test]
fn a_caller_between_the_last_look_and_the_close_gets_the_next_worker() {
    let (fixture, meeting, answer) = met_at(Point::IdleRuled);
    let host = processes::host(&answer);
    let met = meeting.meet();
    let caller = Caller::new(&fixture, false);
    let crowd: Vec<Running> = (0..6).map(|_| fixture.ensure().start()).collect();
    met.release();
    assert!(caller.hello().draining, "it is told that the worker ends");
    processes::await_end(&host);
    for answer in answer::answers(crowd) {
        let answer = answer.expect(0);
        assert_ne!(answer::pid(&answer), host.pid(), "{}", fixture.sandbox.story());
    }
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    let _stopped = fixture.stop().run();
}

/// Whether the worker of this answer, asked for at `asked`, served its whole time: known only where this machine was
/// fast enough to look within that time.
fn kept_its_word(asked: Duration, address: SocketAddr) -> bool {
    let served = ask::get(address, "/").is_ok();
    served || monotonic().saturating_sub(asked) >= TIMEOUT
}

#[test]
fn a_storm_of_callers_at_the_deadline_always_gets_a_worker_that_serves() {
    let fixture = described(INHERIT, &[]);
    let mut host = started(&fixture).1;
    for round in 0..8_u64 {
        // Around the deadline, which each round leaves a little later.
        let near = TIMEOUT.saturating_sub(Duration::from_millis(40)) + Duration::from_millis(10 * round);
        let _over = host.wait_ended(Some(near)).expect("a handle can be waited for");
        let asked = monotonic();
        let crowd: Vec<Running> = (0..6).map(|_| fixture.ensure().start()).collect();
        let answers: Vec<Output> = crowd.into_iter().map(|one| one.wait().expect(0)).collect();
        for answer in &answers {
            assert!(kept_its_word(asked, ask::address(answer)), "{}", fixture.sandbox.story());
        }
        let last = answers.iter().max_by_key(|answer| answer.json()["generation"].as_u64());
        host = match ProcessHandle::open(answer::pid(last.expect("a crowd"))) {
            Ok(host) => host,
            Err(_) => started(&fixture).1,
        };
    }
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    let _stopped = fixture.stop().run();
}

#[test]
fn a_takeover_under_way_is_no_moment_to_end() {
    for point in [Point::StandingBy, Point::SuccessorPrepared] {
        let fixture = Fixture::new(BINARIES);
        patient(fixture.offer("1.0.0")).write();
        let (_, host) = started(&fixture);
        let meeting = fixture.sandbox.meeting("successor");
        let restart = fixture.restart().fault(&meeting.armed(point)).start();
        let met = meeting.meet();
        let ended = host.wait_ended(Some(MORE_PATIENT)).expect("a handle can be waited for");
        assert!(!ended, "{point:?}: {}", fixture.sandbox.story());
        met.release();
        assert_eq!(restart.wait().expect(0).state(), "replaced");
        let _stopped = fixture.stop().run();
    }
}

#[test]
fn a_worker_on_probation_does_not_end() {
    let fixture = Fixture::new(BINARIES);
    patient(fixture.offer("1.0.0")).write();
    let meeting = fixture.sandbox.meeting("relieved");
    let first = fixture.ensure().fault(&meeting.armed(Point::IncumbentRelieved)).run().expect(0);
    idle(fixture.offer("2.0.0").line("bake = \"2s\"")).write();
    let newer = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_ne!(answer::pid(&newer), answer::pid(&first));
    let met = meeting.meet();
    let host = processes::host(&newer);
    assert!(stays(&host), "its incumbent could still come back: {}", fixture.sandbox.story());
    met.release();
    processes::await_end(&host);
    assert_eq!(fixture.status().json()["last_end"]["how"], Value::from("idle"));
}

#[test]
fn a_host_that_waits_for_its_deadline_is_woken_by_nothing_else() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").line("idle_timeout = \"1h\"").write();
    let (_, host) = started(&fixture);
    fixture.settled();
    let before = control_switches(&host);
    assert!(stays(&host));
    assert_eq!(control_switches(&host), before, "the thread that answers has slept");
    fixture.stop().run().expect(0);
}

/// How often the thread that answers has gone to sleep.
fn control_switches(host: &ProcessHandle) -> Option<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", host.pid())).expect("it lives");
    let status = tasks.flatten().find_map(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        status.lines().next()?.contains("tenure-control").then_some(status)
    })?;
    status.lines().find(|line| line.starts_with("voluntary")).map(str::to_owned)
}
