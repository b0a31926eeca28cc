//! The model: launchers, workers and what the kernel keeps for them, explored through every interleaving and every crash.
//!
//! What decides here is what ships: [`tenure_core::policy::decide`], [`tenure_core::policy::attempt`], [`tenure_core::policy::facts`] and
//! [`tenure_core::policy::lifecycle`] are called, not rewritten. What is rewritten, because it is I/O, is the order of steps in
//! `ensure`, `start`, `retire`, `stop` and `pin`; each is cut where the real one can be interleaved or can die. Cold
//! start, retirement followed by a start, `stop`, `restart` and a person's words (`pin`, `unpin`, `stop --hold`, `start`)
//! are in it. A [`Mutation`] breaks one rule, and an exploration
//! that then finds nothing is a fault of the model.

mod account;
mod explored;
mod invariant;
mod launcher;
mod moves;
mod pinning;
mod policy;
mod real;
mod retiring;
mod scenario;
mod starting;
mod state;
mod worker;

pub mod catalog;
pub mod takeover;

use stateright::{HasDiscoveries, Model, Property};

use crate::explored::explored;
use crate::moves::Move;
use crate::scenario::Rules;
use crate::state::{LAUNCHERS, Launcher, NOBODY, Pc, SLOTS, State, Worker};

pub use crate::explored::{Counterexample, Explored};
pub use crate::invariant::{
    BOUNDED, BOUNDED_CALL, DOWN, GENERATIONS, HEARD, LEASE, NO_DOWNGRADE, NO_HARM, NO_REFUSAL,
    ONE_GENERATION, ONE_PROGRAM, ONE_WORKER, PATH, PINNED, PUT_BACK, REST, SOUND, witness,
};
pub use crate::scenario::{Caller, Limits, Mutation, Scenario, Task};

/// Explores every state of a scenario, breadth first; ends early where something does not hold.
#[must_use]
pub fn explore(scenario: &Scenario) -> Explored {
    run(scenario, HasDiscoveries::AnyFailures)
}

/// Looks for a counterexample to one property, and for nothing else.
#[must_use]
pub fn refute(scenario: &Scenario, property: &'static str) -> Explored {
    run(scenario, HasDiscoveries::AllOf([property].into_iter().collect()))
}

fn run(scenario: &Scenario, until: HasDiscoveries) -> Explored {
    explored(Rules::of(scenario.clone()), until, |_, step| format!("{step:?}"))
}

impl Model for Rules {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        let mut launchers = [Launcher::NONE; LAUNCHERS];
        for (launcher, caller) in launchers.iter_mut().zip(&self.scenario.callers) {
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
            left: self.scenario.limits,
            served: 0,
            replaced: 0,
            harmed: false,
            downgraded: false,
            unsound: false,
            pinned: NOBODY,
            downed: false,
            bereft: false,
            unheard: false,
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
        properties.extend(self.scenario.witnesses.iter().map(|name| invariant::witness(name)));
        properties
    }
}
