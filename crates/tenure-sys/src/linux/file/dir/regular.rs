//! Opening regular files, and refusing by its kind whatever else stands in the place of one.
//!
//! Every file that a name leads to is opened here. A pipe that nobody writes to, a device or a socket can hold up whoever
//! opens or reads it, for ever; so nothing is waited for while opening, and the open handle tells the kind before a byte is
//! read. Each read has a limit: what never ends is refused as well.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::obstacle::{InTheWay, word};

/// Never waits, never becomes a terminal's session, never passes to a program.
const CAREFUL: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens a regular file for reading, also through links. Whatever else lies there is refused as
/// [`io::ErrorKind::InvalidInput`] and never holds the caller up.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open(CWD, path, OFlags::RDONLY)
}

/// Reads a whole regular file, also through links; an error of kind `FileTooLarge` beyond `limit` bytes.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    bounded(open_regular(path)?, path, limit)
}

/// Opens a regular file by its name below an open directory. With `NOFOLLOW` in `how` a link is refused like any other
/// kind.
pub(super) fn open(below: BorrowedFd<'_>, name: &Path, how: OFlags) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    // Opening can be interrupted on slow file systems.
    match retry_on_intr(|| rustix::fs::openat(below, name, how | CAREFUL, mode)) {
        Ok(fd) => regular(fd, name),
        // A socket, or a pipe without a reader; a link; a directory that was to be written.
        Err(errno @ (Errno::NXIO | Errno::LOOP | Errno::ISDIR)) => {
            let flags =
                if how.contains(OFlags::NOFOLLOW) { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
            match rustix::fs::statat(below, name, flags) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
                    Err(irregular(name, FileType::from_raw_mode(stat.st_mode)))
                }
                Ok(_) | Err(_) => Err(errno.into()),
            }
        }
        Err(errno) => Err(errno.into()),
    }
}

fn regular(fd: OwnedFd, name: &Path) -> io::Result<File> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
    if kind == FileType::RegularFile { Ok(File::from(fd)) } else { Err(irregular(name, kind)) }
}

/// All of a file that has at most `limit` bytes.
pub(super) fn bounded(file: File, name: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Records have a few hundred bytes to a few thousand: room for one, so that it is read at once.
    let mut content = Vec::with_capacity(4096);
    file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|length| length > limit) {
        let message = format!("{} has more than {limit} bytes", name.display());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(content)
}

fn irregular(name: &Path, kind: FileType) -> io::Error {
    // A path is named by whoever asked for it.
    if name.components().count() == 1 {
        return InTheWay { path: name.to_owned(), kind: word(kind), wanted: "regular file" }.into();
    }
    let message = format!("it is no regular file, but {}", word(kind));
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
