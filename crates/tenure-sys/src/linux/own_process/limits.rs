//! Limits on resources: of open descriptors, those that are too low for a worker, and the errors that say that something has run out.

use std::{fmt, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft and the hard limit of open descriptors of the caller; no limit is `u64::MAX`.
#[must_use]
pub fn nofile() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// The soft limit of open descriptors for a program, whoever starts it: the hard one, as far as that is not beyond what
/// servers need. Programs that close every possible descriptor one by one take too long with a million.
#[must_use]
pub fn usual_nofile() -> u64 {
    nofile().1.min(65_536)
}

/// A limit of the caller with which no worker can live, or with which the caller could not write its own records.
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

/// Below these a host, its records, its logs at their usual size or a small program do not fit.
const LEAST: [(Resource, TooLow); 5] = [
    (Resource::Fsize, TooLow::of("the size of a file", "bytes", 'f', 16 * MB)),
    (Resource::Nofile, TooLow::of("open files", "files", 'n', 64)),
    (Resource::As, TooLow::of("address space", "bytes", 'v', 256 * MB)),
    (Resource::Data, TooLow::of("data", "bytes", 'd', 64 * MB)),
    (Resource::Cpu, TooLow::of("processor time", "seconds", 't', 60)),
];

/// What the caller itself writes must fit its soft limit: records of a scope with many versions.
const LEAST_WRITTEN: u64 = MB;

impl TooLow {
    const fn of(what: &'static str, unit: &'static str, flag: char, least: u64) -> Self {
        Self { what, unit, flag, limit: 0, least }
    }
}

/// The first limit of the caller with which no worker that it starts could live.
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
