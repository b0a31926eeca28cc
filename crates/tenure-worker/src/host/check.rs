//! Asking a program how it is: `http`, `tcp` and `exec` checks, once or again and again, off the host's own thread.
//!
//! A check looks and changes nothing. It is asked on a short-lived thread that can be called off at any moment, so neither a
//! program that does not answer nor a slow command ever holds up the host. Where the program binds its own port, an answer
//! counts only if the socket belongs to its own tree: a stranger on the port is named, not believed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_sys::discard::best_effort;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::wake::Waker;

mod exec;
mod finding;
mod http;
mod notify;
mod tcp;

pub use exec::Command;
pub use finding::CheckResult;
pub use notify::{NotifyMessage, NotifySocket};

/// First wait before a program that is not ready is asked again. The kernel wakes nobody when a port begins to listen, so
/// this is asked anew: soon at first, for servers that boot within milliseconds, and twice as late each time.
const FIRST_RETRY: Duration = Duration::from_millis(2);

/// Longest wait between two questions: a quarter of a second of delay is seen by nobody who waited for seconds.
const LONGEST_RETRY: Duration = Duration::from_millis(250);

/// Longest wait for one answer about readiness. A request to an inherited listener waits in the kernel's queue until the
/// program accepts, so this is generous; it only matters where a program has swallowed a request of its own boot.
const READY_ANSWER: Duration = Duration::from_secs(10);

/// Stack of a checking thread; answers are kept on the heap.
const STACK: usize = 128 * 1024;

/// What is asked.
#[derive(Debug, Clone)]
pub enum ProgramCheck {
    /// GET `path`, answered with 2xx or 3xx.
    Http {
        /// Whom to ask.
        target: CheckTarget,
        /// What to ask for.
        path: String,
    },
    /// A connection is accepted.
    Tcp(CheckTarget),
    /// A command ends with 0.
    Exec(Command),
}

/// Where a program answers.
#[derive(Debug, Clone, Copy)]
pub struct CheckTarget {
    /// The listener's address.
    pub address: SocketAddr,
    /// The process from which the owner of the socket must descend, where the program binds it itself.
    pub tree: Option<u32>,
}

/// Asks that go on until they are dropped; dropping waits until the thread has stopped, which takes no longer than one
/// refused connection.
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

impl ProgramCheck {
    /// Asks once, for at most `limit`, or until it is called off.
    #[must_use]
    pub fn ask(&self, limit: Duration, off: &Waker) -> CheckResult {
        let limit = Deadline::start(limit);
        match self {
            Self::Http { target, path } => {
                target.believe(|| http::get(target.reachable(), path, &limit, off))
            }
            Self::Tcp(target) => target.believe(|| tcp::connect(target.reachable(), &limit).map(drop)),
            Self::Exec(command) => exec::run(command, &limit, off),
        }
    }
}

impl CheckTarget {
    /// Asks, and then asks the kernel whose the answer was.
    fn believe(&self, ask: impl FnOnce() -> Result<(), String>) -> CheckResult {
        if let Err(why) = ask() {
            return CheckResult::Failed(why);
        }
        match self.tree.map_or(tcp::Owner::Ours, |tree| tcp::owner(self.address, tree)) {
            tcp::Owner::Ours => CheckResult::Passed,
            tcp::Owner::Nobody => CheckResult::Failed(format!("nobody listens on {} any more", self.address)),
            tcp::Owner::Stranger(who) => CheckResult::Hopeless(format!(
                "{} is answered by {who}, which is not of the program",
                self.address
            )),
        }
    }

    /// A wildcard address is asked through the loopback.
    fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }
}

impl Inquiry {
    /// Asks until the check passes or is hopeless, and tells that.
    pub fn until_answered(
        check: ProgramCheck,
        tell: impl FnOnce(CheckResult) + Send + 'static,
    ) -> io::Result<Self> {
        Self::begin(move |off| {
            let mut wait = FIRST_RETRY;
            loop {
                match check.ask(READY_ANSWER, off) {
                    CheckResult::Failed(_) => {}
                    finding @ (CheckResult::Passed | CheckResult::Hopeless(_)) => return tell(finding),
                }
                if called_off_within(off, wait) {
                    return;
                }
                wait = (wait * 2).min(LONGEST_RETRY);
            }
        })
    }

    /// Asks until the check passes, and tells each time why it does not; nothing is taken to be hopeless for good.
    pub fn until_passed(
        check: ProgramCheck,
        mut tell: impl FnMut(CheckResult) + Send + 'static,
    ) -> io::Result<Self> {
        Self::begin(move |off| {
            let mut wait = FIRST_RETRY;
            loop {
                let finding = check.ask(READY_ANSWER, off);
                let passed = finding == CheckResult::Passed;
                if !called_off_within(off, Duration::ZERO) {
                    tell(finding);
                }
                if passed || called_off_within(off, wait) {
                    return;
                }
                wait = (wait * 2).min(LONGEST_RETRY);
            }
        })
    }

    /// Asks at every interval, and tells each time.
    pub fn repeated(
        check: ProgramCheck,
        pace: Pace,
        mut tell: impl FnMut(CheckResult) + Send + 'static,
    ) -> io::Result<Self> {
        Self::begin(move |off| {
            while !called_off_within(off, pace.interval) {
                let finding = check.ask(pace.timeout, off);
                if called_off_within(off, Duration::ZERO) {
                    return;
                }
                tell(finding);
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
            // A check that panicked has nothing to say.
            best_effort(asker.join());
        }
    }
}

/// Waits in the kernel for being called off.
fn called_off_within(off: &Waker, limit: Duration) -> bool {
    // A wait that fails would be repeated for ever: stop instead.
    poll::wait(&mut [Interest::new(off.as_fd(), Readiness::Read)], Some(limit)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests;
