//! The place of a socket in any directory: what stands there, and how a new socket takes it.
//!
//! The directory is reached through one handle, in which nobody but the caller and root can move the caller's files.
//! Nothing is removed here but a socket of the caller's user on which nobody listens. Whether that one may be removed
//! is the caller's to know.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::geteuid;

use crate::linux::file::dir::{DirError, FileStat, exposed};
use crate::linux::process;

use super::owner::SocketOwner;
use super::peer::{peer_cred, peer_process};
use super::unix::{bind_at, reachable_in};

/// A name in a directory that was checked.
#[derive(Debug)]
pub struct SocketPlace {
    dir: OwnedFd,
    parent: PathBuf,
    name: OsString,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Nothing,
    /// A socket of the caller's user on which nobody listens.
    Dead(DeadSocket),
    /// A socket that somebody listens on, as far as can be seen.
    Taken(SocketOwner),
    /// Something that is not a socket, or a dead socket of another user.
    Foreign {
        /// What it is, in words.
        kind: &'static str,
        /// Whose it is.
        uid: u32,
    },
}

/// A socket on which nobody listened when it was looked at. It can never be listened on again: a new socket gets a new
/// file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadSocket {
    dev: u64,
    ino: u64,
}

impl SocketPlace {
    /// Opens the directory of an absolute path. Links above the last part are followed.
    ///
    /// # Errors
    /// Where another user could replace a socket in the directory, or there is no directory.
    pub fn open(path: &Path) -> Result<Self, DirError> {
        let invalid =
            || DirError::Other { path: path.to_owned(), source: io::ErrorKind::InvalidInput.into() };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(invalid()) };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, parent, flags, Mode::empty())
            .map_err(|errno| DirError::new(parent, errno))?;
        exposed::refuse_movable_dir(dir.as_fd(), parent)?;
        Ok(Self { dir, parent: parent.to_owned(), name: name.to_owned() })
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    /// Looks at the place. A listener notices a connection that ends at once.
    pub fn standing(&self) -> io::Result<Standing> {
        let Some(found) = self.stat(&self.name)? else { return Ok(Standing::Nothing) };
        let foreign = Standing::Foreign { kind: found.kind, uid: found.uid };
        if !found.is_socket {
            return Ok(foreign);
        }
        let taken = |pid, uid| {
            Standing::Taken(SocketOwner { pid, uid, command: pid.and_then(process::command_line) })
        };
        Ok(match self.connect() {
            Ok(stream) => {
                let peer = peer_cred(&stream)?;
                // The number of a process that has ended may be another's by now.
                let pid = peer_process(&stream).is_ok().then_some(peer.pid);
                taken(pid, peer.uid)
            }
            Err(Errno::NOENT) => Standing::Nothing,
            Err(Errno::CONNREFUSED) if found.uid == geteuid().as_raw() => {
                Standing::Dead(DeadSocket { dev: found.dev, ino: found.ino })
            }
            Err(Errno::CONNREFUSED) => foreign,
            // A full queue, a socket for datagrams, or one of another user that may not be reached.
            Err(_) => taken(None, found.uid),
        })
    }

    /// Binds a new socket here and listens on it, mode 0600, if nothing stands here.
    pub fn bind(&self, backlog: i32) -> io::Result<UnixListener> {
        bind_at(&self.reach(&self.name), backlog)
    }

    /// Replaces a dead socket by a new one in one step: the path leads to the one or to the other. Meanwhile the new one
    /// has the name `temporary`; what a caller that died left there is removed.
    pub fn replace(&self, dead: DeadSocket, temporary: &str, backlog: i32) -> io::Result<UnixListener> {
        let temporary = OsString::from(temporary);
        let left = Self { dir: self.dir.try_clone()?, parent: self.parent.clone(), name: temporary.clone() };
        if let Standing::Dead(left_dead) = left.standing()? {
            left.remove(left_dead)?;
        }
        let listener = left.bind(backlog)?;
        let renamed = match self.standing()? {
            Standing::Dead(still) if still == dead => {
                rustix::fs::renameat(&self.dir, &temporary, &self.dir, &self.name)
            }
            Standing::Nothing => {
                let flags = RenameFlags::NOREPLACE;
                rustix::fs::renameat_with(&self.dir, &temporary, &self.dir, &self.name, flags)
            }
            Standing::Dead(_) | Standing::Taken(_) | Standing::Foreign { .. } => Err(Errno::ADDRINUSE),
        };
        if let Err(errno) = renamed {
            left.unlink()?;
            return Err(errno.into());
        }
        Ok(listener)
    }

    /// Removes this dead socket, if it is still the one that stands here.
    pub fn remove(&self, dead: DeadSocket) -> io::Result<()> {
        match self.stat(&self.name)? {
            Some(found) if (found.dev, found.ino) == (dead.dev, dead.ino) => self.unlink(),
            Some(_) | None => Ok(()),
        }
    }

    fn unlink(&self) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn stat(&self, name: &OsString) -> io::Result<Option<FileStat>> {
        match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileStat::new(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn connect(&self) -> Result<UnixStream, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&fd, &SocketAddrUnix::new(self.reach(&self.name))?)?;
        Ok(UnixStream::from(fd))
    }

    fn reach(&self, name: &OsString) -> PathBuf {
        reachable_in(&self.parent, self.dir.as_fd(), Path::new(name))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn place(directory: &Path) -> SocketPlace {
        SocketPlace::open(&directory.join("app.sock")).expect("a directory of our own")
    }

    #[test]
    fn only_a_dead_socket_is_replaced_and_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = place(directory.path());
        assert_eq!(place.standing().expect("seen"), Standing::Nothing);
        let listener = place.bind(4).expect("free");
        let mode = std::fs::metadata(place.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let Standing::Taken(owner) = place.standing().expect("seen") else { unreachable!("it listens") };
        assert_eq!(owner.uid, geteuid().as_raw());
        assert_eq!(place.bind(4).expect_err("taken").kind(), io::ErrorKind::AddrInUse);

        drop(listener);
        let Standing::Dead(dead) = place.standing().expect("seen") else { unreachable!("it is dead") };
        let listener = place.replace(dead, ".app.sock.tag", 4).expect("it is dead");
        assert_eq!(std::fs::read_dir(directory.path()).expect("there").count(), 1);
        // It is another one now.
        place.remove(dead).expect("no error");
        assert!(matches!(place.standing().expect("seen"), Standing::Taken(_)));
        place.replace(dead, ".app.sock.tag", 4).expect_err("it is another one now");
        drop(listener);
        let Standing::Dead(dead) = place.standing().expect("seen") else { unreachable!("it is dead") };
        place.remove(dead).expect("it is dead");
        assert_eq!(std::fs::read_dir(directory.path()).expect("there").count(), 0);
    }

    #[test]
    fn what_a_dead_caller_left_under_the_temporary_name_is_replaced_too() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = place(directory.path());
        drop((place.bind(4), bind_at(&directory.path().join(".app.sock.tag"), 4)));
        let Standing::Dead(dead) = place.standing().expect("seen") else { unreachable!("it is dead") };
        let _listener = place.replace(dead, ".app.sock.tag", 4).expect("both are dead");
        assert_eq!(std::fs::read_dir(directory.path()).expect("there").count(), 1);
    }

    #[test]
    fn a_file_that_is_no_socket_and_a_directory_that_others_write_to_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("app.sock"), "").expect("room");
        let place = place(directory.path());
        let uid = geteuid().as_raw();
        let kind = "a regular file";
        assert_eq!(place.standing().expect("seen"), Standing::Foreign { kind, uid });
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).expect("ours");
        let error = SocketPlace::open(&place.path()).expect_err("others can move files");
        assert!(matches!(error, DirError::TooOpen { mode: 0o777, .. }), "{error}");
    }
}
