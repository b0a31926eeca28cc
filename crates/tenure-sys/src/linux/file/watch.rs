//! Watches on directories (inotify(7)): one wakes a reader that follows a file; many keep their changes queued until
//! they are read.
//!
//! An event only says where to look, so a lost or merged event loses nothing. The kernel queues an event before the
//! call that caused it returns, so a later read finds it.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::{Errno, retry_on_intr};
use thiserror::Error;

use crate::linux::descriptor::poll::{self, Interest, Readiness};
use crate::linux::file::dir::Dir;

/// Room for many events of short names; what does not fit is read by the next read.
const ROOM: usize = 4096;

/// A watch on the files of one directory (inotify): readable once one was written, made, renamed or removed.
///
/// It is level-triggered until [`Watch::drain`]. Writes of other machines to a shared file system are not seen.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Watches the directory behind the handle, whatever its path leads to by now.
    pub fn of(dir: &Dir) -> io::Result<Self> {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let changes = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE;
        inotify::add_watch(&watch, format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd()), changes)?;
        Ok(Self(watch))
    }

    /// Forgets what has changed so far. Call it before looking at the files, so that no change is missed in between.
    pub fn drain(&self) {
        let mut room = [0_u8; ROOM];
        // An empty queue is an error (EAGAIN); an inotify descriptor knows no other lasting one.
        while retry_on_intr(|| rustix::io::read(&self.0, &mut room)).is_ok_and(|count| count > 0) {}
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Why a directory cannot be watched.
#[derive(Debug, Error)]
pub enum WatchError {
    /// There is no directory of that name.
    #[error("watch a directory that does not exist")]
    Absent,
    /// The user has as many watches as are allowed.
    #[error("watch another directory: raise fs.inotify.max_user_watches{}", shown(*.limit))]
    TooManyWatches {
        /// How many are allowed, where that is told.
        limit: Option<u64>,
    },
    /// The user has as many sets of watches as are allowed, or the process as many descriptors.
    #[error("watch directories: raise fs.inotify.max_user_instances{}, or the limit of open files", shown(*.limit))]
    TooManyInstances {
        /// How many sets are allowed, where that is told.
        limit: Option<u64>,
    },
    /// Anything else.
    #[error("watch {}", .path.as_ref().map_or_else(|| "directories".into(), |path| path.to_string_lossy()))]
    Other {
        /// What was to be watched.
        path: Option<PathBuf>,
        /// What the kernel said.
        source: io::Error,
    },
}

fn shown(limit: Option<u64>) -> String {
    limit.map(|limit| format!(" (now {limit})")).unwrap_or_default()
}

/// A bound that the kernel sets on watches, such as `max_user_watches` (inotify(7)).
pub(crate) fn bound(name: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}"))?;
    text.trim().parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no number"))
}

/// What of a directory is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Which names are in it.
    Names,
    /// Its names, and the content and permissions of its files.
    Files,
}

/// One watched directory of a [`Watches`]; the kernel does not reuse its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(i32);

/// Where something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// An entry of a watched directory was made, removed, renamed, written or given other permissions.
    Entry {
        /// The directory.
        watch: WatchId,
        /// The entry.
        name: &'a OsStr,
        /// Whether it is a directory itself.
        is_directory: bool,
    },
    /// A watched directory itself was removed, moved, unmounted or given other permissions.
    Directory(WatchId),
    /// The kernel's queue was full: anything may have changed.
    Lost,
}

/// Watches on many directories (inotify), whose changes wait in the kernel until they are read.
///
/// Not seen: writes of other machines to a shared file system, writes through a name outside of the directories, and
/// writes through a memory map before its file is closed (inotify(7)).
#[derive(Debug)]
pub struct Watches(OwnedFd);

impl Watches {
    /// Watches nothing yet.
    pub fn new() -> Result<Self, WatchError> {
        match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
            Ok(fd) => Ok(Self(fd)),
            Err(Errno::MFILE) => {
                Err(WatchError::TooManyInstances { limit: bound("max_user_instances").ok() })
            }
            Err(errno) => Err(WatchError::Other { path: None, source: errno.into() }),
        }
    }

    /// Also watches the directory at `path`. A directory that is watched already keeps its number and is watched for
    /// both extents.
    pub fn add(&self, path: &Path, extent: Extent) -> Result<WatchId, WatchError> {
        let names = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        // A writer that maps the file makes no MODIFY, and a CLOSE_WRITE with its last unmap.
        let files = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB;
        let wanted = match extent {
            Extent::Names => names,
            Extent::Files => names | files,
        };
        let how = WatchFlags::ONLYDIR | WatchFlags::MASK_ADD | WatchFlags::EXCL_UNLINK;
        match inotify::add_watch(&self.0, path, wanted | how) {
            Ok(number) => Ok(WatchId(number)),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(WatchError::Absent),
            Err(Errno::NOSPC) => Err(WatchError::TooManyWatches { limit: bound("max_user_watches").ok() }),
            Err(errno) => Err(WatchError::Other { path: Some(path.to_owned()), source: errno.into() }),
        }
    }

    /// The descriptor to wait for: readable while a change is queued.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Ends a watch. A watch that the kernel has ended already, with its directory, is fine.
    pub fn remove(&self, watch: WatchId) -> io::Result<()> {
        match inotify::remove_watch(&self.0, watch.0) {
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether a change is queued that was not read yet. One system call, without waiting.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        let mut queued = [Interest::new(self.0.as_fd(), Readiness::Read)];
        // A failed look may hide a change.
        !matches!(poll::wait(&mut queued, Some(Duration::ZERO)), Ok(0))
    }

    /// Reads what has changed, in order, until nothing is queued or `each` returns [`Enough::Yes`], which may discard
    /// queued changes. A descriptor that cannot be read counts as [`Change::Lost`].
    pub fn read(&self, mut each: impl FnMut(Change<'_>) -> Enough) {
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut reader = Reader::new(&self.0, &mut room);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                Err(_) => {
                    each(Change::Lost);
                    return;
                }
            };
            if let Some(change) = change(&event)
                && each(change) == Enough::Yes
            {
                return;
            }
        }
    }
}

