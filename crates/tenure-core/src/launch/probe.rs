//! Looking at a scope without changing anything: the observation that is judged.

use std::time::Duration;

use crate::deadline::Stage;
use crate::launch::client::{self, Silence};
use crate::policy::decide::Observation;
use crate::protocol::wire::Hello;
use crate::store::paths::StateDir;

/// How long the first HELLO may take. The control thread answers in tens of microseconds; half a second is what a
/// machine under heavy load may need to schedule it, and short enough that a person does not notice.
pub const FIRST_ANSWER: Duration = Duration::from_millis(500);

/// How often a connection that was closed without an answer is made again within one look. A worker that has just died
/// is refused the second time. One that lives closes only to make room for another newcomer, and hardly twice.
const CLOSED_AGAIN: usize = 3;

/// Looks once: connect, HELLO. Nothing is written and no lock is taken.
#[must_use]
pub fn observe(state: &StateDir, stage: Stage) -> Observation {
    hello(state, stage)
        .map_or_else(|silence| from_silence(&silence), |hello| Observation::Answered(Box::new(hello)))
}

/// The same look, with the reason where there is no answer.
pub(crate) fn hello(state: &StateDir, stage: Stage) -> Result<Hello, Silence> {
    unless_closed(stage, || client::connect(state, stage).and_then(|mut connection| connection.hello(stage)))
}

/// Asks, and asks again where the connection was closed without an answer.
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
        // Somebody listens and does not answer us; whether it answers others is looked at before anything is done about
        // it.
        Silence::Silent | Silence::Busy => Observation::Silent,
        Silence::Denied(source) => Observation::Denied(source.to_string()),
        Silence::OtherUser { uid, .. } => Observation::Denied(format!("its peer has uid {uid}, not ours")),
        Silence::NotOurs { why } => Observation::Foreign(why.clone()),
    }
}
