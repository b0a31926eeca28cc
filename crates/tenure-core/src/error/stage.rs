//! The stages of errors on which the remedy for people depends. Other stages are only shown.

/// No directory for the state of workers can be found.
pub const ROOT: &str = "state root";
/// The process is in another pid namespace.
pub const PID_NAMESPACE: &str = "pid namespace";
/// The worker serves in another network namespace.
pub const NETWORK_NAMESPACE: &str = "network namespace";
/// The program cannot be found or started, or failed.
pub const PROGRAM: &str = "program";
/// An address is taken.
pub const LISTEN: &str = "listen";
/// A socket cannot be at its path.
pub const LISTEN_PATH: &str = "listen path";
/// The gate is held while a new worker boots to take the place of another one.
pub const UPGRADE: &str = "upgrade";
/// A version is to be forgotten.
pub const FORGET: &str = "forget";
/// The pinned version was offered by content that is not trusted any more.
pub const PIN: &str = "pin";
/// The same, and the file has other content by now.
pub const PIN_OF_OTHER_CONTENT: &str = "pin of other content";
/// What was offered is not trusted, and the file has other content by now.
pub const OTHER_CONTENT: &str = "other content";
/// The name is kept for an app that has no name of its own, so a person's `restart` takes it over.
pub const NAMELESS_APP: &str = "nameless app";
/// The name of a dependency leads nowhere, or back to the worker that depends on it.
pub const FIND_DEPENDENCY: &str = "find the dependency";
