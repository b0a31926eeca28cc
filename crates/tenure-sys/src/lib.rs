//! The kernel edge of tenure: what the rest of the project asks of the operating system goes through this crate, or
//! through the standard library.
//!
//! It is the only crate with `unsafe` and the only one that asks which operating system it is built for. It turns
//! descriptors, locks, processes and sockets into small types whose misuse does not compile, and it decides nothing:
//! whether a worker is wanted, healthy or in the way is said elsewhere.
//!
//! What holds for all of it:
//! - no type of the libraries below crosses the edge; descriptors of the standard library do;
//! - every descriptor that is made here is close-on-exec;
//! - a call that a signal interrupted is repeated with the time that is left;
//! - nothing sleeps and nothing polls: waits are waits of the kernel;
//! - a process is signalled only through a [`process::ProcessHandle`].

#[cfg(not(target_os = "linux"))]
compile_error!(
    "tenure runs on Linux today; its locks, process handles and detached starts have no other edge yet"
);

mod common;
#[cfg(target_os = "linux")]
mod linux;
pub mod thread;

#[cfg(target_os = "linux")]
use linux as system;

pub use common::discard;
pub use system::descriptor::{memory, pipe, poll, wake};
pub use system::file::{dir, filesystem, lock, watch};
pub use system::machine::{clock, kernel, random, user};
pub use system::own_process::{exit, fdset, limits, signals, stdio};
pub use system::{census, identity, process, socket, spawn, tree};
