//! Exactly one healthy worker of the right version, from any number of launchers.
//!
//! A *worker* is a long-lived background process that is kept under a *scope*: a name, with a key where one name stands for
//! several. Any process may be a *launcher*: it says what it wants ([`Spec`], [`Order`]) and calls [`ensure`]. If a worker
//! is up, that costs one connection and one answer; if not, one launcher starts it and all others get the same one.
//!
//! ```no_run
//! use tenure::{Ensured, Order, Spec};
//!
//! let spec = Spec::of_command(vec!["/usr/bin/redis-server".into()], "/tmp".into());
//! match tenure::ensure(&Order::new("cache".parse()?, spec)?)? {
//!     Ensured::Serving(how, worker) => println!("{how:?}: generation {}", worker.hello.generation),
//!     Ensured::Warming(_) => println!("it is still booting"),
//!     Ensured::Down => println!("starting was not allowed"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The kernel holds the truth: two file locks say who acts (the gate) and who the worker is (the lease), and processes are
//! signalled only through handles whose identity was verified. There is no async runtime here, no thread pool, and nothing
//! is printed. Linux only.

pub mod amount;
pub mod brief;
pub mod build;
pub mod control;
pub mod deadline;
pub mod described;
pub mod desired;
pub mod directory_id;
pub mod doctor;
pub mod ends;
mod ensure;
pub mod environment;
pub mod errand;
mod error;
pub mod event;
pub mod fault;
mod forget;
pub mod gate;
pub mod judge;
mod launcher;
pub mod lease;
pub mod ledger;
pub mod leftovers;
pub mod listen;
pub mod logs;
pub mod made;
mod offers;
mod order;
pub mod origin;
pub mod paths;
mod pin;
mod plan;
pub mod probe;
pub mod program;
pub mod readiness;
pub mod records;
mod restart;
pub mod retire;
pub mod scope;
mod seat;
mod settle;
pub mod spec;
mod start;
mod status;
mod stop;
mod takeover;
pub mod tally;
pub mod trust;
mod vacate;
pub mod version;
pub mod wire;

pub use ensure::{Ensured, ensure};
pub use errand::How;
pub use error::{Blame, Error, ErrorKind};
pub use forget::{Forgotten, forget};
pub use order::{
    DEFAULT_BUDGET, FIRST_ANSWER_VARIABLE, NO_SPAWN_VARIABLE, Order, WEDGED_AFTER_VARIABLE, asker, is_inside,
};
pub use pin::{Applied, PinOrder, Pinned, Unpinned, pin, unpin};
pub use restart::{Manner, Restarted, restart};
pub use scope::Scope;
pub use seat::{can_run, umask};
pub use semver::Version;
pub use spec::Spec;
pub use status::{Listed, Standing, gate_holder, is_program_left, last_end, list, recorded, status};
pub use stop::{StopOrder, Stopped, stop};
