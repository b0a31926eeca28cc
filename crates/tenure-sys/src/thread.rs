//! Threads of a process that serves: small, named, and never silently gone.
//!
//! A worker whose control thread or watchdog panicked would look wedged or hang for ever, so a panic in such a thread
//! ends the process. These threads are never joined: they live as long as the process.

use std::{io, thread};

/// Exit code of a process in which such a thread has panicked.
const EXIT_PANICKED: i32 = 1;

/// Stack of such a thread. None recurses; parsing the JSON of a frame goes deepest. Only touched pages take memory.
const STACK: usize = 256 * 1024;

/// Starts a thread for the rest of the process's life.
pub fn start(name: &'static str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let guarded = move || {
        let _guard = Guard;
        body();
    };
    thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(guarded).map(drop)
}

struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            crate::linux::own_process::exit::now(EXIT_PANICKED);
        }
    }
}
