//! A fence for stores that are files: each generation writes to a directory of its own, and reads only that.
//!
//! Below a root, which belongs to the user alone (0700), lie
//! - `gen-<n>/`, the whole store of generation n; the highest n is the store's generation;
//! - `.fence`, the lock under which names are checked and files written; made once, never deleted;
//! - `.new-<n>/`, a directory that is being filled; the next claim removes what a crash has left of it.
//!
//! A directory gets its name only when it is whole, so a claim that dies on the way claims nothing. A writer that
//! bypasses the fence by a path that it had harms its own generation's directory only; nothing here stops one that
//! computes the newest path itself.
//!
//! Invariant: this module never removes the directory of the highest generation.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_sys::dir::Dir;
use tenure_sys::lock::{self, FileLock, LockWait};

use crate::error::FenceError;

const LOCK: &str = ".fence";
const READY: &str = "gen-";
const FILLING: &str = ".new-";

/// How long a writer waits for the lock. It is held for the flush of one file (milliseconds; seconds on a busy disk),
/// or while a claim carries the store over. A process that holds it for longer is most likely stopped.
const PATIENCE: Duration = Duration::from_secs(5);

/// One generation's right to write to a store of files, until a newer generation claims it.
#[derive(Debug)]
pub struct DirectoryFence {
    root: Dir,
    own: Dir,
    generation: u64,
}

impl DirectoryFence {
    /// Claims the store below `root` for `generation`: once this returns, every write of an older generation is
    /// refused.
    ///
    /// The root is made if it is missing. `fill` gets the newest older directory, if there is one, and an empty one,
    /// and puts there what this generation starts with: [`carry`], a migration, or nothing. Until it returns nobody
    /// writes through a fence, and nothing is claimed; it has to flush what it copies. If the generation has its
    /// directory already, as when a host starts its program again, that one is used and `fill` is not called.
    ///
    /// # Errors
    /// [`FenceError::Newer`] if a newer generation has claimed the store; [`FenceError::Foreign`] if a name below the
    /// root reads like a generation's and is none; [`FenceError::Busy`] after five seconds; [`FenceError::File`] with
    /// what `fill` returned, or if the root cannot be written; [`FenceError::Directory`] if a directory is not the
    /// user's alone.
    pub fn claim(
        root: &Path,
        generation: u64,
        fill: impl FnOnce(Option<&Path>, &Path) -> io::Result<()>,
    ) -> Result<Self, FenceError> {
        let root = Dir::create_private(root).map_err(FenceError::Directory)?;
        let held = lock(&root)?;
        let all = generations(&root)?;
        refuse_newer(&all, generation)?;
        if !all.contains(&generation) {
            make(&root, generation, all.last().copied(), fill)?;
        }
        let own = root.open_child(ready(generation)).map_err(FenceError::Directory)?;
        drop(held);
        Ok(Self { root, own, generation })
    }

    /// The generation that has claimed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The directory of this generation, to be read. Only writes by [`Self::write`] are fenced.
    #[must_use]
    pub fn current(&self) -> &Path {
        self.own.path()
    }

    /// The newest directory of an older generation, for reading only; `None` if there is none, or none any more.
    ///
    /// To start with its content, copy it in `fill`: a crash can cut a later copy short, and the next generation would
    /// take half of it for the whole.
    ///
    /// # Errors
    /// [`FenceError::File`] or [`FenceError::Foreign`] if the root cannot be read.
    pub fn previous(&self) -> Result<Option<PathBuf>, FenceError> {
        let older = generations(&self.root)?.into_iter().filter(|one| *one < self.generation);
        Ok(older.max().map(|one| self.root.path().join(ready(one))))
    }

    /// Replaces or creates the file `name` of this generation, if no newer generation has claimed the store.
    ///
    /// A reader sees the old content or the new one, and it outlives a loss of power once this returns; a crash in
    /// between can leave a file whose name starts with a dot. The name is one plain part.
    ///
    /// # Errors
    /// [`FenceError::Newer`]; [`FenceError::Busy`] after five seconds; [`FenceError::File`] if it cannot be written.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), FenceError> {
        let held = lock(&self.root)?;
        self.check()?;
        let written = self.own.write_atomic(name, content);
        drop(held);
        written.map_err(|source| file("write", self.own.path().join(name), source))
    }

    /// Checks that no newer generation has claimed the store. One may have done so by the time this returns, so it is
    /// no permission to write.
    ///
    /// # Errors
    /// [`FenceError::Newer`] if one has, [`FenceError::WentBack`] if this generation's directory is gone.
    pub fn check(&self) -> Result<(), FenceError> {
        let all = generations(&self.root)?;
        refuse_newer(&all, self.generation)?;
        if all.contains(&self.generation) {
            return Ok(());
        }
        Err(FenceError::WentBack { ours: self.generation, theirs: all.last().copied().unwrap_or(0) })
    }

    /// Removes the directories of older generations, and returns their numbers.
    ///
    /// A process that still reads there loses the files, and no older state is left to go back to: call it when this
    /// generation has proved itself, not at boot.
    ///
    /// # Errors
    /// As [`Self::write`]. What was removed before stays removed.
    pub fn sweep(&self) -> Result<Vec<u64>, FenceError> {
        let held = lock(&self.root)?;
        self.check()?;
        let older: Vec<u64> =
            generations(&self.root)?.into_iter().filter(|one| *one < self.generation).collect();
        for one in &older {
            remove(&self.root, &ready(*one))?;
        }
        drop(held);
        Ok(older)
    }
}

