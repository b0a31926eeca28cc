//! What makes a process the worker of its scope: it adopts what a launcher has prepared, answers, and looks after
//! itself.

pub mod adopt;
pub(crate) mod control;
pub(crate) mod selfcheck;
mod uses;
pub(crate) mod watchdog;
pub mod worker;
