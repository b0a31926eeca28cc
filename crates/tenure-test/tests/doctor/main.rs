//! What `doctor` finds, and what it mends.

mod findings;
mod fix;
