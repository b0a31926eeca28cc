//! Orphans of the program of the worker before, ended by the worker that took its place.
//!
//! A worker ends its program itself. For a worker that died its shim does that, and where the shim is gone too, only
//! the successor is left to do it. Otherwise the old program would go on beside the new one, on the listeners that both
//! have, and its lock would keep a third one from being started.

use std::time::Duration;

use tenure_core::asker;
use tenure_core::launch::orphans::{OrphanError, clear_program};
use tenure_core::record::ledger::Ledger;
use tenure_core::spec::KILL_GRACE;
use tenure_core::store::event::{self, Event, What};

use crate::ownership::Ownership;

/// Ends the orphans of the program of `before`: its shim ends them politely, and what escaped is ended here. With
/// `overlap` this worker has a program of its own by now, or a later one has, which may hold the lock that the one
/// before had.
pub(crate) fn clear(ownership: &Ownership, before: &Ledger) -> Result<(), OrphanError> {
    let Some(program) = &before.program else { return Ok(()) };
    let patience: Duration =
        before.end_budget(ownership.handshake.spec.end_budget()).saturating_add(KILL_GRACE);
    for left in clear_program(&ownership.state, program, patience)? {
        let event = Event::now(What::LeftoverEnded, before.generation, &asker(), left.told());
        event::note(&ownership.state, &event.pid(left.pid));
    }
    Ok(())
}
