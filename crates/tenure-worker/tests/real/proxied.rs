//! What holds for a program behind a proxy, one behaviour each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tenure_core::protocol::wire::Hello;
use tenure_core::spec::amount::Span;
use tenure_core::spec::{Health, Listen, Ready, Spec, TcpCheck, Upstream};
use tenure_core::{Ensured, Request};
use tenure_sys::process::{self, ProcessHandle, Verified};

use crate::kit::{Case, LONG, cases, end, events, gone, happened, scope, stop};

cases!(
    a_program_behind_a_proxy_is_told_its_port_and_gets_no_listener,
    a_program_that_is_killed_behind_its_proxy_refuses_nobody,
    a_stop_lets_a_program_finish_what_it_has_begun,
    a_stop_closes_connections_that_are_kept_for_later,
    a_program_with_a_private_address_of_its_own_is_relayed_to,
    a_stranger_on_the_private_address_is_named_and_gets_nobody,
    a_program_that_gives_up_its_listener_for_a_while_refuses_nobody,
    a_program_whose_health_fails_behind_its_proxy_is_started_again,
);

/// This test's own program in one of its modes, behind a proxy.
fn proxied(words: &[&str], to: Upstream) -> Spec {
    let own = std::env::current_exe().expect("a program has a path").display().to_string();
    let words = [own, "program".to_owned()].into_iter().chain(words.iter().map(|&word| word.to_owned()));
    let mut spec = Spec::of_command(words.collect(), "/".into());
    let tcp = "127.0.0.1:0".parse().expect("an address");
    spec.listen = vec![Listen::proxy("http", tcp, to)];
    spec.restart.backoff = tenure_core::spec::Backoff::new(Span::millis(1), Span::secs(30));
    spec
}

fn told() -> Upstream {
    Upstream::Port("PORT".into())
}

fn serving(spec: &Spec) -> Hello {
    let host = std::env::current_exe().expect("a program has a path");
    let order = Request::new(scope(), spec.clone()).expect("a good spec").budget(LONG).host(host);
    match tenure_core::ensure(&order) {
        Ok(Ensured::Serving(_, up)) => up.hello,
        other => panic!("it does not serve: {other:?}"),
    }
}

fn program(hello: &Hello) -> ProcessHandle {
    let identity = hello.program.as_ref().and_then(|program| program.identity.as_ref());
    let verified = process::verify(identity.expect("it runs"));
    let Verified::Same(handle) = verified else { panic!("the program cannot be verified: {verified:?}") };
    handle
}

fn public(hello: &Hello) -> SocketAddr {
    hello.endpoints[0].address.tcp().expect("a port")
}

fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LONG).expect("nobody is refused");
    stream.set_read_timeout(Some(LONG)).expect("an option");
    stream
}

/// The pid of the program that answers a new connection; an error where the program ended meanwhile.
fn answer(address: SocketAddr) -> std::io::Result<Option<u32>> {
    let mut stream = connected(address);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said.lines().last().and_then(|line| line.parse().ok()))
}

fn answered_by(hello: &Hello) -> u32 {
    answer(public(hello)).expect("an answer").expect("a pid")
}

fn a_program_behind_a_proxy_is_told_its_port_and_gets_no_listener() {
    // The program itself sees to it that it gets no descriptors.
    let first = serving(&proxied(&["port"], told()));
    assert_eq!(answered_by(&first), program(&first).pid());
    stop();
}

/// Clients that come one after the other until they are told to end: how many were answered, and how many broke.
fn clients(address: SocketAddr, over: &Arc<AtomicBool>) -> JoinHandle<(u32, u32)> {
    let over = Arc::clone(over);
    std::thread::spawn(move || {
        let (mut answered, mut broken) = (0, 0);
        while !over.load(Ordering::Acquire) {
            match answer(address) {
                Ok(Some(_)) => answered += 1,
                Ok(None) | Err(_) => broken += 1,
            }
        }
        (answered, broken)
    })
}

