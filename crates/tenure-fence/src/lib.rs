//! Fences for stores that outlive a worker: once a newer generation has claimed a store, an older one cannot write to
//! it.
//!
//! A lease lets one worker serve, but it does not protect a store: a worker that was stopped for a minute, replaced
//! meanwhile and continued still has its files open, and goes on with a write that it had begun. So each generation
//! claims the store with its number, the store remembers the highest, and every write checks that number under the same
//! lock. This works because no generation comes twice (`tenure_worker::Worker::generation`).
//!
//! `sqlite`, with the feature of that name, keeps the number in a row that each write transaction reads; [`directory`]
//! gives each generation a directory of its own.
//!
//! What no fence covers:
//! - A writer that does not go through it: a fence is a check among parts of one program, and no permission.
//! - Reads: a worker that was replaced may still read, and answer with old data.
//! - The moment of a claim: it takes the store from a worker that still serves, so make it when this worker starts to
//!   serve alone. Where a new program starts while the old one serves (`overlap = true`), a claim at boot makes the old
//!   one's writes fail until it has ended; with a late claim both write.
//! - A file system whose locks do not hold between its users. Local ones do; over NFS it depends on the server.

pub mod directory;
mod error;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use error::FenceError;
