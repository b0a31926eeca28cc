//! What the tests of `tenure` stand on: sandboxes, rendezvous on fault points, and oracles that do not trust the product.

pub mod args;
pub mod fixtures;
pub mod inject;
pub mod load;
pub mod page;
pub mod programs;
pub mod record;

pub mod bench;
pub mod storm;
