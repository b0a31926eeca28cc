//! The watched files of one build: read, watched while they are read, and compared with those that were started.
//!
//! Every directory is watched before it is listed, so whatever changes from then on is queued in the kernel or was
//! read. Events are hints: they are sorted into those that can concern the build and those that cannot, and the first
//! of the former leads to a new reading, which alone decides. Knows nothing of threads.

use std::error::Error;
use std::path::{Path, PathBuf};

use tenure_core::causes;
use tenure_core::spec::Spec;
use tenure_core::spec::build::globs::{self, Globs};
use tenure_core::spec::build::{self, BuildError, Content};
use tenure_sys::discard::best_effort;
use tenure_sys::watch::{Enough, Extent, WatchError, Watches};

use super::watched::{WatchedDirectories, WatchedRole};

/// Changes that do not concern the build and are passed over for one answer: a millisecond's work. Whoever makes more
/// of them than that between two questions causes a reading, which then says that nothing has changed.
const MOST_PASSED: usize = 1024;

/// Changes read before a new reading: what the kernel's queue can hold by default (`fs.inotify.max_queued_events`). If
/// there are more they lead to another reading.
const MOST_FORGOTTEN: usize = 16_384;

/// What is known of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKnowledge {
    /// They are those that were started.
    Same,
    /// Something has changed that can concern them, and they were not read again.
    Stale,
    /// They are others, or cannot be known to be the same.
    Other,
}

/// What was started.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StartedBuild {
    /// A build with this digest.
    Digest(String),
    /// A build that was being changed: not the same as any that can be read.
    Torn,
    /// A build that could not be read. The first one that can be stands for it.
    Unread,
}

/// The watched files of a build.
#[derive(Debug)]
pub(super) struct FileWatcher {
    cwd: PathBuf,
    globs: Globs,
    watches: Option<Watches>,
    directories: WatchedDirectories,
    started: StartedBuild,
    knowledge: FileKnowledge,
    trouble: Option<String>,
}

impl FileWatcher {
    /// Watches and reads the build of `spec`; from here on no change is missed. What cannot be watched or read is
    /// [`Self::trouble`].
    pub(super) fn open(spec: &Spec) -> Result<Self, BuildError> {
        let globs = Globs::new(&spec.build).map_err(BuildError::Glob)?;
        let mut watcher = Self {
            cwd: spec.cwd.clone(),
            globs,
            watches: None,
            directories: WatchedDirectories::default(),
            started: StartedBuild::Unread,
            knowledge: FileKnowledge::Stale,
            trouble: None,
        };
        let read = watcher.read();
        watcher.begin(&read);
        Ok(watcher)
    }

    /// The program starts anew, from the files as they are now.
    pub(super) fn begin_again(&mut self) {
        if self.may_have_changed() || self.started == StartedBuild::Unread {
            let read = self.read();
            // Where the files cannot be read now, the last reading stays valid.
            if read.is_ok() || matches!(read, Err(BuildError::Unstable { .. })) {
                self.begin(&read);
            }
        }
    }

    /// Reads again after a change.
    pub(super) fn look_again(&mut self) {
        if self.knowledge != FileKnowledge::Stale {
            return;
        }
        let read = self.read();
        if self.started == StartedBuild::Unread {
            return self.begin(&read);
        }
        self.knowledge = match read {
            Ok(content) if self.content().as_ref() == Some(&content.digest) && self.trouble.is_none() => {
                FileKnowledge::Same
            }
            Err(BuildError::Unstable { .. }) => FileKnowledge::Stale,
            Ok(_) | Err(_) => FileKnowledge::Other,
        };
    }

    /// Whether the files are others than those that were started, or may be. Never reads them.
    pub(super) fn may_have_changed(&mut self) -> bool {
        if self.knowledge != FileKnowledge::Stale && self.is_concerned() {
            self.knowledge = FileKnowledge::Stale;
        }
        match (&self.started, self.knowledge) {
            // A build that was never read is shown as a failed check, not as changed.
            (StartedBuild::Unread, _) | (_, FileKnowledge::Same) => false,
            (_, FileKnowledge::Stale | FileKnowledge::Other) => true,
        }
    }

    /// Whether they have to be read again to be known.
    pub(super) fn is_stale(&self) -> bool {
        self.knowledge == FileKnowledge::Stale
    }

