//! How a host learns that its program serves, and asks how it is: a file for each kind, a row for each in `open`.
//!
//! ```text
//! up                    counts as ready after a moment
//! http  tcp  exec       a check, asked until it passes (`inquiry`); likewise for health, again and again
//! log                   the reader of the output finds a line
//! notify  fd            the program tells, through what it was given
//! ```
//!
//! `CONTRIBUTING.md` lists what a new kind needs.

use std::io;

use regex_lite::Regex;
use tenure_core::spec::Ready;
use tenure_core::store::paths::StateDir;

mod check;
mod conversation;
mod exec;
pub(super) mod fd;
mod http;
mod inquiry;
pub(super) mod kind;
mod line_search;
mod log;
pub(super) mod notify;
mod owner;
mod tcp;
mod tls;
mod tls_client;
mod up;

pub use check::{Answer, AnswerKind, CheckResult, CheckTarget, ProgramCheck};
pub use inquiry::{Inquiry, Pace};
pub(super) use kind::{CheckedProgram, ReadinessKind, ReadinessMessage};
pub(super) use line_search::{LineSearch, plain_lines};
pub use tcp::TcpConnection;

/// A kind of readiness cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadinessError {
    /// The pattern of `log` is none.
    #[error("read {pattern:?} as a pattern for lines of the output")]
    Pattern {
        /// As the spec has it.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: regex_lite::Error,
    },
    /// A newer launcher asks for a kind that this host does not have.
    #[error("tell when the program is ready: this host does not know that kind of `ready`")]
    Unknown,
    /// There is no socket for `notify`.
    #[error("open the notify socket")]
    Notify(#[source] io::Error),
}

/// The kind that `ready` names, for all starts of one host.
pub(super) fn open(
    ready: &Ready,
    state: &StateDir,
    generation: u64,
) -> Result<Box<dyn ReadinessKind>, ReadinessError> {
    Ok(match ready {
        Ready::Up => Box::new(up::Up),
        Ready::Http(check) => Box::new(http::Http(check.clone())),
        Ready::Tcp(_) => Box::new(tcp::Tcp),
        Ready::Exec(words) => Box::new(exec::Exec(words.clone())),
        Ready::Log(pattern) => Box::new(log::Log(
            Regex::new(pattern)
                .map_err(|source| ReadinessError::Pattern { pattern: pattern.clone(), source })?,
        )),
        Ready::Notify => {
            Box::new(notify::NotifySocket::bind(state, generation).map_err(ReadinessError::Notify)?)
        }
        Ready::Fd => Box::new(fd::Fd::default()),
        _ => return Err(ReadinessError::Unknown),
    })
}

#[cfg(test)]
mod tests;
