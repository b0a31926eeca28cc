//! Which of the three standard descriptors were open when the process began.
//!
//! The standard library opens /dev/null in the place of one that is closed, before `main`: so no file that is opened later
//! gets its number, and an answer that is written there is lost without an error. Whoever has an answer to give must be able
//! to tell, so the descriptors are looked at before that, among the functions that the C library calls first.

use std::sync::atomic::{AtomicU8, Ordering};

/// A bit for each of the three that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

extern "C" fn look() {
    let mut closed = 0;
    for descriptor in 0..3 {
        // SAFETY: F_GETFD takes no argument and touches no memory; a closed descriptor is an error and nothing more.
        if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } == -1 {
            closed |= 1 << descriptor;
        }
    }
    CLOSED.store(closed, Ordering::Relaxed);
}

// SAFETY: the section holds pointers to functions without arguments that a C library calls before `main`, and this one is
// such a pointer. It needs nothing of the standard library, which is not set up by then.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Whether the process began without a stdout.
#[must_use]
pub fn began_without_stdout() -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << 1) != 0
}

/// Whether the process began without a stdin.
#[must_use]
pub fn began_without_stdin() -> bool {
    CLOSED.load(Ordering::Relaxed) & 1 != 0
}
