//! Explores a model to its last state, and collects what was found.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use stateright::{Checker, Expectation, HasDiscoveries, Model};
use tenure_sys::clock;

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
    /// States that were generated, repeated ones included.
    pub states: usize,
    /// Different states.
    pub unique: usize,
    /// How long it took.
    pub took: Duration,
    /// Properties that did not hold.
    pub counterexamples: Vec<Counterexample>,
    /// Witnesses that should have been seen and were not.
    pub unseen: Vec<&'static str>,
}

impl Explored {
    /// Whether every property held and every witness was seen.
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

/// Explores a model breadth first; `describe` puts a step of a counterexample into words.
pub(crate) fn explored<M>(
    model: M,
    until: HasDiscoveries,
    describe: fn(&M::State, M::Action) -> String,
) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Debug + PartialEq + Clone + Send + Sync + 'static,
    M::Action: Debug + PartialEq + Clone,
{
    let began = clock::monotonic();
    let checker = model.checker();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found = checker.threads(threads).finish_when(until).spawn_bfs().join();
    let mut explored = Explored {
        states: found.state_count(),
        unique: found.unique_state_count(),
        took: clock::monotonic().saturating_sub(began),
        counterexamples: Vec::new(),
        unseen: Vec::new(),
    };
    let discoveries = found.discoveries();
    for property in found.model().properties() {
        match (&property.expectation, discoveries.get(property.name)) {
            (Expectation::Always | Expectation::Eventually, Some(path)) => {
                // The path may lead through several wrong states: it ends at the first.
                let holds = |state: &M::State| (property.condition)(found.model(), state);
                let way = path.clone().into_vec().into_iter();
                let way =
                    way.take_while(|(state, _)| property.expectation != Expectation::Always || holds(state));
                let steps = way.filter_map(|(state, step)| step.map(|step| describe(&state, step))).collect();
                explored.counterexamples.push(Counterexample { property: property.name, steps });
            }
            (Expectation::Sometimes, None) => explored.unseen.push(property.name),
            (Expectation::Always | Expectation::Eventually, None) | (Expectation::Sometimes, Some(_)) => {}
        }
    }
    explored
}
