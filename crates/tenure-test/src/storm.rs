//! The storm: many launchers of several versions, and a seeded hand that kills and stops whatever it meets, and says what
//! a person may say about versions.
//!
//! Each trial has a sandbox of its own. The hand is a sequence of blows in a random order that one seed determines; when
//! each lands is up to the kernel's scheduler, which is the point. The verdict comes from the oracle that the programs
//! write (two programs at once cannot both hold its lock), from the kernel (what is left of the sandbox's processes), from
//! the events, and from the answers of the launchers. A launcher is excused only by what was done while it lived.

pub mod blow;
pub mod campaign;
pub mod cause;
mod disk;
mod hand;
pub mod history;
pub mod shape;
pub mod trial;
pub mod verdict;
