//! Gives a state directory its identity, and mends the record after the directory was copied or the machine rebooted.
//!
//! This needs gate and lease. It is done by whoever starts a worker in an empty scope, before any process carries the
//! id, and by `doctor --fix` where the id was made while others could write to the directory. A successor keeps the id
//! of its incumbent, which searches for the id's cookies if the successor fails. A copy gets an id of its own, and its
//! ledger loses the processes, which belong to the directory that was copied.

use tenure_sys::random;

use crate::record::directory_id::{DirectoryId, DirectoryOrigin, DirectoryPlace, SCHEMA};
use crate::store::gate::Gate;
use crate::store::lease::Lease;
use crate::store::paths::StateDir;
use crate::store::records::{self, RecordError};

/// Gives the directory of the gate's scope an identity of its own, where it has none that is valid now.
pub fn ensure_directory_id(gate: &Gate<'_>, _lease: &Lease) -> Result<(), RecordError> {
    let state = gate.state();
    // Without a place nothing could be compared later. Cookies then have the scope's id by the path.
    let Some(here) = state.place() else { return Ok(()) };
    match state.origin() {
        DirectoryOrigin::Own(_) => Ok(()),
        DirectoryOrigin::OtherBoot(id) if id.schema_version > SCHEMA => Ok(()),
        // Processes that a `tenure` without this record started (`former`) are gone since the reboot.
        DirectoryOrigin::OtherBoot(id) => {
            records::write_identity(state, DirectoryId { place: here, former: None, ..id })
        }
        DirectoryOrigin::Unnamed { used } => {
            records::write_identity(state, made(state, here, used.then(|| state.by_path()))?)
        }
        DirectoryOrigin::Copied(_) => {
            // The ledger first: after a crash in between the directory still counts as a copy, and this is done again.
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
