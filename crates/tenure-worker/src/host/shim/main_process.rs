//! Which process of a program that puts itself into the background is its main process.
//!
//! ```text
//! first process ends with 0 ──▶ sought ──▶ main process ──▶ it ends ──▶ another one has its place: main process
//!                                 │  ▲                          └─────▶ otherwise the program has ended
//!                                 └──┘ a child ends, the pid file changes
//! ```
//!
//! - With a pid file it is the process that the file names, if that is in the program's tree. The number alone proves
//!   nothing: a handle is opened, and the process is listed in the tree again. Nobody else is believed or signalled.
//! - Without one it is the only child that the shim has left. A double fork has a process in between, so one that ends
//!   with 0 and leaves exactly one hands its place on.
//! - The file is removed when nothing of the program lives, and only if it is still the one that was believed.

use std::fs::Metadata;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tenure_core::spec::Forking;
use tenure_sys::discard::best_effort;
use tenure_sys::process::{self, ExitStatus, ProcessHandle};
use tenure_sys::watch::{Enough, Extent, Watches};
use tenure_sys::{dir, tree as processes};

use super::message::LeftProcess;
use super::tree;

/// Longest pid file. `PostgreSQL` writes seven lines; more than this is another kind of file.
const LONGEST: u64 = 4096;

/// The main process of a program that forks.
pub(super) struct MainProcess {
    pid_file: Option<PidFile>,
    phase: Phase,
    /// How the child ended that was reaped last, beside the main process.
    last_end: Option<ExitStatus>,
    /// What was told last of why none is known.
    told: Option<Unknown>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first process runs.
    First,
    /// It has ended, and no other one is known to have its place.
    Sought,
    Found,
}

/// What follows the end of the first process, or of a main process, that nobody asked for.
pub(super) enum AfterEnd {
    /// The program has ended.
    Over,
    /// Its main process is to be sought.
    Sought,
    /// This one has its place.
    Next(ProcessHandle),
}

/// Why no main process is known, although the first process has ended.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    /// What is wrong with the pid file, where there is to be one.
    pub(super) pid_file: Option<String>,
    pub(super) left: Vec<LeftProcess>,
}

impl MainProcess {
    /// For a program that forks and is not started yet; `None` for one whose first process is the program.
    pub(super) fn of(forking: &Forking, cwd: &Path) -> Option<Self> {
        let pid_file = match forking {
            Forking::PidFile(file) => Some(PidFile::at(cwd.join(file))),
            Forking::Yes => None,
            Forking::No | _ => return None,
        };
        Some(Self { pid_file, phase: Phase::First, last_end: None, told: None })
    }

    /// Whether the program goes on, though no main process is known.
    pub(super) fn is_sought(&self) -> bool {
        self.phase == Phase::Sought
    }

    /// Readable when the pid file may have changed; only while the main process is sought.
    pub(super) fn changes(&self) -> Option<BorrowedFd<'_>> {
        let file = self.pid_file.as_ref().filter(|_| self.is_sought())?;
        Some(file.watches.as_ref()?.as_fd())
    }

    /// Notes how a child ended that is not the main process.
    pub(super) fn note_end(&mut self, status: ExitStatus) {
        self.last_end = Some(status);
    }

    /// The first process, or a main process, has ended by itself.
    pub(super) fn ended(&mut self, status: ExitStatus) -> AfterEnd {
        match self.phase {
            Phase::First if status.success() => {
                self.phase = Phase::Sought;
                AfterEnd::Sought
            }
            // Without a file, a process that has failed hands nothing on.
            Phase::Found if status.success() || self.pid_file.is_some() => {
                self.find().map_or(AfterEnd::Over, AfterEnd::Next)
            }
            Phase::First | Phase::Sought | Phase::Found => AfterEnd::Over,
        }
    }

    /// The main process is about to be asked to end: what its file says by now, for the removal.
    pub(super) fn asked_to_end(&mut self, main: &ProcessHandle) {
        if let Some(file) = &mut self.pid_file {
            file.believe_again(main);
        }
    }

    /// Looks for the main process. `Err` where it is not known yet.
    pub(super) fn look(&mut self) -> Result<ProcessHandle, Option<Unknown>> {
        let found = self.find();
        if found.is_ok() {
            self.phase = Phase::Found;
        }
        found.map_err(|why| {
            let why = Unknown { pid_file: why, left: tree::left() };
            (self.told.as_ref() != Some(&why)).then(|| self.told.insert(why).clone())
        })
    }

    /// How a program ended whose main process was never known: as its last process did.
    pub(super) fn last_end(&self) -> ExitStatus {
        let success = ExitStatus { code: Some(0), signal: None, core: false };
        self.last_end.unwrap_or(success)
    }

    /// Nothing of the program lives: removes the file that named it.
    pub(super) fn remove_file(&self) {
        if let Some(file) = &self.pid_file {
            best_effort(file.remove());
        }
    }

    /// The main process, or what is wrong with the file that should name it.
    fn find(&mut self) -> Result<ProcessHandle, Option<String>> {
        match &mut self.pid_file {
            Some(file) => file.named().map_err(Some),
            None => only_child().ok_or(None),
        }
    }
}

