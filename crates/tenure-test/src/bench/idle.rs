//! An idle host: memory and wake-ups, read from the kernel's own accounts.

use std::fs;
use std::time::Duration;

use tenure_sys::pipe;
use tenure_sys::poll::{self, Interest, Readiness};

use super::figure::Row;

/// One row: resident memory of host and shim, and context switches of all their threads over `window`.
///
/// # Panics
/// If the processes end meanwhile.
#[must_use]
pub fn row(host: u32, window: Duration) -> Row {
    let shims: Vec<u32> = tenure_sys::tree::children_of(host);
    let pids: Vec<u32> = std::iter::once(host).chain(shims).collect();
    let before: u64 = pids.iter().map(|&pid| switches(pid)).sum();
    pass(window);
    let after: u64 = pids.iter().map(|&pid| switches(pid)).sum();
    let memory: u64 = pids.iter().map(|&pid| status_number(&format!("/proc/{pid}/status"), "VmRSS:")).sum();
    Row {
        what: format!("idle host and shim: resident memory, wake-ups in {} s", window.as_secs()),
        median: format!("{:.1} MB, {} switches", memory_mb(memory), after - before),
        against: "self-check every 30 s, health check off".to_owned(),
        pair: "–".to_owned(),
        promise: "≤ 6 MB; no other timers",
    }
}

fn memory_mb(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) * 1024.0 / 1e6
}

/// Lets real time pass: nobody writes into the pipe.
pub(super) fn pass(window: Duration) {
    use std::os::fd::AsFd;

    let (reader, _writer) = pipe::pipe().expect("a pipe can be made");
    let mut interests = [Interest::new(reader.as_fd(), Readiness::Read)];
    poll::wait(&mut interests, Some(window)).expect("a pipe can be polled");
}

fn switches(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .map(|task| {
            let status = task.path().join("status").display().to_string();
            status_number(&status, "voluntary_ctxt_switches:")
                + status_number(&status, "nonvoluntary_ctxt_switches:")
        })
        .sum()
}

fn status_number(path: &str, field: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
