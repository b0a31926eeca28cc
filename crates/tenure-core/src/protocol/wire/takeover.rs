//! The frames with which one worker takes the place of another. Data only.
//!
//! The successor asks over a connection of its own to the incumbent's control socket, and the incumbent answers:
//! PREPARE → prepared, with descriptors; COMMIT → granted, with the app's state; ACTIVE; or ABORT at any time. The
//! connection stays open until one of the two processes has ended: by its end each notices the end of the other.

use crate::spec::version::Version;
use serde::{Deserialize, Serialize};
use tenure_sys::identity::Identity;

/// Most descriptors that travel with one frame; the kernel takes 253 (`SCM_MAX_FD`).
pub const DESCRIPTORS_A_FRAME: usize = 200;

/// Most descriptors of one takeover: the lease, the control socket, and as many listeners as a frame can name.
pub const MOST_DESCRIPTORS: usize = 4096;

/// PREPARE: the successor stands by and asks for what it will serve on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// The generation that it will be.
    pub generation: u64,
    /// Its version.
    pub version: Version,
    /// Digest of the whole spec that it was started from.
    pub spec: String,
    /// The successor. Verified, and used only where the kernel cannot name the peer of a connection.
    pub identity: Identity,
    /// Both programs run for a while: the incumbent's program does not have to end before the grant.
    pub overlap: bool,
    /// Milliseconds within which the successor will be active, or have failed.
    pub within_ms: u64,
}

/// Answer to PREPARE, ahead of the descriptors: lease, control socket, then a listener for each name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Names of the listeners, in the order of their descriptors.
    pub listeners: Vec<String>,
    /// Milliseconds that the incumbent's app may take from COMMIT to the grant.
    pub within_ms: u64,
}

/// Answer to COMMIT: the incumbent does not serve any more, and generation, ledger and control socket are the
/// successor's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Bytes of the state that the incumbent's app hands over. The state is in the one descriptor that comes with this
    /// frame; with 0 there is no descriptor.
    pub state_bytes: u64,
}

/// ACTIVE: the successor serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// Milliseconds of probation, for which the incumbent waits before it drains and ends: it can take the scope back
    /// until then.
    pub bake_ms: u64,
}

/// ABORT: the successor gives up and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// Why, as a lowercase fragment.
    pub why: String,
    /// Somebody asked the worker to end, so the incumbent ends too.
    pub ends: bool,
    /// Somebody asked for the worker before: the incumbent goes on, and this is no failure of the successor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// The version is not to blame, and is not recorded as failed: descriptors, memory or disk space were missing, or
    /// the incumbent did not answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blameless: bool,
}