/// The only child of this process that belongs to its program.
fn only_child() -> Option<ProcessHandle> {
    let own = std::process::id();
    let children = || {
        let family = tree::family();
        processes::children_of(own).into_iter().filter(move |pid| family.contains(pid)).collect::<Vec<u32>>()
    };
    let [one] = children()[..] else { return None };
    let handle = ProcessHandle::open(one).ok()?;
    (children() == [one]).then_some(handle)
}

/// A member of the program's tree by its number; `None` for every other process.
fn member(pid: u32) -> Option<ProcessHandle> {
    let handle = ProcessHandle::open(pid).ok()?;
    (tree::family().contains(&pid) && !handle.has_ended()).then_some(handle)
}

/// The file into which a program writes the pid of its main process.
struct PidFile {
    path: PathBuf,
    /// On its directory, or on the nearest one above it that is there; `None` where none can be had.
    watches: Option<Watches>,
    /// The file as it was before the program's start: a number in it is that of an earlier program.
    before: Option<Stamp>,
    believed: Option<Believed>,
}

/// The file that was believed.
struct Believed {
    stamp: Stamp,
    pid: u32,
}

/// What differs when another process has written or replaced a file.
#[derive(PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    written: (i64, i64),
    size: u64,
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            place: (file.dev(), file.ino()),
            written: (file.mtime(), file.mtime_nsec()),
            size: file.size(),
        }
    }
}

impl PidFile {
    fn at(path: PathBuf) -> Self {
        let before = std::fs::metadata(&path).ok().map(|file| Stamp::of(&file));
        Self { path, watches: Watches::new().ok(), before, believed: None }
    }

    /// The process that the file names, if it belongs to the program; else what is wrong, as words after the subject.
    fn named(&mut self) -> Result<ProcessHandle, String> {
        // Before the look, so that what is written after it is not missed.
        self.watch();
        let shown = self.path.display();
        let (pid, file) = read(&self.path).map_err(|why| format!("its pid file {shown} {why}"))?;
        if self.before.as_ref() == Some(&Stamp::of(&file)) {
            return Err(format!("its pid file {shown} names pid {pid} since before this start"));
        }
        let main = member(pid).ok_or_else(|| {
            format!("its pid file {shown} names pid {pid}, which is no process of this program")
        })?;
        let owners = [Some(tenure_sys::user::effective_uid()), process::uid_of(pid)];
        if !owners.contains(&Some(file.uid())) {
            return Err(format!("its pid file {shown} belongs to another user (uid {})", file.uid()));
        }
        self.believed = Some(Believed { stamp: Stamp::of(&file), pid });
        Ok(main)
    }

    /// While the main process lives, its number is its own: a file that has it names this process, whoever wrote it.
    fn believe_again(&mut self, main: &ProcessHandle) {
        let Ok((pid, file)) = read(&self.path) else { return };
        if self.believed.as_ref().is_some_and(|known| known.pid == pid && pid == main.pid())
            && !main.has_ended()
        {
            self.believed = Some(Believed { stamp: Stamp::of(&file), pid });
        }
    }

    fn watch(&self) {
        let Some(watches) = &self.watches else { return };
        watches.read(|_| Enough::No);
        // The program may make the directory, too.
        let above = self.path.ancestors().skip(1);
        let mut nearest = above.skip_while(|directory| watches.add(directory, Extent::Files).is_err());
        best_effort(nearest.next().ok_or(()));
    }

    /// Removes the file if it is the one that was believed. A link is left alone, and so is what another process has
    /// written or put there since; between this look and the removal nothing of this worker writes.
    fn remove(&self) -> io::Result<()> {
        let Some(Believed { stamp, pid }) = &self.believed else { return Ok(()) };
        let file = std::fs::symlink_metadata(&self.path)?;
        let is_same = file.is_file() && Stamp::of(&file) == *stamp;
        if is_same && read(&self.path).is_ok_and(|(named, _)| named == *pid) {
            std::fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

/// The number in the first line of a pid file, and what the file is; else what is wrong with it.
fn read(path: &Path) -> Result<(u32, Metadata), String> {
    let unread = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            "is not there".to_owned()
        } else {
            format!("cannot be read: {error}")
        }
    };
    let file = dir::open_regular(path).map_err(unread)?;
    let same = file.try_clone().map_err(unread)?;
    let content = dir::read_opened(file, path, LONGEST).map_err(unread)?;
    // After the content, which may have been written between making and reading the file.
    let about = same.metadata().map_err(unread)?;
    let text = String::from_utf8_lossy(&content);
    let number = text.lines().next().and_then(|line| line.trim().parse().ok());
    number.map(|pid| (pid, about)).ok_or_else(|| "holds no pid".to_owned())
}