/// Whether a reader of changes has seen enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enough {
    /// It needs no more.
    Yes,
    /// It goes on.
    No,
}

fn change<'a>(event: &'a inotify::Event<'_>) -> Option<Change<'a>> {
    let (watch, flags) = (WatchId(event.wd()), event.events());
    if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
        return Some(Change::Lost);
    }
    // Follows a removal that was reported before or asked for.
    if flags.contains(ReadFlags::IGNORED) {
        return None;
    }
    Some(match event.file_name() {
        Some(name) => Change::Entry {
            watch,
            name: OsStr::from_bytes(name.to_bytes()),
            is_directory: flags.contains(ReadFlags::ISDIR),
        },
        None => Change::Directory(watch),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::linux::descriptor::poll::wait;

    fn is_up(watch: &Watch) -> bool {
        wait(&mut [Interest::new(watch.as_fd(), Readiness::Read)], Some(Duration::ZERO)).expect("a wait") == 1
    }

    fn read(watches: &Watches) -> Vec<String> {
        let mut read = Vec::new();
        watches.read(|change| {
            read.push(match change {
                Change::Entry { name, is_directory, .. } => {
                    format!("{}{}", name.display(), if is_directory { "/" } else { "" })
                }
                Change::Directory(_) => "itself".to_owned(),
                Change::Lost => "lost".to_owned(),
            });
            Enough::No
        });
        read.dedup();
        read
    }

    #[test]
    fn names_and_contents_are_told_apart_and_wait_until_they_are_read() {
        let place = tempfile::tempdir().expect("a directory");
        fs::write(place.path().join("file"), "1").expect("room");
        let watches = Watches::new().expect("an instance");
        let first = watches.add(place.path(), Extent::Names).expect("a watch");
        fs::write(place.path().join("file"), "2").expect("room");
        assert!(!watches.is_queued(), "a write changes no name");
        fs::create_dir(place.path().join("sub")).expect("room");
        assert!(watches.is_queued());
        assert_eq!(read(&watches), ["sub/"]);
        assert_eq!(watches.add(place.path(), Extent::Files).expect("the same"), first);
        fs::write(place.path().join("file"), "3").expect("room");
        assert_eq!(read(&watches), ["file"]);
        fs::set_permissions(place.path().join("file"), fs::Permissions::from_mode(0o700)).expect("ours");
        assert_eq!(read(&watches), ["file"]);
        assert!(!watches.is_queued());
    }

    #[test]
    fn a_directory_that_is_removed_is_told_and_needs_no_removal() {
        let place = tempfile::tempdir().expect("a directory");
        let sub = place.path().join("sub");
        fs::create_dir(&sub).expect("room");
        let watches = Watches::new().expect("an instance");
        let watch = watches.add(&sub, Extent::Files).expect("a watch");
        fs::remove_dir(&sub).expect("empty");
        let told = read(&watches);
        assert!(!told.is_empty() && told.iter().all(|change| change == "itself"), "{told:?}");
        watches.remove(watch).expect("gone already");
        assert!(matches!(watches.add(&sub, Extent::Files), Err(WatchError::Absent)));
    }

    #[test]
    fn a_full_queue_is_told_as_lost() {
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("linux");
        let limit: u32 = limit.trim().parse().expect("a number");
        if limit > 100_000 {
            println!("skipped: {limit} events are too many to make");
            return;
        }
        let place = tempfile::tempdir().expect("a directory");
        let (one, two) = (place.path().join("one"), place.path().join("two"));
        let watches = Watches::new().expect("an instance");
        watches.add(place.path(), Extent::Names).expect("a watch");
        fs::write(&one, "").expect("room");
        for _ in 0..=limit.div_ceil(4) {
            fs::rename(&one, &two).expect("there");
            fs::rename(&two, &one).expect("there");
        }
        assert_eq!(read(&watches).last().map(String::as_str), Some("lost"));
    }

    #[test]
    fn a_write_a_rename_and_a_new_file_wake_the_reader() {
        let temporary = tempfile::tempdir().expect("a directory");
        let dir = Dir::create_private(&temporary.path().join("private")).expect("private");
        let watch = Watch::of(&dir).expect("a watch");
        assert!(!is_up(&watch));
        let mut file = dir.open_append("log").expect("a file");
        assert!(is_up(&watch));
        watch.drain();
        assert!(!is_up(&watch));
        file.write_all(b"line\n").expect("room");
        assert!(is_up(&watch));
        watch.drain();
        dir.rename("log", "log.1").expect("renamed");
        assert!(is_up(&watch));
    }
}
