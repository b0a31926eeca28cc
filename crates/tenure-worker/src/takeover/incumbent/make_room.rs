//! The incumbent makes room: it shares its descriptors, has its app stop serving and pack its state, and grants the
//! scope.
//!
//! The ledger is written here until the grant; from then on it is the successor's.

use std::os::fd::{AsFd, BorrowedFd};

use tenure_core::causes;
use tenure_core::deadline::{Deadline, millis};
use tenure_core::fault::{self, Point};
use tenure_core::launch::end::stop_and_prove::OVERRUN;
use tenure_core::policy::takeover::IncumbentEvent;
use tenure_core::protocol::wire::{Answer, Granted, Prepared, Role};
use tenure_core::store::records;
use tenure_sys::memory;

use crate::takeover::call::call;
use crate::takeover::context::TakeoverContext;
use crate::takeover::descriptor_link::LinkError;
use crate::takeover::incumbent::IncumbentSide;

impl IncumbentSide<'_> {
    /// Records the successor, so that whoever has to end this lineage knows of it, and shares lease and sockets.
    /// `None` means success.
    pub(super) fn share(&mut self) -> Option<IncumbentEvent> {
        let ownership = &self.context.ownership;
        let successor = self.successor.identity().clone();
        let recorded = ownership.write_ledger(|ledger| {
            ledger.lineage.retain(|known| *known != successor);
            ledger.lineage.push(successor);
        });
        fault::reach(Point::IncumbentPrepared);
        if let Err(error) = recorded {
            self.note_why(&format!("failed to {}", causes::in_one_line(&error)));
            return Some(IncumbentEvent::Lost);
        }
        let Some(lease) = ownership.lease() else { return Some(IncumbentEvent::Lost) };
        let listeners = self.kept.listeners.iter().map(|(name, _)| name.clone()).collect();
        let fds: Vec<BorrowedFd<'_>> = [lease.as_fd(), self.kept.control.as_fd()]
            .into_iter()
            .chain(self.kept.listeners.iter().map(|(_, fd)| fd.as_fd()))
            .collect();
        let prepared = Prepared { listeners, within_ms: millis(ownership.handshake.spec.end_budget()) };
        let sent = self.link.send_all(&Answer::Prepared(prepared), &fds);
        sent.err().map(|error| self.lost(&error))
    }

    /// Has the app stop serving and pack its state.
    pub(super) fn quiesce(&mut self) -> IncumbentEvent {
        fault::reach(Point::IncumbentCommitted);
        let limit = self.context.ownership.handshake.spec.end_budget();
        self.context.status.makes_room(&self.context.ownership.handshake.spec);
        let until = Deadline::start(limit);
        let asked = call(self.context, limit.saturating_add(OVERRUN), move |hooks| hooks.quiesce(until));
        if self.context.status.is_stopping() {
            self.note_why("the worker was asked to end");
            return IncumbentEvent::StopAsked;
        }
        match asked {
            Some(Ok(packed)) => {
                self.packed = packed;
                IncumbentEvent::Quiesced
            }
            Some(Err(why)) => {
                let why = format!("its app does not make room: {why}");
                // The successor is not to blame, and ends by itself when it reads the refusal.
                self.aborted = self.link.send(&Answer::refused(why.clone()), &[]).is_ok();
                self.blameless = true;
                self.note_why(&why);
                IncumbentEvent::NotQuiesced
            }
            None => {
                self.note_why("the app that was to make room did not answer");
                IncumbentEvent::Stuck
            }
        }
    }

    /// Stops answering callers and writing the ledger, and grants the scope to the successor. `None` means that the
    /// grant was sent.
    pub(super) fn grant(&mut self) -> Option<IncumbentEvent> {
        let TakeoverContext { ownership, status, .. } = self.context;
        self.program = records::read_ledger(&ownership.state).ok().and_then(|ledger| ledger.program);
        status.set_takeover_role(Some(Role::Committed));
        ownership.control_listener.close();
        status.touch();
        ownership.leave_ledger();
        let sent = self.send_grant();
        fault::reach(Point::IncumbentGranted);
        sent.err().map(|error| self.lost(&error))
    }

    /// Sends GRANTED, with the state that the app has packed.
    fn send_grant(&self) -> Result<(), LinkError> {
        if self.packed.is_empty() {
            return self.link.send(&Answer::Granted(Granted::default()), &[]);
        }
        let held = memory::hold("tenure-state", &self.packed).map_err(LinkError::Io)?;
        let state_bytes = u64::try_from(self.packed.len()).unwrap_or(u64::MAX);
        self.link.send(&Answer::Granted(Granted { state_bytes }), &[held.as_fd()])
    }
}
