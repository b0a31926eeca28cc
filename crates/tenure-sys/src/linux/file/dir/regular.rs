//! Opens regular files, and refuses everything else by its kind.
//!
//! Every file is opened here. A pipe without a writer, a device or a socket can block whoever opens or reads it for
//! ever, so opening never waits, and the kind is checked through the open handle before a byte is read. Each read has a
//! limit, since a file may have no end.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::obstacle::{InTheWay, word};

/// Never waits, never acquires a controlling terminal, and is closed on exec.
const CAREFUL: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens a regular file for reading, also through links. Everything else is an error of kind
/// [`io::ErrorKind::InvalidInput`]; nothing blocks.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open(CWD, path, OFlags::RDONLY)
}

/// Reads a whole regular file, also through links; an error of kind `FileTooLarge` beyond `limit` bytes.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_opened(open_regular(path)?, path, limit)
}

/// Reads a whole file that [`open_regular`] has opened, for whoever looks at the opened file first. `path` is for the
/// error.
pub fn read_opened(file: File, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    bounded(file, path, limit)
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

/// Reads all of a file; more than `limit` bytes are an error.
pub(super) fn bounded(file: File, name: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Room for a record, which has a few hundred to a few thousand bytes, in one read.
    let mut content = Vec::with_capacity(4096);
    file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|length| length > limit) {
        let message = format!("{} has more than {limit} bytes", name.display());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(content)
}

fn irregular(name: &Path, kind: FileType) -> io::Error {
    // A whole path is named by the caller.
    if name.components().count() == 1 {
        return InTheWay { path: name.to_owned(), kind: word(kind), wanted: "regular file" }.into();
    }
    let message = format!("it is no regular file, but {}", word(kind));
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
