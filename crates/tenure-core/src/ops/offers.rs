//! Recording what launchers offer and how starts went, under the gate.

use std::path::PathBuf;

use crate::spec::version::Version;
use tenure_sys::dir::read_regular;
use tenure_sys::discard::best_effort;

use crate::deadline::Moment;
use crate::error::{Error, ErrorKind, stage};
use crate::fault::{self, Point};
use crate::launch::request::{self, Request};
use crate::launch::start::StartError;
use crate::launch::start::readiness::StartOutcome;
use crate::launch::start::recipe;
use crate::policy::decide::{Observation, Refusal, ReplaceReason};
use crate::protocol::wire::Hello;
use crate::record::desired::{Desired, Offer};
use crate::spec::app::{AppId, AppStanding};
use crate::spec::made::ProgramFiles;
use crate::spec::origin::Origin;
use crate::spec::{Spec, scope};
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::paths::StateDir;
use crate::store::records::{self, RecordError};
use crate::store::trust::TrustStore;

/// The longest file that is read to see whether it still is what somebody once read from it.
const LONGEST_FILE: u64 = 4 * 1024 * 1024;

/// The record with the request's spec offered, and no longer held down where the request is a person's `start`; not yet
/// written. `seen` is who answers now.
pub(crate) fn with_offer(
    gate: &Gate<'_>,
    request: &Request,
    seen: &Observation,
) -> Result<Desired, RecordError> {
    let mut desired = records::counted(gate.state())?;
    if *seen == Observation::Nobody && is_taken(&desired, request) {
        desired.release_what_is_gone(&recipe::can_run);
    }
    Ok(offering(desired, request))
}

fn offering(mut desired: Desired, request: &Request) -> Desired {
    if !has_offer(&desired, request) {
        desired.offer_from(&request.spec, &request.origin, &Moment::now());
    }
    // An offer means the program files as they are now. What another app asks for is no offer.
    if has_offer(&desired, request) {
        desired.set_program_files(
            &request.spec.version,
            ProgramFiles::of(&request.spec, request.spec.env.path_here().as_deref()),
        );
    }
    if request.start {
        desired.down = None;
    }
    desired
}

/// The record if it holds this very offer already, or if the name is another app's. It is read without the gate, which
/// is enough to see that there is nothing to do.
pub(crate) fn known(state: &StateDir, request: &Request) -> Option<Desired> {
    let is_known = |desired: &Desired| has_offer(desired, request) || is_taken(desired, request);
    records::read_desired(state).ok().filter(is_known)
}

fn is_taken(desired: &Desired, request: &Request) -> bool {
    matches!(desired.standing(&request.spec, &request.origin), AppStanding::Taken(_))
}

/// An app from which a person's restart took the name over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DisplacedApp {
    /// Which one.
    pub app: AppId,
    /// Its versions, which were forgotten, highest first.
    pub versions: Vec<Version>,
}

/// The record with the request's spec offered by a person, who takes the name over where another app had it and may lose
/// it so; not yet written.
pub(crate) fn take_name_over(
    gate: &Gate<'_>,
    request: &Request,
) -> Result<(Desired, Option<DisplacedApp>), Error> {
    let mut desired = records::counted(gate.state())?;
    let (spec, origin) = (&request.spec, &request.origin);
    let AppStanding::Taken(app) = desired.standing(spec, origin) else {
        return Ok((offering(desired, request), None));
    };
    if let Some(versions) = desired.take_over(spec, origin) {
        return Ok((offering(desired, request), Some(DisplacedApp { app, versions })));
    }
    let (theirs, ours) = (Box::new(app), Box::new(AppId::of(spec, origin)));
    Err(Refusal::OtherApp { theirs, ours, must_give_up: true }.into())
}

/// Whether the record says that a person stopped the worker for good. It is read without the gate.
pub(crate) fn is_down(state: &StateDir) -> bool {
    records::read_desired(state).is_ok_and(|desired| desired.down.is_some())
}

fn has_offer(desired: &Desired, request: &Request) -> bool {
    desired
        .offers
        .iter()
        .any(|offer| offer.spec.is_identical(&request.spec) && offer.origin == request.origin)
}

