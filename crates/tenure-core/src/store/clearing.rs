//! Clears the directory of a scope of all that a worker has left there.
//!
//! The directory stays, with its locks, its identity and its generation. A launcher that waits for the gate waits for
//! this very file: if the file or the directory were replaced, two launchers could hold two gates. A generation that
//! began anew would be refused by the fences of a store that has seen a higher one. All of it has less than two
//! kilobytes.
//!
//! The record of offers goes last, so that a clearing that was cut off is seen and done again.

use std::io;

use tenure_sys::dir::{Dir, DirError};

use crate::store::event;
use crate::store::gate::Gate;
use crate::store::lease::Lease;
use crate::store::paths::{StateDir, file};
use crate::store::records::{self, RecordError};
use crate::store::sockets;

/// A scope cannot be cleared.
#[derive(Debug, thiserror::Error)]
pub enum ClearingError {
    /// A file cannot be removed.
    #[error("remove what the worker has left in {path:?}")]
    Remove {
        /// The state directory.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The ledger cannot be replaced.
    #[error("keep the generation")]
    Record(#[source] RecordError),
}

/// Bytes in the files that [`clear`] would remove.
#[must_use]
pub fn size(state: &StateDir) -> u64 {
    let of = |dir: &Dir, names: Vec<std::ffi::OsString>| -> u64 {
        names.iter().filter_map(|name| dir.stat(name).ok().flatten()).map(|found| found.len).sum()
    };
    let own = leavings(state).map_or(0, |names| of(state.dir(), names));
    let logs = logs(state).ok().flatten();
    let logged = logs.map_or(0, |logs| logs.names().map_or(0, |names| of(&logs, names)));
    let offers = state.dir().stat(file::DESIRED).ok().flatten().map_or(0, |found| found.len);
    own + logged + offers
}

/// Removes logs, events, answers of version commands, dead sockets and offers, and reduces the ledger to its generation.
/// Files that `tenure` did not write stay.
pub fn clear(gate: &Gate<'_>, _lease: &Lease) -> Result<(), ClearingError> {
    let state = gate.state();
    let failed = |source| ClearingError::Remove { path: state.path().to_owned(), source };
    if let Some(logs) = logs(state).map_err(failed)? {
        for name in logs.names().map_err(failed)? {
            logs.remove(name).map_err(failed)?;
        }
        state.dir().remove_directory(file::LOGS).map_err(failed)?;
    }
    sockets::remove_dead(state);
    for name in leavings(state).map_err(failed)? {
        state.dir().remove(name).map_err(failed)?;
    }
    let ledger = records::read_ledger(state).map_err(ClearingError::Record)?;
    records::write_ledger(state, &ledger.cleared()).map_err(ClearingError::Record)?;
    state.dir().remove(file::DESIRED).map_err(failed)?;
    Ok(())
}

fn logs(state: &StateDir) -> io::Result<Option<Dir>> {
    match state.dir().open_child(file::LOGS) {
        Ok(logs) => Ok(Some(logs)),
        Err(DirError::Absent { .. }) => Ok(None),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// The files of the directory that go, except the record of offers.
fn leavings(state: &StateDir) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = state.dir().names()?;
    names.retain(|name| name.to_str().is_some_and(is_leaving));
    Ok(names)
}

/// Whether a file of this name is a worker's leaving.
fn is_leaving(name: &str) -> bool {
    let known = [file::EVENTS, event::ROTATED, file::VERSION, file::PID];
    let records = [file::LEDGER, file::DESIRED];
    let is_aside = |record: &str| {
        let rest = name.strip_prefix(record).unwrap_or_default();
        rest.starts_with(".damaged-") || rest.starts_with(".void-")
    };
    // What a write that was cut off has left, and the room for a ledger on a full disk.
    let is_temporary = name.strip_suffix(".tmp").is_some_and(|rest| rest.starts_with('.'));
    known.contains(&name)
        || records.into_iter().any(is_aside)
        || ["control.", "notify.", "listen.", "relay."].iter().any(|socket| name.starts_with(socket))
        || is_temporary
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::deadline::Deadline;
    use crate::record::desired::Desired;
    use crate::record::ledger::Ledger;
    use crate::store::lease::TryLease;
    use crate::store::logs;

    #[test]
    fn the_locks_the_generation_and_the_files_of_others_stay() {
        let (_root, state) = StateDir::temporary();
        let written = |dir: &Dir, name: &str| dir.write_atomic(name, b"{}").expect("written");
        let names = ["events.jsonl", "events.jsonl.1", "version.json", "worker.pid", "ledger.json.void-7"];
        for name in names.iter().chain(&[
            "notify.3",
            "listen.http.sock",
            "relay.1a2b3c4d.sock",
            ".x.tmp",
            "mine",
            "sockets.json",
            "version.lock",
            "program",
        ]) {
            written(state.dir(), name);
        }
        written(&logs::directory(&state).expect("made"), "output.log.3");
        let gate = Gate::enter(&state, Deadline::start(Duration::from_secs(5)).stage("gate").expect("fresh"));
        let gate = gate.expect("free");
        let TryLease::Free(lease) = Lease::try_take(&state).expect("ours") else { panic!("it is free") };
        records::write_ledger(&state, &Ledger { generation: 7, ..Ledger::default() }).expect("written");
        records::write_desired(&state, &Desired::default()).expect("written");
        assert!(size(&state) > 14, "{}", size(&state));

        clear(&gate, &lease).expect("cleared");

        let mut left = state.dir().names().expect("readable");
        left.sort();
        assert_eq!(
            left,
            ["gate", "instance", "ledger.json", "mine", "program", "sockets.json", "version.lock"]
        );
        let ledger = records::read_ledger(&state).expect("readable");
        assert!(ledger.generation == 7 && ledger.is_cleared());
        assert_eq!(size(&state), 0);
        clear(&gate, &lease).expect("a second time finds nothing");
    }
}
