//! What the program of the worker before has left, ended by the worker that took its place.
//!
//! A worker ends its program itself. One that died cannot: then the shim does, and where that is gone too, nobody is left but
//! the one that came after. Until then the old program would go on beside the new one, on the listeners that both have, and
//! its lock would keep a third one from being started.

use std::time::Duration;

use tenure::asker;
use tenure::event::{self, Event, What};
use tenure::ledger::{Ledger, ProgramRecord};
use tenure::leftovers::{self, LeftoverError};
use tenure::spec::KILL_GRACE;

use crate::holding::Holding;

/// Ends what the program of `before` has left, where that worker died instead of making room: its shim ends it politely, and
/// what escaped is ended here. With `overlap` this worker has a program of its own by now; where that has the lock of the one
/// before, nobody else does, and whoever inherited it is no leftover.
pub(crate) fn clear(holding: &Holding, before: &Ledger) -> Result<(), LeftoverError> {
    let Some(program) = &before.program else { return Ok(()) };
    let own = holding.kept_program().and_then(|own| own.lock);
    let lock = program.lock.clone().filter(|lock| own.as_ref() != Some(lock));
    end(holding, before, &ProgramRecord { lock, ..program.clone() })
}

/// The same for a worker that made room, once it is gone: most often nothing is left. Only the record, the mark and descent
/// are evidence here. The lock is none: as soon as the tree has let go of it, it may be the next program's.
pub(crate) fn clear_beside(holding: &Holding, before: &Ledger) {
    let Some(program) = &before.program else { return };
    // What cannot be ended is named to the next takeover by its lock.
    drop(end(holding, before, &ProgramRecord { lock: None, ..program.clone() }));
}

fn end(holding: &Holding, before: &Ledger, program: &ProgramRecord) -> Result<(), LeftoverError> {
    let patience: Duration = before.end_budget(holding.brief.spec.end_budget()).saturating_add(KILL_GRACE);
    for left in leftovers::clear_program(&holding.state, program, patience)? {
        let event = Event::now(What::LeftoverEnded, before.generation, &asker(), left.told());
        event::note(&holding.state, &event.pid(left.pid));
    }
    Ok(())
}
