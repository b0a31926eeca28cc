//! Whose worker a record is: the app of its first offer, until a person gives the name up or takes it over.
//!
//! Pure. An offer of another app is never put on record, so the target is always the recorded app's.

use super::Desired;
use crate::spec::Spec;
use crate::spec::app::{AppId, AppStanding};
use crate::spec::origin::Origin;
use crate::spec::version::Version;

impl Desired {
    /// Whose worker this is. A record of before belongs to its highest offer.
    #[must_use]
    pub fn owner(&self) -> Option<AppId> {
        let highest = || self.offers.last().map(|offer| AppId::of(&offer.spec, &offer.origin));
        self.app.clone().or_else(highest)
    }

    /// Whether the name may be used for `spec`, read from `origin`. What was offered before is the recorded app's, too.
    #[must_use]
    pub fn standing(&self, spec: &Spec, origin: &Origin) -> AppStanding {
        let Some(owner) = self.owner() else { return AppStanding::Free };
        let asks = AppId::of(spec, origin);
        if !owner.is_stranger(&asks, false) {
            return AppStanding::Ours(owner);
        }
        let identity = spec.identity_digest();
        let is_known = self.offers.iter().any(|offer| offer.spec.identity_digest() == identity);
        if owner.is_stranger(&asks, is_known) { AppStanding::Taken(owner) } else { AppStanding::Ours(owner) }
    }

    /// Notes whose worker this is when an offer is made. `false`: the name is another app's, and nothing is noted.
    pub(super) fn claim(&mut self, spec: &Spec, origin: &Origin) -> bool {
        let asks = AppId::of(spec, origin);
        self.app = match self.standing(spec, origin) {
            AppStanding::Taken(_) => return false,
            AppStanding::Free => Some(asks),
            // It has been given a name since.
            AppStanding::Ours(owner) if owner.name.is_none() && owner.is_same(&asks) => Some(asks),
            AppStanding::Ours(owner) => Some(owner),
        };
        true
    }

    /// Gives the name up for an app that has none of its own, and of which nothing can run any more. It is asked where
    /// nobody serves. A program that was mistyped, or removed, keeps no name. A pinned version does.
    pub fn release_what_is_gone(&mut self, can_run: &dyn Fn(&Spec) -> bool) {
        let is_nameless = self.owner().is_some_and(|owner| owner.name.is_none());
        if is_nameless && self.pin.is_none() && !self.offers.iter().any(|offer| can_run(&offer.spec)) {
            self.give_up();
        }
    }

    /// Lets `spec` have the name where a person says so, and returns the versions that are forgotten: those of the app
    /// that had the name. `None`: that app is named, or the pinned version is its, so the name has to be given up first.
    pub fn take_over(&mut self, spec: &Spec, origin: &Origin) -> Option<Vec<Version>> {
        let AppStanding::Taken(owner) = self.standing(spec, origin) else { return Some(Vec::new()) };
        if owner.name.is_some() || self.pin.is_some() {
            return None;
        }
        self.app = Some(AppId::of(spec, origin));
        let forgotten: Vec<Version> = self.offers.drain(..).rev().map(|offer| offer.spec.version).collect();
        self.forget_the_unknown();
        // The version that is started now is not forgotten.
        Some(forgotten.into_iter().filter(|version| *version != spec.version).collect())
    }

    /// Gives the name up: the app, its offers and all that is known of them, and the pin, which holds one of them.
    /// Returns the versions, highest first.
    pub fn give_up(&mut self) -> Vec<Version> {
        self.app = None;
        self.pin = None;
        let forgotten = self.offers.drain(..).rev().map(|offer| offer.spec.version).collect();
        self.forget_the_unknown();
        forgotten
    }

    /// The identity of a worker that is started from `spec`: the recorded app's name, and where this offer of it is
    /// described.
    #[must_use]
    pub fn identity_of(&self, spec: &Spec) -> AppId {
        let offer = self.offers.iter().find(|offer| offer.spec.is_identical(spec));
        let of = AppId::of(spec, offer.map_or(&Origin::Call, |offer| &offer.origin));
        let name = of.name.or_else(|| self.app.as_ref().and_then(|app| app.name.clone()));
        AppId { name, ..of }
    }
}
