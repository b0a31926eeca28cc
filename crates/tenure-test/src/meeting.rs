//! Rendezvous: a process that reaches an armed fault point waits here until the test lets it go on.
//!
//! No sleeping and no polling: the test blocks in `accept`, the process blocks in `read`.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_sys::poll::{self, Interest, Readiness};

/// The longest that a test waits for another process; reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A place where processes meet the test.
#[derive(Debug)]
pub struct Meeting {
    listener: UnixListener,
    path: PathBuf,
}

/// A process that waits at a point. Dropping it lets the process go on.
#[derive(Debug)]
pub struct Met {
    /// Name of the point.
    pub point: String,
    /// Its pid.
    pub pid: u32,
    stream: UnixStream,
}

impl Meeting {
    /// A meeting at `path`.
    ///
    /// # Panics
    /// If the socket cannot be bound.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a meeting's socket binds in a fresh sandbox");
        Self { listener, path: path.to_owned() }
    }

    /// What `TENURE_FAULT` says to make processes meet here at `point`.
    #[must_use]
    pub fn armed(&self, point: tenure_core::fault::Point) -> String {
        format!("{}=meet:{}", point.name(), self.path.display())
    }

    /// Waits for the next process.
    ///
    /// # Panics
    /// If nobody comes within [`PATIENCE`].
    #[must_use]
    pub fn meet(&self) -> Met {
        let mut interests = [Interest::new(self.listener.as_fd(), Readiness::Read)];
        let ready = poll::wait(&mut interests, Some(PATIENCE)).expect("a listener can be polled");
        assert!(ready > 0, "nobody came to {}", self.path.display());
        let (stream, _) = self.listener.accept().expect("a polled connection is accepted");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a process that meets says who it is");
        let (point, pid) = line.trim().split_once(' ').expect("a greeting is a point and a pid");
        Met { point: point.to_owned(), pid: pid.parse().expect("a pid is a number"), stream }
    }
}

impl Met {
    /// Lets the process go on.
    pub fn release(mut self) {
        // A process that was killed meanwhile cannot be released, and need not be.
        drop(self.stream.write_all(b"g"));
    }
}
