//! Reading and writing the two records, `desired.json` and `ledger.json`.
//!
//! A write replaces the whole file (temporary file, fsync, rename, fsync of the directory): a reader sees the old
//! record or the new one. A record of a newer format is refused by name and never repaired or deleted; so is one that
//! cannot be read, because the generation in it must never go back.

use std::io;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tenure_sys::dir::reserve::DiskReserve;
use tenure_sys::dir::{Dir, exposed};

use crate::deadline::Moment;
use crate::os_text;
use crate::policy::tally;
use crate::record::desired::{self, Desired};
use crate::record::directory_id::DirectoryId;
use crate::record::ledger::{self, HostRecord, Ledger};
use crate::store::paths::{StateDir, file};

/// Largest record read: 8 offers with long commands are far below it.
const LARGEST: u64 = 64 * 1024 * 1024;

/// A record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be read.
    #[error("read {path:?}")]
    Read {
        /// The record.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was written by a newer `tenure`.
    #[error("use {path:?}: it has format {found} and this tenure knows up to {known}; use the newer tenure")]
    TooNew {
        /// The record.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
        /// The newer `tenure`, where the ledger names one that is still there.
        newer: Option<PathBuf>,
    },
    /// Its generation is the highest there is.
    #[error("use {path:?}: its generation is the highest there is; move it away to begin anew")]
    Exhausted {
        /// The record.
        path: PathBuf,
    },
    /// Others could have changed it.
    #[error(
        "trust {path:?}; `tenure doctor --fix` begins anew with a higher generation, and without its offers"
    )]
    Exposed {
        /// The record.
        path: PathBuf,
        /// Whose it is, and its mode.
        #[source]
        source: io::Error,
    },
    /// It is not a record.
    #[error("use {path:?}: it is damaged; move it away to begin anew")]
    Damaged {
        /// The record.
        path: PathBuf,
        /// Where it stops making sense.
        #[source]
        source: serde_json::Error,
    },
    /// The file cannot be written.
    #[error("write {path:?}")]
    Write {
        /// The record.
        path: PathBuf,
        /// Why: a full or read-only disk, most often.
        #[source]
        source: io::Error,
    },
}

/// Reads the ledger; an empty one where there is none yet. In a copy of a directory it names no process, because its
/// processes belong to the directory that was copied.
pub fn read_ledger(state: &StateDir) -> Result<Ledger, RecordError> {
    let ledger: Ledger = read(state, file::LEDGER, ledger::SCHEMA)?.unwrap_or_default();
    if ledger.generation == u64::MAX {
        return Err(RecordError::Exhausted { path: state.path().join(file::LEDGER) });
    }
    Ok(if state.origin().is_copied() { ledger.of_a_copy() } else { ledger })
}

/// Replaces the ledger with one of a new generation, durably: the generation must never go back. Only for the holder of
/// the lease.
pub fn write_ledger(state: &StateDir, ledger: &Ledger) -> Result<(), RecordError> {
    write(state, file::LEDGER, &ledger.in_its_format(), Dir::write_atomic)
}

/// Replaces the ledger within its generation, not durably. After a loss of power the earlier ledger of this generation
/// may be back, which does no harm: every process that either of them names is gone. Only for the holder of the lease.
pub fn update_ledger(state: &StateDir, ledger: &Ledger) -> Result<(), RecordError> {
    write(state, file::LEDGER, &ledger.in_its_format(), Dir::replace)
}

/// Replaces the identity record of the directory. Only for the holder of the gate.
pub(crate) fn write_identity(state: &StateDir, id: DirectoryId) -> Result<(), RecordError> {
    write(state, file::IDENTITY, &id, Dir::write_atomic)?;
    state.set_own_id(id);
    Ok(())
}

/// Replaces the ledger durably, in disk space that was reserved before: for a full disk. Only for the holder of the
/// lease.
pub fn write_ledger_into_reserve(
    state: &StateDir,
    reserve: &DiskReserve,
    ledger: &Ledger,
) -> Result<(), RecordError> {
    let path = state.path().join(file::LEDGER);
    let failed = |source| RecordError::Write { path: path.clone(), source };
    let bytes = serde_json::to_vec_pretty(&ledger.in_its_format()).map_err(|error| failed(error.into()))?;
    state.dir().replace_from(reserve, file::LEDGER, &bytes).map_err(failed)
}

/// Reads the offers; none where there is no record yet.
pub fn read_desired(state: &StateDir) -> Result<Desired, RecordError> {
    let found: Option<Desired> = read(state, file::DESIRED, desired::SCHEMA)?;
    // Whichever format it was read from, it is written back in the one that it needs.
    Ok(found.map(Desired::in_its_format).unwrap_or_default())
}

/// The offers, with the facts that workers left in the ledger counted: proofs and failures of versions after their
/// launchers had gone or had their answer. Nothing is written. The ledger is read before the record, so that a failure
/// that a launcher counts meanwhile is found in one of the two.
pub fn counted(state: &StateDir) -> Result<Desired, RecordError> {
    let ledger = read_ledger(state);
    let mut desired = read_desired(state)?;
    // A start reports a ledger that cannot be read; a reader can do without it.
    let Ok(ledger) = ledger else { return Ok(desired) };
    tally::count(&ledger, &mut desired, &Moment::now());
    Ok(desired)
}

