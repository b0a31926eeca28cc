//! A process that a record names, and what became of it.

use tenure_sys::identity::Identity;
use tenure_sys::process::{Doubt, GoneReason, RunState};

/// A recorded process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As it was recorded.
    pub identity: Identity,
    /// What became of it.
    pub now: Now,
}

/// What became of a recorded process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Now {
    /// It is there.
    There {
        /// What the scheduler says about it.
        run: Option<RunState>,
        /// Its debugger.
        tracer: Option<u32>,
        /// Its command line.
        command: String,
    },
    /// It has ended.
    Gone(GoneReason),
    /// Nothing can be said.
    Unverifiable(Doubt),
}

impl Member {
    /// Whether it is there and does not run: a signal or a debugger has stopped it.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        matches!(&self.now, Now::There { run: Some(RunState::Stopped | RunState::Traced), .. })
    }

    /// Whether it is there, verified.
    #[must_use]
    pub fn is_there(&self) -> bool {
        matches!(self.now, Now::There { .. })
    }

    /// A line about it.
    #[must_use]
    pub fn line(&self) -> String {
        let identity = &self.identity;
        match &self.now {
            Now::There { run, tracer, command } => {
                let run = run.map_or_else(|| "ending".to_owned(), |run| run.to_string());
                let tracer = tracer.map(|tracer| format!(", traced by pid {tracer}")).unwrap_or_default();
                format!("{identity} ({command}) is {run}{tracer}")
            }
            Now::Gone(why) => format!("{identity} of the record is gone: {why}"),
            Now::Unverifiable(why) => format!("{identity} of the record cannot be verified: {why}"),
        }
    }
}
