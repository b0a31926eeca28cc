//! Whether the worker that answers can be looked at from here: the same numbers, the same network, open files that may
//! be read.
//!
//! The worker's answer names its pid, which counts in the worker's pid namespace and may be another process in ours. So
//! nothing is read by that pid before the process was verified.

use tenure_core::protocol::wire::Hello;
use tenure_sys::identity::Identity;
use tenure_sys::process::{self, ProcessHandle, Verified};

/// What can be seen of the worker that answers.
#[derive(Debug, Default)]
pub(crate) struct Visibility {
    /// The worker itself, verified.
    pub(crate) worker: Option<ProcessHandle>,
    /// Its number and that of its program, as far as each was verified.
    pub(crate) own: Vec<u32>,
    /// Why what it has open cannot be told from here, where it cannot.
    pub(crate) hidden: Option<String>,
}

/// Verifies the worker and its program.
pub(crate) fn of(hello: Option<&Hello>) -> Visibility {
    let Some(hello) = hello else { return Visibility::default() };
    let program = hello.program.as_ref().and_then(|program| program.identity.as_ref());
    let worker = verified("the worker", &hello.identity);
    let program = program.map(|identity| verified("the program", identity));
    let handles = [Some(&worker), program.as_ref()].into_iter().flatten();
    let own: Vec<u32> = handles.filter_map(|found| Some(found.as_ref().ok()?.pid())).collect();
    let why = |found: &Result<ProcessHandle, String>| found.as_ref().err().cloned();
    let hidden = why(&worker).or_else(|| program.as_ref().and_then(why));
    let hidden = hidden.or_else(|| own.iter().find_map(|pid| covered(*pid)));
    Visibility { worker: worker.ok(), own, hidden }
}

fn verified(who: &str, identity: &Identity) -> Result<ProcessHandle, String> {
    let unseen = |why: &dyn std::fmt::Display| format!("{who} cannot be looked at from here: {why}");
    match process::verify(identity) {
        Verified::Same(handle) => Ok(handle),
        Verified::Gone(why) => Err(unseen(&why)),
        Verified::Unverifiable(why) => Err(unseen(&why)),
    }
}

/// Why the sockets of a process that is there cannot be told.
fn covered(pid: u32) -> Option<String> {
    if process::is_hidden(pid) {
        return Some(format!("the kernel does not let us look at the open files of pid {pid}"));
    }
    let networks = [pid, std::process::id()].map(process::network_of);
    matches!(networks, [Some(theirs), Some(ours)] if theirs != ours)
        .then(|| format!("pid {pid} serves in another network namespace"))
}
