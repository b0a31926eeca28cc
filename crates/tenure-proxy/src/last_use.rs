//! When a client was last connected: written by the thread that relays, read by whoever wants to know.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tenure_core::deadline::millis;

/// Milliseconds of the monotonic clock, plus one; 0 before the first client.
#[derive(Debug, Default)]
pub(super) struct LastUse(AtomicU64);

impl LastUse {
    /// A client comes or goes.
    pub(super) fn note(&self, now: Duration) {
        self.0.store(millis(now).saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn time(&self) -> Option<Duration> {
        self.0.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_millis)
    }
}
