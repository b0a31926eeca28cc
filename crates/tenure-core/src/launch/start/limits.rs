//! Whether a worker can live with what it would inherit from this process.
//!
//! Checked before anything is started or stopped: the call of a launcher whose own limits are too low fails, nothing is started,
//! and the failure is not counted against the version. Other launchers are not affected.

use tenure_sys::limits::{self, TooLow};

/// This process cannot start workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("start a worker from here: {0}")]
pub(crate) struct Unfit(TooLow);

/// Fails if this process has limits with which no worker could live. Soft limits are put back in the worker; a hard
/// limit is inherited by everything below.
pub(crate) fn check() -> Result<(), Unfit> {
    limits::too_low().map_or(Ok(()), |limit| Err(Unfit(limit)))
}
