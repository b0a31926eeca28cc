//! Private directories: opened once, checked through the open handle, and everything in them reached from it.
//!
//! A private directory belongs to the caller alone (owner and mode are read from the handle, not from the path), so no
//! other user can put a file, socket or link there. A file that another user put there while the directory was open to
//! others is not opened. Opening repairs nothing: a directory that is not private is an error that says what was found;
//! only `exposed::make_private` closes one, for the doctor.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::geteuid;
use thiserror::Error;

mod belief;
pub mod exposed;
mod obstacle;
mod regular;
pub mod reserve;
mod write;

pub use obstacle::{Blocker, InTheWay, kind_of};
pub use regular::{open_regular, read_opened, read_regular};

/// How a directory is opened: never through a link in the last place.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why a directory cannot be used.
#[derive(Debug, Error)]
pub enum DirError {
    /// There is none.
    #[error("open the directory {}, which does not exist", path.display())]
    Absent {
        /// What was asked for.
        path: PathBuf,
    },
    /// It belongs to another user.
    #[error("use the directory {}, which belongs to uid {owner} and not to uid {expected}", path.display())]
    NotOwned {
        /// What was asked for.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        expected: u32,
    },
    /// Others may read or change it.
    #[error("use the directory {}, which is open to others (mode {mode:04o} instead of 0700)", path.display())]
    TooOpen {
        /// What was asked for.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The path, or a part of it, is a file, or a link that is not followed or leads nowhere.
    #[error("use the directory: {0}")]
    NotDirectory(Blocker),
    /// The file system cannot be written.
    #[error("create the directory {} on a read-only file system", path.display())]
    ReadOnly {
        /// What was asked for.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file system or the quota is full.
    #[error("create the directory {} without space left", path.display())]
    NoSpace {
        /// What was asked for.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A sandbox or the permissions of a parent forbid it.
    #[error("use the directory {} without permission", path.display())]
    Denied {
        /// What was asked for.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else.
    #[error("use the directory {}", path.display())]
    Other {
        /// What was asked for.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl DirError {
    pub(crate) fn new(path: &Path, errno: Errno) -> Self {
        let path = path.to_owned();
        let source = io::Error::from(errno);
        match errno {
            Errno::NOENT => Self::Absent { path },
            // With NOFOLLOW a link is ELOOP, or ENOTDIR where a directory is demanded as well.
            Errno::NOTDIR | Errno::LOOP => match Blocker::of(&path) {
                Some(blocker) => Self::NotDirectory(blocker),
                None => Self::Other { path, source },
            },
            Errno::ROFS => Self::ReadOnly { path, source },
            Errno::NOSPC | Errno::DQUOT => Self::NoSpace { path, source },
            Errno::ACCESS | Errno::PERM => Self::Denied { path, source },
            _ => Self::Other { path, source },
        }
    }
}

/// The path of what stands in the place of a file or directory, where the error or one of its sources tells of that.
#[must_use]
pub fn in_the_way<'error>(error: &'error (dyn std::error::Error + 'static)) -> Option<&'error Path> {
    let of_dir = |error: &'error DirError| {
        if let DirError::NotDirectory(blocker) = error { Some(blocker.path.as_path()) } else { None }
    };
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let of_io = inner.and_then(|inner| inner.downcast_ref::<InTheWay>().map(|found| found.path.as_path()));
    let of_inner_dir = || inner.and_then(|inner| inner.downcast_ref::<DirError>()).and_then(of_dir);
    let own = of_io.or_else(of_inner_dir).or_else(|| error.downcast_ref::<DirError>().and_then(of_dir));
    own.or_else(|| error.source().and_then(in_the_way))
}

/// What is known about a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// Number of the device.
    pub dev: u64,
    /// Number of the file on it.
    pub ino: u64,
    /// Length in bytes.
    pub len: u64,
    /// Permission bits, without the type.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Whether it is a regular file.
    pub is_regular: bool,
    /// Whether it is a socket.
    pub is_socket: bool,
    /// What it is, in words.
    pub kind: &'static str,
    /// Last change of its content by the wall clock, in seconds since the Unix epoch.
    pub modified_s: u64,
}

impl FileStat {
    pub(crate) fn new(stat: &Stat) -> Self {
        let kind = FileType::from_raw_mode(stat.st_mode);
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
            len: u64::try_from(stat.st_size).unwrap_or(0),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            is_regular: kind == FileType::RegularFile,
            is_socket: kind == FileType::Socket,
            kind: obstacle::word(kind),
            modified_s: u64::try_from(stat.st_mtime).unwrap_or(0),
        }
    }
}

/// Reads what the kernel knows about an open file.
pub fn fstat(fd: BorrowedFd<'_>) -> io::Result<FileStat> {
    Ok(FileStat::new(&rustix::fs::fstat(fd)?))
}

/// An open directory that was found to belong to the caller alone.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory and checks, through the open handle, that it is the caller's (effective uid) and closed to
    /// group and others. The last part of the path must not be a link.
    pub fn open_private(path: &Path) -> Result<Self, DirError> {
        let path =
            std::path::absolute(path).map_err(|source| DirError::Other { path: path.to_owned(), source })?;
        Self::checked(open_at(CWD, &path, DIRECTORY).map_err(|errno| DirError::new(&path, errno))?, path)
    }

    /// Opens a directory as [`Self::open_private`] does, and if there is none, makes every part of the path that is
    /// missing, mode 0700. Parts that exist are left as they are; if all do, nothing is written.
    pub fn create_private(path: &Path) -> Result<Self, DirError> {
        let path = match Self::open_private(path) {
            Err(DirError::Absent { path }) => path,
            opened => return opened,
        };
        let mut missing = Vec::new();
        let mut at = path.as_path();
        loop {
            match make(CWD, at) {
                Ok(()) => break,
                Err(Errno::NOENT) => missing.push(at),
                Err(errno) => return Err(DirError::new(at, errno)),
            }
            let Some(parent) = at.parent() else { break };
            at = parent;
        }
        let made = missing.into_iter().rev().try_for_each(|part| make(CWD, part));
        match made.map_err(|errno| DirError::new(&path, errno)).and_then(|()| Self::open_private(&path)) {
            // A dangling link above the last part is EEXIST for mkdir(2), and ENOENT for whatever opens below it.
            Err(DirError::Absent { path }) => {
                Err(Blocker::of(&path).map_or(DirError::Absent { path }, DirError::NotDirectory))
            }
            opened => opened,
        }
    }

    /// Opens a directory in this one, makes it with mode 0700 if it is missing, and checks it like this one.
    pub fn child_private(&self, name: impl AsRef<Path>) -> Result<Self, DirError> {
        let name = name.as_ref();
        match self.open_child(name) {
            Err(DirError::Absent { path }) => {
                make(self.fd.as_fd(), name).map_err(|errno| DirError::new(&path, errno))?;
                self.open_child(name)
            }
            opened => opened,
        }
    }

    /// Opens a directory in this one and checks it like this one.
    pub fn open_child(&self, name: impl AsRef<Path>) -> Result<Self, DirError> {
        let name = name.as_ref();
        let path = self.path.join(name);
        let name = leaf(name).map_err(|source| DirError::Other { path: path.clone(), source })?;
        let fd = open_at(self.as_fd(), name, DIRECTORY).map_err(|errno| DirError::new(&path, errno))?;
        Self::checked(fd, path)
    }

    fn checked(fd: OwnedFd, path: PathBuf) -> Result<Self, DirError> {
        let stat = fstat(fd.as_fd()).map_err(|source| DirError::Other { path: path.clone(), source })?;
        let expected = geteuid().as_raw();
        if stat.uid != expected {
            return Err(DirError::NotOwned { path, owner: stat.uid, expected });
        }
        if stat.mode & 0o077 != 0 {
            return Err(DirError::TooOpen { path, mode: stat.mode });
        }
        Ok(Self { fd, path })
    }

    /// The absolute path under which the directory was opened. The path may lead elsewhere by now; the handle does not.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open handle.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens a file to lock, made with mode 0600 if it is missing. Where nothing can be written, one that exists is
    /// opened for reading: that suffices for the lock.
    pub fn open_lock(&self, name: impl AsRef<Path>) -> io::Result<File> {
        let name = leaf(name.as_ref())?;
        match self.open(name, OFlags::RDWR | OFlags::CREATE) {
            Err(error) if is_read_only(&error) => self.open(name, OFlags::RDONLY),
            opened => opened,
        }
    }

    /// Opens a file of the caller's for reading.
    pub fn open_read(&self, name: impl AsRef<Path>) -> io::Result<File> {
        self.open(leaf(name.as_ref())?, OFlags::RDONLY)
    }

    /// Opens a file for appending, made with mode 0600 if it is missing.
    pub fn open_append(&self, name: impl AsRef<Path>) -> io::Result<File> {
        self.open(leaf(name.as_ref())?, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
    }

    /// Refuses a link, and whatever else is no regular file, by its kind, without blocking. A file of another user, put
    /// here while the directory was open to others, is refused too.
    fn open(&self, name: &Path, how: OFlags) -> io::Result<File> {
        match regular::open(self.fd.as_fd(), name, how | OFlags::NOFOLLOW) {
            Ok(file) => belief::refuse_strangers(&rustix::fs::fstat(&file)?).map(|()| file),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let found = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
                Err(found.ok().and_then(|found| belief::refuse_strangers(&found).err()).unwrap_or(error))
            }
            Err(error) => Err(match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(InTheWay { kind, wanted, .. }) => {
                    InTheWay { path: self.path.join(name), kind, wanted }.into()
                }
                None => error,
            }),
        }
    }

    /// Renames a file in one step, replacing what has the new name.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        let (from, to) = (leaf(from.as_ref())?, leaf(to.as_ref())?);
        match rustix::fs::renameat(&self.fd, from, &self.fd, to) {
            // No file takes the place of a directory.
            Err(Errno::ISDIR) => Err(self.in_the_way(to, "file")?),
            renamed => Ok(renamed?),
        }
    }

