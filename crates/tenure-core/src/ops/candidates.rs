//! Recording what launchers offer and how starts went, under the gate.

use std::path::PathBuf;

use semver::Version;
use tenure_sys::dir::read_regular;
use tenure_sys::discard::best_effort;

use crate::deadline::Moment;
use crate::error::{Error, ErrorKind};
use crate::fault::{self, Point};
use crate::launch::readiness::StartOutcome;
use crate::launch::recipe;
use crate::launch::request::{self, Request};
use crate::launch::start::StartError;
use crate::policy::decide::ReplaceReason;
use crate::policy::tally;
use crate::protocol::wire::Hello;
use crate::record::desired::{Desired, Offer};
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

/// The record with the order's spec offered, and released where the order is a person's word to start; not yet written.
pub(crate) fn with_offer(gate: &Gate<'_>, request: &Request) -> Result<Desired, RecordError> {
    let mut desired = counted(gate)?;
    if !stands(&desired, request) {
        desired.offer_from(&request.spec, &request.origin, &Moment::now());
    }
    // Whoever offers a version says that it is what lies there now.
    desired.set_program_files(
        &request.spec.version,
        ProgramFiles::of(&request.spec, request.spec.env.path_here().as_deref()),
    );
    if request.start {
        desired.down = None;
    }
    Ok(desired)
}

/// The record with what became of workers and takeovers after their launchers were gone, or had their answer; not yet
/// written.
pub(crate) fn counted(gate: &Gate<'_>) -> Result<Desired, RecordError> {
    as_counted(gate.state())
}

/// The same for whoever only looks: what is not written yet is true already. The ledger is read first, so that what
/// somebody counts meanwhile is found in one of the two.
pub fn as_counted(state: &StateDir) -> Result<Desired, RecordError> {
    let ledger = records::read_ledger(state);
    let mut desired = records::read_desired(state)?;
    // A ledger that cannot be read is told where something is to be started.
    let Ok(ledger) = ledger else { return Ok(desired) };
    tally::count(&ledger, &mut desired, &Moment::now());
    Ok(desired)
}

/// The record where this very offer stands in it already: read without the gate, and only to see that nothing is to be
/// done.
pub(crate) fn known(state: &StateDir, request: &Request) -> Option<Desired> {
    records::read_desired(state).ok().filter(|desired| stands(desired, request))
}

/// Whether the record says that a person stopped the worker for good: read without the gate.
pub(crate) fn is_down(state: &StateDir) -> bool {
    records::read_desired(state).is_ok_and(|desired| desired.down.is_some())
}

fn stands(desired: &Desired, request: &Request) -> bool {
    desired.offers.iter().any(|offer| offer.spec == request.spec && offer.origin == request.origin)
}

/// The record as far as it may be started now. What a project's file offered counts as long as the content that it came
/// from is trusted, whoever asks; without the records of trust nothing of the kind does.
pub(crate) fn allowed(desired: &Desired) -> Desired {
    let trusted = TrustStore::of_user();
    let allows = |origin: &Origin| match &trusted {
        Ok(trusted) => trusted.allows(origin),
        Err(_) => !matches!(origin, Origin::Project { .. }),
    };
    desired.allowed(&allows)
}

/// What a call may start: what is allowed, without offers that are not what was offered any more and could only take
/// the place of one that failed; and these, with the file that has changed. What the call itself offers is what lies
/// there now.
#[must_use]
pub fn to_choose_from(desired: &Desired, own: Option<&Version>) -> (Desired, Vec<(Version, PathBuf)>) {
    let changed = |offer: &Offer| offer.made.changed(&offer.spec, offer.spec.env.path_here().as_deref());
    let is_other = |offer: &Offer| {
        own != Some(&offer.spec.version) && !offer.made.is_unknown() && changed(offer).is_some()
    };
    let (rest, left_out) = allowed(desired).as_offered(&recipe::can_run, &is_other);
    let named = left_out.iter().filter_map(|offer| Some((offer.spec.version.clone(), changed(offer)?)));
    (rest, named.collect())
}

/// Why nothing may be started because of trust: the offer that would be the target came from content that nobody trusts
/// any more, and nothing else is allowed.
pub(crate) fn refusal(desired: &Desired) -> Option<Error> {
    let wanted = |offer: &&Offer| desired.hold.as_ref().is_none_or(|held| *held == offer.spec.version);
    let allowed = allowed(desired);
    if allowed.offers.iter().any(|offer| wanted(&offer)) {
        return None;
    }
    untrusted(desired.offers.iter().rev().find(wanted)?, desired.hold.is_some())
}

