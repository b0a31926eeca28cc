//! Ends or stops the calling process at once: for watchdogs, and for crash points in tests.
//!
//! Nothing is unwound, flushed or dropped. An ordinary end is an exit code that `main` returns.

use rustix::process::{Signal, getpid, kill_process};

/// Ends the process with a code, whatever its other threads do (`_exit`).
pub fn now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions; it runs no handlers and touches no memory of the program.
    unsafe { libc::_exit(code) }
}

/// Ends the process as `kill -9` would.
pub fn kill_self() -> ! {
    // A process may always signal itself, and nothing can hold this one back; the loop satisfies the type.
    if kill_process(getpid(), Signal::KILL).is_ok() {
        loop {
            std::thread::park();
        }
    }
    now(137)
}

/// Stops the process until somebody continues it.
pub fn stop_self() {
    // A process may always signal itself.
    kill_process(getpid(), Signal::STOP).unwrap_or_default();
}
