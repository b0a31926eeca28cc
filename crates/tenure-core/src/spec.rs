//! What is wanted: the description of a worker, its name, and the amounts, variables and files that it speaks of.

pub mod amount;
pub mod app;
pub mod build;
pub mod environment;
pub mod made;
pub mod origin;
pub mod program;
pub mod scope;
pub mod version;
mod wanted;

pub use wanted::*;
