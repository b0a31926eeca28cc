//! A live worker's control socket under everything that a peer can send: it answers all others in time, ends for nobody
//! who did not ask properly, and its memory stays bounded.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;
use tenure_core::deadline::monotonic;
use tenure_core::protocol::wire::{self, Answer, ControlRequest};
use tenure_test::fixtures::dice::Dice;
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::worker::{started, stop};

use crate::BINARIES;

/// Longest time that a HELLO may take while others misbehave, also on a machine that is busy with other tests: past it a
/// launcher would call the worker wedged.
const IN_TIME: Duration = tenure_core::policy::decide::SILENT_IS_WEDGED;

fn connect(sandbox: &Sandbox) -> UnixStream {
    let stream = UnixStream::connect(sandbox.scope("w").join("control.sock")).expect("a worker listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    stream
}

/// The worker answers a newcomer, in time, and is the same as ever.
#[expect(clippy::panic, reason = "another answer is a failed test")]
fn answers(sandbox: &Sandbox, pid: u32) {
    let began = monotonic();
    let mut stream = connect(sandbox);
    wire::write(&mut stream, &ControlRequest::Hello { look: false }).expect("it takes a request");
    let Answer::Hello(hello) = wire::read(&mut stream).expect("it answers") else {
        panic!("HELLO is answered with HELLO")
    };
    let took = monotonic().saturating_sub(began);
    assert!(took < IN_TIME, "it took {took:?}");
    assert_eq!((hello.identity.pid, hello.draining), (pid, false));
}

/// Resident memory in KiB.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Sends bytes and reads until the worker closes or answers; both are fine.
fn send(sandbox: &Sandbox, bytes: &[u8]) {
    let mut stream = connect(sandbox);
    drop(stream.write_all(bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write)));
    drop(stream.read_to_end(&mut Vec::new()));
}

#[test]
fn random_bytes_and_mutated_frames_change_nothing() {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = started(&sandbox);
    let mut dice = Dice::new(7);
    let frame = wire::encode(&ControlRequest::Hello { look: false }).expect("encodes");
    for round in 0..2000 {
        let length = dice.below(300);
        let mut bytes: Vec<u8> =
            (0..length).map(|_| u8::try_from(dice.below(256)).expect("a byte")).collect();
        if round % 2 == 0 {
            bytes.clone_from(&frame);
            for _ in 0..=dice.below(3) {
                let at = dice.below(bytes.len());
                bytes[at] = u8::try_from(dice.below(256)).expect("a byte");
            }
        }
        send(&sandbox, &bytes);
        if round % 100 == 0 {
            answers(&sandbox, pid);
        }
    }
    answers(&sandbox, pid);
    stop(&sandbox).expect(0);
}

#[test]
fn what_is_no_request_is_refused_and_the_next_one_answered() {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = started(&sandbox);
    let mut stream = connect(&sandbox);
    let strange = [
        json!({}),
        json!(7),
        json!({"op": "format_disk"}),
        json!({"op": "stop"}),
        json!({"op": "stop", "reason": 3, "deadline_ms": "soon", "by": []}),
        json!({"op": "stop", "reason": "r", "deadline_ms": -1, "by": {}}),
        json!({"op": "wait", "until": "never", "within_ms": 1}),
        json!(["format_disk"]),
    ];
    for request in &strange {
        wire::write(&mut stream, request).expect("it takes a frame");
        let answer: Answer = wire::read(&mut stream).expect("it answers");
        assert!(matches!(answer, Answer::Refused { .. }), "{request}: {answer:?}");
    }
    // A field of a newer version is no reason to refuse.
    wire::write(&mut stream, &json!({"op": "hello", "new_field": {"a": [1]}})).expect("it takes a frame");
    assert!(matches!(wire::read(&mut stream).expect("it answers"), Answer::Hello(_)));
    answers(&sandbox, pid);
    stop(&sandbox).expect(0);
}

#[test]
fn a_frame_that_announces_too_much_is_closed_and_costs_no_memory() {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = started(&sandbox);
    let before = memory(pid);
    for length in [u32::MAX, wire::LONGEST_FRAME, wire::LONGEST_FRAME + 1, 64 * 1024 + 1, 1 << 31] {
        for _ in 0..50 {
            let mut stream = connect(&sandbox);
            let [a, b, c, d] = length.to_be_bytes();
            drop(stream.write_all(&[1, a, b, c, d]));
            assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "{length}: it is closed unanswered");
        }
    }
    answers(&sandbox, pid);
    assert!(memory(pid) < before + 4 * 1024, "{before} KiB became {} KiB", memory(pid));
    stop(&sandbox).expect(0);
}

#[test]
fn three_hundred_peers_with_half_a_frame_keep_nobody_waiting() {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = started(&sandbox);
    let before = memory(pid);
    let mut half = vec![1, 0, 0, 0xff, 0xff];
    half.extend(vec![b' '; 60_000]);
    let mut open = Vec::new();
    for index in 0..300 {
        let mut stream = connect(&sandbox);
        // Some give one byte, some almost all that they announced.
        let bytes = if index % 3 == 0 { &half[..1] } else { &half[..] };
        drop(stream.write_all(bytes));
        open.push(stream);
        if index % 50 == 0 {
            answers(&sandbox, pid);
        }
    }
    answers(&sandbox, pid);
    let bound = 300 * 64 + 8 * 1024;
    assert!(memory(pid) < before + bound, "{before} KiB became {} KiB", memory(pid));
    drop(open);
    answers(&sandbox, pid);
    stop(&sandbox).expect(0);
}

#[test]
fn peers_that_ask_and_never_read_keep_nobody_waiting() {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = started(&sandbox);
    let before = memory(pid);
    let frame = wire::encode(&ControlRequest::Hello { look: false }).expect("encodes");
    let many = frame.repeat(20);
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut stream = connect(&sandbox);
        stream.set_nonblocking(true).expect("a socket can be");
        drop(stream.write(&many));
        open.push(stream);
    }
    answers(&sandbox, pid);
    let bound = 100 * 64 + 8 * 1024;
    assert!(memory(pid) < before + bound, "{before} KiB became {} KiB", memory(pid));
    drop(open);
    stop(&sandbox).expect(0);
}

#[test]
fn thousands_of_connections_that_come_and_go_leave_nothing() {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = started(&sandbox);
    let descriptors = || fs::read_dir(format!("/proc/{pid}/fd")).expect("ours").count();
    answers(&sandbox, pid);
    let (before, open) = (memory(pid), descriptors());
    for _ in 0..5000 {
        drop(connect(&sandbox));
    }
    for _ in 0..200 {
        answers(&sandbox, pid);
    }
    assert!(memory(pid) < before + 4 * 1024, "{before} KiB became {} KiB", memory(pid));
    assert!(descriptors() <= open + 2, "{open} descriptors became {}", descriptors());
    stop(&sandbox).expect(0);
}

#[test]
fn a_wait_without_end_and_a_peer_that_leaves_it_are_no_burden() {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = started(&sandbox);
    let mut open = Vec::new();
    for within_ms in [0, 1, u64::MAX, u64::MAX / 2] {
        for generation in [0, u64::MAX] {
            let mut stream = connect(&sandbox);
            let until = wire::Until::GenerationAbove(generation);
            wire::write(&mut stream, &ControlRequest::Wait { until, within_ms, proved: false })
                .expect("it takes a request");
            open.push(stream);
        }
    }
    answers(&sandbox, pid);
    open.truncate(4);
    answers(&sandbox, pid);
    stop(&sandbox).expect(0);
}
