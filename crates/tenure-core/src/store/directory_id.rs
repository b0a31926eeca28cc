//! Giving a state directory its identity, and mending it where the directory was copied or the machine started again.
//!
//! Under the gate and with the lease in hand: by whoever starts a worker where none is, before anything carries the id,
//! and by `doctor --fix` where the id was made while others could write to the directory. A successor goes on with the
//! marks of the worker that it follows, which looks for them if it fails. A copy gets an id of its own, and what its
//! ledger names is struck out: those processes belong to the directory that was copied.

use tenure_sys::random;

use crate::record::directory_id::{DirectoryId, DirectoryOrigin, DirectoryPlace, SCHEMA};
use crate::store::gate::Gate;
use crate::store::lease::Lease;
use crate::store::paths::StateDir;
use crate::store::records::{self, RecordError};

/// Gives the directory of the gate's scope an identity of its own, where it has none that still holds.
pub fn ensure_directory_id(gate: &Gate<'_>, _lease: &Lease) -> Result<(), RecordError> {
    let state = gate.state();
    // Without a place there is nothing to compare later; cookies are then marked by the path, as they were before.
    let Some(here) = state.place() else { return Ok(()) };
    match state.origin() {
        DirectoryOrigin::Own(_) => Ok(()),
        DirectoryOrigin::OtherBoot(id) if id.schema_version > SCHEMA => Ok(()),
        // What an earlier `tenure` started in another boot is gone.
        DirectoryOrigin::OtherBoot(id) => {
            records::write_identity(state, DirectoryId { place: here, former: None, ..id })
        }
        DirectoryOrigin::Unnamed { used } => {
            records::write_identity(state, made(state, here, used.then(|| state.by_path()))?)
        }
        DirectoryOrigin::Copied(_) => {
            // In this order: a crash in between leaves a copy, and this is done again.
            let ledger = records::read_ledger(state)?;
            records::write_ledger(state, &ledger)?;
            records::write_identity(state, made(state, here, None)?)
        }
    }
}

fn made(state: &StateDir, place: DirectoryPlace, former: Option<String>) -> Result<DirectoryId, RecordError> {
    let failed =
        |source| RecordError::Write { path: state.path().join(crate::store::paths::file::IDENTITY), source };
    let id = random::hex(16).map_err(failed)?;
    Ok(DirectoryId { schema_version: SCHEMA, id, place, former })
}
