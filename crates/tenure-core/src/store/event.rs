//! Events: what happened to a worker, one line of JSON each in `events.jsonl`.
//!
//! Whoever acts writes them, launchers too, because a failed start has no worker that could. Each event is one
//! `O_APPEND` write, so that lines of two writers never mix. Events are for people and for tests: no decision reads
//! them, except that `doctor --fix` takes the highest generation from them where the ledger is lost.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use crate::spec::version::Version;
use serde::{Deserialize, Serialize};
use tenure_sys::dir::fstat;
use tenure_sys::discard::best_effort;
use tenure_sys::lock::{self, TryLock};

use crate::deadline::wall_millis;
use crate::protocol::not_ready::NotReady;
use crate::protocol::wire::Asker;
use crate::store::paths::{StateDir, file};

/// Size at which the writer of an event rotates the file: some thousands of events.
const ROTATE_AT: u64 = 1_000_000;

/// Bytes read at the end of a file. A file of a version with another rule of rotation may be longer.
const MOST_READ: u64 = 16 * ROTATE_AT;

/// Longest reason in bytes: the last lines of a log fit, and no event makes the file much longer than its limit.
const LONGEST_WHY: usize = 16 * 1024;

/// Name of the rotated file.
pub const ROTATED: &str = "events.jsonl.1";

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
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
    /// A worker was found dead: nobody had asked it to end.
    FoundDead,
    /// A worker announced its end.
    Draining,
    /// A worker announced its end, because nobody had used it for its `idle_timeout`.
    Idle,
    /// A program was started by its host.
    ProgramStarted,
    /// The main process of a program that puts itself into the background was found, or is another one from now on.
    MainProcess,
    /// A program ended.
    ProgramExited,
    /// A program's health check failed often enough to act.
    Unhealthy,
    /// Something of a program's tree did not end within its grace, and was killed.
    Killed,
    /// Something of a former program was ended.
    LeftoverEnded,
    /// A worker was started although a recorded process of the former one could not be verified.
    Unverified,
    /// The worker's own look at its directory found it changed.
    SelfCheckFailed,
    /// An embedded app's runtime stopped answering.
    Stalled,
    /// A worker did not end in the time that it had announced; its watchdog ended it.
    Overran,
    /// A person pinned a version.
    Pinned,
    /// A person released the pinned version.
    Unpinned,
    /// An offer was taken back.
    Forgotten,
    /// A person had a signal sent to the program.
    Signalled,
    /// A person stopped the worker: it stays stopped until a person starts it.
    HeldDown,
    /// A person lets the worker be started again.
    Released,
    /// A worker says that it is another version than the one that it was started as.
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
///
/// ```
/// fn line(event: &tenure::Event) -> String {
///     format!("{:?} of generation {}: {}", event.what, event.generation, event.why)
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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
    /// Why the program was not ready, where a start failed and the worker told that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<Box<NotReady>>,
}

impl Event {
    /// An event of this moment.
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
            not_ready: None,
        }
    }

    /// The same, with the version.
    #[must_use]
    pub fn version(mut self, version: &Version) -> Self {
        self.version = Some(version.clone());
        self
    }

    /// The same, with why the program was not ready.
    #[must_use]
    pub fn not_ready(mut self, not_ready: Option<&NotReady>) -> Self {
        self.not_ready = not_ready.map(|told| Box::new(told.clone().bounded()));
        self
    }

    /// The same, with the process.
    #[must_use]
    pub fn pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }
}

/// Appends one event, and rotates a file that has grown too large. If this fails, the event is lost and the caller goes
/// on.
pub fn append(state: &StateDir, event: &Event) -> io::Result<()> {
    let mut line = match bounded(event) {
        Some(shorter) => serde_json::to_vec(&shorter)?,
        None => serde_json::to_vec(event)?,
    };
    line.push(b'\n');
    let mut file = state.dir().open_append(file::EVENTS)?;
    if !ends_with_a_line(state, &file) {
        line.insert(0, b'\n');
    }
    file.write_all(&line)?;
    if fstat(file.as_fd())?.len > ROTATE_AT { rotate(state, file) } else { Ok(()) }
}

/// Whether the next event begins a line: a write that was cut off by a full disk or a crash has left none. Where this
/// cannot be told, as when another writer has just rotated the file, the event is written after an empty line: readers
/// pass over it, and no event is lost for it.
fn ends_with_a_line(state: &StateDir, file: &File) -> bool {
    let look = || -> io::Result<bool> {
        let Some(end) = fstat(file.as_fd())?.len.checked_sub(1) else { return Ok(true) };
        let mut last = [b'\n'];
        state.dir().open_read(file::EVENTS)?.read_at(&mut last, end)?;
        Ok(last == [b'\n'])
    };
    look().unwrap_or(false)
}

/// The same event with a shorter reason, where its own is too long.
fn bounded(event: &Event) -> Option<Event> {
    (event.why.len() > LONGEST_WHY).then(|| {
        let end = (0..=LONGEST_WHY).rev().find(|&end| event.why.is_char_boundary(end)).unwrap_or(0);
        Event { why: format!("{}…", &event.why[..end]), ..event.clone() }
    })
}

/// Appends one event, and ignores a failure: what the event tells has happened all the same.
pub fn note(state: &StateDir, event: &Event) {
    best_effort(append(state, event));
}

