//! The thread that ends the process when a deadline of its life has passed: boot, announced end, stalled runtime.
//!
//! It shares only the account of the worker and its listeners with the app, and waits for ever while there is no
//! deadline. It ends the process by `_exit`: the kernel then frees lease and sockets, whatever the app's threads are
//! stuck in. What comes before that (the listener, the report, the event) runs on threads of its own and within
//! [`LAST_WORDS`] altogether: a lock, a full disk or a blocked stderr must not keep the process.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tenure_core::asker;
use tenure_core::deadline::{self, Deadline};
use tenure_core::policy::lifecycle::{EXIT_FAILED, LifecycleEvent, LifecycleExecutor, LifecycleState};
use tenure_core::protocol::not_ready::NotReady;
use tenure_core::store::event::What;
use tenure_sys::discard::best_effort;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::{exit, thread};

use crate::ownership::Ownership;
use crate::status::Deadlines;
use crate::takeover::context::TakeoverContext;

/// How long a worker may overrun its announced end: with [`LAST_WORDS`] it is gone within a second, which is what those
/// who wait for it allow before they force it.
const OWN_OVERRUN: Duration = Duration::from_millis(500);

/// Time for everything that comes before the exit.
const LAST_WORDS: Duration = Duration::from_millis(400);

/// Of that, the time to find out why a program is not ready: on a machine with thousands of processes the tables of the
/// kernel take a while to read, and the report must not be lost for it.
const DIAGNOSIS: Duration = Duration::from_millis(200);

/// A watchdog that wakes this much too late was not running, so the app was not either: the process was stopped, or the
/// machine had no time for it. Then a missing heartbeat says nothing.
const OWN_DELAY: Duration = Duration::from_secs(1);

/// Starts the thread.
pub(crate) fn start(context: Arc<TakeoverContext>) -> io::Result<()> {
    thread::start("tenure-watchdog", move || watch(&context))
}

/// An end that a deadline brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NextDeadline {
    at: Duration,
    cause: DeadlineCause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeadlineCause {
    Boot,
    Overrun,
    Stall,
}

impl DeadlineCause {
    fn event(self) -> LifecycleEvent {
        match self {
            Self::Boot => LifecycleEvent::BootDeadline,
            Self::Overrun => LifecycleEvent::DrainDeadline,
            Self::Stall => LifecycleEvent::Stalled,
        }
    }
}

/// The next end, if nothing happens before. Heartbeats missed before `watched_from` do not count.
fn next_end(deadlines: &Deadlines, watched_from: Duration) -> Option<NextDeadline> {
    match deadlines.life {
        LifecycleState::Booting => {
            deadlines.boot_ends.map(|at| NextDeadline { at, cause: DeadlineCause::Boot })
        }
        LifecycleState::Active => {
            let (last, limit) = (deadlines.last_beat?, deadlines.stall_timeout?);
            Some(NextDeadline {
                at: last.max(watched_from).saturating_add(limit),
                cause: DeadlineCause::Stall,
            })
        }
        LifecycleState::Draining | LifecycleState::Ended => deadlines
            .end_ends
            .map(|at| NextDeadline { at: at.saturating_add(OWN_OVERRUN), cause: DeadlineCause::Overrun }),
    }
}

fn watch(context: &Arc<TakeoverContext>) {
    let status = &context.status;
    let mut watched_from = Duration::ZERO;
    loop {
        let end = next_end(&status.deadlines(), watched_from);
        let left = end.map(|end| end.at.saturating_sub(deadline::monotonic()));
        let mut changed = [Interest::new(status.deadlines_changed().as_fd(), Readiness::Read)];
        // A wait that fails for lack of memory is taken as over; the deadline is asked again below.
        best_effort(poll::wait(&mut changed, left));
        status.deadlines_changed().drain();

        let now = deadline::monotonic();
        let due = next_end(&status.deadlines(), watched_from).filter(|end| now >= end.at);
        match due {
            None => {}
            Some(NextDeadline { at, cause: DeadlineCause::Stall }) if now.saturating_sub(at) > OWN_DELAY => {
                watched_from = now;
            }
            Some(NextDeadline { cause, .. }) => end_process(cause, context),
        }
    }
}

/// Ends the process, unless what the deadline was for has happened in this very moment.
fn end_process(cause: DeadlineCause, context: &Arc<TakeoverContext>) {
    let words = last_words(cause, &context.ownership);
    let left = Deadline::start(LAST_WORDS);
    let mut ending = EnforcedEnd { cause, words, context, left };
    context.status.happen(cause.event(), &mut ending);
}

/// The end of the process by its watchdog.
struct EnforcedEnd<'watch> {
    cause: DeadlineCause,
    words: String,
    context: &'watch Arc<TakeoverContext>,
    left: Deadline,
}

