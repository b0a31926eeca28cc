//! Closes directories that others could change, without making their content trusted.
//!
//! Before a directory that others could write to is closed, each file in it gets a mode with which it is not believed,
//! so that a crash in between makes nothing trusted either. The room that owns such a file begins it anew.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::linux::machine::clock;

pub use super::belief::{Exposed, is_exposed};
use super::{DIRECTORY, Dir, DirError, open_at};

/// Permission bits by which group or others may write.
const BY_OTHERS: u32 = 0o022;

/// Permission bit that keeps users from moving files of others.
const STICKY: u32 = 0o1000;

/// Levels of directories that are closed below the named one: hosts, their workers, the logs, and one more. Nothing of
/// ours lies deeper.
const DEPTH: u32 = 4;

/// Fails for a directory in which another user can replace our files: others may write to it and it is not sticky, or
/// its owner is neither the caller nor root. An absent directory is fine.
pub fn refuse_movable(path: &Path) -> Result<(), DirError> {
    let stat = match rustix::fs::statat(CWD, path, AtFlags::empty()) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(DirError::new(path, errno)),
    };
    refuse_movable_stat(&stat, path)
}

/// The same for an open directory; `path` is for the error.
pub(crate) fn refuse_movable_dir(dir: BorrowedFd<'_>, path: &Path) -> Result<(), DirError> {
    refuse_movable_stat(&rustix::fs::fstat(dir).map_err(|errno| DirError::new(path, errno))?, path)
}

fn refuse_movable_stat(stat: &Stat, path: &Path) -> Result<(), DirError> {
    let (owner, mode, expected) = (stat.st_uid, stat.st_mode & 0o7777, geteuid().as_raw());
    if owner != expected && owner != 0 {
        return Err(DirError::NotOwned { path: path.to_owned(), owner, expected });
    }
    if mode & BY_OTHERS != 0 && mode & STICKY == 0 {
        return Err(DirError::TooOpen { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Closes a directory of the caller to everybody else (mode 0700), through its handle, and returns its former mode.
///
/// A directory of another user is an error. Where others could write to the directory, every file in it and below is
/// marked first: none of them is believed from then on ([`is_exposed`]). A file of another user gets a name that ends
/// in `.void-` and the time in ms. Directories below are closed too.
///
/// A directory of another user below it is an error, for that user may have put anything there. `path` then keeps its
/// mode, and files that were marked or renamed before stay so.
pub fn make_private(path: &Path) -> Result<u32, DirError> {
    let failed = |errno| DirError::new(path, errno);
    // An `O_PATH` handle: the owner may change the mode of a directory that it cannot even read.
    let fd = open_at(CWD, path, NAMED | OFlags::DIRECTORY).map_err(failed)?;
    let before = rustix::fs::fstat(&fd).map_err(failed)?;
    let (mode, expected) = (before.st_mode & 0o7777, geteuid().as_raw());
    if before.st_uid != expected {
        return Err(DirError::NotOwned { path: path.to_owned(), owner: before.st_uid, expected });
    }
    if mode & BY_OTHERS != 0 {
        let fd = open_at(CWD, path, DIRECTORY).map_err(failed)?;
        mark(&Dir { fd, path: path.to_owned() }, DEPTH)?;
    }
    change_mode(&fd, Mode::RWXU).map_err(failed)?;
    Ok(mode)
}

/// A handle that neither reads nor writes.
const NAMED: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn change_mode(named: &OwnedFd, mode: Mode) -> Result<(), Errno> {
    rustix::fs::chmod(format!("/proc/self/fd/{}", named.as_raw_fd()), mode)
}

fn wall_millis() -> u128 {
    clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()
}

fn mark(dir: &Dir, depth: u32) -> Result<(), DirError> {
    let expected = geteuid().as_raw();
    let names = dir.names().map_err(|source| DirError::Other { path: dir.path().to_owned(), source })?;
    for name in names {
        let path = dir.path().join(&name);
        let failed = |errno| DirError::new(&path, errno);
        let fd = match open_at(dir.as_fd(), Path::new(&name), NAMED) {
            // It was removed meanwhile.
            Err(Errno::NOENT) => continue,
            opened => opened.map_err(failed)?,
        };
        let found = rustix::fs::fstat(fd.as_fd()).map_err(failed)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        if found.st_uid != expected {
            if kind == FileType::Directory {
                return Err(DirError::NotOwned { path, owner: found.st_uid, expected });
            }
            let mut aside = name.clone();
            aside.push(format!(".void-{}", wall_millis()));
            rustix::fs::renameat(dir.as_fd(), &name, dir.as_fd(), &aside).map_err(failed)?;
            continue;
        }
        if kind == FileType::RegularFile {
            // A file with several names may be another one's hard link, whose mode is not ours to change.
            if found.st_nlink != 1 {
                let source = io::Error::other(format!("{} has other names elsewhere", name.display()));
                return Err(DirError::Other { path, source });
            }
            change_mode(&fd, Mode::RUSR | Mode::WUSR | Mode::WGRP | Mode::WOTH).map_err(failed)?;
        } else if kind == FileType::Directory && depth > 0 {
            let below = open_at(dir.as_fd(), Path::new(&name), DIRECTORY).map_err(failed)?;
            mark(&Dir { fd: below, path: path.clone() }, depth - 1)?;
            change_mode(&fd, Mode::RWXU).map_err(failed)?;
        }
    }
    Ok(())
}