/// Whether `spec` is still trusted: a wait for the end of whoever stood there can be long, and what was chosen before
/// it may have lost its trust meanwhile.
pub(crate) fn confirm_trust(gate: &Gate<'_>, spec: &Spec) -> Result<(), Error> {
    let desired = records::read_desired(gate.state())?;
    if allowed(&desired).offers.iter().any(|offer| offer.spec == *spec) {
        return Ok(());
    }
    let offer = desired.offers.iter().find(|offer| offer.spec == *spec);
    offer.and_then(|offer| untrusted(offer, desired.hold.is_some())).map_or(Ok(()), Err)
}

fn untrusted(offer: &Offer, is_held: bool) -> Option<Error> {
    let path = offer.origin.path()?;
    let (version, path_told) = (&offer.spec.version, path.display());
    let pinned = if is_held { "is pinned and " } else { "" };
    let message = format!(
        "start the worker: version {version} {pinned}was offered by {path_told}, and that content is not trusted any more"
    );
    let stage = match (is_held, is_content_there(&offer.origin)) {
        (false, _) => "trust",
        (true, true) => "pin",
        (true, false) => "pin of other content",
    };
    Some(Error::untrusted(message, path).at(stage))
}

/// Whether the file of an offer has the content that it was read from: then trust in the file brings the offer back,
/// and otherwise it allows something else.
pub(crate) fn is_content_there(origin: &Origin) -> bool {
    match origin {
        Origin::Call | Origin::File { .. } => true,
        Origin::Project { path, sha256 } => {
            read_regular(path, LONGEST_FILE).is_ok_and(|content| scope::fingerprint(&content) == *sha256)
        }
    }
}

/// Forgets every offer above the order's own that nobody describes any more: a person asks for what is described now.
pub(crate) fn forget_undescribed(desired: &mut Desired, request: &Request) -> Vec<Version> {
    desired.forget_undescribed(&request.spec.version, &|offer| is_described(offer, request))
}

/// An offer of a file is described while the file says so, and one of a call while its program exists.
fn is_described(offer: &Offer, request: &Request) -> bool {
    let Some(path) = offer.origin.path() else { return recipe::can_run(&offer.spec) };
    if request.stated && request.origin.path() == Some(path) {
        // The order comes from that very file, which states another version now.
        return false;
    }
    match request.read_stated {
        Some(read) => read(path, request.scope.name()).describes(&offer.spec.version),
        None => path.exists(),
    }
}

/// Records, before a worker makes room because its own answer disagrees with what it was started as, that this was
/// tried: the next one that says the same is left in peace.
pub(crate) fn note_disagreement(
    gate: &Gate<'_>,
    hello: &Hello,
    fault: &ReplaceReason,
    (spec, request): (&Spec, &Request),
) -> Result<(), Error> {
    let ReplaceReason::Disagrees { target, says } = fault else { return Ok(()) };
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

/// Writes the record where it differs from what stands: most calls offer what was offered before. A worker that is held
/// down no longer is told of once that is written.
pub(crate) fn keep(gate: &Gate<'_>, desired: &Desired, request: &Request) -> Result<(), Error> {
    let stands = records::read_desired(gate.state())?;
    if stands == *desired {
        return Ok(());
    }
    gate.confirm()?;
    records::write_desired(gate.state(), desired)?;
    if stands.down.is_some() && desired.down.is_none() {
        event::note(gate.state(), &Event::now(What::Released, 0, &request.asker(), "a person starts it"));
    }
    Ok(())
}

/// Records how a start of `spec` went, in the record as it stands now, and makes an error of a failure. An error that
/// says nothing about the spec (the state directory, the gate, a survivor) is passed on and tallies nothing.
pub(crate) fn record_start(
    gate: &Gate<'_>,
    spec: &Spec,
    started: Result<StartOutcome, StartError>,
) -> Result<Option<Error>, Error> {
    let failure = match started {
        Ok(StartOutcome::Ready(_)) => {
            // What serves serves: a tally that cannot be cleared now is cleared by the next success.
            best_effort(succeeded(gate, spec));
            return Ok(None);
        }
        // The worker itself says when it has passed, and what is known against its version counts until then.
        Ok(StartOutcome::OnProbation(_)) => return Ok(None),
        Ok(StartOutcome::StillBooting) => {
            return Ok(Some(Error::of(ErrorKind::TimedOut, "wait for the worker's boot")));
        }
        Ok(StartOutcome::Failed(failure)) if !failure.is_its_own() => {
            return Ok(Some(Error::boot_failed(&failure)));
        }
        Ok(StartOutcome::Failed(failure)) => {
            let event = Event::now(What::StartFailed, 0, &request::asker(), failure.message.as_str());
            event::note(gate.state(), &event.version(&spec.version).pid(failure.pid));
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
