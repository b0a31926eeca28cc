//! The control protocol: the frames that launchers and workers exchange over the control socket, and the values in
//! them.

pub mod boot_stage;
pub mod ends;
pub mod not_ready;
pub mod wire;
