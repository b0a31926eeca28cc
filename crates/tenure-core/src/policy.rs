//! Every decision, as a pure function or machine: no room here reads a file, a clock or a process.

pub mod attempt;
pub mod decide;
pub mod handoff;
pub mod lifecycle;
pub mod supervisor;
pub mod tally;
