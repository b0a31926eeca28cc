//! The rooms of `tenure`: what is wanted, what is on record, what is decided, and how it is carried out.
//!
//! Whoever embeds a launcher uses the crate `tenure`, which shows what is meant to last. This crate is for the other
//! crates of the project; it may change with any version.

pub mod causes;
pub mod deadline;
pub mod error;
pub mod fault;
pub mod launch;
pub mod ops;
pub mod os_text;
pub mod policy;
pub mod protocol;
pub mod record;
pub mod spec;
pub mod store;
pub mod utc;

pub use error::{Blame, Error, ErrorKind, ErrorRow};
pub use launch::request::{
    DEFAULT_BUDGET, DependencyQuery, FIRST_ANSWER_VARIABLE, FindDependency, NO_SPAWN_VARIABLE, Request,
    WEDGED_AFTER_VARIABLE, asker, is_inside,
};
pub use launch::start::recipe::{can_run, umask};
pub use ops::ensure::{Ensured, ensure};
pub use ops::forget::{Forgotten, GivenUp, forget, give_up};
pub use ops::offers::DisplacedApp;
pub use ops::pin::{Applied, PinOptions, Pinned, Unpinned, pin, unpin};
pub use ops::prune::{Kept, LostProject, lost_projects, prune};
pub use ops::restart::{Manner, Restarted, restart};
pub use ops::signal::{SignalOutcome, reload, signal};
pub use ops::status::{
    Listed, Standing, events, gate_holder, is_program_left, last_end, list, recorded, status,
};
pub use ops::stop::{StopOptions, Stopped, stop};
pub use policy::attempt::How;
pub use spec::Spec;
pub use spec::scope::Scope;
pub use spec::version::{NoVersion, Version};
