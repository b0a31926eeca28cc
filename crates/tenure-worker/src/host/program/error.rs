//! Why a program is not started.

use std::io;

use tenure_core::spec::program::NoProgram;
use tenure_core::store::records::RecordError;
use tenure_sys::spawn::SpawnError;

/// A program cannot be started; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is not there.
    #[error("start the program")]
    Missing(#[source] NoProgram),
    /// It cannot be recorded.
    #[error("record the program")]
    Record(#[source] RecordError),
    /// Something of its predecessor lives.
    #[error("start the program: {}", still_locked(.holders))]
    Predecessor {
        /// Who holds its lock.
        holders: Vec<u32>,
    },
    /// The shim cannot be spawned.
    #[error("start the program's shim")]
    Spawn(#[source] SpawnError),
    /// A descriptor cannot be had or used.
    #[error("start the program: {what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl ProgramError {
    /// Whether another try fails likewise, until somebody changes what is on disk.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Missing(_) => true,
            Self::Spawn(_) | Self::Record(_) | Self::Predecessor { .. } | Self::Io { .. } => false,
        }
    }
}

fn still_locked(holders: &[u32]) -> String {
    let pids: Vec<String> = holders.iter().map(u32::to_string).collect();
    format!("something of the previous one still holds its lock (pid {})", pids.join(", "))
}

/// The error of a descriptor that cannot be had or used.
pub(super) fn failed(what: &'static str) -> impl FnOnce(io::Error) -> ProgramError {
    move |source| ProgramError::Io { what, source }
}
