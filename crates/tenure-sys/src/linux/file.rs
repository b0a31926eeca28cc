//! Files: private directories, locks, watches, and the file system below them.

pub mod dir;
pub mod filesystem;
pub mod lock;
pub mod watch;
