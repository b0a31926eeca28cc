//! Looking at a scope without changing anything: the observation on which `decide` decides.

use std::time::Duration;

use crate::deadline::Stage;
use crate::launch::ask::client::{self, Silence};
use crate::policy::decide::Observation;
use crate::protocol::wire::Hello;
use crate::store::paths::StateDir;

/// How long the first HELLO may take. The control thread answers in tens of microseconds; half a second is what a
/// machine under heavy load may need to schedule it, and short enough that a person does not notice.
pub const FIRST_ANSWER: Duration = Duration::from_millis(500);

/// How often one look connects again after a connection was closed without an answer. If the worker has just died, the
/// second connection is refused. A living worker closes a connection only to make room for a newcomer, hardly twice.
const CLOSED_AGAIN: usize = 3;

/// Looks once, for a caller that uses the worker: connect, HELLO. Nothing is written and no lock is taken.
#[must_use]
pub fn observe(state: &StateDir, stage: Stage) -> Observation {
    observation(hello(state, stage))
}

/// Looks once, for a caller that only tells what it sees: to the worker this is no use.
#[must_use]
pub fn look(state: &StateDir, stage: Stage) -> Observation {
    observation(unless_closed(stage, || client::connect(state, stage)?.look(stage)))
}

fn observation(answer: Result<Hello, Silence>) -> Observation {
    answer.map_or_else(|silence| from_silence(&silence), |hello| Observation::Answered(Box::new(hello)))
}

/// The same look, with the reason where there is no answer.
pub(crate) fn hello(state: &StateDir, stage: Stage) -> Result<Hello, Silence> {
    unless_closed(stage, || client::connect(state, stage).and_then(|mut connection| connection.hello(stage)))
}

/// Asks, and asks again while the connection is closed without an answer.
pub(crate) fn unless_closed<T>(
    stage: Stage,
    mut ask: impl FnMut() -> Result<T, Silence>,
) -> Result<T, Silence> {
    let mut seen = ask();
    for _ in 0..CLOSED_AGAIN {
        if !matches!(seen, Err(Silence::Closed)) || stage.remaining().is_zero() {
            break;
        }
        seen = ask();
    }
    seen
}

/// What a missing answer says about the scope.
#[must_use]
pub fn from_silence(silence: &Silence) -> Observation {
    match silence {
        Silence::Absent | Silence::Refused | Silence::Closed => Observation::Nobody,
        // A listener does not answer us. Whether it answers others is found out before it is ended.
        Silence::Silent | Silence::Busy => Observation::Silent,
        Silence::Denied(source) => Observation::Denied(source.to_string()),
        Silence::OtherUser { uid, .. } => Observation::Denied(format!("its peer has uid {uid}, not ours")),
        Silence::NotOurs { why } => Observation::Foreign(why.clone()),
    }
}
