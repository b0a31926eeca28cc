//! What a host does about its program: start it, prove it, watch it, start it again, or give up.
//!
//! Pure: [`machine`] turns events into actions (both in [`events`]), [`restarts`] says whether and when a program starts
//! again. No clock and no process is touched here; the host carries the actions out in the order in which it gets them.

pub mod events;
pub mod machine;
pub mod restarts;

pub use events::{Exit, HostOutcome, ProbationTerms, SupervisorAction, SupervisorEvent};
pub use machine::Supervisor;
pub use restarts::{History, RestartCause, Ruling};
