//! The content of a build: the files that a spec's patterns name, as one digest.
//!
//! A build is content and not order: two digests are equal or not, and neither is newer. The digest is a function of
//! the names, the contents, the executable bits and the targets of symbolic links below the fixed beginnings of the
//! patterns; of nothing else, be it time, owner or the order in which a directory lists its entries. Links are not
//! followed, except on the way to a beginning. Nothing here waits for changes or remembers a digest: the worker does.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tenure_sys::dir::open_regular;

use crate::deadline::{Deadline, Stage, TimedOut};

pub mod globs;

use globs::{BadGlob, Globs, Root};

/// Most entries (files, directories, links) below the beginnings of one build's patterns: ten times the largest known
/// builds, and still read within seconds.
pub const MOST_ENTRIES: usize = 100_000;

/// Most bytes of one build: more than any known build, and what a slow disk reads in 10 s.
pub const MOST_BYTES: u64 = 1_000_000_000;

/// Longest time for one reading of a tree, because it is read under the gate or while a worker boots. A stage may have
/// less.
const LONGEST_READING: Duration = Duration::from_secs(10);

/// Most readings of a tree that changes while it is read. The change of a build tool that works for longer is noticed
/// later.
const TRIES: u32 = 3;

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// The content of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// SHA-256 of all of it, as 64 hexadecimal digits.
    pub digest: String,
    /// How many files it has. A build without files has a digest too, and whoever shows the digest should say so.
    pub files: usize,
}

/// The content of a build cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A pattern is not valid.
    #[error("use the patterns of the build")]
    Glob(#[source] BadGlob),
    /// A file or directory cannot be read.
    #[error("read {path:?} of the build")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There are too many entries below a beginning.
    #[error(
        "read the build: there are more than {limit} files and directories down to {directory:?}; begin its patterns further down"
    )]
    TooLarge {
        /// Where the limit was passed.
        directory: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// The files have too many bytes.
    #[error("read the build: its files have more than {limit} bytes, with {path:?}; name fewer")]
    TooMuch {
        /// The file with which the limit was passed.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// It takes too long.
    #[error("read the build")]
    TooSlow(#[source] TimedOut),
    /// It changed each time while it was read.
    #[error(
        "read the build: {path:?} vanished while it was read, {tries} times in a row; let the build finish"
    )]
    Unstable {
        /// What vanished the last time.
        path: PathBuf,
        /// How often it was read.
        tries: u32,
    },
}

/// The digest of the files below `cwd` that the patterns name, read within the stage and at most 10 s of it.
pub fn digest(cwd: &Path, globs: &[String], stage: Stage) -> Result<String, BuildError> {
    let globs = Globs::new(globs).map_err(BuildError::Glob)?;
    read_within(cwd, &globs, stage.at_most(LONGEST_READING), &mut |_| {}).map(|content| content.digest)
}

/// A directory that is about to be listed.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    /// Relative to the worker's directory.
    pub directory: &'a Path,
    /// How many parts a name below it can have, itself excluded.
    pub depth: Option<usize>,
}

/// The content of a build, within 10 s. `look` is called with each directory before it is listed, so that a watch that
/// begins there misses nothing. It is called again for a tree that is read again.
pub fn read(cwd: &Path, globs: &Globs, look: &mut dyn FnMut(Listing<'_>)) -> Result<Content, BuildError> {
    let stage = Deadline::start(LONGEST_READING).stage("build").map_err(BuildError::TooSlow)?;
    read_within(cwd, globs, stage, look)
}

fn read_within(
    cwd: &Path,
    globs: &Globs,
    stage: Stage,
    look: &mut dyn FnMut(Listing<'_>),
) -> Result<Content, BuildError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match read_once(cwd, globs, stage, look) {
            Ok(content) => return Ok(content),
            Err(NoDigest::Vanished(path)) if tries == TRIES => {
                return Err(BuildError::Unstable { path, tries });
            }
            Err(NoDigest::Vanished(_)) => {}
            Err(NoDigest::Final(error)) => return Err(error),
        }
    }
}

/// Why a reading ended without a digest.
enum NoDigest {
    /// Something that was listed has been removed since.
    Vanished(PathBuf),
    /// Another reading would end in the same way.
    Final(BuildError),
}

impl NoDigest {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| {
            if is_absence(&source) {
                return Self::Vanished(path.to_owned());
            }
            Self::Final(BuildError::Unreadable { path: path.to_owned(), source })
        }
    }
}

fn read_once(
    cwd: &Path,
    globs: &Globs,
    stage: Stage,
    look: &mut dyn FnMut(Listing<'_>),
) -> Result<Content, NoDigest> {
    let mut survey = Survey { cwd, globs, found: BTreeMap::new(), entries: 0, stage };
    for root in globs.roots() {
        survey.walk(root, look)?;
    }
    let mut sum = Sha256::new();
    let mut reader = BuildReader { chunk: vec![0_u8; CHUNK], left: MOST_BYTES, stage };
    for (name, kind) in &survey.found {
        add(&mut sum, cwd, name, *kind, &mut reader)?;
    }
    Ok(Content { digest: hex(&sum.finalize()), files: survey.found.len() })
}

/// The kinds of files that have content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    File,
    Link,
}

