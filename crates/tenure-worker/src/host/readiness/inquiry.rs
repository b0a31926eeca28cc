//! Asking a check again and again, off the host's own thread.
//!
//! Each inquiry has a short-lived thread. Calling it off interrupts a wait for an answer or for a command at once, but
//! not an attempt to connect: whoever drops an inquiry then waits for that attempt, for at most 1 s.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_sys::discard::best_effort;
use tenure_sys::poll;
use tenure_sys::wake::Waker;

use super::check::{CheckResult, ProgramCheck};

/// First wait before a program that is not ready is asked again. The kernel wakes nobody when a port begins to listen,
/// so this is asked anew: soon at first, for servers that boot within milliseconds, and twice as late each time.
const FIRST_RETRY: Duration = Duration::from_millis(2);

/// Longest wait between two questions: a quarter of a second of delay is seen by nobody who waited for seconds.
const LONGEST_RETRY: Duration = Duration::from_millis(250);

/// Longest wait for one answer about readiness. A request to an inherited listener waits in the kernel's queue until
/// the program accepts, so this is generous; it only matters where a program has swallowed a request of its own boot.
const READY_ANSWER: Duration = Duration::from_secs(10);

/// Stack of a checking thread. A handshake of TLS needs the most; only what is used takes memory.
const STACK: usize = 512 * 1024;

/// Asks that go on until they are dropped. Dropping waits until the thread has stopped: for at most 1 s, where it is
/// about to connect.
#[derive(Debug)]
pub struct Inquiry {
    off: Arc<Waker>,
    asker: Option<JoinHandle<()>>,
}

/// Times of a repeated check.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two checks.
    pub interval: Duration,
    /// Longest time of one check.
    pub timeout: Duration,
}

impl Inquiry {
    /// Asks until the check passes or is hopeless, and tells each result.
    pub fn until_answered(
        check: Box<dyn ProgramCheck>,
        tell: impl FnMut(CheckResult) + Send + 'static,
    ) -> io::Result<Self> {
        Self::until(check, |result| !matches!(result, CheckResult::Failed(_)), tell)
    }

    /// Asks until the check passes, and tells each time why it does not; nothing is taken to be hopeless for good.
    pub fn until_passed(
        check: Box<dyn ProgramCheck>,
        tell: impl FnMut(CheckResult) + Send + 'static,
    ) -> io::Result<Self> {
        Self::until(check, |result| *result == CheckResult::Passed, tell)
    }

    /// Asks until a result is the last, less and less often, and tells each result.
    fn until(
        check: Box<dyn ProgramCheck>,
        is_last: impl Fn(&CheckResult) -> bool + Send + 'static,
        mut tell: impl FnMut(CheckResult) + Send + 'static,
    ) -> io::Result<Self> {
        Self::begin(move |off| {
            let mut wait = FIRST_RETRY;
            loop {
                let result = check.ask(&Deadline::start(READY_ANSWER), off);
                let last = is_last(&result);
                if !called_off_within(off, Duration::ZERO) {
                    tell(result);
                }
                if last || called_off_within(off, wait) {
                    return;
                }
                wait = (wait * 2).min(LONGEST_RETRY);
            }
        })
    }

    /// Asks at every interval, and tells each time.
    pub fn repeated(
        check: Box<dyn ProgramCheck>,
        pace: Pace,
        mut tell: impl FnMut(CheckResult) + Send + 'static,
    ) -> io::Result<Self> {
        Self::begin(move |off| {
            while !called_off_within(off, pace.interval) {
                let result = check.ask(&Deadline::start(pace.timeout), off);
                if called_off_within(off, Duration::ZERO) {
                    return;
                }
                tell(result);
            }
        })
    }

    fn begin(ask: impl FnOnce(&Waker) + Send + 'static) -> io::Result<Self> {
        let off = Arc::new(Waker::new()?);
        let theirs = Arc::clone(&off);
        let asker = thread::Builder::new()
            .name("tenure-check".to_owned())
            .stack_size(STACK)
            .spawn(move || ask(&theirs))?;
        Ok(Self { off, asker: Some(asker) })
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        self.off.wake();
        if let Some(asker) = self.asker.take() {
            // A check that panicked has no result.
            best_effort(asker.join());
        }
    }
}

/// Waits until the inquiry is called off, for at most the given time.
fn called_off_within(off: &Waker, limit: Duration) -> bool {
    // A wait that fails for lack of memory counts as over: the check is asked again at once.
    matches!(poll::wait_readable([off.as_fd()], Some(limit)), Ok([true]))
}
