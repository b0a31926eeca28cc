//! Handles of processes: the only way in which tenure refers to a process that it may signal or wait for.
//!
//! A handle (pidfd) keeps leading to the process for which it was opened, whatever happens to the number. Identity is
//! read after the handle was opened, and the handle is asked again afterwards whether the process is still there, so
//! what was read belongs to the process behind the handle. Facts by bare number (`state_of`, `command_line`, …) are
//! for messages only. Nothing in this room decides that somebody should be signalled.

mod exited;
mod facts;
mod handle;
mod inherited;
pub(crate) mod procfs;
mod verify;

pub use crate::common::exit_status::ExitStatus;
pub use crate::common::signal::{Signal, UnknownSignal};
pub use facts::{
    RunState, command_line, executable_of, ignores, is_hidden, mounts_of, network_of, output_of, parent_of,
    run_time_of, state_of, tracer_of, uid_of,
};
pub use handle::{Delivery, OpenError, ProcessHandle};
pub use inherited::{Inherited, inherited_by, shares_network};
pub use verify::{Doubt, GoneReason, Verified, verify};
