//! What fixture programs leave behind for the test to judge: a lock that two at once cannot both hold, and a log of lives.
//!
//! Independent of the product: plain `flock` on a file of the test's own and one `O_APPEND` write a line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tenure_sys::lock::{self, FileLock, TryLock};

/// The files of one oracle.
#[derive(Debug, Clone)]
pub struct Oracle {
    directory: PathBuf,
}

/// One line of an oracle's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `start`, `serve`, `double`, `end`, …
    pub what: String,
    /// Who wrote it.
    pub pid: u32,
    /// The rest of the line.
    pub detail: String,
}

impl Oracle {
    /// An oracle that keeps its files in `directory`.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The directory, to hand to a fixture program.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Takes the lock `name` for this process's life, or logs a `double`.
    ///
    /// # Panics
    /// If the oracle's directory cannot be written.
    #[must_use]
    pub fn hold(&self, name: &str) -> Option<FileLock> {
        self.hold_one_of(&[name])
    }

    /// Takes one of these locks for this process's life, or logs a `double`: there are as many already as may be.
    ///
    /// # Panics
    /// If the oracle's directory cannot be written.
    #[must_use]
    pub fn hold_one_of(&self, names: &[&str]) -> Option<FileLock> {
        for name in names {
            if let TryLock::Taken(lock) =
                lock::try_lock(self.file(name)).expect("an oracle's lock can be tried")
            {
                return Some(lock);
            }
        }
        self.log("double", names.first().copied().unwrap_or_default());
        None
    }

    /// Whether some process holds the lock `name`.
    ///
    /// # Panics
    /// If the oracle's directory cannot be read.
    #[must_use]
    pub fn is_held(&self, name: &str) -> bool {
        matches!(lock::try_lock(self.file(name)).expect("an oracle's lock can be tried"), TryLock::Busy(_))
    }

    /// Appends a line.
    ///
    /// # Panics
    /// If the oracle's directory cannot be written.
    pub fn log(&self, what: &str, detail: &str) {
        let line = format!("{what} {} {detail}\n", std::process::id());
        let mut file = OpenOptions::new().append(true).create(true).open(self.directory.join("log"));
        file.as_mut()
            .expect("an oracle's log opens")
            .write_all(line.as_bytes())
            .expect("an oracle's log is written");
    }

    /// Every line so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let parse = |line: &str| {
            let mut parts = line.splitn(3, ' ');
            let (what, pid) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
            Some(Line { what, pid, detail: parts.next().unwrap_or_default().to_owned() })
        };
        text.lines().filter_map(parse).collect()
    }

    /// How many lines say `what`.
    #[must_use]
    pub fn count(&self, what: &str) -> usize {
        self.lines().iter().filter(|line| line.what == what).count()
    }

    fn file(&self, name: &str) -> File {
        let path = self.directory.join(name);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .expect("an oracle's lock file opens")
    }
}
