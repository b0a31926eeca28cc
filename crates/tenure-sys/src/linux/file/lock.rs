//! Exclusive locks on open files: the kernel's own word on who holds a gate or a lease.
//!
//! The lock is `flock(2)`: it belongs to the open file description, is inherited with it, and is released by the kernel
//! when the last descriptor of that description is closed, however its holders ended. Nothing here unlocks explicitly:
//! that would take the lock from all other holders too. On local file systems the lock excludes every other process of
//! the machine; over NFS it depends on the server. It works on a read-only descriptor, so a sandboxed observer can test
//! it.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;
use std::{io, thread};

use crate::common::discard::best_effort;
use crate::linux::file::dir::Dir;
use crate::linux::machine::clock::WaitLimit;
use crate::linux::process::procfs;

/// Stack of a thread that does nothing but wait for a lock.
const WAITER_STACK: usize = 64 * 1024;

/// An exclusive lock, held by this open file description for as long as any descriptor of it is open.
///
/// Dropping it closes this descriptor and nothing else. Whoever inherited the description, be it a child that is just
/// being started, keeps the lock.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Adopts a descriptor whose description already holds the lock, as inherited from a launcher.
    #[must_use]
    pub fn from_inherited(fd: OwnedFd) -> Self {
        Self(File::from(fd))
    }

    /// The locked file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.0
    }

    /// The descriptor, to be handed to a process that shall hold the lock as well.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub enum TryLock {
    /// The caller holds it.
    Taken(FileLock),
    /// Somebody else does; the file comes back.
    Busy(File),
}

/// What came of a bounded wait.
#[derive(Debug)]
pub enum LockWait {
    /// The caller holds it.
    Taken(FileLock),
    /// The time was over first.
    TimedOut,
}

