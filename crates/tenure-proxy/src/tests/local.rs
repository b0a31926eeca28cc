//! Listeners and programs at a path: each side by itself, and both.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::*;
use std::os::fd::AsFd;

fn at(directory: &Path, name: &str) -> UnixListener {
    UnixListener::bind(directory.join(name)).expect("a free name")
}

fn reach(directory: &Path, name: &str) -> UnixStream {
    let stream = UnixStream::connect(directory.join(name)).expect("nobody is refused");
    stream.set_read_timeout(Some(LONG)).expect("an option");
    stream
}

/// What one side says is what the other hears, and so is its end.
fn talks<A, B>((client, served): (A, B), halve: impl Fn(&A))
where
    for<'a> &'a A: Read + Write,
    for<'b> &'b B: Read + Write,
    B: Sync,
{
    (&client).write_all(b"ask").expect("room");
    halve(&client);
    let mut asked = Vec::new();
    (&served).read_to_end(&mut asked).expect("an end");
    assert_eq!(asked, b"ask");
    // More than one turn and one buffer.
    let answer: Vec<u8> = (0..=250_u8).cycle().take(3 << 20).collect();
    let sent = answer.clone();
    let writer = std::thread::scope(|scope| {
        let served = &served;
        scope.spawn(move || (&*served).write_all(&sent).expect("it is read"));
        let mut heard = vec![0; answer.len()];
        (&client).read_exact(&mut heard).expect("all of it");
        heard
    });
    assert!(writer == answer, "every byte, in order");
    drop(served);
    assert_eq!((&client).read(&mut [0]).expect("an end"), 0);
}

#[test]
fn bytes_and_ends_pass_between_paths_and_ports() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path();
    let half = |client: &UnixStream| client.shutdown(Shutdown::Write).expect("half");

    let proxy = Proxy::start(vec![("http".to_owned(), at(directory, "public"))]).expect("a thread");
    let program = at(directory, "private");
    let told = vec![("http".to_owned(), directory.join("private"))];
    proxy.open(told, |_| false, |_| {});
    let client = reach(directory, "public");
    talks((client, program.accept().expect("a relay").0), half);

    let (tcp, private) = listener();
    proxy.open(vec![("http".to_owned(), private)], |_| false, |_| {});
    let client = reach(directory, "public");
    talks((client, accept(&tcp)), half);

    let (proxy, public) = paused();
    proxy.open(vec![("http".to_owned(), directory.join("private"))], |_| false, |_| {});
    let client = super::client(public);
    talks((client, program.accept().expect("a relay").0), |client| {
        client.shutdown(Shutdown::Write).expect("half");
    });
}

#[test]
fn clients_wait_while_nobody_listens_at_the_path_and_what_a_gone_client_said_is_passed_on() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path();
    let proxy = Proxy::start(vec![("http".to_owned(), at(directory, "public"))]).expect("a thread");
    let (told, refused) = mpsc::channel();
    let upstream = || vec![("http".to_owned(), directory.join("private"))];
    proxy.open(upstream(), |_| false, move |name| drop(told.send(name.to_owned())));
    let mut gone = reach(directory, "public");
    assert_eq!(refused.recv_timeout(LONG).as_deref(), Ok("http"));
    gone.write_all(b"note").expect("room");
    drop(gone);
    let mut client = reach(directory, "public");
    client.write_all(b"ask").expect("room");

    let program = at(directory, "private");
    proxy.open(upstream(), |_| false, |_| {});
    for words in [&b"note"[..], b"ask"] {
        let (mut served, _) = program.accept().expect("a relay");
        let mut heard = vec![0; words.len()];
        served.read_exact(&mut heard).expect("its words");
        assert_eq!(heard, words);
    }
}

#[test]
fn a_read_that_ends_before_a_passed_descriptor_loses_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path();
    let proxy = Proxy::start(vec![("http".to_owned(), at(directory, "public"))]).expect("a thread");
    let program = at(directory, "private");
    let client = reach(directory, "public");
    // They wait before the first read, which ends where the descriptor came.
    for words in [&b"one"[..], b"two", b"three"] {
        tenure_sys::socket::send(client.as_fd(), words, &[client.as_fd()]).expect("room");
    }
    proxy.open(vec![("http".to_owned(), directory.join("private"))], |_| false, |_| {});
    let (mut served, _) = program.accept().expect("a relay");
    served.set_read_timeout(Some(LONG)).expect("an option");
    let mut heard = vec![0; 11];
    served.read_exact(&mut heard).expect("all of it");
    assert_eq!(heard, b"onetwothree");
}
