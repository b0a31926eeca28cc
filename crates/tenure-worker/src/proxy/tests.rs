//! Clients and programs of the test itself, over real sockets of the loopback.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;

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
    proxy.open(vec![("http".to_owned(), program)], move |name| drop(told.send(name.to_owned())));
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
    use tenure_sys::poll::{Interest, Want, wait};
    wait(&mut [Interest::new(stream.as_fd(), Want::Write)], Some(limit)).expect("a wait") > 0
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
    assert_eq!(proxy.drain(&within(LONG)), Left { open: 0 });
}

#[test]
fn a_drain_ends_what_is_quiet_and_waits_for_what_is_not() {
    let (proxy, public, program) = proxied();
    let (quiet, silent, active) = (client(public), client(public), client(public));
    let served: Vec<TcpStream> = (0..3).map(|_| accept(&program)).collect();
    let (answered, asked) = (&served[0], &served[2]);
    say(&quiet, b"?");
    assert_eq!(heard(answered, 1), b"?");
    say(answered, b"!");
    assert_eq!(heard(&quiet, 1), b"!");
    say(&active, b"?");
    assert_eq!(heard(asked, 1), b"?");
    proxy.pause();
    assert_eq!(proxy.drain(&within(talk::SILENT * 2)), Left { open: 1 });
    assert_eq!((rest(&quiet), rest(&silent)), (vec![], vec![]));
    say(asked, b"!");
    assert_eq!(heard(&active, 1), b"!");
    assert_eq!(proxy.drain(&within(LONG)), Left { open: 0 });
    assert_eq!(rest(&active), b"");
}

/// A relay over which one request was answered.
fn answered(public: SocketAddr, program: &TcpListener) -> (TcpStream, TcpStream) {
    let pair = (client(public), accept(program));
    asks(&pair);
    answers(&pair);
    pair
}

fn asks((client, served): &(TcpStream, TcpStream)) {
    say(client, b"?");
    assert_eq!(heard(served, 1), b"?");
}

fn answers((client, served): &(TcpStream, TcpStream)) {
    say(served, b"!");
    assert_eq!(heard(client, 1), b"!");
}

/// Drains on a thread; returns once that has begun, which a connection that is kept for later is ended by.
fn draining(proxy: &Arc<Proxy>, public: SocketAddr, program: &TcpListener) -> JoinHandle<(Left, Duration)> {
    let kept = answered(public, program);
    proxy.pause();
    let proxy = Arc::clone(proxy);
    let drain = std::thread::spawn(move || {
        let began = monotonic();
        let left = proxy.drain(&within(LONG));
        (left, monotonic().saturating_sub(began))
    });
    assert_eq!((rest(&kept.0), rest(&kept.1)), (vec![], vec![]));
    drain
}

#[test]
fn a_client_that_asks_back_to_back_is_answered_once_more_and_no_further() {
    let (proxy, public, program) = proxied();
    let proxy = Arc::new(proxy);
    let busy = answered(public, &program);
    asks(&busy);
    let drain = draining(&proxy, public, &program);
    answers(&busy);
    say(&busy.0, b"again");
    // It is kept back, and told by an end that it can ask somebody else.
    assert_eq!((rest(&busy.1), rest(&busy.0)), (vec![], vec![]));
    let (left, took) = drain.join().expect("it ends");
    assert_eq!(left, Left { open: 0 });
    assert!(took < Duration::from_secs(2), "{took:?}");
    // What it says after that is thrown away, and no reset is the answer.
    say(&busy.0, &vec![0; 1 << 20]);
    assert_eq!(rest(&busy.0), b"");
}

#[test]
fn a_drain_ends_under_clients_that_never_pause() {
    let (proxy, public, program) = proxied();
    let proxy = Arc::new(proxy);
    let clients: Vec<JoinHandle<u32>> = (0..4)
        .map(|_| {
            let mut client = client(public);
            let mut served = accept(&program);
            std::thread::spawn(move || {
                while matches!(served.read(&mut [0]), Ok(1)) {
                    say(&served, b"!");
                }
            });
            std::thread::spawn(move || {
                for count in 0.. {
                    // An end, and no reset, is what a client finds that speaks or listens then.
                    say(&client, b"?");
                    if client.read(&mut [0]).expect("no reset") == 0 {
                        return count;
                    }
                }
                0
            })
        })
        .collect();
    let drain = draining(&proxy, public, &program);
    let (left, took) = drain.join().expect("it ends");
    assert_eq!(left, Left { open: 0 });
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(clients.into_iter().all(|client| client.join().expect("it ends well") > 0));
}

