//! Exactly one healthy worker of the right version, from any number of launchers.
//!
//! A *worker* is a long-lived background process that is kept under a [`Scope`]: a name, with a key where one name
//! stands for several. Any process may be a *launcher*: it says what it wants ([`Spec`], [`Request`]) and calls
//! [`ensure`]. If a worker is up, that costs one connection and one answer; if not, one launcher starts it and all
//! others get the same one.
//!
//! ```no_run
//! use tenure::{Ensured, Request, Spec};
//!
//! let spec = Spec::of_command(vec!["/usr/bin/redis-server".into()], "/tmp".into());
//! match tenure::ensure(&Request::new("cache".parse()?, spec)?)? {
//!     Ensured::Serving(how, worker) => println!("{how:?}: generation {}", worker.hello.generation),
//!     Ensured::Warming(_) => println!("it is still booting"),
//!     Ensured::Down | _ => println!("no worker runs, and starting one was not allowed"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The kernel holds the truth: two file locks say who acts (the gate) and who the worker is (the lease), and processes
//! are signalled only through handles whose identity was verified. There is no async runtime here, no thread pool, and
//! nothing is printed. Linux only.
//!
//! What is public here is meant to last; it is listed in `crates/tenure/public.txt`, which `cargo xtask docs` holds
//! against the sources.

#![forbid(unsafe_code)]

/// The calls, and what they answer with.
pub use tenure_core::launch::end::orphans::EndedOrphan;
pub use tenure_core::launch::end::stop_and_prove::ProvedEnd;
pub use tenure_core::{
    Applied, DependencyQuery, DisplacedApp, Ensured, FindDependency, Forgotten, GivenUp, How, Listed, Manner,
    PinOptions, Pinned, Request, Restarted, SignalOutcome, Standing, StopOptions, Stopped, Unpinned, ensure,
    events, forget, give_up, list, pin, reload, restart, signal, status, stop, unpin,
};

/// What a call fails with.
pub use tenure_core::{Blame, Error, ErrorKind};

pub use tenure_core::spec::amount::{BadAmount, Size, Span};
pub use tenure_core::spec::app::{AppId, DescribedBy};
pub use tenure_core::spec::environment::{Environment, Preset, Variables};
pub use tenure_core::spec::origin::{Origin, ReadStated, StatedNow};
pub use tenure_core::spec::scope::{BadName, Scope};
pub use tenure_core::spec::{
    Address, Backoff, BadSpec, BadStatus, Forking, Health, HttpCheck, IdleTimeout, Kind, Listen, ListenMode,
    Logs, Ready, RestartOn, RestartPolicy, Spec, StatusCodes, Stdin, StopPolicy, Summary, TcpCheck, Umask,
    Upstream,
};
/// What is wanted: a worker's name, its description, and where that was read.
pub use tenure_core::{NoVersion, Version};

/// What a worker says of itself.
pub use tenure_core::policy::decide::Usable;
pub use tenure_core::policy::warning::Warning;
pub use tenure_core::protocol::ends::{UnaskedEnd, UnaskedEndKind};
pub use tenure_core::protocol::not_ready::NotReady;
pub use tenure_core::protocol::wire::{
    App, AppState, Asker, Check, Endpoint, Hello, Probation, ProgramStatus, ProtocolRange, Role,
};

/// What has happened, to whom, and when.
pub use tenure_core::deadline::Moment;
pub use tenure_core::store::event::{Event, What};
pub use tenure_sys::identity::Identity;
pub use tenure_sys::process::{ExitStatus, Signal};
