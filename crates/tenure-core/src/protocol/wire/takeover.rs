//! The frames with which one worker takes the place of another. Data only.
//!
//! The successor asks, over a connection of its own to the incumbent's control socket, and the incumbent answers:
//! PREPARE → prepared, with descriptors; COMMIT → granted, with the app's state; ACTIVE; or ABORT at any time. The
//! connection stays open until one of the two processes has ended: its end is how each notices the other's.

use semver::Version;
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
    /// Itself. The incumbent trusts the kernel's word on its peer and not this.
    pub identity: Identity,
    /// Both programs will be there for a while: the incumbent is not asked to make its program end before the grant.
    pub overlap: bool,
    /// Milliseconds within which it will be active, or have failed.
    pub within_ms: u64,
}

/// What the incumbent hands over, ahead of the descriptors: lease, control socket, then a listener for each name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Names of the listeners, in the order of their descriptors.
    pub listeners: Vec<String>,
    /// Milliseconds that the incumbent's app may take from COMMIT to the grant.
    pub within_ms: u64,
}

/// The incumbent does not serve any more; the ledger, the generation and the control socket are the successor's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Bytes of the state that the incumbent's app hands over, in the one descriptor that comes with this; none comes
    /// with 0.
    pub state_bytes: u64,
}

/// ACTIVE: the successor serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// Milliseconds for which the incumbent waits before it drains and ends: until then it can take the scope back.
    pub bake_ms: u64,
}

/// ABORT: the successor gives up and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// Why, as a lowercase fragment.
    pub why: String,
    /// Somebody asked the worker to end: the incumbent ends too, and does not go on serving.
    pub ends: bool,
    /// Somebody asked for the worker before: the incumbent goes on, and the successor has not failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// The version is not to blame: descriptors, memory or room were missing, or the incumbent was not heard. It is not
    /// put on record as one that failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blameless: bool,
}
