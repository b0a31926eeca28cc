//! Resource limits of this process: the one on descriptors, limits too low for a worker, and errors that say that a
//! resource has run out.

use std::{fmt, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft and the hard limit of open descriptors of the caller; no limit is `u64::MAX`.
#[must_use]
pub fn nofile() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// The soft limit of open descriptors that programs are started with: the hard limit, at most 65,536. Servers need no
/// more, and programs that close every possible descriptor one by one take too long with a million.
#[must_use]
pub fn usual_nofile() -> u64 {
    nofile().1.min(65_536)
}

/// A limit of the caller that is too low for a worker, or for the records that the caller itself writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLow {
    what: &'static str,
    unit: &'static str,
    flag: char,
    limit: u64,
    least: u64,
}

impl fmt::Display for TooLow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, unit, flag, limit, least } = self;
        write!(
            f,
            "the limit on {what} (`ulimit -{flag}`) is {limit} {unit}, and a worker needs at least {least}"
        )
    }
}

const MB: u64 = 1 << 20;

/// The least that a host with its records, its logs at their usual size and a small program needs.
const LEAST: [(Resource, TooLow); 5] = [
    (Resource::Fsize, TooLow::of("the size of a file", "bytes", 'f', 16 * MB)),
    (Resource::Nofile, TooLow::of("open files", "files", 'n', 64)),
    (Resource::As, TooLow::of("address space", "bytes", 'v', 256 * MB)),
    (Resource::Data, TooLow::of("data", "bytes", 'd', 64 * MB)),
    (Resource::Cpu, TooLow::of("processor time", "seconds", 't', 60)),
];

/// The caller's own soft limit on the size of a file must let it write the records of a scope with many versions.
const LEAST_WRITTEN: u64 = MB;

impl TooLow {
    const fn of(what: &'static str, unit: &'static str, flag: char, least: u64) -> Self {
        Self { what, unit, flag, limit: 0, least }
    }
}

/// The first limit of the caller that is too low for a worker that it starts.
#[must_use]
pub fn too_low() -> Option<TooLow> {
    LEAST.into_iter().find_map(|(resource, least)| {
        let Rlimit { current, maximum } = getrlimit(resource);
        let hard = maximum.unwrap_or(u64::MAX);
        let own = current.unwrap_or(u64::MAX);
        if hard < least.least {
            return Some(TooLow { limit: hard, ..least });
        }
        (resource == Resource::Fsize && own < LEAST_WRITTEN).then_some(TooLow {
            limit: own,
            least: LEAST_WRITTEN,
            ..least
        })
    })
}

/// Raises the caller's soft limit on the size of files to the hard one.
pub fn raise_file_size() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    Ok(setrlimit(Resource::Fsize, Rlimit { current: maximum, maximum })?)
}

/// Whether an error says that descriptors, memory or ports have run out: the same call may succeed later.
#[must_use]
pub fn ran_out(error: &io::Error) -> bool {
    let lacks = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|number| lacks.contains(&number))
}

/// Sets the caller's soft limit of open descriptors, at most to its hard limit; programs started from now on inherit
/// it.
pub fn set_nofile_soft(soft: u64) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.maximum.map_or(soft, |hard| soft.min(hard));
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum: limit.maximum })?)
}
