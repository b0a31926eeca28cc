//! Locks and files of a scope: where they are, who may write them, and how they are read.

pub mod clearing;
pub mod directory_id;
pub mod event;
pub mod gate;
pub mod lease;
pub mod logs;
pub mod paths;
pub mod records;
pub mod sockets;
pub mod stamp;
pub mod trust;