#[test]
fn what_was_kept_back_is_passed_on_where_the_program_stays() {
    let (proxy, public, program) = proxied();
    let proxy = Arc::new(proxy);
    let (busy, other) = (answered(public, &program), answered(public, &program));
    asks(&busy);
    asks(&other);
    let drain = draining(&proxy, public, &program);
    // A drain of which nobody is left ends; so does one that is called off.
    answers(&other);
    say(&other.0, b"?");
    open(&proxy, program.local_addr().expect("an address"));
    assert_eq!(drain.join().expect("it ends").0, Left { open: 2 });
    assert_eq!(heard(&other.1, 1), b"?");
    answers(&other);
    answers(&busy);
    asks(&busy);
}

#[test]
fn an_answer_that_comes_in_pieces_is_not_cut() {
    for (before, pause) in [(0, 100), (2, 300)] {
        let (proxy, public, program) = proxied();
        let proxy = Arc::new(proxy);
        let stream = answered(public, &program);
        asks(&stream);
        // How it pauses is seen before, where it does so for long.
        let piece = || {
            answers(&stream);
            pass(&stream.1, Duration::from_millis(pause));
        };
        (0..before).for_each(|_| piece());
        let drain = draining(&proxy, public, &program);
        (0..5).for_each(|_| piece());
        answers(&stream);
        let (client, served) = stream;
        drop(served);
        assert_eq!(rest(&client), b"");
        drop(client);
        assert_eq!(drain.join().expect("it ends").0, Left { open: 0 });
    }
}

/// Lets time pass on a connection on which nobody speaks.
fn pass(stream: &TcpStream, time: Duration) {
    use std::os::fd::AsFd;
    use tenure_sys::poll::{Interest, Want, wait};
    let heard = wait(&mut [Interest::new(stream.as_fd(), Want::Read)], Some(time)).expect("a wait");
    assert_eq!(heard, 0, "somebody speaks");
}

#[test]
fn a_request_that_is_under_way_goes_on_to_the_program_while_it_is_drained() {
    let (proxy, public, program) = proxied();
    let proxy = Arc::new(proxy);
    let upload = (client(public), accept(&program));
    asks(&upload);
    let drain = draining(&proxy, public, &program);
    // Longer than any silence after an answer.
    pass(&upload.1, talk::ANSWERED * 2);
    asks(&upload);
    answers(&upload);
    assert_eq!(rest(&upload.1), b"");
    assert_eq!(drain.join().expect("it ends").0, Left { open: 0 });
}

#[test]
fn a_client_that_ends_after_its_answer_is_not_waited_for() {
    let (proxy, public, program) = proxied();
    let proxy = Arc::new(proxy);
    let last = answered(public, &program);
    asks(&last);
    let drain = draining(&proxy, public, &program);
    answers(&last);
    // Its end is passed on at once, though nothing that it says would be.
    last.0.shutdown(Shutdown::Write).expect("half");
    assert_eq!(rest(&last.1), b"");
    say(&last.1, b"bye");
    drop(last.1);
    assert_eq!(rest(&last.0), b"bye");
    assert_eq!(drain.join().expect("it ends").0, Left { open: 0 });
}

#[test]
fn a_drain_of_nobody_is_over_at_once_and_a_cut_ends_the_rest() {
    let (proxy, public, program) = proxied();
    assert_eq!(proxy.drain(&within(LONG)), Left { open: 0 });
    let mut client = client(public);
    let served = accept(&program);
    say(&client, b"?");
    assert_eq!(heard(&served, 1), b"?");
    proxy.pause();
    assert_eq!(proxy.drain(&within(Duration::ZERO)), Left { open: 1 });
    assert_eq!(proxy.cut(), 1);
    assert_eq!(client.read(&mut [0; 1]).expect_err("no end").kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.cut(), 0);
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
