//! Calling the app's hooks: on a thread of their own, for a bounded time.

use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_sys::discard::best_effort;
use tenure_sys::poll;
use tenure_sys::thread;

use crate::mailbox::Mailbox;
use crate::takeover::context::TakeoverContext;
use crate::takeover::hooks::TakeoverHooks;

/// Calls the hooks, and waits no longer than `limit`, nor beyond a stop; `None` where the app has not answered by then.
pub(crate) fn call<T: Send + 'static>(
    context: &TakeoverContext,
    limit: Duration,
    call: impl FnOnce(&mut dyn TakeoverHooks) -> Result<T, String> + Send + 'static,
) -> Option<Result<T, String>> {
    let Some(hooks) = context.hooks() else { return Some(Err("it has no hooks".to_owned())) };
    let answers = match Mailbox::new() {
        Ok(answers) => answers,
        Err(error) => return Some(Err(error.to_string())),
    };
    let sender = answers.sender();
    let started = thread::start("tenure-hand-over", move || {
        let mut hooks = hooks.lock().unwrap_or_else(PoisonError::into_inner);
        // After `limit` nobody takes the answer.
        best_effort(sender.send(call(hooks.as_mut())));
    });
    if let Err(error) = started {
        return Some(Err(error.to_string()));
    }
    let until = Deadline::start(limit);
    loop {
        let fds = [answers.as_fd(), context.status.stopping()];
        // Only a lack of memory ends the wait early; it is begun again.
        let [_, stops] = poll::wait_readable(fds, Some(until.remaining())).unwrap_or_default();
        if let Some(answer) = answers.take().next() {
            return Some(answer);
        }
        if stops || until.remaining().is_zero() {
            return None;
        }
    }
}
