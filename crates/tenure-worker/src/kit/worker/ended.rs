//! What is put on record of an app that ended after it was ready, and that nobody had asked to.
//!
//! Only makes the row; the holder of the lease writes it.

use std::time::Duration;

use tenure_core::deadline::{millis, monotonic};
use tenure_core::policy::lifecycle::LifecycleEvent;
use tenure_core::protocol::ends::{UnaskedEnd, UnaskedEndKind};
use tenure_core::store::logs::{self, LogPositions};

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
    pub(super) fn ended(
        &self,
        ownership: &Ownership,
        event: LifecycleEvent,
        message: &str,
    ) -> Option<UnaskedEnd> {
        let done = event == LifecycleEvent::Drained;
        let (how, why) = if done {
            (UnaskedEndKind::Done, "it said that it had ended".to_owned())
        } else {
            (UnaskedEndKind::GaveUp, message.to_owned())
        };
        let mut end = self.row(ownership, how, why)?;
        end.last_words = logs::tail_since(&ownership.state, LogPositions::default());
        Some(end)
    }

    /// That it ended because nobody used it, for this reason, where it had served.
    pub(super) fn unused(&self, ownership: &Ownership, why: String) -> Option<UnaskedEnd> {
        self.row(ownership, UnaskedEndKind::Idle, why)
    }

    fn row(&self, ownership: &Ownership, how: UnaskedEndKind, why: String) -> Option<UnaskedEnd> {
        let since = self.0?;
        let mut end = UnaskedEnd::now(ownership.generation(), &ownership.handshake.spec, how, why);
        end.pid = Some(std::process::id());
        end.served_ms = Some(millis(monotonic().saturating_sub(since)));
        Some(end)
    }
}