impl EnforcedEnd<'_> {
    /// Does something on a thread of its own, and goes on when the time for that is over.
    fn briefly(&self, what: impl FnOnce(DeadlineCause, &str, &TakeoverContext) + Send + 'static) {
        let (cause, words, context) = (self.cause, self.words.clone(), Arc::clone(self.context));
        let (done, over) = mpsc::channel::<()>();
        let started = thread::start("tenure-last-words", move || {
            what(cause, &words, &context);
            drop(done);
        });
        if started.is_ok() {
            // Done or not, the process ends now.
            let _over_or_not = over.recv_timeout(self.left.remaining());
        }
    }

    /// Why the program is not ready: all of it, or, where that takes too long, its last answer.
    fn diagnosis(&self) -> Option<NotReady> {
        let status = &self.context.status;
        let diagnose = status.diagnosis()?;
        let (tell, told) = mpsc::channel();
        let started = thread::start("tenure-diagnosis", move || best_effort(tell.send(diagnose())));
        let found = started.ok().and_then(|()| told.recv_timeout(self.left.remaining().min(DIAGNOSIS)).ok());
        found.or_else(|| status.hello().app.not_ready.map(|told| *told))
    }
}

impl LifecycleExecutor for EnforcedEnd<'_> {
    fn close_listener(&mut self) {
        self.briefly(|_, _, context| context.close_listeners());
    }

    /// Reports to the launcher first: it writes the event of a failed start, and `report_failure` does so where the
    /// launcher is gone.
    fn report_failed(&mut self) {
        let found = self.diagnosis();
        self.briefly(move |_, words, context| {
            let line =
                found.iter().fold(words.to_owned(), |words, found| format!("{words}: {}", found.line()));
            context.ownership.report_failure(&"start".into(), &line, found.as_ref());
        });
    }

    fn exit(&mut self, code: i32) {
        self.briefly(record_end);
        exit::now(code)
    }

    // These follow from what the app does, or from a stop, and never from a deadline.
    fn report_ready(&mut self) {}

    fn drain(&mut self) {}

    fn leave_scope(&mut self) {}
}

fn last_words(cause: DeadlineCause, ownership: &Ownership) -> String {
    let spec = &ownership.handshake.spec;
    match cause {
        DeadlineCause::Boot => format!("it was not ready within {}", spec.start_timeout),
        DeadlineCause::Overrun => "it had announced its end and did not end in time".to_owned(),
        DeadlineCause::Stall => format!("its runtime did not answer for {}", spec.stall_timeout),
    }
}

/// Puts the end on record, and a line about it into the log.
fn record_end(cause: DeadlineCause, words: &str, context: &TakeoverContext) {
    let ownership = &context.ownership;
    match cause {
        // Reported to the launcher before.
        DeadlineCause::Boot => {}
        DeadlineCause::Overrun => {
            let by = context.status.stop_request().map(|request| request.by);
            ownership.note(What::Overran, &by.unwrap_or_else(asker), words);
        }
        DeadlineCause::Stall => ownership.note(What::Stalled, &asker(), words),
    }
    let line = WatchdogLine { generation: ownership.generation(), words };
    best_effort(writeln!(io::stderr(), "{line}"));
}

struct WatchdogLine<'a> {
    generation: u64,
    words: &'a str,
}

impl fmt::Display for WatchdogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tenure: the watchdog ends this worker (pid {}, generation {}, exit code {EXIT_FAILED}): {}",
            std::process::id(),
            self.generation,
            self.words
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn deadlines(life: LifecycleState) -> Deadlines {
        Deadlines {
            life,
            boot_ends: Some(SECOND * 30),
            end_ends: Some(SECOND * 50),
            stall_timeout: Some(SECOND * 10),
            last_beat: Some(SECOND * 40),
        }
    }

    fn end(deadlines: &Deadlines) -> Option<(Duration, DeadlineCause)> {
        next_end(deadlines, Duration::ZERO).map(|end| (end.at, end.cause))
    }

    #[test]
    fn each_state_of_a_life_has_its_own_deadline() {
        assert_eq!(end(&deadlines(LifecycleState::Booting)), Some((SECOND * 30, DeadlineCause::Boot)));
        assert_eq!(end(&deadlines(LifecycleState::Active)), Some((SECOND * 50, DeadlineCause::Stall)));
        assert_eq!(
            end(&deadlines(LifecycleState::Draining)),
            Some((SECOND * 50 + OWN_OVERRUN, DeadlineCause::Overrun))
        );
        assert_eq!(
            end(&deadlines(LifecycleState::Ended)),
            Some((SECOND * 50 + OWN_OVERRUN, DeadlineCause::Overrun))
        );
    }

    #[test]
    fn an_app_that_never_beats_is_not_watched() {
        assert_eq!(end(&Deadlines { last_beat: None, ..deadlines(LifecycleState::Active) }), None);
        assert_eq!(end(&Deadlines { stall_timeout: None, ..deadlines(LifecycleState::Active) }), None);
    }

    #[test]
    fn a_beat_missed_while_the_whole_process_stood_still_does_not_count() {
        let active = deadlines(LifecycleState::Active);
        assert_eq!(next_end(&active, SECOND * 90).map(|end| end.at), Some(SECOND * 100));
    }

    #[test]
    fn an_announced_end_is_over_within_a_second() {
        assert!(OWN_OVERRUN + LAST_WORDS < SECOND);
    }
}
