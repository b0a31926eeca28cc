//! Looking at a scope without changing anything: the observation that is judged.

use std::time::Duration;

use crate::control::{self, Silence};
use crate::deadline::Stage;
use crate::paths::StateDir;
use crate::wire::Hello;

/// d1: how long the first HELLO may take. The control thread answers in tens of microseconds; half a second is what a
/// machine under heavy load may need to schedule it, and short enough that a person does not notice.
pub const FIRST_ANSWER: Duration = Duration::from_millis(500);

/// d2: how long a worker may be silent before it is called wedged. Its control thread shares nothing with the app, so
/// ten seconds without an answer mean that the process is stopped, or that the machine is in a state in which one more
/// process would not help either.
pub const SILENT_IS_WEDGED: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A worker answered.
    Answered(Box<Hello>),
    /// No socket, or nobody behind it.
    Nobody,
    /// Somebody holds the socket open and does not answer.
    Silent,
    /// The system does not let us look.
    Denied(String),
    /// Somebody answers who is not our worker.
    Foreign(String),
}

/// Looks once: connect, HELLO. Nothing is written and no lock is taken.
#[must_use]
pub fn observe(state: &StateDir, stage: Stage) -> Observation {
    match control::connect(state, stage).and_then(|mut connection| connection.hello(stage)) {
        Ok(hello) => Observation::Answered(Box::new(hello)),
        Err(silence) => from_silence(&silence),
    }
}

/// What a missing answer says about the scope.
#[must_use]
pub fn from_silence(silence: &Silence) -> Observation {
    match silence {
        Silence::Absent | Silence::Refused | Silence::Closed => Observation::Nobody,
        Silence::Silent => Observation::Silent,
        Silence::Denied(source) => Observation::Denied(source.to_string()),
        Silence::OtherUser { uid, .. } => Observation::Denied(format!("its peer has uid {uid}, not ours")),
        Silence::NotOurs { why } => Observation::Foreign(why.clone()),
    }
}
