//! Descriptors that are no files: pipes, flags that wake a thread, unnamed memory; and waiting for any of them.

pub mod memory;
pub mod pipe;
pub mod poll;
pub mod wake;
