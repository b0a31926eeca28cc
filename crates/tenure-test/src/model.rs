//! The model: launchers, workers and what the kernel keeps for them, explored through every interleaving and every crash.
//!
//! What decides here is what ships: [`tenure_core::policy::decide`], [`tenure_core::policy::attempt`], [`tenure_core::record::desired`] and
//! [`tenure_core::policy::lifecycle`] are called, not rewritten. What is rewritten, because it is I/O, is the order of steps in
//! `ensure`, `start`, `retire`, `stop` and `pin`; each is cut where the real one can be interleaved or can die. Cold
//! start, retirement followed by a start, `stop`, `restart` and a person's words (`pin`, `unpin`, `stop --hold`, `start`)
//! are in it. A [`Mutation`] breaks one rule, and an exploration
//! that then finds nothing is a fault of the model.

mod account;
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

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};
use tenure_core::deadline;

use crate::model::moves::Move;
use crate::model::scenario::Rules;
use crate::model::state::{LAUNCHERS, Launcher, NOBODY, Pc, SLOTS, State, Worker};

pub use crate::model::invariant::{
    BOUNDED, BOUNDED_CALL, DOWN, GENERATIONS, HEARD, LEASE, NO_DOWNGRADE, NO_HARM, NO_REFUSAL,
    ONE_GENERATION, ONE_PROGRAM, ONE_WORKER, PATH, PINNED, PUT_BACK, REST, SOUND, witness,
};
pub use crate::model::scenario::{Caller, Limits, Mutation, Scenario, Task};

/// A property that did not hold, and the shortest way there that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterexample {
    /// The property.
    pub property: &'static str,
    /// What happens, step by step.
    pub steps: Vec<String>,
}

/// What an exploration found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explored {
    /// States that were generated.
    pub states: usize,
    /// Different ones among them.
    pub unique: usize,
    /// How long it took.
    pub took: Duration,
    /// What did not hold.
    pub counterexamples: Vec<Counterexample>,
    /// What should have been seen and was not.
    pub unseen: Vec<&'static str>,
}

impl Explored {
    /// Whether everything held, and everything that was to be seen was seen.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.counterexamples.is_empty() && self.unseen.is_empty()
    }

    /// The counterexample to `property`, if there is one.
    #[must_use]
    pub fn against(&self, property: &str) -> Option<&Counterexample> {
        self.counterexamples.iter().find(|found| found.property == property)
    }
}

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

/// Explores a model breadth first; `told` puts a step of a counterexample into words.
fn explored<M>(model: M, until: HasDiscoveries, told: fn(&M::State, M::Action) -> String) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Debug + PartialEq + Clone + Send + Sync + 'static,
    M::Action: Debug + PartialEq + Clone,
{
    let began = deadline::monotonic();
    let checker = model.checker();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found = checker.threads(threads).finish_when(until).spawn_bfs().join();
    let mut explored = Explored {
        states: found.state_count(),
        unique: found.unique_state_count(),
        took: deadline::monotonic().saturating_sub(began),
        counterexamples: Vec::new(),
        unseen: Vec::new(),
    };
    let discoveries = found.discoveries();
    for property in found.model().properties() {
        match (&property.expectation, discoveries.get(property.name)) {
            (Expectation::Always | Expectation::Eventually, Some(path)) => {
                // The way to a state that is wrong may lead over others that are.
                let holds = |state: &M::State| (property.condition)(found.model(), state);
                let way = path.clone().into_vec().into_iter();
                let way =
                    way.take_while(|(state, _)| property.expectation != Expectation::Always || holds(state));
                let steps = way.filter_map(|(state, step)| step.map(|step| told(&state, step))).collect();
                explored.counterexamples.push(Counterexample { property: property.name, steps });
            }
            (Expectation::Sometimes, None) => explored.unseen.push(property.name),
            (Expectation::Always | Expectation::Eventually, None) | (Expectation::Sometimes, Some(_)) => {}
        }
    }
    explored
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
