//! A takeover: one worker takes the place of another while clients go on. Incumbent and successor are a story each, and
//! follow the tables of `policy/takeover`.
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
//! With `overlap` both programs run for a while. The successor sends PREPARE, starts its program beside the
//! incumbent's on the shared listeners, and lets it pass its probation; only then it sends COMMIT. The incumbent grants
//! without a stop of its app. ACTIVE follows without a probation, and the incumbent drains and ends.
//!
//! The step in which the incumbent makes room has a name at each level:
//!
//! | where | asked | carried out | answered |
//! |---|---|---|---|
//! | between the workers | COMMIT | the incumbent makes room | GRANTED |
//! | `policy/takeover` | `Commit` | `Quiesce`, then `Grant` | `Granted` |
//! | the app's hooks | `TakeoverHooks::quiesce` | the app stops accepting, and packs its state | what it packed |
//! | a host's program | `MakeRoomAsked` | its tree is ended | `TellRoomMade` |
//!
//! Before GRANTED a successor that fails changes nothing; after it the incumbent proves the successor gone before it
//! goes on. Why this is safe is in `docs/design/takeover.md`.

pub(crate) mod call;
pub(crate) mod context;
pub(crate) mod descriptor_link;
pub(crate) mod error;
pub mod hooks;
pub(crate) mod incumbent;
pub(crate) mod orphans;
pub(crate) mod successor;
pub(crate) mod timings;

pub use descriptor_link::LinkError;
pub use error::TakeoverError;
