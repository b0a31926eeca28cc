//! The model of a takeover: incumbent, successor, launchers and what the kernel keeps, through every interleaving and
//! fault.
//!
//! It begins with a worker that serves. The shipped decisions and the shipped record decide which worker is replaced
//! and by which version, and [`tenure_core::policy::takeover`] decides for both sides of a takeover. Only the execution
//! of the steps is rewritten, because it is I/O; a step ends where the real process can be interleaved or can die.
//! `point` names the fault points at which the processes of a state are, so that a trace can be repeated with real
//! processes.

mod call;
mod incumbent;
mod invariant;
mod launcher;
mod moves;
mod person;
mod point;
mod process;
mod proof;
mod replacing;
mod state;
mod successor;
mod tally;

pub(crate) mod catalog;
pub mod replay;

use stateright::{HasDiscoveries, Model, Property};
use tenure_core::policy::takeover::Incumbent;

use crate::explored::{Explored, explored};
use crate::kernel::NOBODY;
use crate::records::Change;
use crate::scenario::{Caller, Rules, Scenario, Takeover};
use crate::takeover::moves::Move;
use crate::takeover::process::{Launcher, Pc, Phase, Worker};
use crate::takeover::state::{LAUNCHERS, SLOTS, State};
use crate::takeover::tally::Tally;

pub use crate::takeover::invariant::{
    BOUNDED, FENCE, GENERATIONS, LEASE, NO_DOWNGRADE, NO_REFUSAL, ON_RECORD, ONE_ACCEPTS, ONE_APP, ONWARD,
    PATH, PINNED, PROOF, PUT_BACK, QUARANTINE, REST, SOUND, STOP_HOLDS, TRUST, TWO_ALIVE, UNHARMED, WAY_BACK,
    witness,
};
pub use crate::takeover::process::Outcome;

pub(crate) fn run(scenario: &Scenario, until: HasDiscoveries) -> Explored {
    explored(Takeover(Rules::of(scenario)), until, point::describe)
}

impl Model for Takeover {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        let mut launchers = [Launcher::NONE; LAUNCHERS];
        for (launcher, caller) in launchers.iter_mut().zip(&self.callers) {
            let Caller { task, level, runs } = *caller;
            *launcher = Launcher { task, level, runs, pc: Pc::Look, ..Launcher::NONE };
        }
        let mut workers = [Worker::NONE; SLOTS];
        workers[0] = Worker {
            phase: Phase::Incumbent(Incumbent::Serving),
            generation: 1,
            lease: 1,
            socket: 1,
            answers: true,
            accepts: true,
            ..Worker::NONE
        };
        vec![State {
            lease: 1,
            path: 1,
            ledger: 1,
            lineage: 1,
            record: self.policy.change(0, Change::Offer(0)),
            tally: Tally::default(),
            revoked: 0,
            full: false,
            launchers,
            workers,
            left: self.limits,
            written: 1,
            last: 0,
            replaced: 0,
            downgrades: 0,
            regressed: false,
            resurrected: false,
            unproved: false,
            unsound: false,
            reclaimed: false,
            impatient: false,
            harmed: false,
            stranded: false,
            distrusted: false,
            pinned: NOBODY,
            pin_left_damage: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Move>) {
        moves::own(self, state, actions);
        moves::foreign(self, state, actions);
    }

    fn next_state(&self, state: &State, action: Move) -> Option<State> {
        let mut next = state.clone();
        moves::apply(self, &mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = invariant::always();
        properties.extend(self.witnesses.iter().map(|name| invariant::witness(name)));
        properties
    }
}
