//! Disk space for further versions of one small file, reserved while there is some and used when the disk is full.
//!
//! Two files of full length stand beside the file. A new version is written over one of them, padded with blanks,
//! flushed, and exchanged with the file: that needs no free block. The content must allow blanks at its end, as JSON
//! does. A copy-on-write file system, which never writes in place, gives no such guarantee.

use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, RenameFlags};
use rustix::io::Errno;

use super::{Dir, leaf};

/// What reserved space is filled with.
const BLANK: u8 = b' ';

/// How the name of a reserved file ends, which tells it from the remains of a write that was cut off.
const ENDING: &str = ".spare.tmp";

/// Whether a file of that name is reserved space.
#[must_use]
pub fn is_reserve(name: &str) -> bool {
    name.ends_with(ENDING)
}

/// Reserved space for further versions of a file; given back by [`Dir::free_reserve`].
#[derive(Debug)]
pub struct DiskReserve {
    files: [PathBuf; 2],
    size: usize,
}

impl Dir {
    /// Reserves space for versions of `name` of up to `size` bytes each. What this process reserved before is kept
    /// where it is long enough. After an error nothing new is left.
    pub fn keep_reserve(&self, name: impl AsRef<Path>, size: usize) -> io::Result<DiskReserve> {
        let (name, own) = (leaf(name.as_ref())?.display().to_string(), std::process::id());
        let file = |which: &str| PathBuf::from(format!(".{name}.{own}.{which}{ENDING}"));
        let reserve = DiskReserve { files: [file("a"), file("b")], size };
        let mut taken = Vec::new();
        for file in &reserve.files {
            if self.stat(file)?.is_some_and(|found| found.len >= size as u64) {
                continue;
            }
            taken.push(file);
            let made = self.remove(file).and_then(|_| {
                let mut opened = self.open(file, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
                opened.write_all(&vec![BLANK; size])?;
                opened.sync_all()
            });
            if let Err(error) = made {
                // What was reserved before stays: it may be all the space that there is.
                for file in taken {
                    self.remove(file).unwrap_or_default();
                }
                return Err(error);
            }
        }
        Ok(reserve)
    }

    /// Replaces a file by its reserved space: a reader sees the old content or the new one, which outlives a loss of
    /// power.
    pub fn replace_from(
        &self,
        reserve: &DiskReserve,
        name: impl AsRef<Path>,
        content: &[u8],
    ) -> io::Result<()> {
        let name = leaf(name.as_ref())?;
        if content.len() > reserve.size {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        // After an exchange one of them is the former file, which may be shorter.
        for file in &reserve.files {
            let mut opened = self.open(file, OFlags::RDWR)?;
            if opened.metadata()?.len() < reserve.size as u64 {
                continue;
            }
            let mut padded = content.to_vec();
            padded.resize(reserve.size, BLANK);
            opened.rewind()?;
            opened.write_all(&padded)?;
            opened.sync_data()?;
            match rustix::fs::renameat_with(&self.fd, file, &self.fd, name, RenameFlags::EXCHANGE) {
                Ok(()) => {}
                // The file system cannot exchange, or there is no file to exchange with: this reserved file is used up.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOENT) => self.rename(file, name)?,
                Err(errno) => return Err(errno.into()),
            }
            return Ok(rustix::fs::fsync(&self.fd)?);
        }
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }

    /// Gives reserved space back.
    pub fn free_reserve(&self, reserve: &DiskReserve) {
        for file in &reserve.files {
            // A file that cannot be removed is a temporary file like any other.
            self.remove(file).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn versions_are_written_from_room_that_was_taken_before_and_none_is_left() {
        let private = std::fs::Permissions::from_mode(0o700);
        let root = tempfile::Builder::new().permissions(private).tempdir().expect("a directory");
        let dir = Dir::open_private(root.path()).expect("private");
        dir.write_atomic("a.json", b"{}").expect("written");
        let reserve = dir.keep_reserve("a.json", 4096).expect("there is room");
        for version in 1..=5 {
            let content = format!("{{\"version\": {version}}}");
            dir.replace_from(&reserve, "a.json", content.as_bytes()).expect("written");
            let read = dir.read("a.json", 1 << 20).expect("readable").expect("there");
            assert_eq!(String::from_utf8_lossy(&read).trim_end(), content);
        }
        let long = dir.replace_from(&reserve, "a.json", &[b'x'; 4097]).expect_err("too long");
        assert_eq!(long.kind(), io::ErrorKind::StorageFull);
        dir.free_reserve(&reserve);
        assert_eq!(dir.names().expect("lists"), ["a.json"]);
    }

    #[test]
    fn room_that_cannot_be_made_whole_again_is_not_given_up() {
        let private = std::fs::Permissions::from_mode(0o700);
        let root = tempfile::Builder::new().permissions(private).tempdir().expect("a directory");
        let dir = Dir::open_private(root.path()).expect("private");
        dir.write_atomic("a.json", b"{}").expect("written");
        let reserve = dir.keep_reserve("a.json", 1 << 16).expect("there is room");
        let other = root.path().join(&reserve.files[1]);
        std::fs::remove_file(&other).expect("ours");
        std::fs::create_dir(&other).expect("ours");
        dir.keep_reserve("a.json", 1 << 16).expect_err("a directory is in the way");
        dir.replace_from(&reserve, "a.json", b"{\"version\": 1}").expect("the first file is there");
    }
}
