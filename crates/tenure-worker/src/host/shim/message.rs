//! What passes between a host and its shim over their link. Both are the same executable, so the form is free to
//! change.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tenure_core::spec::{Forking, Stdin, StopPolicy};
use tenure_sys::identity::Identity;
use tenure_sys::process::ExitStatus;

/// Longest message on the link, in bytes: as JSON, what the kernel takes as arguments and environment of a process (6 MiB
/// at most, execve(2)) may be six times as long.
pub const LONGEST_MESSAGE: usize = 64 * 1024 * 1024;

/// From the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum ShimRequest {
    /// Start the program. Sent once, when the shim is recorded.
    Release(Box<Release>),
    /// End the program's tree, or the command before the program, within the grace of its policy and no more than this.
    Stop {
        /// Longest grace of the polite signal, in milliseconds.
        grace_ms: u64,
    },
}

/// Everything that the program gets, beside the descriptors that the shim holds for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// What must end with 0 before the program starts.
    pub before: Option<ReleasedCommand>,
    /// The program.
    pub command: ReleasedCommand,
    /// Its standard input.
    pub stdin: Stdin,
    /// Its whole environment.
    pub variables: Vec<(String, String)>,
    /// The variable that is to hold its own pid, where it gets listeners.
    pub pid_variable: Option<String>,
    /// Its directory.
    #[serde(with = "tenure_core::os_text::path")]
    pub cwd: PathBuf,
    /// Its umask.
    pub umask: u32,
    /// Its soft limit of open files.
    pub nofile: u64,
    /// Whether it puts itself into the background.
    pub forking: Forking,
    /// How it is ended.
    pub stop: StopPolicy,
}

/// A command whose program was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedCommand {
    /// The program file.
    #[serde(with = "tenure_core::os_text::path")]
    pub program: PathBuf,
    /// Its name for itself: as the spec writes it.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// From the shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ShimEvent {
    /// The program runs.
    Runs {
        /// The program process; of a program that forks, its first one.
        identity: Identity,
    },
    /// The main process of a program that forks is known, or is another one from now on.
    Main {
        /// The main process.
        identity: Identity,
    },
    /// The first process of a program that forks has ended with 0, and its main process is not known yet.
    NoMain {
        /// What is wrong with the pid file, where there is to be one.
        pid_file: Option<String>,
        /// What lives of the program.
        left: Vec<LeftProcess>,
    },
    /// It could not be started, and the shim ends.
    CannotRun {
        /// Why, as a fragment after "failed to".
        message: String,
        /// Whether another try fails likewise, until somebody changes what is on disk.
        lasting: bool,
    },
    /// Something of the tree did not end within its grace, and is killed.
    Kills {
        /// Its number.
        pid: u32,
        /// Its command line.
        command: String,
    },
    /// The program has ended. The shim ends when the rest of its tree has.
    Exited {
        /// How.
        status: ExitStatus,
        /// What lived on of its tree, where it ended with 0 and nobody had asked it to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<LeftProcess>,
    },
}

/// A process that lived on when the first process of its program had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftProcess {
    /// Its number.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// What it listens on.
    pub listens: Vec<SocketAddr>,
}
