//! How long the parts of a takeover took, for people.

use std::fmt;
use std::time::Duration;

use tenure_core::deadline::monotonic;

/// How long each part took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timings {
    /// Asking, and sharing lease and listeners.
    pub(crate) sharing: Duration,
    /// Until the incumbent had made room.
    pub(crate) room: Duration,
    /// Until the generation was on record and callers were answered.
    pub(crate) recording: Duration,
    /// When the app could begin with what only one may do.
    pub(crate) opened: Duration,
}

impl fmt::Display for Timings {
    /// Names the app's own boot apart, since the takeover does not cause it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |part: Duration| part.as_secs_f64() * 1e3;
        let Self { sharing, room, recording, opened } = *self;
        let boot = ms(monotonic().saturating_sub(opened));
        let (shared, made, recorded) = (ms(sharing), ms(room), ms(recording));
        write!(
            f,
            "room was made for it in {made:.1} ms, and it was ready {boot:.1} ms later; shared and recorded in {:.1} ms",
            shared + recorded
        )
    }
}
