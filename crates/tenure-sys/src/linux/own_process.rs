//! This process itself: how it ends, which signals and limits it has, and the descriptors that it began with.

pub mod exit;
pub mod fdset;
pub mod limits;
pub mod signals;
pub mod stdio;
