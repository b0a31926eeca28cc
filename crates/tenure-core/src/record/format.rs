//! The format that a record is written in: the lowest one whose readers understand it. Pure.
//!
//! A reader of `desired.json` 3 and `ledger.json` 1 knows semantic versions only. The higher formats keep it away from
//! versions that it cannot read or would order otherwise: two orders would end each other's worker for ever.

use crate::protocol::wire::Asker;
use crate::record::desired::{self, Desired};
use crate::record::ledger::{self, Ledger};
use crate::spec::version::Version;

impl Desired {
    /// The record, marked with the format that it needs.
    #[must_use]
    pub fn in_its_format(mut self) -> Self {
        self.schema_version = if self.is_semantic() { desired::SEMANTIC } else { desired::SCHEMA };
        self
    }

    fn is_semantic(&self) -> bool {
        let offers = self.offers.iter().map(|offer| &offer.spec.version);
        let failures = self.failures.iter().map(|failure| &failure.version);
        let pairs = self.disagreements.iter().flat_map(|pair| [&pair.target, &pair.observed]);
        let down = self.down.as_ref().and_then(|down| down.by.version.as_ref());
        let mut all = offers.chain(failures).chain(pairs).chain(&self.pin).chain(down);
        all.all(Version::is_semantic)
    }
}

impl Ledger {
    /// The record, marked with the format that it needs.
    #[must_use]
    pub fn in_its_format(&self) -> Self {
        fn offered(by: &Asker) -> Option<&Version> {
            by.version.as_ref()
        }
        let started_by = self.started_by.as_ref().and_then(offered);
        let ends = self.ends.iter().filter_map(|end| end.version.as_ref());
        let back = self.rolled_back.as_ref().map(|back| &back.version);
        let proved = self.proved.as_ref().map(|proved| &proved.version);
        let mut all = ends.chain(&self.version).chain(back).chain(proved).chain(started_by);
        let schema_version = if all.all(Version::is_semantic) { ledger::SEMANTIC } else { ledger::SCHEMA };
        Self { schema_version, ..self.clone() }
    }
}
