//! What happened to a worker, as one line of JSON each in `events.jsonl`.
//!
//! Written by whoever acts, launchers too: a failed start has no worker to write it. One `O_APPEND` write an event, so
//! that lines of two writers never mix. For people and for tests; nothing in `tenure` reads events to decide.

use std::io::{self, Write};

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::deadline::wall_millis;
use crate::paths::{StateDir, file};
use crate::wire::Asker;

/// Size at which the gate holder rotates the file.
const ROTATE_AT: u64 = 1_000_000;

/// Name of the rotated file.
pub const ROTATED: &str = "events.jsonl.1";

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A launcher spawned a worker.
    Spawned,
    /// A listener got another port than the last time.
    EndpointChanged,
    /// A worker said that it serves.
    Ready,
    /// A worker could not be started.
    StartFailed,
    /// A launcher began to replace a worker.
    Replacing,
    /// A worker was proved gone after it was asked to end.
    Stopped,
    /// A worker that did not answer was ended.
    EndedWedged,
    /// A worker found dead: nobody asked it to end.
    FoundDead,
    /// A worker announced its end.
    Draining,
    /// A program was started by its host.
    ProgramStarted,
    /// A program ended.
    ProgramExited,
    /// A program's health check failed often enough to act.
    Unhealthy,
    /// Something of a former program was ended.
    LeftoverEnded,
    /// Something of a former worker is recorded where this process cannot verify it, and a new one was started all the same.
    Unverified,
    /// The worker's own look at its directory found it changed.
    SelfCheckFailed,
    /// An embedded app's runtime stopped answering.
    Stalled,
    /// A worker had announced its end and did not end in time; its watchdog ended it.
    Overran,
    /// A person pinned a version.
    Pinned,
    /// A person released the pinned version.
    Unpinned,
    /// A person stopped the worker until a person starts it.
    HeldDown,
    /// A person lets the worker be started again.
    Released,
    /// A worker was started as one version and says that it is another.
    VersionDisagrees,
    /// A worker took the place of another that served.
    TakenOver,
    /// A successor failed, and the worker before it went on.
    RolledBack,
    /// A successor failed, and the worker before it could not go on.
    RollbackFailed,
    /// A person had `doctor --fix` mend something.
    Repaired,
}

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Wall clock, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What happened.
    pub what: What,
    /// The generation that it happened to.
    pub generation: u64,
    /// Its version, where known.
    pub version: Option<Version>,
    /// The process that it happened to, where known.
    pub pid: Option<u32>,
    /// Who asked for it.
    pub by: Asker,
    /// Why, or how, in words.
    pub why: String,
}

impl Event {
    /// An event of now.
    #[must_use]
    pub fn now(what: What, generation: u64, by: &Asker, why: impl Into<String>) -> Self {
        Self {
            at_ms: wall_millis(),
            what,
            generation,
            version: None,
            pid: None,
            by: by.clone(),
            why: why.into(),
        }
    }

    /// The same, with the version.
    #[must_use]
    pub fn version(mut self, version: &Version) -> Self {
        self.version = Some(version.clone());
        self
    }

    /// The same, with the process.
    #[must_use]
    pub fn pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }
}

/// Appends one event. A full disk loses the event, never the act: callers go on.
pub fn append(state: &StateDir, event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    state.dir().open_append(file::EVENTS)?.write_all(&line)
}

/// Appends and goes on when that fails: an event is an account, not the act.
pub fn note(state: &StateDir, event: &Event) {
    drop(append(state, event));
}

/// Moves a file that has grown too large aside. Only for the holder of the gate: two at once would lose a file.
pub(crate) fn rotate(state: &StateDir) {
    let large = state.dir().stat(file::EVENTS).ok().flatten().is_some_and(|stat| stat.len > ROTATE_AT);
    if large {
        drop(state.dir().rename(file::EVENTS, ROTATED));
    }
}

/// Every event still on disk, oldest first. Lines that are no event are passed over.
pub fn read_all(state: &StateDir) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    for name in [ROTATED, file::EVENTS] {
        let bytes = state.dir().read(name, 16 * ROTATE_AT)?.unwrap_or_default();
        events.extend(
            bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<Event>(line).ok()),
        );
    }
    Ok(events)
}
