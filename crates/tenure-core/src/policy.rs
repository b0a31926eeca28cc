//! Every decision as a pure function or state machine. No room here looks at a file, a clock or a process.

pub mod attempt;
pub mod decide;
pub mod idle;
pub mod lifecycle;
pub mod point;
pub mod supervisor;
pub mod takeover;
pub mod tally;
pub mod target;
pub mod warning;

/// The values that the decisions take, for crates that use nothing else of this crate.
pub mod facts {
    pub use tenure_sys::identity::Identity;

    pub use crate::deadline::Moment;
    pub use crate::protocol::wire::{App, AppState, Asker, Hello, PROTOCOL, Probation, Role};
    pub use crate::record::desired::{Desired, Down, FailureTally, Target};
    pub use crate::record::ledger::{Ledger, Proved, RolledBack};
    pub use crate::spec::Spec;
    pub use crate::spec::app::{AppId, AppStanding};
    pub use crate::spec::origin::Origin;
    pub use crate::spec::version::Version;
}
