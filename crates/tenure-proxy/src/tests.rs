//! Clients and programs of the test itself, over real sockets of the loopback.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;

mod drain;
mod local;

/// Longer than anything takes here; reached only where something is broken.
const LONG: Duration = Duration::from_secs(30);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A paused proxy with one listener, and where it listens.
fn paused() -> (Proxy, SocketAddr) {
    let (listener, address) = listener();
    (Proxy::start(vec![("http".to_owned(), listener)]).expect("a thread"), address)
}

fn open(proxy: &Proxy, program: SocketAddr) -> Receiver<String> {
    let (told, refused) = mpsc::channel();
    let upstreams = vec![("http".to_owned(), program)];
    proxy.open(upstreams, |_| false, move |name| drop(told.send(name.to_owned())));
    refused
}

/// An open proxy before a program, which is the listener that comes with it.
fn proxied() -> (Proxy, SocketAddr, TcpListener) {
    let (program, private) = listener();
    let (proxy, public) = paused();
    open(&proxy, private);
    (proxy, public, program)
}

fn client(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("nobody is refused");
    stream.set_read_timeout(Some(LONG)).expect("an option");
    stream
}

fn accept(program: &TcpListener) -> TcpStream {
    let (stream, _) = program.accept().expect("a relay");
    stream.set_read_timeout(Some(LONG)).expect("an option");
    stream
}

fn say(mut to: &TcpStream, words: &[u8]) {
    to.write_all(words).expect("room");
}

fn heard(mut from: &TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    from.read_exact(&mut bytes).expect("as many bytes");
    bytes
}

fn rest(mut from: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("an end that is no reset");
    bytes
}

/// Answers each of so many clients with what it says.
fn echo(program: TcpListener, clients: usize) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for _ in 0..clients {
            let stream = accept(&program);
            say(&stream, &rest(&stream));
        }
    })
}

fn within(limit: Duration) -> Deadline {
    Deadline::start(limit)
}

#[test]
fn bytes_go_both_ways_and_each_end_is_passed_on() {
    let (_proxy, public, program) = proxied();
    let client = client(public);
    let served = accept(&program);
    say(&client, b"ask");
    assert_eq!(heard(&served, 3), b"ask");
    say(&served, b"answer");
    assert_eq!(heard(&client, 6), b"answer");
    client.shutdown(Shutdown::Write).expect("half");
    assert_eq!(rest(&served), b"");
    // The other half goes on.
    say(&served, b"more");
    assert_eq!(heard(&client, 4), b"more");
    drop(served);
    assert_eq!(rest(&client), b"");
}

#[test]
fn a_program_that_ends_its_half_first_still_hears() {
    let (_proxy, public, program) = proxied();
    let client = client(public);
    let served = accept(&program);
    served.shutdown(Shutdown::Write).expect("half");
    assert_eq!(rest(&client), b"");
    say(&client, b"late");
    client.shutdown(Shutdown::Write).expect("half");
    assert_eq!(rest(&served), b"late");
}

#[test]
fn a_slow_reader_slows_the_writer_and_loses_nothing() {
    let (_proxy, public, program) = proxied();
    let client = client(public);
    let served = accept(&program);
    served.set_nonblocking(true).expect("an option");
    // Until nothing moves any more: what is under way is bounded by the windows of the kernel.
    let chunk: Vec<u8> = (0..=250_u8).cycle().take(1 << 16).collect();
    let mut sent = Vec::new();
    loop {
        match (&served).write(&chunk) {
            Ok(count) => sent.extend_from_slice(&chunk[..count]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                if !room_within(&served, Duration::from_millis(200)) {
                    break;
                }
            }
        }
    }
    assert!(sent.len() < 64 << 20, "{} bytes are under way", sent.len());
    let reader = std::thread::spawn(move || rest(&client));
    served.set_nonblocking(false).expect("an option");
    say(&served, b"the end");
    drop(served);
    sent.extend_from_slice(b"the end");
    assert!(reader.join().expect("read") == sent, "other bytes arrived");
}

fn room_within(stream: &TcpStream, limit: Duration) -> bool {
    use std::os::fd::AsFd;
    use tenure_sys::poll::{Interest, Readiness, wait};
    wait(&mut [Interest::new(stream.as_fd(), Readiness::Write)], Some(limit)).expect("a wait") > 0
}

#[test]
fn a_large_body_passes_whole_and_in_order() {
    let (_proxy, public, program) = proxied();
    let served = echo(program, 1);
    let client = client(public);
    let body: Vec<u8> = (0..=250_u8).cycle().take(20 << 20).collect();
    let (writer, sent) = (client.try_clone().expect("a handle"), body.clone());
    let writer = std::thread::spawn(move || {
        say(&writer, &sent);
        writer.shutdown(Shutdown::Write).expect("half");
    });
    assert!(rest(&client) == body, "other bytes came back");
    writer.join().expect("written");
    served.join().expect("served");
}

#[test]
fn many_clients_are_served_beside_each_other() {
    let (_proxy, public, program) = proxied();
    let clients: Vec<TcpStream> = (0..200).map(|_| client(public)).collect();
    let served: Vec<TcpStream> = clients.iter().map(|_| accept(&program)).collect();
    for (client, number) in clients.iter().zip(0_u32..) {
        say(client, &number.to_ne_bytes());
    }
    for served in &served {
        let said = heard(served, 4);
        say(served, &said);
    }
    for (client, number) in clients.iter().zip(0_u32..) {
        assert_eq!(heard(client, 4), number.to_ne_bytes());
    }
}

