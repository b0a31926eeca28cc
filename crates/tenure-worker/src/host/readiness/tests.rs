//! Checks against listeners of the test itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_sys::wake::Waker;

use crate::host::command::Command;

use super::http::HttpExchange;
use super::*;

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn http(address: SocketAddr) -> HttpExchange {
    HttpExchange::new(CheckTarget { address: address.into(), tree: None }, "/readyz".into())
}

/// The words of an answer that did not pass.
fn words(result: CheckResult) -> String {
    match result {
        CheckResult::Failed(answer) | CheckResult::Hopeless(answer) | CheckResult::Degraded(answer) => {
            answer.words
        }
        CheckResult::Passed => "passed".to_owned(),
    }
}

/// Answers one request with each of these.
fn serve(listener: TcpListener, answers: &'static [&'static str]) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let answer = |answer: &&str| {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0_u8; 512];
            let count = stream.read(&mut request).expect("a request");
            stream.write_all(answer.as_bytes()).expect("room");
            String::from_utf8_lossy(&request[..count]).lines().next().unwrap_or_default().to_owned()
        };
        answers.iter().map(answer).collect()
    })
}

fn exec(words: &[&str]) -> Command {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    let variables = vec![("PATH".into(), "/usr/bin:/bin".into())];
    Command { words, cwd: "/".into(), variables, umask: 0o022, nofile: 1024 }
}

fn asked(check: &dyn ProgramCheck, limit: Duration) -> CheckResult {
    check.ask(&Deadline::start(limit), &Waker::new().expect("a waker"))
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn readiness_is_asked_until_it_is_answered_well() {
    let (listener, address) = listener();
    let server = serve(listener, &["HTTP/1.1 503 Warming\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"]);
    let (told, heard) = mpsc::channel();
    let inquiry = Inquiry::until_answered(Box::new(http(address)), move |finding| drop(told.send(finding)));
    assert_eq!(words(heard.recv().expect("a result")), "was answered with 503");
    assert_eq!(heard.recv(), Ok(CheckResult::Passed));
    drop(inquiry.expect("a thread"));
    assert_eq!(server.join().expect("served"), ["GET /readyz HTTP/1.1", "GET /readyz HTTP/1.1"]);
}

#[test]
fn an_answer_that_is_no_success_is_told() {
    let (listener, address) = listener();
    let server = serve(listener, &["HTTP/1.1 500 Broken\r\n\r\n", "nonsense"]);
    let five_hundred = Answer::new(AnswerKind::Status(500), "was answered with 500");
    assert_eq!(asked(&http(address), LONG), CheckResult::Failed(five_hundred));
    assert_eq!(words(asked(&http(address), LONG)), "was not answered in HTTP, but with \"nonsense\"");
    server.join().expect("served");
    let refused = Answer::new(AnswerKind::Refused, "was refused: nobody listens there");
    assert_eq!(asked(&http(address), LONG), CheckResult::Failed(refused));
}

#[test]
fn a_question_that_waits_in_the_queue_is_called_off_at_once() {
    let (_listener, address) = listener();
    let inquiry = Inquiry::until_answered(Box::new(http(address)), drop).expect("a thread");
    // Joins: without the calling off this would take the whole time of an answer, again and again.
    drop(inquiry);
}

#[test]
fn no_answer_in_time_is_a_failure() {
    let (_listener, address) = listener();
    let finding = asked(&http(address), Duration::from_millis(5));
    assert_eq!(finding, CheckResult::Failed(Answer::new(AnswerKind::Silent, "was not answered in time")));
}

#[test]
fn a_stranger_on_the_port_is_named_and_not_believed() {
    let (_listener, address) = listener();
    let own = std::process::id();
    let tcp = |tree| asked(&TcpConnection(CheckTarget { address: address.into(), tree: Some(tree) }), LONG);
    assert_eq!(tcp(own), CheckResult::Passed);
    // Nothing descends from a number that no process can have.
    let CheckResult::Hopeless(answer) = tcp(u32::MAX) else { panic!("a stranger was believed") };
    let why = answer.words;
    assert!(why.contains(&format!("pid {own} (")), "{why}");
}

#[test]
fn a_command_passes_by_its_exit_status() {
    assert_eq!(asked(&exec(&["true"]), LONG), CheckResult::Passed);
    let failing = exec(&["sh", "-c", "echo asking; echo no response >&2; exit 7"]);
    assert_eq!(failing.target(), "`sh -c 'echo asking; echo no response >&2; exit 7'`");
    assert_eq!(words(asked(&failing, LONG)), "ended with exit status 7: no response");
    for missing in [&["no-such-program"][..], &["/etc/passwd"]] {
        let finding = asked(&exec(missing), LONG);
        assert!(
            matches!(&finding, CheckResult::Hopeless(answer) if answer.words.contains(missing[0])),
            "{finding:?}"
        );
    }
}

#[test]
fn a_command_that_takes_too_long_is_ended_with_what_it_started() {
    let (read, write) = tenure_sys::pipe::pipe().expect("a pipe");
    let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&write));
    // Both hold the pipe open: its end is the proof that they are gone.
    let script = format!("exec 9>{path}; sleep 1000 & sleep 1000");
    let finding = asked(&exec(&["sh", "-c", &script]), Duration::from_millis(50));
    assert_eq!(words(finding), "did not end in time");
    drop(write);
    let mut rest = Vec::new();
    std::fs::File::from(read).read_to_end(&mut rest).expect("the end");
    assert!(rest.is_empty());
}

#[test]
fn a_command_that_writes_more_than_a_pipe_holds_is_not_held_up() {
    let script = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo last words; exit 1";
    assert_eq!(words(asked(&exec(&["sh", "-c", script]), LONG)), "ended with exit status 1: last words");
}

#[test]
fn statuses_and_headers_are_those_of_the_description() {
    let (listener, address) = listener();
    let answers: &[&str] = &[
        "HTTP/1.1 401 No\r\n\r\n",
        "HTTP/1.1 503 Old\r\n\r\n",
        "HTTP/1.1 302 F\r\nLocation: /login\r\n\r\n",
    ];
    let server = serve(listener, answers);
    let mut check = tenure_core::spec::HttpCheck::from("/readyz");
    check.status = vec![401.into()];
    check.degraded = vec![503.into()];
    let check = HttpExchange::new(CheckTarget { address: address.into(), tree: None }, check);
    assert_eq!(asked(&check, LONG), CheckResult::Passed);
    let degraded = Answer::new(AnswerKind::Status(503), "was answered with 503");
    assert_eq!(asked(&check, LONG), CheckResult::Degraded(degraded));
    assert_eq!(words(asked(&check, LONG)), "was answered with 302, to /login");
    server.join().expect("served");
}

#[test]
fn tls_on_a_plain_check_is_told() {
    let (listener, address) = listener();
    // An alert of TLS is the answer to a request that is none.
    let server = serve(listener, &["\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{a}"]);
    let finding = asked(&http(address), LONG);
    assert_eq!(finding, CheckResult::Failed(Answer::new(AnswerKind::Tls, "was answered in TLS")));
    server.join().expect("served");
}
