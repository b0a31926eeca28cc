//! What a host does about its program: start it, prove it, watch it, start it again, or give up.
//!
//! Pure: [`machine`] turns happenings into acts (both in [`words`]), [`policy`] says whether and when a program starts
//! again. No clock and no process is touched here; the host carries the acts out in the order in which it gets them.

pub mod machine;
pub mod policy;
pub mod words;

pub use machine::Supervisor;
pub use policy::{History, RestartCause, Ruling};
pub use words::{Exit, HostOutcome, ProbationTerms, SupervisorAction, SupervisorEvent};
