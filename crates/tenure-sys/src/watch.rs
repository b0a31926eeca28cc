//! Wakes a reader when something in a directory changes, so that following a file needs no polling.
//!
//! It tells that something changed and not what: the reader looks for itself, so a lost or merged event loses nothing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::dir::Dir;

/// Room for many events of short names; what does not fit is read by the next turn of the loop.
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

    /// Forgets what has changed so far. To be called before the look at the files, so that no change falls in between.
    pub fn drain(&self) {
        let mut room = [0_u8; ROOM];
        loop {
            match rustix::io::read(&self.0, &mut room) {
                Err(Errno::INTR) => {}
                Ok(count) if count > 0 => {}
                // Empty is what is wanted; an inotify descriptor knows no other lasting failure.
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;
    use crate::poll::{Interest, Want, wait};

    fn is_up(watch: &Watch) -> bool {
        wait(&mut [Interest::new(watch.as_fd(), Want::Read)], Some(Duration::ZERO)).expect("a wait") == 1
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
