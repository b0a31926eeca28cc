//! Applying what is safe, under the gate and with the lease in hand, after one more look that the finding still stands.
//!
//! - Nothing healthy or unknown is ended, and nothing is started.
//! - No record of a worker is deleted, and no pin or stop of a person is released.
//! - An id that others may have written is replaced by another one.
//! - Only the fix that closes a directory to others needs no gate: the gate stands inside, and cannot be trusted
//!   before.

use std::path::Path;
use std::time::Duration;

use tenure_core::deadline::{Deadline, TimedOut, wall_millis};
use tenure_core::fault;
use tenure_core::launch::ask::client::{self, Silence};
use tenure_core::launch::ask::probe::FIRST_ANSWER;
use tenure_core::launch::end::orphans::{self, OrphanError};
use tenure_core::launch::request;
use tenure_core::launch::start::listen;
use tenure_core::record::ledger::Ledger;
use tenure_core::spec::KILL_GRACE;
use tenure_core::spec::scope::Scope;
use tenure_core::store::directory_id::ensure_directory_id;
use tenure_core::store::event::{self, Event, What};
use tenure_core::store::gate::{Gate, GateError};
use tenure_core::store::lease::{Lease, LeaseError, TryLease};
use tenure_core::store::paths::{self, PathsError, StateDir, file};
use tenure_core::store::records::{self, RecordError};

use tenure_sys::dir::{DirError, exposed, reserve};

use crate::finding::Fix;
use crate::look::scope::{shows_a_hold, text_of};

