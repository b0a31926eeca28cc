//! What the tests of `tenure` stand on: sandboxes, rendezvous on fault points, and oracles that do not trust the product.

pub mod ask;
pub mod inject;
pub mod kept;
pub mod load;
pub mod meeting;
pub mod oracle;
pub mod page;
pub mod peers;
pub mod record;
pub mod sandbox;
pub mod usual;
pub mod words;

pub mod bench;
pub mod storm;
