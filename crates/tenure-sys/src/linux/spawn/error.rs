//! Why a program was not started: the stage and the error of the kernel, as one of few kinds.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::common::launch::Launch;
use crate::linux::own_process::limits;
use crate::linux::process::OpenError;

use super::inside::SpawnStage;

/// Why a program was not started. Nothing of it is left.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// The program, or the interpreter that its first line names, is not there.
    #[error("start {}, which does not exist or names an interpreter that does not", program.display())]
    NotFound {
        /// The program.
        program: PathBuf,
    },
    /// It is there and cannot be run.
    #[error("start {}, which cannot be executed", program.display())]
    NotExecutable {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Its working directory cannot be entered.
    #[error("start a program in {}", cwd.display())]
    BadDirectory {
        /// The directory.
        cwd: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused to run it for another reason.
    #[error("start {}", program.display())]
    Exec {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There are no free descriptors.
    #[error("start a program without free descriptors (soft limit {soft}, hard limit {hard})")]
    Descriptors {
        /// The soft limit of the caller.
        soft: u64,
        /// The hard limit of the caller.
        hard: u64,
    },
    /// No process could be made.
    #[error("make a process")]
    Fork(#[source] io::Error),
    /// Anything else.
    #[error("prepare a process")]
    Other(#[source] io::Error),
}

impl SpawnError {
    /// Whether the same start fails until somebody changes the disk: the program, its interpreter or its directory is
    /// missing or unusable. A lack of descriptors, processes or memory passes.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::NotExecutable { .. } | Self::BadDirectory { .. } => true,
            Self::Exec { .. } | Self::Descriptors { .. } | Self::Fork(_) | Self::Other(_) => false,
        }
    }

    pub(super) fn other(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => {
                let (soft, hard) = limits::nofile();
                Self::Descriptors { soft, hard }
            }
            _ => Self::Other(error),
        }
    }

    pub(super) fn handle(error: OpenError) -> Self {
        match error {
            OpenError::Denied(error) | OpenError::Other(error) => Self::other(error),
            OpenError::Gone | OpenError::Unsupported => Self::Other(io::Error::other(error)),
        }
    }

    pub(super) fn reported(launch: &Launch<'_>, stage: SpawnStage, source: io::Error) -> Self {
        let program = launch.program.to_owned();
        match (stage, source.raw_os_error()) {
            (_, Some(libc::EMFILE | libc::ENFILE)) => Self::other(source),
            (SpawnStage::Fork, _) => Self::Fork(source),
            (SpawnStage::Directory, _) => Self::BadDirectory { cwd: launch.cwd.to_owned(), source },
            (SpawnStage::Exec, Some(libc::ENOENT | libc::ENOTDIR)) => Self::NotFound { program },
            (
                SpawnStage::Exec,
                Some(libc::EACCES | libc::EPERM | libc::ENOEXEC | libc::EISDIR | libc::ELIBBAD),
            ) => Self::NotExecutable { program, source },
            (SpawnStage::Exec, _) => Self::Exec { program, source },
            (SpawnStage::Handle | SpawnStage::Descriptors | SpawnStage::Setting, _) => Self::Other(source),
        }
    }
}
