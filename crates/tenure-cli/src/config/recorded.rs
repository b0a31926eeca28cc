//! A worker that no configuration describes, by the record of its scope: it was started by a call, or from a file that was
//! named.
//!
//! Reads the record, and starts nothing. Whether the offer may be started is the library's to say.

use tenure_core::record::desired::Offer;
use tenure_core::{Scope, Version};

use super::error::ConfigError;
use super::worker::DescribedWorker;

/// The offer on record that a call means: that of the version it names, else of the pinned version, else the highest.
pub(crate) fn offer(scope: &Scope, version: Option<&Version>) -> Result<Option<Offer>, ConfigError> {
    let unread = |source| ConfigError::Record { name: scope.to_string(), source };
    let Some(record) = tenure_core::recorded(scope).map_err(unread)? else { return Ok(None) };
    let of = |version: &Version| record.offers.iter().find(|offer| offer.spec.version == *version);
    let wanted = version.and_then(of).or_else(|| record.pin.as_ref().and_then(of));
    Ok(wanted.or_else(|| record.offers.last()).cloned())
}

/// The worker of an offer.
pub(crate) fn described(offer: &Offer) -> DescribedWorker {
    DescribedWorker::plain(offer.spec.clone())
}
