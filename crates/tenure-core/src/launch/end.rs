//! Ending what runs, and the proof that it is gone. All of it happens under the gate.
//!
//! `stop_and_prove` ends a worker; the proof is its lease in our hands. `orphans` ends what a former program left, which
//! must be gone before another program starts. Both signal only processes whose identity was verified through a handle.

pub mod orphans;
pub mod stop_and_prove;
