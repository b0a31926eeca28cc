//! A worker before it takes its scope: adopt, look, then take the scope or give up.

use std::sync::Arc;

use tenure_core::causes;
use tenure_core::fault::{self, Point};
use tenure_core::launch::start::handshake::{Handshake, Succession};
use tenure_core::protocol::boot_stage::BootStage;
use tenure_sys::discard::best_effort;
use tenure_sys::limits;
use tenure_sys::signals::SignalFd;

use super::Worker;
use crate::kit::adopt::{self, AdoptError, Adopted};
use crate::status::Status;
use crate::takeover::TakeoverError;

/// This process before the scope is its own: where another worker serves, that one goes on meanwhile.
///
/// An app that has something to look at before it takes another one's place does so here, without opening what only one
/// may have: reading its configuration, checking its files. What it cannot do is said with [`Standby::fail`], and
/// nobody notices but the launcher. Where no other worker serves, this is the beginning of the boot and nothing else.
#[derive(Debug)]
pub struct Standby(Worker);

impl Standby {
    /// Takes over from the launcher that started this process, as [`Worker::adopt`] does, and stands by.
    pub fn adopt() -> Result<Option<Self>, AdoptError> {
        let Some(count) = adopt::passed_descriptors()? else { return Ok(None) };
        let signals = SignalFd::for_termination()
            .map_err(|source| AdoptError::Descriptor { what: "the signals".to_owned(), source })?;
        let adopted = adopt::take(count)?;
        // A lower limit is not worth refusing to serve.
        best_effort(limits::set_nofile_soft(u64::MAX));
        fault::reach(Point::WorkerStarted);
        let Adopted { ownership, place } = adopted;
        let ownership = Arc::new(ownership);
        Worker::begin(Arc::clone(&ownership), place, signals).map(|worker| Some(Self(worker))).inspect_err(
            |error| {
                ownership.clear_paths();
                let is_lack = causes::is_exhaustion(error);
                let stage = if is_lack { BootStage::Lack } else { "adopt".into() };
                ownership.report_failure(&stage, &causes::in_one_line(error), None);
            },
        )
    }

    /// What the launcher said about this activation.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        self.0.handshake()
    }

    /// Whether another worker serves whose place is to be taken, and how.
    #[must_use]
    pub fn terms(&self) -> Option<&Succession> {
        self.0.terms()
    }

    /// The worker's account of itself, to be kept current from any thread.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// Takes the scope: from the return on it is this worker's, and what only one may have can be opened. Another
    /// worker that served has stopped by then; its clients wait in the listeners' queues until this one accepts.
    pub fn take_over(self) -> Result<Worker, AdoptError> {
        let Self(mut worker) = self;
        worker.commit().map_err(AdoptError::Takeover)?;
        Ok(worker)
    }

    /// Shares what the other worker listens on, which goes on serving.
    pub(crate) fn prepare(self) -> Result<Worker, TakeoverError> {
        let Self(mut worker) = self;
        worker.prepare()?;
        Ok(worker)
    }

    /// Ends this process because it could not serve; returns the exit code for `main`. Its launcher gets `stage` and
    /// `message`, and another worker that serves goes on.
    #[must_use]
    pub fn fail(self, stage: impl Into<BootStage>, message: &str) -> u8 {
        self.0.fail(stage, message)
    }
}

impl Worker {
    /// Takes over from the launcher that started this process; `None` when none did. Where another worker serves, its
    /// place is taken at once: its clients wait while this one boots. [`Standby`] is for an app that looks before.
    ///
    /// To be called in `main` before any thread is started (and so before a runtime is built) and before any descriptor
    /// is opened: TERM and INT are blocked for all threads from here on and mean a stop, and the inherited descriptors
    /// have fixed numbers. From its return on the worker answers HELLO as booting, and its boot has a deadline.
    ///
    /// The soft limit of open files is raised to the hard one; [`Handshake::nofile`] is what children should get.
    pub fn adopt() -> Result<Option<Self>, AdoptError> {
        Standby::adopt()?.map(Standby::take_over).transpose()
    }
}
