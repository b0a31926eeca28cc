//! Every primitive on Linux. A system of another kind gets a folder beside this one, with the same rooms and types.

pub mod census;
pub mod clock;
pub mod dir;
pub mod exit;
pub mod fdset;
pub mod filesystem;
pub mod identity;
pub mod kernel;
pub mod limits;
pub mod lock;
pub mod memory;
pub mod pipe;
pub mod poll;
pub mod process;
pub(crate) mod procfs;
pub mod random;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod stdio;
pub mod tree;
pub mod user;
pub mod wake;
pub mod watch;
