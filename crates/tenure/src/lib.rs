//! facade, to be written
pub use tenure_core::*;
