//! Recording what launchers offer and how starts went, under the gate.

use crate::deadline::Moment;
use crate::desired::{Desired, Offer};
use crate::ends;
use crate::error::{Error, ErrorKind};
use crate::event::{self, Event, What};
use crate::fault::{self, Point};
use crate::gate::Gate;
use crate::judge::Fault;
use crate::ledger::{Ledger, RolledBack};
use crate::made::Made;
use crate::order::{self, Order};
use crate::origin::Origin;
use crate::paths::StateDir;
use crate::readiness::Outcome;
use crate::records::{self, RecordError};
use crate::seat;
use crate::spec::Spec;
use crate::start::StartError;
use crate::trust::Trusted;
use crate::wire::Hello;

use std::path::PathBuf;

use semver::Version;

/// The record with the order's spec offered, and released where the order is a person's word to start; not yet written.
pub(crate) fn with_offer(gate: &Gate<'_>, order: &Order) -> Result<Desired, RecordError> {
    let mut desired = counted(gate)?;
    if !stands(&desired, order) {
        desired.offer_from(&order.spec, &order.origin, &Moment::now());
    }
    // Whoever offers a version says that it is what lies there now.
    desired.made_of(&order.spec.version, Made::of(&order.spec, order.spec.env.path_here().as_deref()));
    if order.start {
        desired.down = None;
    }
    Ok(desired)
}

/// The record with what became of workers and takeovers after their launchers were gone, or had their answer; not yet written.
pub(crate) fn counted(gate: &Gate<'_>) -> Result<Desired, RecordError> {
    let mut desired = records::read_desired(gate.state())?;
    // A ledger that cannot be read is told where something is to be started.
    let Ok(ledger) = records::read_ledger(gate.state()) else { return Ok(desired) };
    if let Some(proved) = &ledger.proved {
        desired.proved(&proved.version, &proved.at, &Moment::now());
    }
    if let Some(failed) = &ledger.rolled_back {
        count_rollback(failed, &mut desired);
    }
    count_end(&ledger, &mut desired);
    Ok(desired)
}

/// Counts a successor that failed: the worker that took its scope back has put it on record. What was counted is not counted
/// again, and neither is what failed before the version was offered as it is: it was counted then, or forgotten since.
fn count_rollback(failed: &RolledBack, desired: &mut Desired) {
    let counted = desired.failures.iter().any(|known| {
        known.version == failed.version && known.spec == failed.spec && !failed.at.is_after(&known.at)
    });
    let is_meant = |offer: &&Offer| {
        offer.spec.version == failed.version
            && offer.spec.digest() == failed.spec
            && !offer.at.is_after(&failed.at)
    };
    let offered = desired.offers.iter().find(is_meant).map(|offer| offer.spec.clone());
    if let Some(spec) = offered.filter(|_| !counted) {
        desired.failed(&spec, &failed.why, &failed.at);
    }
}

/// Counts a worker that gave up, or ended soon after it was ready again and again, as a start that failed: to begin the same
/// loop anew with each call helps nobody. What was counted is not counted again.
fn count_end(ledger: &Ledger, desired: &mut Desired) {
    let times = ends::failed_starts(&ledger.ends, ledger.generation);
    let Some(end) = ledger.last_end().filter(|_| times > 0) else { return };
    let offered = desired.offers.iter().map(|offer| &offer.spec);
    let offered = offered
        .filter(|spec| end.spec.as_ref() == Some(&spec.digest()))
        .max_by_key(|spec| &spec.version)
        .cloned();
    let Some(spec) = offered else { return };
    if desired.failure(&spec).is_none_or(|known| end.at.is_after(&known.at)) {
        desired.failed_at_least(&spec, &end.line(), &end.at, times);
    }
}

/// The record where this very offer stands in it already: read without the gate, and only to see that nothing is to be done.
pub(crate) fn known(state: &StateDir, order: &Order) -> Option<Desired> {
    records::read_desired(state).ok().filter(|desired| stands(desired, order))
}

/// Whether the record says that a person stopped the worker for good: read without the gate.
pub(crate) fn is_down(state: &StateDir) -> bool {
    records::read_desired(state).is_ok_and(|desired| desired.down.is_some())
}

