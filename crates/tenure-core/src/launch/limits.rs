//! Whether a worker can live with what it would inherit from this process.
//!
//! Asked before anything is changed: a launcher whose own limits are too low fails by itself, nothing is started, and
//! nothing is held against the version that it wants. All other launchers are as well off as before.

use tenure_sys::limits::{self, TooLow};

/// This process cannot start workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("start a worker from here: {0}")]
pub(crate) struct Unfit(TooLow);

/// Refuses to start anything from a process whose limits no worker could live with. The soft ones are put back in what
/// is started; a hard one is passed on to everything below.
pub(crate) fn check() -> Result<(), Unfit> {
    limits::too_low().map_or(Ok(()), |limit| Err(Unfit(limit)))
}
