//! Everything that is explored: small scenarios for every test run, large ones for the long run, and the broken rules,
//! each with a property that cannot hold without it.

use crate::scenario::Scenario;
use crate::{single, takeover};

pub use crate::broken::Broken;

/// Scenarios that take seconds.
#[must_use]
pub fn small() -> Vec<Scenario> {
    [single::catalog::small(), takeover::catalog::small()].concat()
}

/// Scenarios that take minutes.
#[must_use]
pub fn large() -> Vec<Scenario> {
    [single::catalog::large(), takeover::catalog::large()].concat()
}

/// Scenarios in which rules are broken, each with a property that cannot hold then.
#[must_use]
pub fn broken() -> Vec<Broken> {
    [single::catalog::broken(), takeover::catalog::broken()].concat()
}
