//! What is put on record of an app that ended after it was ready, and that nobody had asked to.
//!
//! Makes the row only: whoever holds the lease writes it.

use std::time::Duration;

use tenure_core::deadline::{Moment, millis, monotonic, wall_millis};
use tenure_core::policy::lifecycle::LifecycleEvent;
use tenure_core::protocol::ends::{End, EndKind};
use tenure_core::store::logs::{self, Mark};

use crate::ownership::Ownership;

/// Since when an app serves whose end has not been put on record.
#[derive(Debug, Default)]
pub(super) struct Service(Option<Duration>);

impl Service {
    /// It serves.
    pub(super) fn begin(&mut self) {
        self.0 = Some(monotonic());
    }

    /// How it ended, where it had served.
    pub(super) fn ended(&self, ownership: &Ownership, event: LifecycleEvent, message: &str) -> Option<End> {
        let since = self.0?;
        let done = event == LifecycleEvent::Drained;
        let spec = &ownership.handshake.spec;
        Some(End {
            at: Moment::now(),
            at_ms: wall_millis(),
            generation: ownership.generation(),
            version: Some(spec.version.clone()),
            spec: Some(spec.digest()),
            pid: Some(std::process::id()),
            how: if done { EndKind::Done } else { EndKind::GaveUp },
            why: if done { "it said that it had ended".to_owned() } else { message.to_owned() },
            served_ms: Some(millis(monotonic().saturating_sub(since))),
            last_words: logs::tail_since(&ownership.state, Mark::default()),
        })
    }
}