/// Rotates a file that has grown too large. Several writers may notice that at once: a lock on this very file, and a
/// look whether its name still leads to it, let only one of them rename it. A writer that has opened it before appends
/// to the rotated file, which is read too.
fn rotate(state: &StateDir, file: File) -> io::Result<()> {
    match lock::try_lock(file)? {
        TryLock::Taken(held) if lock::same_file(held.file(), state.dir(), file::EVENTS)? => {
            state.dir().rename(file::EVENTS, ROTATED)
        }
        TryLock::Taken(_) | TryLock::Busy(_) => Ok(()),
    }
}

/// Every event still on disk, oldest first. Other lines are passed over.
pub fn read_all(state: &StateDir) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    for name in [ROTATED, file::EVENTS] {
        match state.dir().open_read(name) {
            Ok(file) => read_end(file, &mut events)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(events)
}

/// The events in the last [`MOST_READ`] bytes of a file, to which others may append meanwhile.
fn read_end(mut file: File, events: &mut Vec<Event>) -> io::Result<()> {
    let length = fstat(file.as_fd())?.len;
    file.seek(SeekFrom::Start(length.saturating_sub(MOST_READ)))?;
    let mut reader = BufReader::new(file.take(MOST_READ));
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        events.extend(serde_json::from_slice::<Event>(&line).ok());
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(generation: u64, why: &str) -> Event {
        Event::now(What::Ready, generation, &Asker::default(), why)
    }

    fn length(state: &StateDir, name: &str) -> u64 {
        state.dir().stat(name).expect("readable").map_or(0, |stat| stat.len)
    }

    #[test]
    fn the_files_are_bounded_whoever_writes_and_no_event_of_several_writers_is_lost() {
        let (_root, state) = StateDir::temporary();
        let why = "w".repeat(8 * 1024);
        std::thread::scope(|scope| {
            for writer in 0..4_u64 {
                let (state, why) = (&state, &why);
                scope.spawn(move || {
                    for number in 0..45 {
                        append(state, &event(writer * 1000 + number, why)).expect("written");
                    }
                });
            }
        });
        // Less than two files hold: all must be there.
        let read = read_all(&state).expect("readable");
        assert_eq!(read.len(), 4 * 45);
        for number in 0..400 {
            append(&state, &event(number, &why)).expect("written");
        }
        let most = ROTATE_AT + 2 * LONGEST_WHY as u64;
        assert!(length(&state, file::EVENTS) <= most && length(&state, ROTATED) <= most);
        assert_eq!(read_all(&state).expect("readable").last().map(|event| event.generation), Some(399));
    }

    #[test]
    fn an_event_after_a_torn_one_is_read() {
        let (_root, state) = StateDir::temporary();
        append(&state, &event(1, "the first")).expect("written");
        state.dir().open_append(file::EVENTS).expect("there").write_all(b"{\"torn").expect("room");
        append(&state, &event(2, "the second")).expect("written");
        let read: Vec<u64> =
            read_all(&state).expect("readable").iter().map(|event| event.generation).collect();
        assert_eq!(read, [1, 2]);
    }

    #[test]
    fn a_file_that_was_rotated_meanwhile_takes_the_event() {
        let (_root, state) = StateDir::temporary();
        append(&state, &event(1, "the first")).expect("written");
        let file = state.dir().open_append(file::EVENTS).expect("there");
        assert!(ends_with_a_line(&state, &file));
        state.dir().rename(file::EVENTS, ROTATED).expect("it is there");
        assert!(!ends_with_a_line(&state, &file), "it cannot be told, and is no error");
    }

    #[test]
    fn a_file_of_any_length_is_read_at_its_end() {
        let (_root, state) = StateDir::temporary();
        append(&state, &event(1, "the first")).expect("written");
        let file = state.dir().open_append(file::EVENTS).expect("there");
        file.set_len(40 * ROTATE_AT).expect("sparse");
        let mut line = serde_json::to_vec(&event(2, "the last")).expect("written");
        line.insert(0, b'\n');
        line.push(b'\n');
        (&file).write_all(&line).expect("written");
        let read = read_all(&state).expect("readable");
        assert_eq!(read.iter().map(|event| event.generation).collect::<Vec<_>>(), [2]);
        append(&state, &event(3, "rotates")).expect("written");
        append(&state, &event(4, "is in a new one")).expect("written");
        assert!(length(&state, file::EVENTS) < ROTATE_AT);
    }

    #[test]
    fn a_reason_without_measure_is_cut() {
        let (_root, state) = StateDir::temporary();
        append(&state, &event(1, &"ü".repeat(1 << 20))).expect("written");
        let read = read_all(&state).expect("readable");
        assert!(read[0].why.len() <= LONGEST_WHY + 4 && read[0].why.ends_with('…'));
    }

    #[test]
    fn a_socket_in_the_place_of_the_file_is_named() {
        let (_root, state) = StateDir::temporary();
        let _other = tenure_sys::socket::bind_unix(state.dir(), file::EVENTS, 1).expect("binds");
        let named = |error: io::Error| error.to_string().contains("events.jsonl is a socket");
        assert!(named(read_all(&state).expect_err("refused")));
        assert!(named(append(&state, &event(1, "")).expect_err("refused")));
    }
}