fn stands(desired: &Desired, order: &Order) -> bool {
    desired.offers.iter().any(|offer| offer.spec == order.spec && offer.origin == order.origin)
}

/// The record as far as it may be started now. What a project's file offered counts as long as the content that it came from
/// is trusted, whoever asks; without the records of trust nothing of the kind does.
pub(crate) fn allowed(desired: &Desired) -> Desired {
    let trusted = Trusted::of_user();
    let allows = |origin: &Origin| match &trusted {
        Ok(trusted) => trusted.allows(origin),
        Err(_) => !matches!(origin, Origin::Project { .. }),
    };
    desired.allowed(&allows)
}

/// What a call may start: what is allowed, without offers that are not what was offered any more and could only take the place
/// of one that failed; and these, with the file that has changed. What the call itself offers is what lies there now.
pub(crate) fn to_choose_from(desired: &Desired, own: Option<&Version>) -> (Desired, Vec<(Version, PathBuf)>) {
    let changed = |offer: &Offer| offer.made.changed(&offer.spec, offer.spec.env.path_here().as_deref());
    let is_other = |offer: &Offer| {
        own != Some(&offer.spec.version) && !offer.made.is_unknown() && changed(offer).is_some()
    };
    let (rest, left_out) = allowed(desired).as_offered(&seat::can_run, &is_other);
    let named = left_out.iter().filter_map(|offer| Some((offer.spec.version.clone(), changed(offer)?)));
    (rest, named.collect())
}

/// Why nothing may be started because of trust: the offer that would be the target came from content that nobody trusts any
/// more, and nothing else is allowed.
pub(crate) fn refusal(desired: &Desired) -> Option<Error> {
    let wanted = |offer: &&Offer| desired.hold.as_ref().is_none_or(|held| *held == offer.spec.version);
    let allowed = allowed(desired);
    if allowed.offers.iter().any(|offer| wanted(&offer)) {
        return None;
    }
    let offer = desired.offers.iter().rev().find(wanted)?;
    let path = offer.origin.path()?;
    let (version, path_told) = (&offer.spec.version, path.display());
    let is_held = desired.hold.is_some();
    let pinned = if is_held { "is pinned and " } else { "" };
    let message = format!(
        "start the worker: version {version} {pinned}was offered by {path_told}, and that content is not trusted any more"
    );
    Some(Error::untrusted(message, path).at(if is_held { "pin" } else { "trust" }))
}

/// Forgets every offer above the order's own that nobody describes any more, also one that could not be started now: it would
/// come back as soon as it can. A person asks for what is described now. What is described stands, also where it is higher; a
/// stale copy does not downgrade others. Under a hold nothing is forgotten.
pub(crate) fn forget_undescribed(desired: &mut Desired, order: &Order) -> Vec<Version> {
    if desired.hold.is_some() {
        return Vec::new();
    }
    let above = desired.offers.iter().filter(|offer| offer.spec.version > order.spec.version);
    let undescribed = above.filter(|offer| !is_described(&offer.spec.version, &offer.origin, order));
    // Highest first: the order in which they would have been started.
    let forgotten: Vec<Version> = undescribed.rev().map(|offer| offer.spec.version.clone()).collect();
    for version in &forgotten {
        desired.forget(version);
    }
    forgotten
}

/// An offer of a file is described while the file says so. One of a call is while its program exists, which the target is
/// chosen by.
fn is_described(version: &Version, origin: &Origin, order: &Order) -> bool {
    let Some(path) = origin.path() else { return true };
    if order.stated && order.origin.path() == Some(path) {
        // The order comes from that very file, which states another version now.
        return false;
    }
    match order.read_stated {
        Some(read) => read(path, order.scope.name()).describes(version),
        None => path.exists(),
    }
}

/// Records, before a worker makes room because its own answer disagrees with what it was started as, that this was tried:
/// the next one that says the same is left in peace.
pub(crate) fn note_disagreement(
    gate: &Gate<'_>,
    hello: &Hello,
    fault: &Fault,
    (spec, order): (&Spec, &Order),
) -> Result<(), Error> {
    let Fault::Disagrees { target, says } = fault else { return Ok(()) };
    gate.confirm()?;
    let mut desired = records::read_desired(gate.state())?;
    desired.disagreed(spec, says);
    records::write_desired(gate.state(), &desired)?;
    fault::reach(Point::DisagreementRecorded);
    let why = format!("it was started as {target} and says that it is {says}");
    let event = Event::now(What::VersionDisagrees, hello.generation, &order.asker(), why);
    event::note(gate.state(), &event.version(target).pid(hello.identity.pid));
    Ok(())
}

