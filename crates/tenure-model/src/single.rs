//! The model of one worker at a time: cold starts, an end followed by a start, and the commands of people.
//!
//! It begins in an empty scope. No app makes room, so a worker that is to be replaced is ended first. So pin and
//! restart take the same steps here as after a declined takeover.

mod account;
mod invariant;
mod launcher;
mod moves;
mod pinning;
mod retiring;
mod starting;
mod state;
mod unused;
mod worker;

pub(crate) mod catalog;

use stateright::{HasDiscoveries, Model, Property};

use crate::explored::{Explored, explored};
use crate::kernel::NOBODY;
use crate::scenario::{Caller, Rules, Scenario, Single};
use crate::single::moves::Move;
use crate::single::state::{LAUNCHERS, Launcher, Pc, SLOTS, State, Worker};

pub use crate::single::invariant::{
    BOUNDED, BOUNDED_CALL, DOWN, GENERATIONS, HEARD, LEASE, NO_DOWNGRADE, NO_HARM, NO_REFUSAL, NOT_MISLED,
    ONE_APP, ONE_GENERATION, ONE_PROGRAM, ONE_WORKER, PATH, PINNED, PUT_BACK, REST, SOUND, witness,
};

pub(crate) fn run(scenario: &Scenario, until: HasDiscoveries) -> Explored {
    explored(Single(Rules::of(scenario)), until, |_, step| format!("{step:?}"))
}

impl Model for Single {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        let mut launchers = [Launcher::NONE; LAUNCHERS];
        for (launcher, caller) in launchers.iter_mut().zip(&self.callers) {
            let Caller { task, level, runs } = *caller;
            *launcher = Launcher { task, level, runs, pc: Pc::Idle, ..Launcher::NONE };
        }
        vec![State {
            gate: NOBODY,
            lease: 0,
            path: 0,
            lineage: NOBODY,
            booting: false,
            desired: 0,
            launchers,
            workers: [Worker::NONE; SLOTS],
            left: self.limits,
            served: 0,
            replaced: 0,
            harmed: false,
            downgraded: false,
            usurped: false,
            unsound: false,
            pinned: NOBODY,
            downed: false,
            pin_left_damage: false,
            start_ignored: false,
            misled: false,
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
