//! Checks against listeners of the test itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_sys::wake::Waker;

use crate::host::command::Command;

use super::http::HttpCheck;
use super::*;

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn http(address: SocketAddr) -> HttpCheck {
    HttpCheck { target: CheckTarget { address, tree: None }, path: "/readyz".into() }
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
    Command { words, cwd: "/".into(), variables, umask: 0o022 }
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
    assert_eq!(heard.recv(), Ok(CheckResult::Passed));
    drop(inquiry.expect("a thread"));
    assert_eq!(server.join().expect("served"), ["GET /readyz HTTP/1.1", "GET /readyz HTTP/1.1"]);
}

#[test]
fn an_answer_that_is_no_success_is_told() {
    let (listener, address) = listener();
    let server = serve(listener, &["HTTP/1.1 500 Broken\r\n\r\n", "nonsense"]);
    assert_eq!(asked(&http(address), LONG), CheckResult::Failed("GET /readyz was answered with 500".into()));
    assert!(matches!(asked(&http(address), LONG), CheckResult::Failed(_)));
    server.join().expect("served");
    assert!(matches!(asked(&http(address), LONG), CheckResult::Failed(why) if why.contains("refused")));
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
    assert_eq!(finding, CheckResult::Failed("GET /readyz: no answer in time".into()));
}

#[test]
fn a_stranger_on_the_port_is_named_and_not_believed() {
    let (_listener, address) = listener();
    let own = std::process::id();
    let tcp = |tree| asked(&TcpCheck(CheckTarget { address, tree: Some(tree) }), LONG);
    assert_eq!(tcp(own), CheckResult::Passed);
    // Nothing descends from a number that no process can have.
    let CheckResult::Hopeless(why) = tcp(u32::MAX) else { panic!("a stranger was believed") };
    assert!(why.contains(&format!("pid {own} (")), "{why}");
}

#[test]
fn a_command_passes_by_its_exit_status() {
    assert_eq!(asked(&exec(&["true"]), LONG), CheckResult::Passed);
    let failed = CheckResult::Failed("`sh -c exit 7` ended with exit status 7".into());
    assert_eq!(asked(&exec(&["sh", "-c", "exit 7"]), LONG), failed);
    for missing in [&["no-such-program"][..], &["/etc/passwd"]] {
        let finding = asked(&exec(missing), LONG);
        assert!(matches!(&finding, CheckResult::Hopeless(why) if why.contains(missing[0])), "{finding:?}");
    }
}

#[test]
fn a_command_that_takes_too_long_is_ended_with_what_it_started() {
    let (read, write) = tenure_sys::pipe::pipe().expect("a pipe");
    let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&write));
    // Both hold the pipe open: its end is the proof that they are gone.
    let script = format!("exec 9>{path}; sleep 1000 & sleep 1000");
    let finding = asked(&exec(&["sh", "-c", &script]), Duration::from_millis(50));
    assert_eq!(finding, CheckResult::Failed(format!("`sh -c {script}` did not end in time")));
    drop(write);
    let mut rest = Vec::new();
    std::fs::File::from(read).read_to_end(&mut rest).expect("the end");
    assert!(rest.is_empty());
}