/// The files found so far, by name: their order is that of the digest.
struct Survey<'a> {
    cwd: &'a Path,
    globs: &'a Globs,
    found: BTreeMap<PathBuf, FileKind>,
    entries: usize,
    stage: Stage,
}

impl Survey<'_> {
    fn walk(&mut self, root: &Root, look: &mut dyn FnMut(Listing<'_>)) -> Result<(), NoDigest> {
        let mut pending = vec![(root.directory.clone(), root.depth)];
        let mut is_root = true;
        while let Some((directory, depth)) = pending.pop() {
            in_time(self.stage)?;
            let path = self.cwd.join(&directory);
            look(Listing { directory: &directory, depth });
            let entries = match fs::read_dir(&path) {
                // A beginning that does not exist has no files; it has not vanished while the tree was read.
                Err(error) if is_root && is_absence(&error) => return Ok(()),
                entries => entries.map_err(NoDigest::at(&path))?,
            };
            is_root = false;
            for entry in entries {
                let entry = entry.map_err(NoDigest::at(&path))?;
                self.count(&directory)?;
                let name = directory.join(entry.file_name());
                let kind = entry.file_type().map_err(NoDigest::at(&path))?;
                let below = depth.map(|depth| depth - 1);
                if kind.is_dir() && below != Some(0) {
                    pending.push((name, below));
                } else if !kind.is_dir() && self.globs.matches(&name) {
                    // Sockets, pipes and devices have no content.
                    let kind = if kind.is_symlink() {
                        Some(FileKind::Link)
                    } else {
                        kind.is_file().then_some(FileKind::File)
                    };
                    self.found.extend(kind.map(|kind| (name, kind)));
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, directory: &Path) -> Result<(), NoDigest> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            let directory = self.cwd.join(directory);
            return Err(NoDigest::Final(BuildError::TooLarge { directory, limit: MOST_ENTRIES }));
        }
        Ok(())
    }
}

/// Whether nothing is there, or a file where a directory should be.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// One file: kind, name and content, each with its length before it, so that no two trees give the same bytes.
fn add(
    sum: &mut Sha256,
    cwd: &Path,
    name: &Path,
    kind: FileKind,
    reader: &mut BuildReader,
) -> Result<(), NoDigest> {
    let path = cwd.join(name);
    let (sign, length, content) = match kind {
        FileKind::Link => {
            let target = fs::read_link(&path).map_err(|error| replaced(&path, error))?;
            let target = target.as_os_str().as_bytes();
            (b'l', length_of(target), Sha256::digest(target))
        }
        FileKind::File => {
            // A file that has become a pipe since it was listed would block the reader.
            let mut file = open_regular(&path).map_err(NoDigest::at(&path))?;
            let found = file.metadata().map_err(NoDigest::at(&path))?;
            let executable = is_executable(&found);
            reader.expect(found.len(), &path)?;
            let (length, content) = reader.content_of(&mut file, &path)?;
            (if executable { b'x' } else { b'f' }, length, content)
        }
    };
    let name = name.as_os_str().as_bytes();
    sum.update([sign]);
    sum.update(length_of(name).to_be_bytes());
    sum.update(name);
    sum.update(length.to_be_bytes());
    sum.update(content);
    Ok(())
}

/// The end of a reading at a link. `EINVAL` means that it is no longer a link: it was replaced while the tree was read.
fn replaced(path: &Path, error: io::Error) -> NoDigest {
    if error.kind() == ErrorKind::InvalidInput {
        return NoDigest::Vanished(path.to_owned());
    }
    NoDigest::at(path)(error)
}

fn is_executable(found: &Metadata) -> bool {
    found.permissions().mode() & 0o111 != 0
}

fn in_time(stage: Stage) -> Result<(), NoDigest> {
    if stage.remaining().is_zero() {
        return Err(NoDigest::Final(BuildError::TooSlow(stage.timed_out())));
    }
    Ok(())
}

/// Reads files, up to what a build may have and take.
struct BuildReader {
    chunk: Vec<u8>,
    left: u64,
    stage: Stage,
}

impl BuildReader {
    /// Refuses a file that is larger than what is left, before it is read.
    fn expect(&self, length: u64, path: &Path) -> Result<(), NoDigest> {
        if length > self.left {
            return Err(NoDigest::Final(BuildError::TooMuch { path: path.to_owned(), limit: MOST_BYTES }));
        }
        Ok(())
    }

    fn content_of(
        &mut self,
        file: &mut File,
        path: &Path,
    ) -> Result<(u64, sha2::digest::Output<Sha256>), NoDigest> {
        let mut sum = Sha256::new();
        let mut length = 0_u64;
        loop {
            in_time(self.stage)?;
            match file.read(&mut self.chunk) {
                Ok(0) => return Ok((length, sum.finalize())),
                Ok(count) => {
                    let read = self.chunk.get(..count).unwrap_or_default();
                    self.expect(length_of(read), path)?;
                    self.left -= length_of(read);
                    sum.update(read);
                    length += length_of(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(NoDigest::at(path)(error)),
            }
        }
    }
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests;
