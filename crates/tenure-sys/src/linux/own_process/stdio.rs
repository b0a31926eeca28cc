//! Which of the three standard descriptors were open when the process began.
//!
//! Before `main`, the standard library opens /dev/null in the place of a closed one, and an answer that is written
//! there is lost without an error. A command must be able to tell, so a function in `.init_array`, which runs earlier,
//! looks at the descriptors.

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

// SAFETY: `.init_array` holds pointers to functions that the C library calls before `main`; extra arguments are ignored
// by a C function without any. `look` needs nothing of the standard library, which is not set up by then.
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
