//! Recording what launchers offer and how starts went, under the gate.

use crate::deadline::Moment;
use crate::desired::Desired;
use crate::gate::Gate;
use crate::records::{self, RecordError};
use crate::spec::Spec;

/// The record with `spec` offered, not yet written.
pub(crate) fn with_offer(gate: &Gate<'_>, spec: &Spec) -> Result<Desired, RecordError> {
    let mut desired = records::read_desired(gate.state())?;
    if !desired.offers.iter().any(|offer| offer.spec == *spec) {
        desired.offer(spec, &Moment::now());
    }
    Ok(desired)
}

/// Writes the record where it differs from what stands: most calls offer what was offered before.
pub(crate) fn keep(gate: &Gate<'_>, desired: &Desired) -> Result<(), RecordError> {
    if records::read_desired(gate.state())? == *desired {
        return Ok(());
    }
    records::write_desired(gate.state(), desired)
}

/// Adds a failed start to the tally of `spec`.
pub(crate) fn failed(
    gate: &Gate<'_>,
    desired: &mut Desired,
    spec: &Spec,
    error: &str,
) -> Result<(), RecordError> {
    desired.failed(spec, error, &Moment::now());
    records::write_desired(gate.state(), desired)
}

/// Clears the tally of `spec` after a start that became ready; writes nothing where there was none.
pub(crate) fn succeeded(gate: &Gate<'_>, desired: &mut Desired, spec: &Spec) -> Result<(), RecordError> {
    if desired.failure(spec).is_none() {
        return Ok(());
    }
    desired.succeeded(&spec.version);
    records::write_desired(gate.state(), desired)
}
