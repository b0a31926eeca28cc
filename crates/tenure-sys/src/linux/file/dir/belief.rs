//! Which files are believed: those of the caller with a mode that no other user could have written through.
//!
//! A file with any permission beyond 0600 is not believed, nor a file of another user: in a directory that was open to
//! others and was closed by hand, files keep such permissions.

use std::io;

use rustix::fs::Stat;
use rustix::process::geteuid;

/// The permissions of a file that is written here; one may have fewer.
const OURS: u32 = 0o600;

/// Others could have changed a file: it has more permissions than it was written with, or is another user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("others could have changed it (uid {owner}, mode {mode:04o} where 0600 was written)")]
pub struct Exposed {
    /// Whose it is.
    pub owner: u32,
    /// Its permission bits.
    pub mode: u32,
}

/// Tells whether a file was not read because others could have changed it.
#[must_use]
pub fn is_exposed(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Exposed>()).is_some()
}

/// Refuses a file that others could have changed.
pub(super) fn refuse(stat: &Stat) -> io::Result<()> {
    refuse_beyond(OURS, stat)
}

/// Refuses a file of another user.
pub(super) fn refuse_strangers(stat: &Stat) -> io::Result<()> {
    refuse_beyond(0o7777, stat)
}

fn refuse_beyond(allowed: u32, stat: &Stat) -> io::Result<()> {
    let found = Exposed { owner: stat.st_uid, mode: stat.st_mode & 0o7777 };
    let is_ours = found.owner == geteuid().as_raw() && found.mode & !allowed == 0;
    if is_ours { Ok(()) } else { Err(io::Error::new(io::ErrorKind::PermissionDenied, found)) }
}
