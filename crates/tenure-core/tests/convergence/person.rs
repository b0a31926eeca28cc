//! What people say: in files, which are trusted or not, and by `pin` and its release, `forget` and `restart`, each of
//! which is carried out as its own file does it and begins an epoch.

use tenure_core::Version;
use tenure_core::policy::tally;
use tenure_core::record::desired::{Desired, Offer, Target};
use tenure_core::spec::origin::Origin;

use super::{Rule, World, spec};

/// Each installation has a file of its own.
pub(super) fn origin(version: u64, installation: u64) -> Origin {
    Origin::Project { path: format!("/{version}/{installation}").into(), sha256: "content".into() }
}

impl World {
    /// The record as far as it may be started now.
    pub(super) fn allowed(&self, record: &Desired) -> Desired {
        record.allowed(&|origin| self.rule == Rule::RevokedCounts || self.trusts(origin))
    }

    pub(super) fn trusts(&self, from: &Origin) -> bool {
        !self.revoked.iter().any(|(version, installation)| origin(*version, *installation) == *from)
    }

    fn describes(&self, from: &Origin) -> bool {
        !self.undescribed.iter().any(|(version, installation)| origin(*version, *installation) == *from)
    }

    /// What can be called for: a file that nobody trusts is refused at the door, and one that states another version is
    /// not read as this one.
    pub(super) fn may_call(&self, version: u64, installation: u64) -> bool {
        let from = origin(version, installation);
        self.trusts(&from) && self.describes(&from)
    }

    pub(super) fn pin(&mut self, version: &Version) {
        let Some(to) = self.allowed(&self.record).offered(version).cloned() else { return };
        let mut record = self.record.clone();
        tally::count(&self.ledger, &mut record, &self.moment());
        self.record = record;
        self.begin_epoch();
        let stands = self.version().cloned();
        if stands.is_some_and(|stands| stands != *version) {
            if !self.can_run(&to) {
                return;
            }
            self.worker = None;
            if !self.boots(&to) {
                let allowed = self.allowed(&self.record);
                let again = allowed.target(&self.moment(), &|spec| self.can_run(spec));
                if let Target::Offer { spec, .. } = again {
                    self.boots(&spec);
                }
                return;
            }
        }
        self.record.pin = Some(version.clone());
    }

    pub(super) fn unpin(&mut self) {
        self.record.pin = None;
        self.begin_epoch();
    }

    /// What runs goes on, and a launcher may offer it again.
    pub(super) fn forget(&mut self, version: &Version) {
        if self.record.pin.as_ref() != Some(version) && self.record.forget(version) {
            self.has_forgotten(version);
            self.begin_epoch();
        }
    }

    /// What runs goes on, until the app that asks next replaces it.
    pub(super) fn give_up(&mut self) {
        for version in self.record.give_up() {
            self.has_forgotten(&version);
        }
        self.begin_epoch();
    }

    /// As it is described in an installation of a version: below a higher offer only where nothing describes that.
    pub(super) fn restart(&mut self, version: u64, installation: u64) {
        if !self.may_call(version, installation) {
            return;
        }
        let order = spec(version, installation);
        let mut record = self.record.clone();
        tally::count(&self.ledger, &mut record, &self.moment());
        let from = origin(version, installation);
        if record.take_over(&order, &from).is_none() {
            // The name is kept for an app that has one.
            return;
        }
        record.offer_from(&order, &from, &self.moment());
        let asked = record.pin.clone().unwrap_or_else(|| order.version.clone());
        record.begin_anew(&asked, &self.moment());
        let above = record.offers.iter().filter(|offer| offer.spec.version > order.version);
        let above: Vec<Offer> = above.cloned().collect();
        let forgotten = record.forget_undescribed(&order.version, &|offer| self.describes(&offer.origin));
        let target = self.allowed(&record).target(&self.moment(), &|spec| self.can_run(spec));
        let Target::Offer { spec: target, .. } = target else { return };
        let below = self.rule == Rule::RestartBelow && record.pin.is_none();
        let target = if below { Box::new(order) } else { target };
        self.record = record;
        self.quarantined.retain(|(one, _), _| *one != asked.major());
        for version in &forgotten {
            self.has_forgotten(version);
        }
        self.begin_epoch();
        self.is_as_described(&target.version, (&above, &forgotten));
        let old = self.worker.take();
        if !self.boots(&target) {
            self.worker = old;
        }
    }

    /// Whether a restart starts what is described: it forgets what is not, and goes below nothing that is.
    fn is_as_described(&mut self, started: &Version, (above, forgotten): (&[Offer], &[Version])) {
        let Desired { pin, .. } = &self.record;
        let mut broken = Vec::new();
        for offer in above {
            let version = &offer.spec.version;
            let described = self.describes(&offer.origin);
            if pin.is_none() && described == forgotten.contains(version) {
                broken.push(format!(
                    "a restart forgets {forgotten:?}, and {version} is described: {described}"
                ));
            }
            let waits = self.record.failure(&offer.spec);
            let waits = waits.is_some_and(|failure| failure.quarantined(&self.moment()));
            let can_run = self.trusts(&offer.origin) && self.can_run(&offer.spec) && !waits;
            if pin.is_none() && described && can_run && started < version {
                broken.push(format!("a restart starts {started} below {version}, which is described"));
            }
        }
        if pin.as_ref().is_some_and(|pinned| pinned != started) {
            broken.push(format!("a restart starts {started}, and {pin:?} is pinned"));
        }
        self.broken.append(&mut broken);
    }

    /// Nothing that is known against a version outlives its offer.
    fn has_forgotten(&mut self, version: &Version) {
        self.quarantined.retain(|(one, _), _| *one != version.major());
        let digests = [0, 1, 2].map(|installation| spec(version.major(), installation).digest());
        self.disagreed.retain(|(spec, _)| !digests.contains(spec));
    }
}
