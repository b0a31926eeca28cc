//! A rule that is broken, and what that must cost.
//!
//! A rule that another layer makes good is tried twice: alone, and then everything holds; and with that layer broken
//! too.

use crate::mutation::Mutation;
use crate::scenario::Scenario;

/// A scenario in which a rule is broken.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The scenario, with every rule that is broken in it.
    pub scenario: Scenario,
    /// What cannot hold then.
    pub property: &'static str,
    /// The layer that has to be broken as well: with all the others that stand before it, everything holds.
    pub masked_by: Vec<Mutation>,
}

impl Broken {
    /// A rule that no other layer makes good.
    #[must_use]
    pub fn of(scenario: Scenario, property: &'static str) -> Self {
        Self { scenario, property, masked_by: Vec::new() }
    }

    /// Breaks another layer, which would make it good.
    #[must_use]
    pub fn masked_by(mut self, layers: &[Mutation]) -> Self {
        self.scenario.mutations.extend(layers);
        self.masked_by = layers.to_vec();
        self
    }

    /// The same scenario with the masking layers in place, where there are any.
    #[must_use]
    pub fn masked(&self) -> Option<Scenario> {
        if self.masked_by.is_empty() {
            return None;
        }
        let mut scenario = self.scenario.clone();
        scenario.mutations.retain(|mutation| !self.masked_by.contains(mutation));
        scenario.witnesses.clear();
        Some(scenario)
    }
}
