//! What the program of the worker before has left, ended by the worker that took its place.
//!
//! A worker ends its program itself. One that died cannot: then the shim does, and where that is gone too, nobody is left but
//! the one that came after. Until then the old program would go on beside the new one, on the listeners that both have, and
//! its lock would keep a third one from being started.

use std::time::Duration;

use tenure::event::{self, Event, What};
use tenure::ledger::{Ledger, ProgramRecord};
use tenure::leftovers::{self, LeftoverError};
use tenure::spec::KILL_GRACE;
use tenure::{asker, records};

use crate::holding::Holding;

/// Ends what the program of `before` has left, where that worker died instead of making room: its shim ends it politely, and
/// what escaped is ended here. This worker has no program yet.
pub(crate) fn clear(holding: &Holding, before: &Ledger) -> Result<(), LeftoverError> {
    before.program.as_ref().map_or(Ok(()), |program| end(holding, before, program))
}

/// The same for a worker that made room, once it is gone: most often nothing is left. What cannot be ended keeps its lock,
/// which names it to the next takeover.
pub(crate) fn clear_beside(holding: &Holding, before: &Ledger) {
    let Some(mut former) = before.program.clone() else { return };
    let own = records::read_ledger(&holding.state).ok().and_then(|ledger| ledger.program);
    // Whoever inherited the lock of this worker's own program belongs to that.
    former.lock = former.lock.filter(|lock| own.is_some_and(|own| own.lock.as_ref() != Some(lock)));
    drop(end(holding, before, &former));
}

fn end(holding: &Holding, before: &Ledger, program: &ProgramRecord) -> Result<(), LeftoverError> {
    let patience: Duration = before.end_budget(holding.brief.spec.end_budget()).saturating_add(KILL_GRACE);
    for left in leftovers::clear_program(&holding.state, program, patience)? {
        let event = Event::now(What::LeftoverEnded, before.generation, &asker(), left.told());
        event::note(&holding.state, &event.pid(left.pid));
    }
    Ok(())
}
