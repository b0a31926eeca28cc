//! Verifies that a recorded process is still there: the answer is a handle, a proof of its end, or a doubt.
//!
//! What cannot be checked is a doubt and never a mismatch: the caller then touches nothing and says why.

use std::fmt;

use crate::linux::identity::{self, Identity};

use super::facts::{RunState, state_of};
use super::handle::{OpenError, ProcessHandle};

/// What became of an identity that was written down.
#[derive(Debug)]
pub enum Verified {
    /// It is the same process, and this handle leads to it.
    Same(ProcessHandle),
    /// That process has ended, for this reason.
    Gone(GoneReason),
    /// Nothing can be said from here; nobody may be signalled on this ground.
    Unverifiable(Doubt),
}

/// How it is known that a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneReason {
    /// Nobody has its number.
    NoSuchProcess,
    /// It has ended and was not waited for.
    Zombie,
    /// The machine was started again since.
    OtherBoot,
    /// Its number belongs to another process.
    PidReused,
}

/// Why nothing is known about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Its number counts in another pid namespace, such as that of a container.
    ForeignPidNamespace,
    /// No handle could be opened.
    NoHandle,
    /// A sandbox or mount option hides it.
    Denied,
}

impl fmt::Display for GoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchProcess => "it no longer exists",
            Self::Zombie => "it has ended and was not waited for",
            Self::OtherBoot => "the machine has been restarted since",
            Self::PidReused => "its pid belongs to another process now",
        })
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForeignPidNamespace => "its pid belongs to another pid namespace",
            Self::NoHandle => "no process handle could be opened",
            Self::Denied => "looking at it is not permitted",
        })
    }
}

/// Looks for the process of an identity. Never signals.
///
/// The identity is compared after the handle was opened, so a `Same` handle leads to the process that was meant even
/// if it ends at once. Where the record or this kernel has no handle inode, boot, namespace, number and start ticks
/// decide; two processes within one tick (10 ms) on one number are then taken for the same.
#[must_use]
pub fn verify(recorded: &Identity) -> Verified {
    let (Ok(boot), Ok(namespace)) = (identity::boot_id(), identity::pid_namespace()) else {
        return Verified::Unverifiable(Doubt::Denied);
    };
    if recorded.boot != boot {
        return Verified::Gone(GoneReason::OtherBoot);
    }
    if recorded.pidns != namespace {
        return Verified::Unverifiable(Doubt::ForeignPidNamespace);
    }
    match ProcessHandle::open(recorded.pid) {
        Ok(handle) if handle.identity().same_process(recorded) => Verified::Same(handle),
        Ok(_) => Verified::Gone(GoneReason::PidReused),
        Err(OpenError::Gone) => Verified::Gone(match state_of(recorded.pid) {
            Some(RunState::Zombie | RunState::Dead) => GoneReason::Zombie,
            _ => GoneReason::NoSuchProcess,
        }),
        Err(OpenError::Denied(_)) => Verified::Unverifiable(Doubt::Denied),
        Err(OpenError::Unsupported | OpenError::Other(_)) => Verified::Unverifiable(Doubt::NoHandle),
    }
}
