//! Who a process is, in a form that can be written down and compared later.
//!
//! A bare pid is never enough: numbers are reused, and (pid, start ticks) was the same in 193 of 199 forced reuses,
//! because a tick is ten milliseconds. The inode of a process handle (Linux 6.9) differed in all of them, so it is
//! part of the identity wherever the kernel has it. This room makes and compares identities; whether one still
//! stands for a living process is asked of [`crate::linux::process::verify`].

use std::os::fd::BorrowedFd;
use std::sync::OnceLock;
use std::{fmt, fs, io};

use rustix::process::{PidfdFlags, getpid, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::linux::process::procfs;

/// The file system number of process handles from Linux 6.9 on (`PID_FS_MAGIC` in linux/magic.h). Before it they all
/// shared one anonymous inode, whose number says nothing.
const PID_FS_MAGIC: u64 = 0x5049_4446;

/// One process of one boot of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The kernel's random name of this boot.
    pub boot: String,
    /// Inode of the pid namespace that `pid` belongs to: the one of whoever recorded the identity.
    pub pidns: u64,
    /// The process number.
    pub pid: u32,
    /// Start of the process after boot, in clock ticks (field 22 of `/proc/PID/stat`).
    pub start: u64,
    /// Inode of a handle of the process; `None` before Linux 6.9.
    pub inode: Option<u64>,
}

impl Identity {
    /// Reads the identity of the calling process.
    pub fn current() -> io::Result<Self> {
        let pid = getpid();
        let start = procfs::stat("self")?.start;
        // A sandbox may forbid process handles; the identity then does without the inode.
        let inode = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle_inode(std::os::fd::AsFd::as_fd(&handle))?,
            Err(_) => None,
        };
        let pid = pid.as_raw_nonzero().get().unsigned_abs();
        Ok(Self { boot: boot_id()?, pidns: pid_namespace()?, pid, start, inode })
    }

    /// Tells whether both name one process. Where both have an inode it decides, and the start is not compared: a
    /// reader in another time namespace sees another start (`time_namespaces(7)`).
    #[must_use]
    pub fn same_process(&self, other: &Self) -> bool {
        let same = match (self.inode, other.inode) {
            (Some(mine), Some(theirs)) => mine == theirs,
            (None, _) | (_, None) => self.start == other.start,
        };
        same && self.pid == other.pid && self.pidns == other.pidns && self.boot == other.boot
    }

    /// Tells whether the number belongs to another pid namespace than the caller's, on this boot: the process cannot be
    /// verified from here, and may be alive.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        let here = (boot_id(), pid_namespace());
        matches!(here, (Ok(boot), Ok(pidns)) if boot == self.boot && pidns != self.pidns)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)
    }
}

/// The kernel's random name of this boot; read once.
pub fn boot_id() -> io::Result<String> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot.clone());
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| boot.trim().to_owned()).clone())
}

/// Inode of the pid namespace of the calling process. It cannot change while the process lives (`pid_namespaces(7)`).
pub(crate) fn pid_namespace() -> io::Result<u64> {
    static NAMESPACE: OnceLock<u64> = OnceLock::new();
    if let Some(inode) = NAMESPACE.get() {
        return Ok(*inode);
    }
    let inode = procfs::namespace("self", "pid")?;
    Ok(*NAMESPACE.get_or_init(|| inode))
}

/// Whether a process is in the caller's pid namespace; `false` also where the caller may not look into the process.
#[must_use]
pub fn counts_here(pid: u32) -> bool {
    let theirs = procfs::namespace(&pid.to_string(), "pid");
    matches!((theirs, pid_namespace()), (Ok(theirs), Ok(here)) if theirs == here)
}

/// The inode of a process handle where it is unique, `None` where the kernel has only the shared one.
pub(crate) fn handle_inode(handle: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    // The width of the field differs between architectures.
    if u64::try_from(rustix::fs::fstatfs(handle)?.f_type).ok() != Some(PID_FS_MAGIC) {
        return Ok(None);
    }
    Ok(Some(rustix::fs::fstat(handle)?.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Identity {
        Identity { boot: "b".to_owned(), pidns: 1, pid: 2, start: 3, inode: Some(4) }
    }

    #[test]
    fn an_inode_on_one_side_only_is_not_a_difference() {
        let without = Identity { inode: None, ..sample() };
        assert!(sample().same_process(&without));
        assert!(without.same_process(&sample()));
    }

    #[test]
    fn every_other_field_is_a_difference() {
        for other in [
            Identity { boot: "c".to_owned(), ..sample() },
            Identity { pidns: 9, ..sample() },
            Identity { pid: 9, ..sample() },
            Identity { inode: Some(9), ..sample() },
        ] {
            assert!(!sample().same_process(&other), "{other:?}");
        }
    }

    #[test]
    fn the_start_is_a_difference_only_where_no_inode_tells() {
        let later = Identity { start: 9, ..sample() };
        assert!(sample().same_process(&later), "read in another time namespace");
        let without = |identity: &Identity| Identity { inode: None, ..identity.clone() };
        assert!(!without(&sample()).same_process(&without(&later)));
        assert!(!sample().same_process(&without(&later)));
    }

    #[test]
    fn only_another_namespace_of_this_boot_is_foreign() {
        let own = Identity::current().expect("own identity is readable");
        assert!(!own.is_foreign());
        assert!(Identity { pidns: own.pidns + 1, ..own.clone() }.is_foreign());
        assert!(!Identity { pidns: own.pidns + 1, boot: "b".to_owned(), ..own }.is_foreign());
    }

    #[test]
    fn a_record_without_an_inode_is_read() {
        let read: Identity =
            serde_json::from_str(r#"{"boot":"b","pidns":1,"pid":2,"start":3}"#).expect("is a record");
        assert_eq!(read.inode, None);
        assert_eq!(read.to_string(), "pid 2");
    }

    #[test]
    fn the_caller_knows_itself_twice_the_same() {
        let first = Identity::current().expect("own identity is readable");
        assert_eq!(first, Identity::current().expect("own identity is readable"));
        assert_eq!(first.pid, std::process::id());
    }
}