/// Takes the lock if nobody holds it. Never waits.
pub fn try_lock(file: File) -> io::Result<TryLock> {
    match file.try_lock() {
        Ok(()) => Ok(TryLock::Taken(FileLock(file))),
        Err(TryLockError::WouldBlock) => Ok(TryLock::Busy(file)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Tells whether somebody holds the lock. Never waits, and keeps nothing.
///
/// The look takes a shared lock for the length of the call, so two looks do not disturb each other. A process that
/// waits for the exclusive lock waits for the look as for any holder; one that only tries it is told that the lock is
/// held.
pub fn is_locked(file: File) -> io::Result<bool> {
    let tried = file.try_lock_shared();
    // Closing the description is what gives the lock back.
    drop(file);
    match tried {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Takes the lock as soon as the kernel gives it, or gives up after `limit`.
///
/// There is no `flock` with a time-out, so a thread of its own waits. If the caller has given up by the time that
/// thread gets the lock, the thread drops it at once: the lock was then held for the time of one wake-up.
pub fn lock_within(file: File, limit: Duration) -> io::Result<LockWait> {
    let until = WaitLimit::after(Some(limit));
    let file = match try_lock(file)? {
        TryLock::Taken(lock) => return Ok(LockWait::Taken(lock)),
        TryLock::Busy(file) => file,
    };
    let (winner, outcome) = mpsc::channel();
    let waiter = thread::Builder::new().name("tenure-lock".to_owned()).stack_size(WAITER_STACK);
    // The thread is not joined: after a time-out it outlives this call until the kernel wakes it.
    waiter.spawn(move || {
        let taken = wait_for_lock(file);
        // With nobody left to take it, the value comes back and is dropped here, and the lock with it.
        best_effort(winner.send(taken));
    })?;
    let taken = match until.left() {
        Some(left) => outcome.recv_timeout(left),
        None => outcome.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
    };
    match taken {
        Ok(taken) => Ok(LockWait::Taken(taken?)),
        Err(mpsc::RecvTimeoutError::Timeout) => Ok(LockWait::TimedOut),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(io::Error::other("the thread that waits for a lock has failed"))
        }
    }
}

fn wait_for_lock(file: File) -> io::Result<FileLock> {
    loop {
        match file.lock() {
            Ok(()) => return Ok(FileLock(file)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Tells whether the name still leads to the open file; a lock on another file guards nothing.
pub fn same_file(file: &File, dir: &Dir, name: impl AsRef<Path>) -> io::Result<bool> {
    let held = crate::linux::file::dir::fstat(file.as_fd())?;
    Ok(dir.stat(name)?.is_some_and(|named| (named.dev, named.ino) == (held.dev, held.ino)))
}

/// Names the processes that hold the lock of this file, for messages only.
///
/// A process counts if one of its descriptors shows the lock in its `fdinfo`; processes of other users, and those that
/// the kernel protects, are not visible. `/proc/locks` is not used: it names whoever once took the lock, and that
/// number may belong to another process by now.
#[must_use]
pub fn holders(file: &File) -> Vec<u32> {
    let Some(wanted) = named(file) else { return Vec::new() };
    let mut found: Vec<u32> =
        procfs::pids().into_iter().filter(|pid| locks_of(*pid, wanted).next().is_some()).collect();
    found.sort_unstable();
    found
}

/// The process that took the exclusive lock of this file which process `pid` holds by an inherited descriptor; `None`
/// where `pid` holds no inherited lock.
///
/// Inherited means that another process took the lock: the kernel keeps the taker's number with it. The taker may have
/// ended, and its number may belong to another process by now: see [`has_taken`].
pub(crate) fn inherited_from(pid: u32, file: &File) -> Option<u32> {
    takers(pid, named(file)?).find(|taker| *taker != pid)
}

/// Tells whether process `pid` took the exclusive lock of this file itself, and holds it.
pub(crate) fn has_taken(pid: u32, file: &File) -> bool {
    named(file).is_some_and(|wanted| takers(pid, wanted).any(|taker| taker == pid))
}

fn named(file: &File) -> Option<(u64, u64)> {
    file.metadata().ok().as_ref().map(file_id)
}

/// Device and inode.
pub(crate) fn file_id(meta: &fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// A lock as `fdinfo` shows it.
#[derive(Debug, PartialEq, Eq)]
struct ShownLock {
    exclusive: bool,
    taker: Option<u32>,
}

/// The locks of the descriptions by which a process has the file open.
fn locks_of(pid: u32, wanted: (u64, u64)) -> impl Iterator<Item = ShownLock> {
    let entries = fs::read_dir(procfs::path(pid, "fd")).into_iter().flatten().filter_map(Result::ok);
    let of_file =
        move |entry: &fs::DirEntry| fs::metadata(entry.path()).is_ok_and(|meta| file_id(&meta) == wanted);
    entries.filter(of_file).flat_map(move |entry| locks_at(pid, &entry.file_name()))
}

/// The locks of the description that one descriptor of a process leads to.
fn locks_at(pid: u32, descriptor: &OsStr) -> Vec<ShownLock> {
    let info = fs::read_to_string(procfs::path(pid, "fdinfo").join(descriptor)).unwrap_or_default();
    info.lines().filter_map(shown).collect()
}

/// Tells whether the description that one descriptor of a process leads to has a lock.
pub(crate) fn is_locked_at(pid: u32, descriptor: &OsStr) -> bool {
    !locks_at(pid, descriptor).is_empty()
}

fn takers(pid: u32, wanted: (u64, u64)) -> impl Iterator<Item = u32> {
    locks_of(pid, wanted).filter(|lock| lock.exclusive).filter_map(|lock| lock.taker)
}

/// Reads a line such as `lock: 1: FLOCK ADVISORY WRITE 41 fe:01:77 0 EOF` of a description's `fdinfo`
/// (`proc_locks(5)`).
fn shown(line: &str) -> Option<ShownLock> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let ["lock:", _, "FLOCK", _, kind, taker, ..] = fields.as_slice() else { return None };
    Some(ShownLock { exclusive: *kind == "WRITE", taker: taker.parse().ok() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_tells_a_held_lock_and_keeps_none() {
        let held = tempfile::NamedTempFile::new().expect("a file");
        let look = || is_locked(File::open(held.path()).expect("readable")).expect("lockable");
        assert!(!look());
        let TryLock::Taken(lock) = try_lock(File::open(held.path()).expect("readable")).expect("lockable")
        else {
            panic!("nobody else has it")
        };
        assert!(look());
        drop(lock);
        assert!(!look());
    }

    #[test]
    fn the_kernel_tells_who_took_a_lock() {
        let taken = |line| shown(line).map(|lock| (lock.exclusive, lock.taker));
        assert_eq!(taken("lock:\t1: FLOCK  ADVISORY  WRITE 41 fe:01:77 0 EOF"), Some((true, Some(41))));
        assert_eq!(taken("lock:\t1: FLOCK  ADVISORY  READ 41 fe:01:77 0 EOF"), Some((false, Some(41))));
        assert_eq!(taken("lock:\t2: POSIX  ADVISORY  WRITE 41 fe:01:77 0 EOF"), None);
        assert_eq!(taken("pos:\t0"), None);
    }
}
