//! Real programs, kept as the files in `examples/programs` say: which they are, and what their clients see when they are
//! restarted.
//!
//! Nothing is installed here: `cargo xtask` does that.

pub mod catalog;
pub mod example;
pub mod report;
pub mod trial;
