//! The end of a worker that nobody uses, on the thread that answers.
//!
//! ```text
//! the deadline ──▶ answer all callers ──▶ ask for uses ──▶ answer all callers ──▶ close the control listener ──▶ drain
//!                       │ used                 │ used            │ used
//!                       └──────────────────────┴─────────────────┴──▶ the deadline moves
//! ```
//!
//! A caller is told that the worker serves only by this thread, which notes it as a use; so no caller is told so
//! between the last look and the close. One that connects in that moment is reset or told that the worker ends, and one
//! that comes later is refused: each waits for the lease and starts the next worker.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::asker;
use tenure_core::deadline;
use tenure_core::fault::{self, Point};
use tenure_core::policy::idle::Use;
use tenure_core::policy::lifecycle::{LifecycleEvent, LifecycleState};

use super::{Control, Stop};
use crate::kit::uses;
use crate::takeover::context::EndCause;

/// So many turns take the connections of a full queue. Whoever comes later than that comes too late.
const FULL_QUEUE: usize = 16;

impl Control {
    /// When this worker is to be asked whether it is used. Its time begins when it serves.
    pub(super) fn unused_due(&mut self, now: Duration) -> Option<Duration> {
        let clock = self.idle.as_mut().filter(|_| self.status.life() == LifecycleState::Active)?;
        clock.serves(now);
        clock.due()
    }

    /// Somebody who uses this worker was answered.
    pub(super) fn note_use(&mut self, now: Duration) {
        if let Some(clock) = &mut self.idle {
            clock.used(now);
        }
    }

    /// Ends the worker if its deadline has come and nobody uses it.
    pub(super) fn end_if_unused(&mut self) {
        let now = deadline::monotonic();
        if self.unused_due(now).is_none_or(|due| now < due) {
            return;
        }
        self.answer_all();
        let waits = self.peers.iter().any(|peer| peer.waiting().is_some());
        let context = Arc::clone(&self.context);
        let waiting = std::iter::once(if waits { Use::Now } else { Use::None });
        if !self.is_over(waiting.chain(uses::of(&context))) {
            return;
        }
        fault::reach(Point::IdleAsked);
        self.answer_all();
        if !self.is_over([]) {
            return;
        }
        fault::reach(Point::IdleRuled);
        let end = EndCause::Of(LifecycleEvent::Idle);
        let time = self.ownership.handshake.spec.idle_timeout;
        let reason = format!("{} without use", String::from(time));
        self.announce(Stop { end, reason, by: asker() });
    }

    fn is_over(&mut self, uses: impl IntoIterator<Item = Use>) -> bool {
        let is_active = self.status.life() == LifecycleState::Active;
        let now = deadline::monotonic();
        is_active && self.idle.as_mut().is_some_and(|clock| clock.is_over(now, uses))
    }

    /// Answers whoever has asked or connected by now.
    fn answer_all(&mut self) {
        let found = self.wait_for(Some(Duration::ZERO));
        self.serve(&found.peers);
        for _ in 0..FULL_QUEUE {
            if !self.accept() {
                break;
            }
        }
    }
}
