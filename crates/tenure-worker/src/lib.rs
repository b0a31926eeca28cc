//! What a worker embeds: the kit that makes a process the worker of its scope, and the host for wrapped programs.
//!
//! [`Worker`] is the kit: it adopts what a launcher has prepared, answers launchers from a thread of its own,
//! watches the deadlines of boot and end, and looks after its own paths. A Rust program embeds it in a few lines; see
//! [`Worker`]. There is no async runtime here: an app brings its own, or none.

mod build;
pub mod host;
pub mod kit;
mod logs;
mod mailbox;
mod ownership;
pub mod status;
pub mod takeover;

pub use kit::adopt::AdoptError;
pub use kit::worker::standby::Standby;
pub use kit::worker::{ReadyError, Worker};
pub use status::{BEAT, Status, StopRequest};
pub use takeover::hooks::{Back, TakeoverHooks};
pub use tenure_core::deadline::Deadline;

/// To be called first in `main` of a program that may be started as a shim: there it runs the shim and never returns.
/// Anywhere else it looks at the program's own name and does nothing.
pub fn init() {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == host::shim::NAME) {
        tenure_sys::exit::now(host::shim::run(arguments));
    }
}

/// The guide to embedding, so that what it shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/embed.md")]
pub struct Guide;

/// The guide to fences, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/fence.md")]
pub struct FenceGuide;

/// The guide to restarts, so that what it shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/restart.md")]
pub struct RestartGuide;