#[test]
fn a_stream_that_breaks_does_not_look_like_one_that_ended() {
    use std::os::fd::AsFd;
    let (_proxy, public, program) = proxied();
    let mut client = client(public);
    let served = accept(&program);
    say(&served, b"half of");
    assert_eq!(heard(&client, 7), b"half of");
    tenure_sys::socket::reset_at_close(served.as_fd()).expect("an option");
    drop(served);
    let error = client.read(&mut [0; 8]).expect_err("no end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn clients_of_a_paused_proxy_wait_and_are_served_when_it_opens() {
    let (proxy, public) = paused();
    let early = client(public);
    say(&early, b"early");
    let (program, private) = listener();
    assert!(!proxy.is_open());
    open(&proxy, private);
    assert!(proxy.is_open());
    assert_eq!(heard(&accept(&program), 5), b"early");
    proxy.pause();
    let late = client(public);
    say(&late, b"late");
    // Nobody is taken in: nothing arrives at the program.
    program.set_nonblocking(true).expect("an option");
    assert_eq!(program.accept().expect_err("nobody").kind(), ErrorKind::WouldBlock);
    let (next, private) = listener();
    open(&proxy, private);
    assert_eq!(heard(&accept(&next), 4), b"late");
}

#[test]
fn a_client_whose_program_refuses_waits_for_the_next_one() {
    let (program, private) = listener();
    drop(program);
    let (proxy, public) = paused();
    let refused = open(&proxy, private);
    let first = client(public);
    say(&first, b"first");
    assert_eq!(refused.recv_timeout(LONG), Ok("http".to_owned()));
    // The listener is paused by itself: this one waits in its queue.
    let second = client(public);
    say(&second, b"other");
    let (program, private) = listener();
    let refused = open(&proxy, private);
    assert_eq!(heard(&accept(&program), 5), b"first");
    assert_eq!(heard(&accept(&program), 5), b"other");
    assert!(refused.try_recv().is_err());
}

#[test]
fn clients_of_a_program_that_is_gone_stay_in_the_queue_for_another_process() {
    let (program, private) = listener();
    drop(program);
    let (proxy, public) = paused();
    let clients: Vec<TcpStream> = (0..20).map(|_| client(public)).collect();
    for client in &clients {
        say(client, b"?");
    }
    let refused = open(&proxy, private);
    assert_eq!(refused.recv_timeout(LONG), Ok("http".to_owned()));
    let listeners = proxy.listeners().expect("handles").into_iter();
    drop(proxy);
    let listeners = listeners.map(|(name, fd)| (name, TcpListener::from(fd))).collect();
    let successor = Proxy::start(listeners).expect("a thread");
    let (program, private) = listener();
    open(&successor, private);
    // All but the one by whom it was found out.
    let served: Vec<TcpStream> = (0..19).map(|_| accept(&program)).collect();
    for served in &served {
        assert_eq!(heard(served, 1), b"?");
        say(served, b"!");
    }
    let answered = |mut client: &TcpStream| client.read(&mut [0]).is_ok_and(|count| count == 1);
    assert_eq!(clients.iter().filter(|client| answered(client)).count(), 19);
}

#[test]
fn a_client_that_goes_away_while_it_waits_is_forgotten() {
    let (program, private) = listener();
    drop(program);
    let (proxy, public) = paused();
    let refused = open(&proxy, private);
    let gone = client(public);
    assert_eq!(refused.recv_timeout(LONG), Ok("http".to_owned()));
    tenure_sys::socket::reset_at_close(std::os::fd::AsFd::as_fd(&gone)).expect("an option");
    drop(gone);
    let (program, private) = listener();
    open(&proxy, private);
    let next = client(public);
    say(&next, b"next");
    // The thread may open before it hears of the client that is gone, and then finds nobody to relay for.
    let served =
        (0..2).map(|_| accept(&program)).find(|served| served.peek(&mut [0]).is_ok_and(|count| count > 0));
    let served = served.expect("the one who is there");
    assert_eq!(heard(&served, 4), b"next");
    drop((next, served));
    proxy.pause();
    assert_eq!(proxy.drain(&within(LONG)), DrainRemainder { open: 0 });
}

#[test]
fn the_listeners_outlive_the_proxy_in_other_hands() {
    let (proxy, public) = paused();
    let waiting = client(public);
    let mut handed = proxy.listeners().expect("handles");
    drop(proxy);
    let (name, fd) = handed.remove(0);
    assert_eq!(name, "http");
    let successor = Proxy::start(vec![(name, TcpListener::from(fd))]).expect("a thread");
    let (program, private) = listener();
    open(&successor, private);
    say(&waiting, b"still here");
    assert_eq!(heard(&accept(&program), 10), b"still here");
}

#[test]
fn the_time_of_the_last_client_is_told() {
    let (proxy, public, program) = proxied();
    assert_eq!(proxy.last_use(), None);
    let before = Duration::from_millis(tenure_core::deadline::millis(monotonic()));
    let client = client(public);
    let served = accept(&program);
    let came = proxy.last_use().expect("a client came");
    assert!(came >= before, "{came:?} {before:?}");
    drop((client, served));
    proxy.pause();
    assert_eq!(proxy.drain(&within(LONG)).open, 0);
    assert!(proxy.last_use().expect("it went") >= came);
}
