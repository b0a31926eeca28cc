//! Which features this kernel has and grants to the caller.
//!
//! Each feature is tried by one harmless call on the caller itself. A version number would say little: distributions
//! backport features, and sandboxes take them away.

use std::io;
use std::os::unix::net::UnixStream;

use rustix::fs::inotify::{self, CreateFlags};

use crate::linux::file::watch::bound;
use crate::linux::process::{OpenError, ProcessHandle};
use crate::linux::socket;

/// The features that identities are built on.
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own; none follows from another")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Handles of processes (`pidfd_open`, Linux 5.3).
    pub pidfd: bool,
    /// Handles with an inode of their own (Linux 6.9).
    pub pidfd_inode: bool,
    /// The handle of a socket's peer (`SO_PEERPIDFD`, Linux 6.5).
    pub peer_pidfd: bool,
    /// Closing all descriptors in one call (`close_range`, Linux 5.9).
    pub close_range: bool,
}

/// The bounds on watches of files, for each user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Files and directories that may be watched.
    pub watches: u64,
    /// Processes that may watch, roughly.
    pub instances: u64,
}

/// The release of the kernel, as `uname -r` shows it.
#[must_use]
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Asks for each feature.
#[must_use]
pub fn features() -> Features {
    let own = ProcessHandle::open(std::process::id());
    Features {
        pidfd: !matches!(own, Err(OpenError::Unsupported)),
        pidfd_inode: own.is_ok_and(|handle| handle.identity().inode.is_some()),
        peer_pidfd: UnixStream::pair()
            .is_ok_and(|(one, _other)| !matches!(socket::peer_process(&one), Err(OpenError::Unsupported))),
        close_range: has_close_range(),
    }
}

/// Reads the bounds on watches.
pub fn watch_limits() -> io::Result<WatchLimits> {
    Ok(WatchLimits { watches: bound("max_user_watches")?, instances: bound("max_user_instances")? })
}

/// Tells whether one more process may watch files now. It adds no watch: removing one again would make the caller wait
/// for the kernel for milliseconds.
pub fn try_watch() -> io::Result<()> {
    drop(inotify::init(CreateFlags::CLOEXEC)?);
    Ok(())
}

fn has_close_range() -> bool {
    // SAFETY: the call touches no memory, and the only descriptor in the range is one that no process can have: their
    // numbers end below `i32::MAX`.
    unsafe { libc::syscall(libc::SYS_close_range, libc::c_uint::MAX, libc::c_uint::MAX, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_there_where_what_it_is_made_of_works() {
        let features = features();
        let own = crate::linux::identity::Identity::current().expect("own identity is readable");
        assert_eq!(features.pidfd_inode, own.inode.is_some());
        assert!(features.pidfd || !features.pidfd_inode);
        assert!(!release().is_empty());
    }
}
