//! Fences for stores that outlive a worker: once a newer generation has claimed a store, an older one cannot write to it.
//!
//! A lease lets one worker serve, but no lock reaches into a store: a worker that was stopped for a minute, replaced
//! meanwhile and continued still has its files open, and a write that it had begun goes on. So each generation claims the
//! store with its number, the store remembers the highest, and every write is made together with a look at that number,
//! under the same lock. A generation never comes twice (`tenure_worker::Worker::generation`), which is what
//! makes it fit for this.
//!
//! `sqlite`, with the feature of that name, keeps the number in a row that each
//! write transaction reads; [`directory`] gives each generation a directory of its own.
//!
//! What no fence covers:
//! - A writer that does not go through it. It is a check among parts of one program, and no permission.
//! - Reads. A worker that was replaced may still read, and answer with what is old by then.
//! - When a claim is right. A claim takes the store from whoever still serves, so it belongs to the moment from which this
//!   worker serves alone. Where a new program is started while the old one serves (`overlap = true`), both go on until the
//!   old one makes room: claimed at boot, the old one's writes fail for that time; claimed late, both write.
//! - A file system whose locks do not hold between its users. Local ones do; over NFS it depends on the server.

pub mod directory;
mod error;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use error::FenceError;
