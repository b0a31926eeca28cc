//! The moment from which the app serves: who is told of it, in which order, and what is put on record after that.

use std::mem;

use tenure_core::deadline::monotonic;
use tenure_core::fault::{self, Point};
use tenure_core::launch::start::handshake::Report;
use tenure_core::policy::lifecycle::LifecycleState;
use tenure_core::protocol::wire::AppState;
use tenure_core::store::event::What;
use tenure_sys::discard::best_effort;

use super::{ReadyError, TakeoverSide, Worker, life};

impl Worker {
    /// Says that the app serves. Launchers that wait are answered; calling it again changes nothing.
    pub fn ready(&mut self) -> Result<(), ReadyError> {
        if self.serve()? {
            self.boot_is_over();
        }
        Ok(())
    }

    /// The same for a host, which also reserves disk space for the records of later starts of its program. A disk that
    /// is full already is reported by the doctor.
    pub(crate) fn ready_with_disk_reserve(&mut self) -> Result<(), ReadyError> {
        if self.serve()? {
            best_effort(self.ownership.keep_disk_reserve());
            self.boot_is_over();
        }
        Ok(())
    }

    /// Becomes ready and tells everybody who waits; `false` where this worker was ready before.
    fn serve(&mut self) -> Result<bool, ReadyError> {
        self.expect_version().map_err(ReadyError::OtherVersion)?;
        self.commit().map_err(ReadyError::Takeover)?;
        fault::reach(Point::WorkerReady);
        if life::serve(self) {
            return Ok(true);
        }
        match self.status.life() {
            LifecycleState::Booting | LifecycleState::Active => Ok(false),
            LifecycleState::Draining | LifecycleState::Ended => {
                Err(ReadyError::Stopping { reason: self.stop_reason() })
            }
        }
    }

    /// Tells everybody who waits. The launcher comes last, so that others already see what it reports.
    pub(super) fn announce_ready(&mut self) {
        // For people only: a worker serves without it.
        best_effort(self.ownership.write_pid());
        if let TakeoverSide::Granted(granted) = &self.side {
            granted.begin_probation(&self.context);
        }
        self.status.set(AppState::Ready, None);
        self.service.begin();
        let boot = monotonic().saturating_sub(self.born).as_millis();
        let by = self.ownership.handshake.started_by.clone();
        self.ownership.note(What::Ready, &by, format!("it serves, {boot}ms after it took over"));
        self.context.drop_unneeded_listeners();
        if let TakeoverSide::Granted(granted) = mem::replace(&mut self.side, TakeoverSide::Alone) {
            let took = granted.activate();
            self.ownership.note(What::TakenOver, &by, took);
        }
        self.ownership
            .channel
            .report(&Report::Ready { hello: Box::new(self.build_watcher.hello_with_build(&self.status)) });
    }

    /// Removes the end of the boot from the ledger. Nobody waits for this write: without it, launchers only give a
    /// silent worker more time. A failed write shows as a failed check.
    fn boot_is_over(&mut self) {
        best_effort(self.ledger(|ledger| ledger.booting_until = None));
    }
}