/// A fix was not applied, or not wholly; what it did not do stands as it was.
#[derive(Debug, thiserror::Error)]
pub enum FixError {
    /// The directory cannot be closed to others, or not safely.
    #[error("make the directory private")]
    Directory(#[source] DirError),
    /// The state directory cannot be used.
    #[error("open the state directory")]
    State(#[source] PathsError),
    /// Somebody else is at work.
    #[error("enter the gate")]
    Gate(#[source] GateError),
    /// The time was over.
    #[error("enter the gate")]
    TimedOut(#[source] TimedOut),
    /// The lease file cannot be used.
    #[error("take the lease")]
    Lease(#[source] LeaseError),
    /// A worker holds the lease now.
    #[error("mend anything: a worker of {scope} runs now")]
    Alive {
        /// Whose.
        scope: Scope,
    },
    /// A program that an earlier worker has left still runs.
    #[error(
        "give up a record whose program may still run: pid {pid} ({command}) carries its cookie; \
         `tenure stop {scope}` ends it, and then `tenure doctor --fix` goes on"
    )]
    Left {
        /// Its pid.
        pid: u32,
        /// Its command line.
        command: String,
        /// Whose.
        scope: Scope,
    },
    /// What was to be mended is gone or has changed.
    #[error("find what was to be mended: {what}")]
    Changed {
        /// What is seen instead.
        what: String,
    },
    /// The file cannot be moved or removed.
    #[error("move or remove {name}")]
    File {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The new record cannot be written.
    #[error("begin a new record")]
    Record(#[source] RecordError),
    /// Something does not end.
    #[error("end what is left")]
    Orphan(#[source] OrphanError),
}

/// Applies a fix and says what it has done. `patience` is how long others may keep it from the gate, and how long a
/// former program's own shim may take.
pub fn apply(fix: &Fix, patience: Duration) -> Result<String, FixError> {
    match fix {
        Fix::MakePrivate { path } => {
            let before = exposed::make_private(path).map_err(FixError::Directory)?;
            let closed = format!("{} has mode 0700 instead of {before:04o}", path.display());
            Ok(if before & 0o022 == 0 { closed } else { begin_records_anew_below(path, patience, closed) })
        }
        Fix::RemoveStale { scope } => in_empty_scope(scope, patience, remove_stale),
        Fix::MoveAside { scope, record } => {
            in_empty_scope(scope, patience, |empty| move_aside(empty, record))
        }
        Fix::EndLeftovers { scope } => {
            in_empty_scope(scope, patience, |empty| end_leftovers(empty, patience))
        }
    }
}

/// A scope without a worker, and nobody else at work in it.
struct EmptyScope<'gate> {
    gate: &'gate Gate<'gate>,
    lease: &'gate Lease,
    state: &'gate StateDir,
}

impl EmptyScope<'_> {
    fn note(&self, generation: u64, why: &str) {
        event::note(self.state, &Event::now(What::Repaired, generation, &request::asker(), why));
    }
}

/// Enters the gate, takes the lease, and only then mends. The lease is given back at the end: nothing was started with
/// it.
fn in_empty_scope(
    scope: &Scope,
    patience: Duration,
    mend: impl FnOnce(&EmptyScope<'_>) -> Result<String, FixError>,
) -> Result<String, FixError> {
    let state = StateDir::open(scope).map_err(FixError::State)?;
    let changed = || FixError::Changed { what: "there is no state directory".to_owned() };
    let state = state.ok_or_else(changed)?;
    let stage = Deadline::start(patience).stage("gate").map_err(FixError::TimedOut)?;
    let gate = Gate::enter(&state, stage).map_err(FixError::Gate)?;
    let lease = match Lease::try_take(&state).map_err(FixError::Lease)? {
        TryLease::Free(lease) => lease,
        TryLease::Busy => return Err(FixError::Alive { scope: scope.clone() }),
    };
    gate.confirm().map_err(FixError::Gate)?;
    fault::reach(fault::Point::LeaseTaken);
    mend(&EmptyScope { gate: &gate, lease: &lease, state: &state })
}

fn remove_stale(empty: &EmptyScope<'_>) -> Result<String, FixError> {
    let stage = Deadline::start(FIRST_ANSWER).stage("probe").map_err(FixError::TimedOut)?;
    let mut done = Vec::new();
    let failed = |source| FixError::File { name: file::CONTROL.to_owned(), source };
    empty.state.dir().refuse_no_socket(file::CONTROL).map_err(failed)?;
    match client::connect(empty.state, stage) {
        Err(Silence::Refused) => {
            empty.state.dir().remove(file::CONTROL).map_err(failed)?;
            done.push(file::CONTROL.to_owned());
        }
        Err(Silence::Absent) => {}
        Ok(_) => return Err(FixError::Changed { what: "somebody listens on the control socket".to_owned() }),
        Err(silence) => return Err(FixError::Changed { what: silence.to_string() }),
    }
    let names = empty.state.dir().names().unwrap_or_default();
    done.extend(
        names
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .filter(|name| listen::is_temporary(name) && !reserve::is_reserve(name)),
    );
    listen::sweep_temporaries(empty.state, empty.lease);
    if done.is_empty() {
        return Err(FixError::Changed { what: "nothing stale is there any more".to_owned() });
    }
    let said = format!("removed {}", done.join(", "));
    empty.note(0, &said);
    Ok(said)
}

/// Begins the records anew in every scope that is at or below a directory that others could write to. Where a worker
/// still holds the lease they stay as they are, believed by nobody, until it has ended.
fn begin_records_anew_below(path: &Path, patience: Duration, closed: String) -> String {
    let mut said = vec![closed];
    for scope in paths::scopes().unwrap_or_default() {
        let is_there = StateDir::open(&scope).ok().flatten().filter(|state| state.path().starts_with(path));
        for record in [file::DESIRED, file::LEDGER] {
            if !is_there.as_ref().is_some_and(|state| is_exposed(state, record)) {
                continue;
            }
            said.push(match in_empty_scope(&scope, patience, |empty| move_aside(empty, record)) {
                Ok(moved) => moved,
                Err(FixError::Alive { scope }) => {
                    format!("{record} of {scope} counts no more: stop it, then `tenure doctor --fix`")
                }
                Err(error) => {
                    format!("{record} of {scope} counts no more, and could not be begun anew: {error}")
                }
            });
        }
    }
    said.join("; ")
}

fn is_exposed(state: &StateDir, record: &str) -> bool {
    match record {
        file::LEDGER => matches!(records::read_ledger(state), Err(RecordError::Exposed { .. })),
        _ => matches!(records::read_desired(state), Err(RecordError::Exposed { .. })),
    }
}

/// How far the generation is raised where others could have lowered it: by more than any worker was ever replaced.
const WELL_BEYOND: u64 = 1 << 20;

/// Counting never reaches a generation from here on.
const UNREACHED: u64 = 1 << 52;

/// A ledger that is moved aside is begun anew with the highest generation that can still be read: it must never go
/// back.
fn move_aside(empty: &EmptyScope<'_>, record: &'static str) -> Result<String, FixError> {
    let is_damaged = match record {
        file::LEDGER => matches!(records::read_ledger(empty.state), Err(RecordError::Damaged { .. })),
        _ => matches!(records::read_desired(empty.state), Err(RecordError::Damaged { .. })),
    };
    let was_exposed = is_exposed(empty.state, record);
    if !was_exposed && (!is_damaged || shows_a_hold(empty.state, record)) {
        let what = format!("{record} is not damaged any more, or shows what a person holds");
        return Err(FixError::Changed { what });
    }
    if was_exposed {
        expect_no_orphans(empty)?;
    }
    let mut generation = if record == file::LEDGER { last_generation(empty.state) } else { 0 };
    if record == file::LEDGER && was_exposed {
        generation = if generation < UNREACHED { generation } else { 0 } + WELL_BEYOND;
    }
    let aside = format!("{record}.{}-{}", if was_exposed { "void" } else { "damaged" }, wall_millis());
    let failed = |source| FixError::File { name: record.to_owned(), source };
    empty.state.dir().rename(record, &aside).map_err(failed)?;
    if record == file::LEDGER && was_exposed {
        // Others may know the old id. The new one is written before the ledger: a ledger without an id counts as one of
        // an older tenure.
        empty.state.dir().remove(file::IDENTITY).map_err(failed)?;
        empty.state.forget_origin();
        ensure_directory_id(empty.gate, empty.lease).map_err(FixError::Record)?;
    }
    let mut said = format!("moved {record} to {aside}");
    if record == file::LEDGER && generation > 0 {
        let ledger = Ledger { generation, ..Ledger::default() };
        records::write_ledger(empty.state, &ledger).map_err(FixError::Record)?;
        said = format!("{said}; the next generation is {}", generation.saturating_add(1));
    }
    empty.note(generation, &said);
    Ok(said)
}

/// Fails where orphans are found. They are found by the directory's id, which is about to be replaced: afterwards
/// nothing finds them. Others may have written that id, so a person decides whether these processes are ended.
fn expect_no_orphans(empty: &EmptyScope<'_>) -> Result<(), FixError> {
    let left = orphans::find(empty.state, &Ledger::default()).map_err(FixError::Orphan)?;
    match left.first() {
        None => Ok(()),
        Some(left) => Err(FixError::Left {
            pid: left.pid,
            command: left.command.clone(),
            scope: empty.state.scope().clone(),
        }),
    }
}

/// The highest generation that the events, or the pieces of the ledger itself, still tell.
fn last_generation(state: &StateDir) -> u64 {
    let events = event::read_all(state).unwrap_or_default();
    let of_events = events.iter().map(|event| event.generation).max().unwrap_or(0);
    of_events.max(generation_in(&text_of(state, file::LEDGER)))
}

/// The number after `"generation":` in the pieces of a record.
fn generation_in(text: &str) -> u64 {
    let key = "\"generation\"";
    let Some(at) = text.find(key) else { return 0 };
    let value = text[at + key.len()..].trim_start_matches([' ', ':', '\n']);
    let digits = value.len() - value.trim_start_matches(|one: char| one.is_ascii_digit()).len();
    // A number that is cut at the end of the file may be any; one that no generation can follow is none.
    let is_whole = value.len() > digits;
    value[..digits].parse().ok().filter(|found: &u64| is_whole && *found < u64::MAX - 1).unwrap_or(0)
}

fn end_leftovers(empty: &EmptyScope<'_>, patience: Duration) -> Result<String, FixError> {
    let ledger = records::read_ledger(empty.state).unwrap_or_default();
    let patience = ledger.end_budget(KILL_GRACE).saturating_add(KILL_GRACE).min(patience);
    let ended = orphans::clear(empty.gate, empty.lease, &ledger, patience).map_err(FixError::Orphan)?;
    let by = request::asker();
    for orphan in &ended {
        let event = Event::now(What::LeftoverEnded, ledger.generation, &by, orphan.told());
        event::note(empty.state, &event.pid(orphan.pid));
    }
    if ended.is_empty() {
        return Ok("what was left has ended by itself".to_owned());
    }
    let pids: Vec<String> = ended.iter().map(|ended| format!("pid {}", ended.pid)).collect();
    Ok(format!("ended {}", pids.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_is_read_from_the_pieces_of_a_record() {
        assert_eq!(generation_in(r#"{"schema_version": 1, "generation": 41, "vers"#), 41);
        assert_eq!(generation_in(r#"{"generation":7}"#), 7);
        for torn in ["", r#"{"generation"#, r#"{"generation": 41"#, r#"{"generation": "x"}"#] {
            assert_eq!(generation_in(torn), 0, "{torn}");
        }
        assert_eq!(generation_in(&format!("{{\"generation\": {},", u64::MAX)), 0);
    }
}