/// Writes the record where it differs from what stands: most calls offer what was offered before. A worker that is held down
/// no longer is told of once that is written.
pub(crate) fn keep(gate: &Gate<'_>, desired: &Desired, order: &Order) -> Result<(), Error> {
    let stands = records::read_desired(gate.state())?;
    if stands == *desired {
        return Ok(());
    }
    gate.confirm()?;
    records::write_desired(gate.state(), desired)?;
    if stands.down.is_some() && desired.down.is_none() {
        event::note(gate.state(), &Event::now(What::Released, 0, &order.asker(), "a person starts it"));
    }
    Ok(())
}

/// Records how a start of `spec` went, in the record as it stands now, and makes an error of a failure. An error that says
/// nothing about the spec (the state directory, the gate, a survivor) is passed on and tallies nothing.
pub(crate) fn settle(
    gate: &Gate<'_>,
    spec: &Spec,
    started: Result<Outcome, StartError>,
) -> Result<Option<Error>, Error> {
    let failure = match started {
        Ok(Outcome::Ready(_)) => {
            // What serves serves: a tally that cannot be cleared now is cleared by the next success.
            drop(succeeded(gate, spec));
            return Ok(None);
        }
        // The worker itself says when it has passed, and what is known against its version counts until then.
        Ok(Outcome::OnProbation(_)) => return Ok(None),
        Ok(Outcome::StillBooting) => {
            return Ok(Some(Error::of(ErrorKind::TimedOut, "wait for the worker's boot")));
        }
        Ok(Outcome::Failed(failure)) if !failure.is_its_own() => {
            return Ok(Some(Error::boot_failed(&failure)));
        }
        Ok(Outcome::Failed(failure)) => {
            let event = Event::now(What::StartFailed, 0, &order::asker(), failure.message.as_str());
            event::note(gate.state(), &event.version(&spec.version).pid(failure.pid));
            Error::boot_failed(&failure)
        }
        Err(error) if error.is_of_the_spec() => {
            let error = Error::from(error);
            let event = Event::now(What::StartFailed, 0, &order::asker(), error.to_string());
            event::note(gate.state(), &event.version(&spec.version));
            error
        }
        Err(error) => return Err(error.into()),
    };
    gate.confirm()?;
    let mut desired = records::read_desired(gate.state())?;
    desired.failed(spec, failure.cause_of_start(), &Moment::now());
    records::write_desired(gate.state(), &desired)?;
    Ok(Some(failure))
}

/// Clears the tally of the version, whichever of its specs failed; writes nothing where there was none.
fn succeeded(gate: &Gate<'_>, spec: &Spec) -> Result<(), Error> {
    let mut desired = records::read_desired(gate.state())?;
    if desired.failures.iter().all(|failure| failure.version != spec.version) {
        return Ok(());
    }
    gate.confirm()?;
    desired.succeeded(&spec.version);
    Ok(records::write_desired(gate.state(), &desired)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_before_a_version_was_forgotten_and_offered_again_is_not_counted() {
        let mut spec = Spec::of_command(vec!["/bin/true".to_owned()], "/".into());
        spec.version = Version::new(9, 0, 0);
        let at = |ms| Moment { boot: "b".into(), ms };
        let failed = RolledBack {
            version: spec.version.clone(),
            spec: spec.digest(),
            at: at(2),
            why: "exit status 3".to_owned(),
        };
        let mut desired = Desired::default();
        desired.offer(&spec, &at(1));
        // Who offers the same meanwhile does not make it new.
        desired.offer(&spec, &at(3));
        count_rollback(&failed, &mut desired);
        assert!(desired.failure(&spec).is_some(), "it failed as it is on offer");

        desired.forget(&spec.version);
        count_rollback(&failed, &mut desired);
        desired.offer(&spec, &at(4));
        count_rollback(&failed, &mut desired);

        assert_eq!(desired.failure(&spec), None, "a clean slate");
    }
}
