//! From a request to a worker that serves: probing, binding, spawning, waiting, and ending a former worker.

pub mod client;
pub mod handshake;
pub mod limits;
pub mod listen;
pub mod orphans;
pub mod probe;
pub mod readiness;
pub mod recipe;
pub mod request;
pub mod start;
pub mod stop_and_prove;
pub mod version;