    /// Digest of the build that was started, where it is known.
    pub(super) fn content(&self) -> Option<String> {
        match &self.started {
            StartedBuild::Digest(digest) => Some(digest.clone()),
            StartedBuild::Torn | StartedBuild::Unread => None,
        }
    }

    /// Why the build cannot be read or watched, if it cannot.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn begin(&mut self, read: &Result<Content, BuildError>) {
        (self.started, self.knowledge) = match read {
            Ok(content) if self.trouble.is_none() => {
                (StartedBuild::Digest(content.digest.clone()), FileKnowledge::Same)
            }
            Ok(content) => (StartedBuild::Digest(content.digest.clone()), FileKnowledge::Other),
            Err(BuildError::Unstable { .. }) => (StartedBuild::Torn, FileKnowledge::Stale),
            Err(_) => (StartedBuild::Unread, FileKnowledge::Other),
        };
    }

    /// Whether a change is queued that can concern the build. One system call where none is.
    fn is_concerned(&self) -> bool {
        let Some(watches) = self.watches.as_ref().filter(|watches| watches.is_queued()) else { return false };
        let (mut concerned, mut passed) = (false, 0);
        watches.read(|change| {
            passed += 1;
            concerned = passed > MOST_PASSED || self.directories.concern(&change, &self.globs);
            if concerned { Enough::Yes } else { Enough::No }
        });
        concerned
    }

    /// Reads the files, and watches what they are in from before that on.
    fn read(&mut self) -> Result<Content, BuildError> {
        let (mut directories, mut failed) = (WatchedDirectories::default(), None);
        match self.watches.take().map_or_else(Watches::new, Ok) {
            Ok(watches) => {
                // Changes that are queued now are covered by the reading that follows.
                forget(&watches);
                self.watches = Some(watches);
            }
            Err(error) => failed = Some(error),
        }
        let mut note = |path: &Path, extent, role| {
            let Some(watches) = &self.watches else { return };
            match watches.add(path, extent) {
                Ok(watch) => directories.note(watch, role),
                // It is watched for on the way to it.
                Err(WatchError::Absent) => {}
                // The parent of the worker's directory belongs to others: one that does not let itself be read is no
                // reason to watch nothing.
                Err(WatchError::Other { .. }) if !path.starts_with(&self.cwd) => {}
                Err(error) => failed = failed.take().or(Some(error)),
            }
        };
        for (directory, next) in ways(&self.cwd, &self.globs) {
            note(&directory, Extent::Names, WatchedRole::Ancestor(next.into_os_string()));
        }
        let read = build::read(&self.cwd, &self.globs, &mut |listing| {
            let role = WatchedRole::Source { directory: listing.directory.to_owned(), depth: listing.depth };
            note(&self.cwd.join(listing.directory), Extent::Files, role);
        });
        if let Some(watches) = &self.watches {
            for watch in self.directories.without(&directories) {
                // It ends with the descriptor at the latest.
                best_effort(watches.remove(watch));
            }
        }
        self.directories = directories;
        self.trouble = trouble(failed.as_ref(), read.as_ref().err());
        read
    }
}

/// The directories on the way to where files can be, each with the one name in it that matters: the worker's own
/// directory among them, which a tool may replace as a whole.
fn ways(cwd: &Path, globs: &Globs) -> Vec<(PathBuf, PathBuf)> {
    let own = cwd.parent().zip(cwd.file_name());
    let mut ways: Vec<(PathBuf, PathBuf)> =
        own.map(|(parent, name)| (parent.to_owned(), PathBuf::from(name))).into_iter().collect();
    for root in globs.roots() {
        let way = globs::way_to(&root.directory).into_iter();
        ways.extend(way.map(|(directory, next)| (cwd.join(directory), next)));
    }
    ways
}

fn forget(watches: &Watches) {
    let mut forgotten = 0;
    watches.read(|_| {
        forgotten += 1;
        if forgotten < MOST_FORGOTTEN { Enough::No } else { Enough::Yes }
    });
}

fn trouble(unwatched: Option<&WatchError>, unread: Option<&BuildError>) -> Option<String> {
    let in_words = |error: &(dyn Error + 'static)| format!("failed to {}", causes::in_one_line(error));
    // An unstable build is told by the next reading.
    let unread = unread.filter(|error| !matches!(error, BuildError::Unstable { .. }));
    match (unread, unwatched) {
        (Some(error), _) => Some(in_words(error)),
        (None, Some(error)) => Some(format!("{}; until then every call reads the build", in_words(error))),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