fn a_program_that_is_killed_behind_its_proxy_refuses_nobody() {
    let mut spec = proxied(&["port"], told());
    spec.restart.limit = 20;
    let first = serving(&spec);
    let over = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..4).map(|_| clients(public(&first), &over)).collect();
    let mut current = program(&first);
    for _ in 0..5 {
        let old = current.pid();
        end(&current);
        // Waits in the queue for the next one, and is never refused; only what the old one had in its hands can break.
        let new = loop {
            if let Ok(Some(pid)) = answer(public(&first))
                && pid != old
            {
                break pid;
            }
        };
        current = ProcessHandle::open(new).expect("it serves");
    }
    over.store(true, Ordering::Release);
    let counted: Vec<(u32, u32)> =
        threads.into_iter().map(|thread| thread.join().expect("nobody was refused")).collect();
    let broken: u32 = counted.iter().map(|(_, broken)| broken).sum();
    assert!(counted.iter().all(|(answered, _)| *answered > 0), "{counted:?}");
    // One each, at most, for each of the kills.
    assert!(broken <= 20, "{counted:?}");
    stop();
}

fn a_stop_lets_a_program_finish_what_it_has_begun() {
    let spec = proxied(&["port", "slow"], told());
    let first = serving(&spec);
    let address = public(&first);
    let (mut begun, mut told) = (connected(address), String::new());
    begun.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("room");
    // The head comes at once, so the program has it in its hands; the rest half a second later, but in small pieces.
    begun.read_exact(&mut [0; 12]).expect("a status");
    let client = std::thread::spawn(move || begun.read_to_string(&mut told).map(|_| told));
    stop();
    let told = client.join().expect("it ends").expect("an end that is no reset");
    assert!(told.ends_with("over"), "{told:?}");
}

fn a_stop_closes_connections_that_are_kept_for_later() {
    let mut spec = proxied(&["port", "keeps"], told());
    // What a program in the middle of something would be given is longer than the stop may take.
    spec.drain_timeout = Span::secs(600);
    let first = serving(&spec);
    let mut kept = connected(public(&first));
    kept.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("room");
    kept.read_exact(&mut [0; 12]).expect("a status");
    stop();
    let mut rest = Vec::new();
    kept.read_to_end(&mut rest).expect("an end that is no reset");
}

fn a_free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

fn a_program_with_a_private_address_of_its_own_is_relayed_to() {
    let address = a_free_address();
    let first = serving(&proxied(&["self", &address.to_string()], Upstream::Address(address)));
    assert_ne!(public(&first), address);
    assert_eq!(answered_by(&first), program(&first).pid());
    stop();
}

fn a_stranger_on_the_private_address_is_named_and_gets_nobody() {
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = stranger.local_addr().expect("an address");
    let spec = proxied(&["self", &address.to_string()], Upstream::Address(address));
    let host = std::env::current_exe().expect("a program has a path");
    let order = Request::new(scope(), spec).expect("a good spec").budget(LONG).host(host);
    let error = tenure_core::ensure(&order).expect_err("the address is taken");
    assert!(format!("{error:?}").contains(&format!("pid {} (", std::process::id())), "{error:?}");
}

fn a_program_that_gives_up_its_listener_for_a_while_refuses_nobody() {
    let first = serving(&proxied(&["port", "rebinds"], told()));
    for _ in 0..50 {
        // It closes its listener after each answer, and opens it again.
        assert_eq!(answered_by(&first), program(&first).pid());
    }
    assert!(!happened("ProgramExited"), "{:?}", events());
    stop();
}

fn a_program_whose_health_fails_behind_its_proxy_is_started_again() {
    let mut spec = proxied(&["port", "sickens"], told());
    spec.ready = Some(Ready::Tcp(TcpCheck::default()));
    let mut health = Health::of(Ready::Http("/health".into()));
    (health.interval, health.failures) = (Span::millis(10), 2);
    spec.health = Some(health);
    let first = serving(&spec);
    gone(&program(&first));
    assert!(happened("Unhealthy: its health check failed 2 times in a row"), "{:?}", events());
    stop();
}
