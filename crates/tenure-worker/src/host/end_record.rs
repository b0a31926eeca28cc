//! The record of a program's end that nobody asked for, made once no process of it lives and its last output is in the
//! log.

use std::time::Duration;

use tenure_core::deadline::{millis, monotonic};
use tenure_core::protocol::ends::UnaskedEnd;
use tenure_core::store::logs::{self, LogPositions};
use tenure_core::store::paths::StateDir;

/// What is known of the present start and of its end.
#[derive(Debug, Default)]
pub(super) struct EndRecord {
    /// Since when it serves.
    ready_at: Option<Duration>,
    /// How long it had served when it ended.
    served: Option<Duration>,
    /// The program that ended.
    pid: Option<u32>,
    /// Where the logs ended when it was started.
    logs_begin: LogPositions,
    /// Why it is started again, where it is.
    again: Option<String>,
}

impl EndRecord {
    /// The program is started.
    pub(super) fn begin(&mut self, logs_begin: LogPositions) {
        *self = Self { logs_begin, ..Self::default() };
    }

    /// Where the logs ended when it was started.
    pub(super) fn logs_begin(&self) -> LogPositions {
        self.logs_begin
    }

    /// It serves.
    pub(super) fn ready(&mut self) {
        self.ready_at = Some(monotonic());
    }

    /// It has ended.
    pub(super) fn ended(&mut self, pid: Option<u32>) {
        self.pid = pid;
        self.served = self.ready_at.take().map(|since| monotonic().saturating_sub(since));
    }

    /// It will be started again.
    pub(super) fn again(&mut self, why: &str) {
        self.again = Some(why.to_owned());
    }

    /// Why it is started again, once.
    pub(super) fn take_again(&mut self) -> Option<String> {
        self.again.take()
    }

    /// The rest of the row for the end that is over by now.
    pub(super) fn complete(&mut self, mut row: UnaskedEnd, state: &StateDir) -> UnaskedEnd {
        let Self { served, ready_at, pid, logs_begin, .. } = std::mem::take(self);
        let served = served.or_else(|| ready_at.map(|since| monotonic().saturating_sub(since)));
        row.pid = pid;
        row.served_ms = served.map(millis);
        row.last_words = logs::tail_since(state, logs_begin);
        row
    }
}
