//! Whether TLS is spoken at an address.

use std::io::{Read, Write};
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_core::spec::Address;

use super::tcp;

/// Longest wait for the answer to a greeting: a server on this machine answers at once, or not at all.
const GREETING: Duration = Duration::from_millis(500);

/// A `ClientHello` (RFC 8446, 4.1.2) that a server of TLS 1.2 or 1.3 answers, be it with an alert: the random is zero,
/// since nothing is kept secret.
fn greeting() -> Vec<u8> {
    // supported_versions, supported_groups (x25519, P-256), signature_algorithms, and a key_share without a key.
    let extensions: &[&[u8]] = &[
        &[0, 43, 0, 5, 4, 3, 4, 3, 3],
        &[0, 10, 0, 6, 0, 4, 0, 29, 0, 23],
        &[0, 13, 0, 10, 0, 8, 4, 3, 8, 4, 4, 1, 8, 7],
        &[0, 51, 0, 2, 0, 0],
    ];
    let extensions = extensions.concat();
    // Suites of TLS 1.3, and two of TLS 1.2 (ECDHE with ECDSA and with RSA).
    let suites = [0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f];
    let mut body = vec![3, 3];
    body.extend([0; 32]);
    body.push(0);
    body.extend(length(suites.len()));
    body.extend(suites);
    body.extend([1, 0]);
    body.extend(length(extensions.len()));
    body.extend(extensions);
    let mut message = vec![1, 0];
    message.extend(length(body.len()));
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(length(message.len()));
    record.extend(message);
    record
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// Whether an answer begins with a record of TLS: an alert or a part of a handshake.
pub(super) fn is_record(answer: &[u8]) -> bool {
    matches!(answer, [21 | 22, 3, ..])
}

/// Whether a server answers a greeting of TLS.
pub(super) fn is_spoken(address: &Address, limit: &Deadline) -> bool {
    let left = limit.remaining().clamp(Duration::from_millis(1), GREETING);
    let answer = || -> Option<[u8; 3]> {
        let mut stream = tcp::connect(address, limit).ok()?;
        stream.set_read_timeout(Some(left)).ok()?;
        stream.write_all(&greeting()).ok()?;
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).ok()?;
        Some(answer)
    };
    answer().is_some_and(|answer| is_record(&answer))
}
