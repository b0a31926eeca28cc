//! Asking a worker over its control socket. Nothing here takes a lock or changes anything.
//!
//! `client` is one connection, with the questions HELLO, WAIT and STOP. `probe` is one look at a scope: it turns an
//! answer, a refused connection or silence into the observation on which `policy/decide` decides.

pub mod client;
pub mod probe;