/// The part of the record that may be started now. An offer from a project's file counts only while the content that it
/// came from is trusted, whoever asks. If the records of trust cannot be read, no such offer counts.
pub(crate) fn allowed(desired: &Desired) -> Desired {
    let trusted = TrustStore::of_user();
    let allows = |origin: &Origin| match &trusted {
        Ok(trusted) => trusted.allows(origin),
        Err(_) => !matches!(origin, Origin::Project { .. }),
    };
    desired.allowed(&allows)
}

/// The offers that a call may start. Of the allowed ones, those below the highest runnable offer are left out if their
/// program files have changed since they were offered (decision 55). The second part lists what was left out, with the
/// changed file. Never left out are the version `own`, which the call itself offers with the files as they are now, and
/// a pinned version.
#[must_use]
pub fn startable(desired: &Desired, own: Option<&Version>) -> (Desired, Vec<(Version, PathBuf)>) {
    let changed = |offer: &Offer| offer.made.changed(&offer.spec, offer.spec.env.path_here().as_deref());
    let is_other = |offer: &Offer| {
        own != Some(&offer.spec.version) && !offer.made.is_unknown() && changed(offer).is_some()
    };
    let (rest, left_out) = allowed(desired).as_offered(&recipe::can_run, &is_other);
    let named = left_out.iter().filter_map(|offer| Some((offer.spec.version.clone(), changed(offer)?)));
    (rest, named.collect())
}

/// The error where trust forbids every start: the offer that would be the target came from content that is no longer
/// trusted, and no other offer is allowed.
pub(crate) fn refusal(desired: &Desired) -> Option<Error> {
    let wanted = |offer: &&Offer| desired.pin.as_ref().is_none_or(|pinned| *pinned == offer.spec.version);
    let allowed = allowed(desired);
    if allowed.offers.iter().any(|offer| wanted(&offer)) {
        return None;
    }
    untrusted(desired.offers.iter().rev().find(wanted)?, desired.pin.is_some())
}

/// Fails unless `spec` is still trusted. The wait for the former worker's end can be long, and a spec that was chosen
/// before it may have lost its trust meanwhile.
pub(crate) fn confirm_trust(gate: &Gate<'_>, spec: &Spec) -> Result<(), Error> {
    let desired = records::read_desired(gate.state())?;
    if allowed(&desired).offers.iter().any(|offer| offer.spec.is_identical(spec)) {
        return Ok(());
    }
    let offer = desired.offers.iter().find(|offer| offer.spec.is_identical(spec));
    offer.and_then(|offer| untrusted(offer, desired.pin.is_some())).map_or(Ok(()), Err)
}

fn untrusted(offer: &Offer, is_pinned: bool) -> Option<Error> {
    let path = offer.origin.path()?;
    let version = &offer.spec.version;
    let pinned = if is_pinned { "is pinned and " } else { "" };
    let message = format!(
        "start the worker: version {version} {pinned}was offered by {}, and that content is not trusted any more",
        path.display()
    );
    let at = match (is_pinned, is_content_there(&offer.origin)) {
        (false, _) => "trust",
        (true, true) => stage::PIN,
        (true, false) => stage::PIN_OF_OTHER_CONTENT,
    };
    Some(Error::untrusted(message, path).at(at))
}

/// Whether the file of an offer still has the content that the offer was read from: only then does trusting the file
/// allow this offer again.
pub(crate) fn is_content_there(origin: &Origin) -> bool {
    match origin {
        Origin::Call | Origin::File { .. } => true,
        Origin::Project { path, sha256 } => {
            read_regular(path, LONGEST_FILE).is_ok_and(|content| scope::fingerprint(&content) == *sha256)
        }
    }
}

/// Forgets every offer above the request's own that nothing describes any more: a person asks for what is described
/// now.
pub(crate) fn forget_undescribed(desired: &mut Desired, request: &Request) -> Vec<Version> {
    desired.forget_undescribed(&request.spec.version, &|offer| is_described(offer, request))
}

/// Whether an offer is still described: by its file, or, for an offer of a call, by a program that exists.
fn is_described(offer: &Offer, request: &Request) -> bool {
    let Some(path) = offer.origin.path() else { return recipe::can_run(&offer.spec) };
    if request.stated && request.origin.path() == Some(path) {
        // The request comes from that very file, which states another version now.
        return false;
    }
    match request.read_stated {
        Some(read) => read(path, request.scope.name()).describes(&offer.spec.version),
        None => path.exists(),
    }
}

