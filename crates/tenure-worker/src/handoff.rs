//! One worker takes the place of another while clients go on: incumbent and successor, each as a story, and the tables
//! that both follow.
//!
//! The order, as both sides see it: PREPARE (lease and listeners are shared, the incumbent serves), COMMIT (it makes room),
//! GRANTED (generation, ledger and control socket are the successor's), ACTIVE (the successor serves), the probation, and
//! the incumbent's end. Why it is safe is in `docs/design/takeover.md`.

pub(crate) mod calling;
pub(crate) mod context;
pub(crate) mod descriptor_link;
pub(crate) mod error;
pub mod hand_over;
pub(crate) mod incumbent;
pub(crate) mod remains;
pub(crate) mod successor;
pub(crate) mod timings;

pub use descriptor_link::LinkError;
pub use error::TakeoverError;
