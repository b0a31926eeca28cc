//! What a drain ends, what it waits for, and what clients and programs see of it.

use super::*;

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
    assert_eq!(proxy.drain(&within(talk::SILENT * 2)), DrainRemainder { open: 1 });
    assert_eq!((rest(&quiet), rest(&silent)), (vec![], vec![]));
    say(asked, b"!");
    assert_eq!(heard(&active, 1), b"!");
    assert_eq!(proxy.drain(&within(LONG)), DrainRemainder { open: 0 });
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
fn draining(proxy: &Arc<Proxy>, public: SocketAddr, program: &TcpListener) -> JoinHandle<DrainRemainder> {
    let kept = answered(public, program);
    proxy.pause();
    let proxy = Arc::clone(proxy);
    let drain = std::thread::spawn(move || proxy.drain(&within(LONG)));
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
    assert_eq!(
        drain.join().expect("it ends"),
        DrainRemainder { open: 0 },
        "one that waited out its time leaves some"
    );
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
    assert_eq!(
        drain.join().expect("it ends"),
        DrainRemainder { open: 0 },
        "one that waited out its time leaves some"
    );
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
    assert_eq!(drain.join().expect("it ends"), DrainRemainder { open: 2 });
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
        assert_eq!(drain.join().expect("it ends"), DrainRemainder { open: 0 });
    }
}

/// Lets time pass on a connection on which nobody speaks.
fn pass(stream: &TcpStream, time: Duration) {
    use std::os::fd::AsFd;
    use tenure_sys::poll::{Interest, Readiness, wait};
    let heard = wait(&mut [Interest::new(stream.as_fd(), Readiness::Read)], Some(time)).expect("a wait");
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
    assert_eq!(drain.join().expect("it ends"), DrainRemainder { open: 0 });
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
    assert_eq!(drain.join().expect("it ends"), DrainRemainder { open: 0 });
}

#[test]
fn a_drain_of_nobody_is_over_at_once_and_a_cut_ends_the_rest() {
    let (proxy, public, program) = proxied();
    assert_eq!(proxy.drain(&within(LONG)), DrainRemainder { open: 0 });
    let mut client = client(public);
    let served = accept(&program);
    say(&client, b"?");
    assert_eq!(heard(&served, 1), b"?");
    proxy.pause();
    assert_eq!(proxy.drain(&within(Duration::ZERO)), DrainRemainder { open: 1 });
    assert_eq!(proxy.cut(), 1);
    assert_eq!(client.read(&mut [0; 1]).expect_err("no end").kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.cut(), 0);
}
