//! What is the same on every system: types without a system call, and what is made of other rooms alone.

pub mod discard;
pub(crate) mod exit_status;
pub(crate) mod launch;
pub(crate) mod signal;