/// Writes the offers as [`counted`], where that changes them. Only for the holder of the gate.
pub fn count(state: &StateDir) -> Result<(), RecordError> {
    let counted = counted(state)?;
    if read_desired(state)? == counted { Ok(()) } else { write_desired(state, &counted) }
}

/// The code that kept the last worker, from a ledger of any format: every format has it in `host`.
#[must_use]
pub fn recorded_host(state: &StateDir) -> Option<HostRecord> {
    #[derive(Deserialize)]
    struct StoredRecord {
        host: Option<HostRecord>,
    }
    let bytes = state.dir().read(file::LEDGER, LARGEST).ok()??;
    serde_json::from_slice::<StoredRecord>(&bytes).ok()?.host
}

/// Replaces the record of offers. Only for the holder of the gate.
pub fn write_desired(state: &StateDir, desired: &Desired) -> Result<(), RecordError> {
    write(state, file::DESIRED, &desired.clone().in_its_format(), Dir::write_atomic)
}

#[derive(Deserialize)]
struct RecordFormat {
    schema_version: u32,
}

fn read<T: DeserializeOwned>(state: &StateDir, name: &str, known: u32) -> Result<Option<T>, RecordError> {
    let path = || state.path().join(name);
    let bytes = state.dir().read(name, LARGEST).map_err(|source| {
        if exposed::is_exposed(&source) {
            RecordError::Exposed { path: path(), source }
        } else {
            RecordError::Read { path: path(), source }
        }
    })?;
    let Some(bytes) = bytes else { return Ok(None) };
    let damaged = |source| RecordError::Damaged { path: path(), source };
    let RecordFormat { schema_version: found } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if found > known {
        let host = recorded_host(state).filter(HostRecord::is_newer_host);
        let newer = host.map(|host| PathBuf::from(&*os_text::os(&host.exe))).filter(|exe| exe.is_file());
        return Err(RecordError::TooNew { path: path(), found, known, newer });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

pub(super) fn write(
    state: &StateDir,
    name: &'static str,
    record: &impl Serialize,
    replace: fn(&Dir, &'static str, &[u8]) -> io::Result<()>,
) -> Result<(), RecordError> {
    let failed = |source| RecordError::Write { path: state.path().join(name), source };
    let mut bytes = serde_json::to_vec_pretty(record).map_err(|error| failed(error.into()))?;
    bytes.push(b'\n');
    replace(state.dir(), name, &bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_record_is_an_empty_one() {
        let (_root, state) = StateDir::temporary();
        assert_eq!(read_ledger(&state).expect("absent").generation, 0);
        assert!(read_desired(&state).expect("absent").offers.is_empty());
    }

    #[test]
    fn a_newer_record_is_refused_by_name_and_left_alone() {
        let (_root, state) = StateDir::temporary();
        let newer = br#"{"schema_version": 99, "shape": "unknown"}"#;
        state.dir().write_atomic(file::LEDGER, newer).expect("writes");
        let error = read_ledger(&state).expect_err("newer");
        assert!(
            matches!(error, RecordError::TooNew { found: 99, known: ledger::SCHEMA, newer: None, .. }),
            "{error}"
        );
        assert_eq!(state.dir().read(file::LEDGER, 1000).expect("reads").expect("still there"), newer);
    }

    #[test]
    fn a_damaged_record_is_named() {
        let (_root, state) = StateDir::temporary();
        for bytes in [&b""[..], b"{", b"[]", b"\xff\xff"] {
            state.dir().write_atomic(file::DESIRED, bytes).expect("writes");
            assert!(matches!(read_desired(&state), Err(RecordError::Damaged { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn a_record_says_by_its_format_that_an_older_tenure_would_order_its_versions_otherwise() {
        let (_root, state) = StateDir::temporary();
        let written = |name: &'static str| -> u32 {
            let bytes = state.dir().read(name, LARGEST).expect("reads").expect("it was written");
            serde_json::from_slice::<RecordFormat>(&bytes).expect("a record").schema_version
        };
        for (text, formats) in [
            ("1.2.3-rc.1", (3, 1)),
            ("2024.01.03", (4, 2)),
            ("1.2.3-1-gabc1234", (4, 2)),
            ("4f2a9c1", (4, 2)),
            ("1.2.3", (3, 1)),
        ] {
            let version: crate::spec::version::Version = text.parse().expect(text);
            let ledger = Ledger { version: Some(version.clone()), ..Ledger::default() };
            write_ledger(&state, &ledger).expect("writes");
            let desired = Desired { pin: Some(version.clone()), ..Desired::default() };
            write_desired(&state, &desired).expect("writes");
            assert_eq!((written(file::DESIRED), written(file::LEDGER)), formats, "{text}");
            assert_eq!(read_ledger(&state).expect("reads").version.expect("one").as_str(), text);
            assert_eq!(read_desired(&state).expect("reads").pin.expect("one").as_str(), text);
        }
    }
}
