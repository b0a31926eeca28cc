//! The kernel edge against a real kernel and real processes.
//!
//! Nothing sleeps: processes wait on pipes that a test holds, and tests wait on descriptors of the kernel. What a test
//! has started it ends through a handle, also when it fails.

mod dir;
mod kit;
mod lock;
mod process;
mod roles;
mod socket;
mod start;
mod tree;
