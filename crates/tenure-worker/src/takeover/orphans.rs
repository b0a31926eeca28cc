//! Orphans of the incumbent's program, ended by the successor that took its place.
//!
//! A worker ends its program itself. For a worker that died its shim does that, and where the shim is gone too, only
//! the successor is left to do it. Otherwise the old program would go on beside the new one, on the listeners that both
//! have, and its lock would keep a third one from being started.

use std::time::Duration;

use tenure_core::asker;
use tenure_core::launch::end::orphans::{OrphanError, clear_program};
use tenure_core::record::ledger::Ledger;
use tenure_core::spec::KILL_GRACE;
use tenure_core::store::event::{self, Event, What};

use crate::ownership::Ownership;

/// Ends the orphans of the program in the incumbent's ledger: its shim ends them politely, and what escaped is ended
/// here. With `overlap` this worker or a later one has a program of its own by now, which may hold the lock that the
/// incumbent's program had.
pub(crate) fn clear(ownership: &Ownership, incumbent_ledger: &Ledger) -> Result<(), OrphanError> {
    let Some(program) = &incumbent_ledger.program else { return Ok(()) };
    let patience: Duration =
        incumbent_ledger.end_budget(ownership.handshake.spec.end_budget()).saturating_add(KILL_GRACE);
    for left in clear_program(&ownership.state, program, patience)? {
        let event = Event::now(What::LeftoverEnded, incumbent_ledger.generation, &asker(), left.told());
        event::note(&ownership.state, &event.pid(left.pid));
    }
    Ok(())
}
