//! What every test stands on: a sandbox of its own, workers described in it, calls of `tenure` and their answers, rendezvous
//! on fault points, and oracles that do not trust the product.

pub mod answer;
pub mod ask;
pub mod call;
pub mod dice;
pub mod executables;
pub mod limits;
pub mod meeting;
pub mod oracle;
pub mod peers;
pub mod processes;
pub mod sandbox;
pub mod system;
pub mod versions;
pub mod worker;
