//! `forget`: a person takes an offer back, or gives the name up for another app.
//!
//! The highest offer is what runs, so a mistyped version would win for as long as it is on record. `forget` stops
//! nothing, and a launcher that still offers the version puts it on record again.

use std::time::Duration;

use crate::spec::version::Version;

use crate::deadline::{Deadline, Moment};
use crate::error::{Error, ErrorKind, stage};
use crate::launch::request;
use crate::launch::start::recipe;
use crate::ops::pin::unknown;
use crate::ops::{offers, restart};
use crate::protocol::wire::Hello;
use crate::record::desired::Desired;
use crate::spec::app::AppId;
use crate::spec::scope::Scope;
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::paths::StateDir;
use crate::store::records;

/// An offer is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forgotten {
    /// The version that would be started now.
    pub target: Option<Version>,
    /// The worker that runs; it goes on.
    pub stands: Option<Box<Hello>>,
}

/// A name is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenUp {
    /// The app that had the name, where one had it.
    pub app: Option<AppId>,
    /// The versions of it that were on offer, highest first.
    pub versions: Vec<Version>,
    /// The version of it that was pinned.
    pub unpinned: Option<Version>,
    /// The worker that runs; it goes on until the app that asks next replaces it.
    pub stands: Option<Box<Hello>>,
}

/// Takes the offer of `version` back, with all that is known against it. It stops nothing that runs, and a launcher may
/// offer the version again.
///
/// # Errors
/// [`ErrorKind::UnknownVersion`] with the versions that are on record; [`ErrorKind::VersionPinned`] where a person
/// holds this one; [`ErrorKind::GateHeld`], [`ErrorKind::TimedOut`], [`ErrorKind::StateUnusable`],
/// [`ErrorKind::RecordUnusable`].
///
/// # Examples
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// use std::time::Duration;
/// use tenure::{ErrorKind, Version};
///
/// let error = tenure::forget(&"cache".parse()?, &Version::new(11, 0, 0), Duration::from_secs(5)).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::UnknownVersion);
/// assert!(error.known_versions().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn forget(scope: &Scope, version: &Version, budget: Duration) -> Result<Forgotten, Error> {
    let budget = Deadline::start(budget);
    let Some(state) = StateDir::open(scope)? else {
        return Err(unknown(stage::FORGET, version, scope, &Desired::default()));
    };
    let gate = Gate::enter(&state, budget.stage("gate")?)?;
    let desired = records::read_desired(&state)?;
    if desired.pin.as_ref() == Some(version) {
        let message = format!("forget {version}: it is pinned; nothing was changed");
        return Err(Error::of(ErrorKind::VersionPinned, message));
    }
    let mut rest = desired.clone();
    let is_other = desired.offered(version).is_some_and(|spec| spec.version.is_other_build(version));
    if is_other || !rest.forget(version) {
        return Err(unknown(stage::FORGET, version, scope, &desired));
    }
    gate.confirm()?;
    records::write_desired(&state, &rest)?;
    let event = Event::now(What::Forgotten, 0, &request::asker(), "a person takes it back");
    event::note(&state, &event.version(version));
    let target = offers::allowed(&rest).target_version(&Moment::now(), &recipe::can_run);
    // The offer is taken back by now, so a failed look is no failure of the call.
    let stands = restart::answering(&state, &budget).ok().flatten();
    Ok(Forgotten { target, stands })
}

/// Gives the name up: the app that asks next gets it, whichever that is. The offers of the app that had it are forgotten
/// and its pin is released. It stops nothing that runs; the next app's first call replaces a worker of the former one.
/// A name that nobody has is success.
///
/// # Errors
/// [`ErrorKind::GateHeld`], [`ErrorKind::TimedOut`], [`ErrorKind::StateUnusable`], [`ErrorKind::RecordUnusable`].
///
/// # Examples
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// let given_up = tenure::give_up(&"cache".parse()?, std::time::Duration::from_secs(5))?;
/// assert!(given_up.app.is_none(), "no worker ever ran");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn give_up(scope: &Scope, budget: Duration) -> Result<GivenUp, Error> {
    let budget = Deadline::start(budget);
    let Some(state) = StateDir::open(scope)? else {
        return Ok(GivenUp { app: None, versions: Vec::new(), unpinned: None, stands: None });
    };
    let gate = Gate::enter(&state, budget.stage("gate")?)?;
    let mut desired = records::read_desired(&state)?;
    let (app, unpinned) = (desired.owner(), desired.pin.clone());
    let versions = desired.give_up();
    if let Some(app) = &app {
        gate.confirm()?;
        records::write_desired(&state, &desired)?;
        let why = format!("a person gives the name up; it was kept for {app}");
        event::note(&state, &Event::now(What::Forgotten, 0, &request::asker(), why));
    }
    // The name is given up by now, so a failed look is no failure of the call.
    let stands = restart::answering(&state, &budget).ok().flatten();
    Ok(GivenUp { app, versions, unpinned, stands })
}
