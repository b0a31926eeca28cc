//! The model: launchers, workers and what the kernel keeps for them, explored through every interleaving and every
//! fault.
//!
//! The shipped decisions decide: the rooms of [`tenure_core::policy`] are called, not rewritten. The steps around them
//! are rewritten, because they are I/O; a step ends where the real process can be interleaved or can die. Two models
//! share scenarios, decisions, numbers and catalogue: [`single`] for one worker at a time, and [`takeover`] for a
//! worker that takes the place of another. A [`Mutation`] breaks one rule; an exploration that then finds nothing is an
//! error of the model.

mod broken;
mod explored;
mod kernel;
mod mutation;
mod policy;
mod real;
mod records;
mod scenario;

pub mod catalog;
pub mod single;
pub mod takeover;

use stateright::HasDiscoveries;

pub use crate::explored::{Counterexample, Explored};
pub use crate::mutation::Mutation;
pub use crate::scenario::{Caller, Limits, Scenario, Subject, Task};

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
    match scenario.subject {
        Subject::Single => single::run(scenario, until),
        Subject::Takeover => takeover::run(scenario, until),
    }
}