    /// The error that names what stands at a name of this directory.
    fn in_the_way(&self, name: &Path, wanted: &'static str) -> io::Result<io::Error> {
        let kind = self.stat(name)?.map_or("gone", |found| found.kind);
        Ok(InTheWay { path: self.path.join(name), kind, wanted }.into())
    }

    /// Fails where something other than a regular file stands at the name; a free name is fine.
    pub fn refuse_no_file(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let name = leaf(name.as_ref())?;
        match self.stat(name)? {
            Some(found) if !found.is_regular => Err(self.in_the_way(name, "regular file")?),
            Some(_) | None => Ok(()),
        }
    }

    /// Fails where something other than a socket stands at the name; a free name is fine, and so is a regular file,
    /// which is what a backup makes of a socket.
    pub fn refuse_no_socket(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let name = leaf(name.as_ref())?;
        match self.stat(name)? {
            Some(found) if !found.is_socket && !found.is_regular => Err(self.in_the_way(name, "socket")?),
            Some(_) | None => Ok(()),
        }
    }

    /// Removes a file; `false` if there was none.
    pub fn remove(&self, name: impl AsRef<Path>) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.fd, leaf(name.as_ref())?, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes an empty directory in this one; `false` if there was none.
    pub fn remove_directory(&self, name: impl AsRef<Path>) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.fd, leaf(name.as_ref())?, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Tells whether the caller may make files in the directory now, by its mode and its mount.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        // By "." and not by an empty path, which older kernels do not take.
        rustix::fs::accessat(&self.fd, ".", access, AtFlags::EACCESS).is_ok()
    }

    /// Lists all names in the directory, in no order.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    /// Looks at a name without following a link; `None` if there is no such name.
    pub fn stat(&self, name: impl AsRef<Path>) -> io::Result<Option<FileStat>> {
        match rustix::fs::statat(&self.fd, leaf(name.as_ref())?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileStat::new(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Tells whether the name exists, if only as a dangling link.
    pub fn exists(&self, name: impl AsRef<Path>) -> io::Result<bool> {
        Ok(self.stat(name)?.is_some())
    }
}

fn open_at(below: BorrowedFd<'_>, path: &Path, how: OFlags) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| rustix::fs::openat(below, path, how, Mode::empty()))
}

/// Makes a directory, or leaves the one that another process made meanwhile.
fn make(below: BorrowedFd<'_>, path: &Path) -> Result<(), Errno> {
    match rustix::fs::mkdirat(below, path, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// Refuses a name that is more than one plain part, since it could lead out of the directory.
fn leaf(name: &Path) -> io::Result<&Path> {
    let mut parts = name.components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) if only.len() == name.as_os_str().len() => Ok(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is not a plain file name", name.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_found_below_every_cause() {
        let found = || InTheWay { path: "/s/gate".into(), kind: "a directory", wanted: "regular file" };
        let io = io::Error::from(found());
        assert_eq!(io.to_string(), "/s/gate is a directory, and no regular file");
        assert_eq!(in_the_way(&io), Some(Path::new("/s/gate")));
        let wrapped = DirError::Other { path: "/s".into(), source: io };
        assert_eq!(in_the_way(&wrapped), Some(Path::new("/s/gate")));
        let blocker = Blocker { path: "/f".into(), kind: "a regular file", leads: None, hides: false };
        let other = io::Error::other(DirError::NotDirectory(blocker));
        assert_eq!(in_the_way(&other), Some(Path::new("/f")));
        assert_eq!(in_the_way(&io::Error::other("no")), None);
    }
}
