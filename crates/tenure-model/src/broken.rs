//! A broken rule, and the property that cannot hold without the rule.
//!
//! A rule may be masked: another layer then keeps every property. Such a rule is broken twice: alone, where everything
//! holds, and together with the masking layers.

use crate::mutation::Mutation;
use crate::scenario::Scenario;

/// A scenario in which a rule is broken.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The scenario, with every rule that is broken in it.
    pub scenario: Scenario,
    /// The property that cannot hold.
    pub property: &'static str,
    /// The masking layers, which have to be broken as well: with them in place, everything holds.
    pub masked_by: Vec<Mutation>,
}

impl Broken {
    /// A rule that no other layer masks.
    #[must_use]
    pub fn of(scenario: Scenario, property: &'static str) -> Self {
        Self { scenario, property, masked_by: Vec::new() }
    }

    /// Breaks the masking layers as well.
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
