//! The policy of a host for its program: start it, prove it, watch it, restart it, or give up.
//!
//! Pure: [`machine`] turns events into actions (both in [`events`]), [`restarts`] decides whether and when a program
//! starts again. Nothing here touches a clock or a process; the host carries the actions out in the order in which it
//! gets them.

pub mod events;
pub mod machine;
pub mod restarts;

pub use events::{Exit, HostOutcome, ProbationTerms, SupervisorAction, SupervisorEvent};
pub use machine::Supervisor;
pub use restarts::{History, RestartCause, Ruling};
