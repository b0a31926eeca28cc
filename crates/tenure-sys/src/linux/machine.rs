//! The machine and its user: clocks, random bytes, features of the kernel, home and machine id.

pub mod clock;
pub mod kernel;
pub mod random;
pub mod user;
