//! What passes between a launcher and the worker that it starts, over one inherited socket pair.
//!
//! Launcher to worker: the [`Handshake`] (sent before the spawn, so that a worker whose launcher dies still knows what
//! to do), then [`GO`] once the worker's identity is recorded. Worker to launcher: [`Report`]s. An end of file where GO
//! is awaited means that the launcher died: the worker then records itself and goes on. Launcher and worker may be of
//! different builds, so unknown fields are accepted.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tenure_sys::identity::Identity;

use crate::deadline::Moment;
use crate::protocol::boot_stage::BootStage;
use crate::protocol::not_ready::NotReady;
use crate::protocol::wire::{Asker, Hello};
use crate::spec::Spec;
use crate::spec::amount::Span;
use crate::spec::app::AppId;
use crate::spec::scope::Scope;
use crate::store::logs::LogPositions;

/// Variable that tells a process that it was started as a worker; its value is the number of inherited descriptors.
pub const DESCRIPTORS_VARIABLE: &str = "TENURE_HANDOVER";

/// Variable with the process id that [`DESCRIPTORS_VARIABLE`] is meant for: a child that inherits the environment of a
/// worker is no worker.
pub const DESCRIPTORS_PID_VARIABLE: &str = "TENURE_HANDOVER_PID";

/// Longest message on the pair, in bytes: as JSON, what the kernel takes as arguments and environment of a process (6 MiB
/// at most, execve(2)) may be six times as long.
pub const LONGEST_MESSAGE: usize = 64 * 1024 * 1024;

/// The message after which the worker owns the ledger.
pub const GO: &[u8] = b"go";

/// Place of each inherited descriptor, from 3.
pub mod descriptor {
    /// The socket pair.
    pub const CHANNEL: usize = 0;
    /// The lease.
    pub const LEASE: usize = 1;
    /// The control socket, listening.
    pub const CONTROL: usize = 2;
    /// First of the spec's listeners.
    pub const FIRST_LISTENER: usize = 3;
    /// Of a successor, which gets nothing else beside the channel: the gate.
    pub const GATE: usize = 1;
    /// What a successor gets.
    pub const OF_SUCCESSOR: usize = 2;
}

/// All that a worker needs to know about its activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The scope's state directory.
    #[serde(with = "crate::os_text::path")]
    pub state_dir: PathBuf,
    /// The scope.
    pub scope: Scope,
    /// This activation's fencing token.
    pub generation: u64,
    /// The description of the worker.
    pub spec: Spec,
    /// Who started it.
    pub started_by: Asker,
    /// When its boot must be over.
    pub booting_until: Moment,
    /// Names of the inherited listeners, in order.
    pub listeners: Vec<String>,
    /// Soft limit of open files to give to programs: the same from every launcher with the same hard limit.
    pub nofile: u64,
    /// Whose worker it is, for its answer to HELLO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whose: Option<AppId>,
    /// A worker serves, and this one is to take its place. It then gets the gate instead of lease and sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds: Option<Succession>,
}

/// How a successor is to take over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    /// The worker that serves.
    pub incumbent: Identity,
    /// Both programs are there for a while; see [`Spec::overlap`].
    pub overlap: bool,
    /// For how long the incumbent can take the scope back; see [`Spec::bake`].
    pub bake: Span,
    /// A successor that says that it is another version than it was started as has failed.
    pub strict: bool,
}

/// What a worker tells its launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// It serves.
    Ready {
        /// Its account of itself.
        hello: Box<Hello>,
    },
    /// The incumbent does not hand over, and nothing was changed. The successor exits, and its launcher ends the
    /// incumbent first.
    Declined {
        /// Why, as a lowercase fragment.
        why: String,
    },
    /// It will exit without having served.
    Failed {
        /// At which part of its boot.
        stage: BootStage,
        /// What went wrong, as text.
        message: String,
        /// Where its own lines begin in the logs, if another worker wrote there since it was started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<LogPositions>,
        /// Why its program was not ready, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_ready: Option<Box<NotReady>>,
    },
}
