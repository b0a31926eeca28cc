//! The records of a scope as values. `store` reads and writes their files.

pub mod desired;
pub mod directory_id;
mod format;
pub mod ledger;
