//! The limit on open descriptors, and the errors that say that something has run out.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft and the hard limit of open descriptors of the caller; no limit is `u64::MAX`.
#[must_use]
pub fn nofile() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// Whether an error says that descriptors, memory or ports have run out: the same call can do well later.
#[must_use]
pub fn ran_out(error: &io::Error) -> bool {
    let lacks = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|number| lacks.contains(&number))
}

/// Sets the soft limit of the caller, and with it of what it starts from now on; more than the hard limit is cut to it.
pub fn set_nofile_soft(soft: u64) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.maximum.map_or(soft, |hard| soft.min(hard));
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum: limit.maximum })?)
}
