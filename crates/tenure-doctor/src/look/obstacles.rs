//! Obstacles: what stands at the name of a file, a socket or a directory of a scope, and is of another kind. Names are
//! looked at and not opened, since opening a named pipe waits for its other end. Only the directory `logs` is opened,
//! for what is in it.

use tenure_core::store::paths::{StateDir, file};
use tenure_sys::dir::Dir;

use crate::facts::Obstacle;

/// The kinds, in the words of `FileStat::kind`.
const REGULAR: &str = "a regular file";
const SOCKET: &str = "a socket";
const DIRECTORY: &str = "a directory";

/// Every name in a scope's directory: what should be there, and whether nothing can be started while it is something
/// else.
const NAMES: [(&str, &str, bool); 13] = [
    (file::GATE, REGULAR, true),
    (file::LEASE, REGULAR, true),
    (file::PROGRAM, REGULAR, true),
    (file::PROGRAM_2, REGULAR, true),
    (file::DESIRED, REGULAR, true),
    (file::LEDGER, REGULAR, true),
    (file::IDENTITY, REGULAR, true),
    (file::CONTROL, SOCKET, true),
    (file::LOGS, DIRECTORY, true),
    (file::VERSION, REGULAR, false),
    (file::VERSION_LOCK, REGULAR, false),
    (file::EVENTS, REGULAR, false),
    (file::PID, REGULAR, false),
];

/// The logs, in the directory of their own.
const LOGS: [(&str, &str, bool); 2] = [(file::BOOT_LOG, REGULAR, true), (file::OUTPUT_LOG, REGULAR, true)];

/// Whatever is of another kind than it should be.
pub(crate) fn obstacles(state: &StateDir) -> Vec<Obstacle> {
    let mut found = among(state.dir(), "", &NAMES);
    if let Ok(logs) = state.dir().open_child(file::LOGS) {
        found.extend(among(&logs, &format!("{}/", file::LOGS), &LOGS));
    }
    found
}

fn among(dir: &Dir, below: &str, names: &[(&'static str, &'static str, bool)]) -> Vec<Obstacle> {
    let other = |(name, wanted, stops): &(&'static str, &'static str, bool)| {
        // A name that cannot be looked at is told by the check that needs it.
        let kind = dir.stat(name).ok().flatten()?.kind;
        // A start replaces the file that a backup makes of a socket.
        let is_odd = kind != *wanted && !(*wanted == SOCKET && kind == REGULAR);
        is_odd.then(|| Obstacle { name: format!("{below}{name}"), kind, wanted, stops: *stops })
    };
    names.iter().filter_map(other).collect()
}