/// Records that a worker is replaced because its own answer disagrees with the version that it was started as. This is
/// recorded before the worker makes room: if the next worker says the same, it is not replaced again.
pub(crate) fn note_disagreement(
    gate: &Gate<'_>,
    hello: &Hello,
    reason: &ReplaceReason,
    spec: &Spec,
    request: &Request,
) -> Result<(), Error> {
    let ReplaceReason::Disagrees { target, says } = reason else { return Ok(()) };
    gate.confirm()?;
    let mut desired = records::read_desired(gate.state())?;
    desired.disagreed(spec, says);
    records::write_desired(gate.state(), &desired)?;
    fault::reach(Point::DisagreementRecorded);
    let why = format!("it was started as {target} and says that it is {says}");
    let event = Event::now(What::VersionDisagrees, hello.generation, &request.asker(), why);
    event::note(gate.state(), &event.version(target).pid(hello.identity.pid));
    Ok(())
}

/// Writes the record if it has changed: most calls offer what was offered before. The event of a released worker
/// follows once the record is written.
pub(crate) fn keep(gate: &Gate<'_>, desired: &Desired, request: &Request) -> Result<(), Error> {
    let written = records::read_desired(gate.state())?;
    if written == *desired {
        return Ok(());
    }
    gate.confirm()?;
    records::write_desired(gate.state(), desired)?;
    if written.down.is_some() && desired.down.is_none() {
        event::note(gate.state(), &Event::now(What::Released, 0, &request.asker(), "a person starts it"));
    }
    Ok(())
}

/// Counts how a start of `spec` went, in the record as it is now, and returns a failure of the worker as an error. An
/// error that says nothing about the spec (state directory, gate, a survivor) is passed on and not counted.
pub(crate) fn record_start(
    gate: &Gate<'_>,
    spec: &Spec,
    started: Result<StartOutcome, StartError>,
) -> Result<Option<Error>, Error> {
    let failure = match started {
        Ok(StartOutcome::Ready(_)) => {
            // The worker serves; if its tally cannot be cleared now, the next success clears it.
            best_effort(succeeded(gate, spec));
            return Ok(None);
        }
        // The worker itself records when it has passed; until then the failures of its version count.
        Ok(StartOutcome::OnProbation(_)) => return Ok(None),
        Ok(StartOutcome::StillBooting) => {
            return Ok(Some(Error::of(ErrorKind::TimedOut, "wait for the worker's boot")));
        }
        Ok(StartOutcome::Failed(failure)) if !failure.stage.is_of_the_spec() => {
            return Ok(Some(Error::boot_failed(&failure)));
        }
        Ok(StartOutcome::Failed(failure)) => {
            let event = Event::now(What::StartFailed, 0, &request::asker(), failure.message.as_str());
            let event = event.version(&spec.version).pid(failure.pid).not_ready(failure.not_ready.as_deref());
            event::note(gate.state(), &event);
            Error::boot_failed(&failure)
        }
        Err(error) if error.is_of_the_spec() => {
            let error = Error::from(error);
            let event = Event::now(What::StartFailed, 0, &request::asker(), error.to_string());
            event::note(gate.state(), &event.version(&spec.version));
            error
        }
        Err(error) => return Err(error.into()),
    };
    gate.confirm()?;
    let mut desired = records::read_desired(gate.state())?;
    desired.failed(spec, failure.cause_of_start(), &Moment::now());
    desired.explain_failure(spec, failure.last_words(), failure.not_ready());
    records::write_desired(gate.state(), &desired)?;
    Ok(Some(failure))
}

/// Clears the tally of the version, for all of its specs; writes nothing where there is none.
fn succeeded(gate: &Gate<'_>, spec: &Spec) -> Result<(), Error> {
    let mut desired = records::read_desired(gate.state())?;
    if desired.failures.iter().all(|failure| failure.version != spec.version) {
        return Ok(());
    }
    gate.confirm()?;
    desired.succeeded(&spec.version);
    Ok(records::write_desired(gate.state(), &desired)?)
}
