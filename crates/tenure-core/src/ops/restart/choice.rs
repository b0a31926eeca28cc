//! What a restart starts, by the record and by the request. Everything that is known to speak against the start is
//! found here, before anything is stopped; nothing is written.

use crate::deadline::Moment;
use crate::error::{Error, ErrorKind, stage};
use crate::launch::request::Request;
use crate::launch::start::recipe;
use crate::ops::offers::{self, DisplacedApp};
use crate::ops::target;
use crate::record::desired::{Desired, Target};
use crate::spec::Spec;
use crate::spec::version::Version;
use crate::store::gate::Gate;

/// What a restart starts, and what that changes on record.
pub(super) struct Choice {
    /// The record as it is to be.
    pub(super) desired: Desired,
    /// The app that loses the name.
    pub(super) displaced: Option<DisplacedApp>,
    /// The offers that are forgotten.
    pub(super) undescribed: Vec<Version>,
    /// What is started.
    pub(super) target: Spec,
}

impl Choice {
    /// The choice under the gate.
    pub(super) fn under(gate: &Gate<'_>, request: &Request) -> Result<Self, Error> {
        let (mut desired, displaced) = offers::take_name_over(gate, request)?;
        if let Some(down) = &desired.down {
            return Err(target::held_down(down));
        }
        // A person asked, so a version that failed a moment ago is tried again now.
        desired.begin_anew(desired.pin.clone().as_ref().unwrap_or(&request.spec.version), &Moment::now());
        let undescribed = offers::forget_undescribed(&mut desired, request);
        if let Some(refusal) = offers::refusal(&desired) {
            return Err(refusal.adding("nothing was stopped"));
        }
        let (startable, _) = offers::startable(&desired, Some(&request.spec.version));
        let target = spec_to_start(&startable.target(&Moment::now(), &recipe::can_run), &request.spec)?;
        // Whatever is known to fail is reported before anything is stopped.
        if request.overlap && !request.force {
            check_overlap(&target)?;
        }
        recipe::check(&target, request)?;
        Ok(Self { desired, displaced, undescribed, target })
    }
}

/// The spec that is started, or why none can be.
fn spec_to_start(target: &Target, spec: &Spec) -> Result<Spec, Error> {
    match target {
        Target::Offer { spec, .. } => Ok((**spec).clone()),
        Target::Suppressed { failure, .. } => {
            Err(Error::of(ErrorKind::SpawnSuppressed, format!("restart the worker: {}", failure.error)))
        }
        Target::Missing { program } => {
            let message = format!(
                "restart the worker: {} in {}; nothing was stopped",
                target::without(spec, program),
                spec.cwd.display()
            );
            Err(Error::of(ErrorKind::SpawnFailed, message).at(stage::PROGRAM))
        }
    }
}

/// Fails where the target cannot run beside the old worker. The request's own spec was checked with the request, but
/// the target may be another one.
fn check_overlap(target: &Spec) -> Result<(), Error> {
    target.may_overlap().map_err(|bad| {
        let message = format!("restart the worker: `{}` {}; nothing was stopped", bad.key, bad.why);
        Error::of(ErrorKind::SpawnFailed, message).at("overlap")
    })
}
