//! What the app's thread does about the worker's life: it carries out what follows from its readiness, and ends the
//! worker.
//!
//! `policy/lifecycle` decides which steps follow from an event, and this room carries out those of the app's thread.
//! Those of a stop are in `kit/control`, and those of a deadline in `kit/watchdog`.

use tenure_core::policy::lifecycle::{EXIT_FAILED, LifecycleEvent, LifecycleExecutor, LifecycleState};
use tenure_core::protocol::boot_stage::BootStage;
use tenure_core::protocol::ends::{self, UnaskedEnd};
use tenure_core::protocol::not_ready::NotReady;
use tenure_sys::discard::best_effort;

use super::ended::Service;
use super::{TakeoverSide, Worker};
use crate::takeover::context::EndCause;

/// The app's thread, for one event.
struct AppThread<'worker> {
    worker: &'worker mut Worker,
    event: LifecycleEvent,
    /// Stage and message of an end, for a launcher that waits.
    words: (&'worker BootStage, &'worker str),
    /// Why the program was not ready, for the same launcher.
    not_ready: Option<NotReady>,
    code: i32,
}

impl Worker {
    /// Ends the worker because its app cannot serve, or no longer can; returns the exit code for `main`. Before
    /// [`Worker::ready`] the launcher gets `stage` and `message`, and callers that wait get them from it.
    #[must_use]
    pub fn fail(self, stage: impl Into<BootStage>, message: &str) -> u8 {
        end(self, LifecycleEvent::AppFailed, (&stage.into(), message), None)
    }

    /// The same for a host, with why its program was not ready.
    pub(crate) fn fail_unready(self, stage: &BootStage, message: &str, not_ready: Option<NotReady>) -> u8 {
        end(self, LifecycleEvent::AppFailed, (stage, message), not_ready)
    }

    /// Says that the app has ended what it did; returns the exit code for `main`. The process must then end: the lease
    /// is free with it and not before, and the watchdog sees to it.
    #[must_use]
    pub fn finish(self) -> u8 {
        let (stage, message) = match self.stop_request() {
            Some(request) => {
                (BootStage::Stopped, format!("it was asked to end before it was ready ({})", request.reason))
            }
            None => (BootStage::Died, "it ended before it was ready".to_owned()),
        };
        end(self, LifecycleEvent::Drained, (&stage, &message), None)
    }

    /// Puts on record that the app ended by itself. [`end`] then adds no account of its own.
    pub(crate) fn note_end(&mut self, end: UnaskedEnd) {
        self.service = Service::default();
        best_effort(self.ledger(|ledger| ends::push(&mut ledger.ends, end)));
    }
}

/// The app says that it serves; `false` where that changes nothing.
pub(super) fn serve(worker: &mut Worker) -> bool {
    let status = worker.status.clone();
    let event = LifecycleEvent::AppReady;
    // A worker that serves reports no end.
    let words = (&BootStage::Died, "");
    status.happen(event, &mut AppThread { worker, event, words, not_ready: None, code: EXIT_FAILED })
}

/// The app's part of this worker is over; returns the exit code for `main`.
fn end(
    mut worker: Worker,
    event: LifecycleEvent,
    words: (&BootStage, &str),
    not_ready: Option<NotReady>,
) -> u8 {
    let status = worker.status.clone();
    let noted = if status.ends_unused() {
        worker.service.unused(&worker.ownership, worker.stop_reason())
    } else {
        let unasked = status.life() == LifecycleState::Active;
        worker.service.ended(&worker.ownership, event, words.1).filter(|_| unasked)
    };
    if let Some(end) = noted {
        worker.note_end(end);
    }
    status.end_within(worker.ownership.handshake.spec.end_budget());
    let mut thread = AppThread { worker: &mut worker, event, words, not_ready, code: EXIT_FAILED };
    status.happen(event, &mut thread);
    u8::try_from(thread.code).unwrap_or(u8::MAX)
}

impl LifecycleExecutor for AppThread<'_> {
    fn report_ready(&mut self) {
        self.worker.announce_ready();
    }

    fn close_listener(&mut self) {
        self.worker.context.close_listeners();
    }

    // Only a stop leads to it.
    fn drain(&mut self) {}

    /// Waits for a takeover that goes on: a successor that is to be ended is ended before this process is.
    fn leave_scope(&mut self) {
        let (stage, message) = self.words;
        let blameless = *stage == BootStage::Lack;
        if let TakeoverSide::Prepared(prepared) = &self.worker.side {
            prepared.send_abort(message, blameless);
        }
        let context = &self.worker.context;
        context.end_announced(EndCause::Of(self.event), message, blameless);
        context.await_idle();
        if !context.may_be_taken_back() {
            self.worker.ownership.clear_paths();
        }
    }

    fn report_failed(&mut self) {
        let (stage, message) = self.words;
        self.worker.ownership.report_failure(stage, message, self.not_ready.as_ref());
    }

    /// The process ends when `main` returns.
    fn exit(&mut self, code: i32) {
        self.code = code;
    }
}
