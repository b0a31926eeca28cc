//! What a host does about its program: start it, prove it, watch it, start it again, or give up.
//!
//! Pure: [`machine`] turns happenings into acts (both in [`words`]), [`policy`] says whether and when a program starts
//! again. No clock and no process is touched here; the host carries the acts out in the order in which it gets them.

pub mod events;
pub mod machine;
pub mod restarts;

pub use events::{Exit, HostOutcome, ProbationTerms, SupervisorAction, SupervisorEvent};
pub use machine::Supervisor;
pub use restarts::{History, RestartCause, Ruling};