/// Takes all files over by hard links, without copying, as a `fill` of [`DirectoryFence::claim`].
///
/// For stores that are written through [`DirectoryFence::write`] only, which never changes a file in its place.
/// Directories, and names that start with a dot, are left out.
///
/// # Errors
/// If a file cannot be linked; the claim then has not happened.
pub fn carry(previous: Option<&Path>, fresh: &Path) -> io::Result<()> {
    let Some(previous) = previous else { return Ok(()) };
    for entry in fs::read_dir(previous)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_file() && !name.as_encoded_bytes().starts_with(b".") {
            fs::hard_link(entry.path(), fresh.join(name))?;
        }
    }
    Ok(())
}

fn make(
    root: &Dir,
    generation: u64,
    previous: Option<u64>,
    fill: impl FnOnce(Option<&Path>, &Path) -> io::Result<()>,
) -> Result<(), FenceError> {
    for name in names(root)?.iter().filter(|name| name.starts_with(FILLING)) {
        remove(root, name)?;
    }
    let filling = format!("{FILLING}{generation}");
    let fresh = root.child_private(&filling).map_err(FenceError::Directory)?;
    let previous = previous.map(|one| root.path().join(ready(one)));
    fill(previous.as_deref(), fresh.path()).map_err(|source| file("fill", fresh.path().into(), source))?;
    flush(&fresh)?;
    root.rename(&filling, ready(generation)).map_err(|source| file("name", fresh.path().into(), source))?;
    flush(root)
}

fn ready(generation: u64) -> String {
    format!("{READY}{generation}")
}

/// The generations that have claimed, in ascending order. A name that only looks like one may hide a newer generation,
/// so it is an error.
fn generations(root: &Dir) -> Result<Vec<u64>, FenceError> {
    let mut all = Vec::new();
    for name in names(root)? {
        let Some(number) = name.strip_prefix(READY) else { continue };
        let generation = number.parse().ok().filter(|generation| ready(*generation) == name);
        all.push(generation.ok_or_else(|| FenceError::Foreign {
            found: format!("{} names no generation", root.path().join(&name).display()),
        })?);
    }
    all.sort_unstable();
    Ok(all)
}

fn refuse_newer(all: &[u64], ours: u64) -> Result<(), FenceError> {
    match all.last() {
        Some(&theirs) if theirs > ours => Err(FenceError::Newer { ours, theirs }),
        Some(_) | None => Ok(()),
    }
}

fn names(root: &Dir) -> Result<Vec<String>, FenceError> {
    let all = root.names().map_err(|source| file("list", root.path().into(), source))?;
    Ok(all.into_iter().map(|name| name.to_string_lossy().into_owned()).collect())
}

fn remove(root: &Dir, name: &str) -> Result<(), FenceError> {
    let path = root.path().join(name);
    fs::remove_dir_all(&path).map_err(|source| file("remove", path, source))
}

/// Puts the names in a directory on disk.
fn flush(dir: &Dir) -> Result<(), FenceError> {
    let handle = dir.as_fd().try_clone_to_owned().map(File::from);
    handle.and_then(|handle| handle.sync_all()).map_err(|source| file("flush", dir.path().into(), source))
}

/// Takes the lock, which is held until it is dropped. Each call opens the file anew, so threads exclude each other as
/// processes do.
fn lock(root: &Dir) -> Result<FileLock, FenceError> {
    let path = || root.path().join(LOCK);
    let failed = |source| file("lock", path(), source);
    loop {
        let opened = root.open_lock(LOCK).map_err(failed)?;
        match lock::lock_within(opened, PATIENCE).map_err(failed)? {
            // The file at the path must be the one that was locked, or two writers hold two locks.
            LockWait::Taken(held) if lock::same_file(held.file(), root, LOCK).map_err(failed)? => {
                return Ok(held);
            }
            LockWait::Taken(_) => {}
            LockWait::TimedOut => return Err(FenceError::Busy { path: path(), limit: PATIENCE }),
        }
    }
}

fn file(doing: &'static str, path: PathBuf, source: io::Error) -> FenceError {
    FenceError::File { doing, path, source }
}

#[cfg(test)]
mod tests;
