//! The local sockets outside of the state directory that workers of a scope may have made: `sockets.json`, a list of
//! paths. A path is put on record before anything is bound there, and only after nothing of others was found there. So a
//! dead socket at such a path is what a former worker of the scope left.
//!
//! Written by the holder of the gate.

use std::io;
use std::path::{Path, PathBuf};

use tenure_sys::dir::Dir;
use tenure_sys::discard::best_effort;
use tenure_sys::socket::{PATH_LIMIT, SocketPlace, Standing};

use crate::os_text;
use crate::store::paths::{StateDir, file};
use crate::store::records::{self, RecordError};

/// Largest record that is read.
const LONGEST: u64 = 1024 * 1024;

/// Whether a socket at the path is one that a worker of this scope made.
#[must_use]
pub fn is_ours(state: &StateDir, path: &Path) -> bool {
    path.parent() == Some(state.path()) || recorded(state).iter().any(|known| known == path)
}

/// Puts a path on record, durably. Paths in the scope's directory need no record.
pub fn add(state: &StateDir, path: &Path) -> Result<(), RecordError> {
    if is_ours(state, path) {
        return Ok(());
    }
    let mut paths = recorded(state);
    paths.push(path.to_owned());
    let texts: Vec<String> = paths.iter().map(|path| os_text::text(path.as_os_str())).collect();
    records::write(state, file::SOCKETS, &texts, Dir::write_atomic)
}

/// Removes every recorded socket on which nobody listens, and every one in the scope's directory. For the holder of
/// gate and lease, after the worker's end.
pub fn remove_dead(state: &StateDir) {
    for path in recorded(state).iter().chain(&in_the_scope(state, &["listen.", "relay."])) {
        remove_dead_at(path);
    }
}

/// Removes every socket of [`private_path`] on which nobody listens. For the holder of gate and lease.
pub fn remove_dead_private(state: &StateDir) {
    for path in in_the_scope(state, &["relay."]) {
        remove_dead_at(&path);
    }
}

/// The sockets in the scope's directory whose names begin so.
fn in_the_scope(state: &StateDir, beginnings: &[&str]) -> Vec<PathBuf> {
    let is_one = |name: &str| {
        let rest = name.strip_suffix(".sock");
        rest.is_some_and(|rest| beginnings.iter().any(|beginning| rest.starts_with(beginning)))
    };
    let names = state.dir().names().unwrap_or_default();
    let names = names.iter().filter_map(|name| name.to_str()).filter(|name| is_one(name));
    names.map(|name| state.path().join(name)).collect()
}

/// Removes a socket of our user on which nobody listens. One that cannot be removed is in nobody's way: the next start
/// replaces it, or chooses another path.
pub fn remove_dead_at(path: &Path) {
    if let Ok(place) = SocketPlace::open(path)
        && let Ok(Standing::Dead(dead)) = place.standing()
    {
        best_effort(place.remove(dead));
    }
}

/// A new path in the scope's directory for a program that is told where to listen.
pub fn private_path(directory: &Path) -> io::Result<PathBuf> {
    let path = directory.join(format!("relay.{}.sock", tenure_sys::random::hex(4)?));
    let length = path.as_os_str().len();
    if length > PATH_LIMIT {
        let why = format!(
            "{} has {length} bytes, and a program can bind {PATH_LIMIT} at most: write `to = \"unix:PATH\"`",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(path)
}

/// A record that cannot be read names nothing: then dead sockets stay, and errors name them.
fn recorded(state: &StateDir) -> Vec<PathBuf> {
    let bytes = state.dir().read(file::SOCKETS, LONGEST).ok().flatten().unwrap_or_default();
    let texts: Vec<String> = serde_json::from_slice(&bytes).unwrap_or_default();
    texts.iter().map(|text| os_text::os(text).into_owned().into()).collect()
}
