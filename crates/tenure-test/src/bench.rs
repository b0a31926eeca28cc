//! Measuring whole processes and calls in process: each figure paired, in one run, with the floor or peer it is held against.
//!
//! Medians of alternating runs (A B A B …), so that a drift of the machine's speed meets both. Numbers are printed, never
//! asserted.

pub mod cold;
pub mod figure;
pub mod herd;
pub mod idle;
pub mod peers;
pub mod proxy;
pub mod takeover;
pub mod versions;
pub mod warm;
