//! What is on record of a scope, as values: whoever reads and writes the files is in `store`.

pub mod desired;
pub mod directory_id;
pub mod ledger;
