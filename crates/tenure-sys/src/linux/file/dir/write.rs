//! Reads and replaces whole files: a reader sees the old content or the new one, and never a part.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, Stat};

use super::{Dir, leaf, regular};

impl Dir {
    /// Reads a whole file; `None` if there is none, and an error of kind `FileTooLarge` beyond `limit` bytes. A file
    /// that others could have changed is an error: see [`super::exposed::is_exposed`].
    pub fn read(&self, name: impl AsRef<Path>, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.read_if(name, limit, super::belief::refuse)
    }

    /// Reads a whole file even if others could have changed it: for content that is only shown, or compared with the
    /// directory itself.
    pub fn read_unbelieved(&self, name: impl AsRef<Path>, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.read_if(name, limit, |_| Ok(()))
    }

    fn read_if(
        &self,
        name: impl AsRef<Path>,
        limit: u64,
        may: impl FnOnce(&Stat) -> io::Result<()>,
    ) -> io::Result<Option<Vec<u8>>> {
        let name = leaf(name.as_ref())?;
        match self.open(name, OFlags::RDONLY) {
            Ok(file) => {
                may(&rustix::fs::fstat(&file)?)?;
                regular::bounded(file, name, limit).map(Some)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file, or makes it, with mode 0600: written beside it, flushed to disk, renamed over it, and the
    /// directory flushed. It outlives a loss of power from the moment that this returns.
    ///
    /// After a failure the old content stands and nothing is left beside it; only if the last flush fails, the new one
    /// stands and may not outlive a loss of power. A crash in between can leave a file named
    /// `.<name>.<pid>.<random>.tmp`. Two writers do not harm each other; the later rename wins.
    pub fn write_atomic(&self, name: impl AsRef<Path>, content: &[u8]) -> io::Result<()> {
        self.replace(name, content)?;
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Replaces a file as [`Dir::write_atomic`] does, without flushing the directory: after a loss of power the old
    /// content or the new one stands, whole in both cases.
    pub fn replace(&self, name: impl AsRef<Path>, content: &[u8]) -> io::Result<()> {
        let name = leaf(name.as_ref())?;
        // A rename would remove what stands there.
        self.refuse_no_file(name)?;
        let random = crate::linux::machine::random::hex(8)?;
        let beside = PathBuf::from(format!(".{}.{}.{random}.tmp", name.display(), std::process::id()));
        let file = self.open(&beside, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        let written = fill(file, content).and_then(|()| self.rename(&beside, name));
        if let Err(error) = written {
            // The first failure is the one to report.
            self.remove(&beside).unwrap_or_default();
            return Err(error);
        }
        Ok(())
    }
}

fn fill(mut file: File, content: &[u8]) -> io::Result<()> {
    file.write_all(content)?;
    file.sync_data()
}
