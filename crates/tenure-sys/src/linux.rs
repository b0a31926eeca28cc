//! Every primitive on Linux. A system of another kind gets a folder beside this one, with the same rooms and types.

pub mod census;
pub(crate) mod descriptor;
pub(crate) mod file;
pub mod identity;
pub(crate) mod machine;
pub(crate) mod own_process;
pub mod process;
pub mod socket;
pub mod spawn;
pub mod tree;
