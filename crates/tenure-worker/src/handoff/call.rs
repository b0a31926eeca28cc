//! Calling the app's hooks: on a thread of their own, for a bounded time.

use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_sys::discard::best_effort;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::thread;

use crate::handoff::context::HandoffContext;
use crate::handoff::hand_over::HandOver;
use crate::mailbox::Mailbox;

/// Calls the hooks, and waits no longer than `limit`, nor beyond a stop; `None` where the app has not answered by then.
pub(crate) fn call<T: Send + 'static>(
    context: &HandoffContext,
    limit: Duration,
    call: impl FnOnce(&mut dyn HandOver) -> Result<T, String> + Send + 'static,
) -> Option<Result<T, String>> {
    let Some(hooks) = context.hooks() else { return Some(Err("it has no hooks".to_owned())) };
    let answers = match Mailbox::new() {
        Ok(answers) => answers,
        Err(error) => return Some(Err(error.to_string())),
    };
    let sender = answers.sender();
    let started = thread::start("tenure-hand-over", move || {
        let mut hooks = hooks.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits any more once the time is over.
        best_effort(sender.send(call(hooks.as_mut())));
    });
    if let Err(error) = started {
        return Some(Err(error.to_string()));
    }
    let until = Deadline::start(limit);
    loop {
        let mut interests = [
            Interest::new(answers.as_fd(), Readiness::Read),
            Interest::new(context.status.stopping(), Readiness::Read),
        ];
        // Only a lack of memory ends the wait early; it is begun again.
        best_effort(poll::wait(&mut interests, Some(until.remaining())));
        if let Some(answer) = answers.take().next() {
            return Some(answer);
        }
        if interests[1].ready() || until.remaining().is_zero() {
            return None;
        }
    }
}
