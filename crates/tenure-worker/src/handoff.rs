//! A takeover: one worker takes the place of another while clients go on. Incumbent and successor are a story each, and
//! follow the tables of `policy/handoff`.
//!
//! ```text
//! successor (`successor`)                   incumbent (`incumbent`)
//! boots as far as it can alone              serves
//!   ── PREPARE ──────────────────────────▶  records the successor
//!   ◀──────────────── lease, listeners ───  serves still
//!   ── COMMIT ───────────────────────────▶  makes its app stop serving (`make_room`)
//!   ◀───────────────────────── GRANTED ───  answers no caller any more
//! opens its generation, ledger, socket
//! its app serves
//!   ── ACTIVE ───────────────────────────▶  waits: the probation
//!                                           over: drains and ends
//!                                           failed: ends the successor, serves again (`reclaim`)
//! ```
//!
//! Before GRANTED a successor that fails changes nothing; after it the incumbent proves the successor gone before it
//! goes on. Why this is safe is in `docs/design/takeover.md`.

pub(crate) mod call;
pub(crate) mod context;
pub(crate) mod descriptor_link;
pub(crate) mod error;
pub mod hand_over;
pub(crate) mod incumbent;
pub(crate) mod orphans;
pub(crate) mod successor;
pub(crate) mod timings;

pub use descriptor_link::LinkError;
pub use error::TakeoverError;
