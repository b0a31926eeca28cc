//! The parts of a spec and their defaults. Data only.

use serde::{Deserialize, Serialize};
use tenure_sys::process::Signal;

use crate::spec::amount::{Size, Span};

/// What a worker's command is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// A program that the host starts and watches.
    #[default]
    Program,
    /// A program that links the worker kit and is the worker itself.
    Embedded,
}

/// A polite stop: this signal, then up to `grace`, then SIGKILL. Default: TERM, 5 s.
///
/// ```
/// use tenure::{Signal, Span, StopPolicy};
///
/// let mut stop = StopPolicy::default();
/// (stop.signal, stop.grace) = (Signal::Int, Span::secs(20));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StopPolicy {
    /// The signal that asks the program to end.
    pub signal: Signal,
    /// How long it may take.
    pub grace: Span,
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self { signal: Signal::Term, grace: Span::secs(5) }
    }
}

/// What a program reads from its standard input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stdin {
    /// `/dev/null`: a read ends at once.
    #[default]
    Null,
    /// A pipe that stays open and empty while the program runs: a read waits. For programs that end when their standard
    /// input ends.
    Open,
}

impl Stdin {
    /// Whether it is `/dev/null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }
}

/// Permissions that new files do not get, written as three octal digits.
///
/// ```
/// assert_eq!(tenure::Umask::try_from("022".to_owned())?.bits(), 0o022);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Umask(u32);

impl Umask {
    /// The mask as the kernel takes it.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl From<Umask> for String {
    fn from(umask: Umask) -> Self {
        format!("{:03o}", umask.0)
    }
}

/// Text that is no umask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("understand {text:?}: write three octal digits, such as \"022\"")]
pub struct BadUmask {
    /// As written.
    pub text: String,
}

impl TryFrom<String> for Umask {
    type Error = BadUmask;

    fn try_from(text: String) -> Result<Self, BadUmask> {
        let digits = text.len() >= 3 && text.bytes().all(|digit| digit.is_ascii_digit());
        let bits = u32::from_str_radix(&text, 8).ok().filter(|bits| digits && *bits <= 0o777);
        bits.map(Self).ok_or(BadUmask { text })
    }
}

/// Ends of a program that are followed by a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RestartOn {
    /// A failed exit status, a signal, or failed health checks.
    #[default]
    Failure,
    /// Every end that nobody asked for.
    Always,
    /// No end.
    Never,
}

/// First and longest wait before a restart. Each wait is twice the one before. A first wait above the longest counts
/// as the longest.
///
/// ```
/// use tenure::{Backoff, Span};
///
/// let backoff = Backoff::new(Span::millis(250), Span::secs(30));
/// assert_eq!(backoff.longest(), Span::secs(30));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backoff(Span, Span);

impl Backoff {
    /// Waits from `first` to `longest`.
    #[must_use]
    pub const fn new(first: Span, longest: Span) -> Self {
        Self(first, longest)
    }

    /// The wait before the first restart.
    #[must_use]
    pub const fn first(&self) -> Span {
        self.0
    }

    /// The longest wait.
    #[must_use]
    pub const fn longest(&self) -> Span {
        self.1
    }
}

/// Restarts of the program within one generation. Default: on failure, 250 ms to 30 s, at most 5 in a minute.
///
/// ```
/// use tenure::{RestartOn, RestartPolicy};
///
/// let mut restart = RestartPolicy::default();
/// (restart.on, restart.limit) = (RestartOn::Always, 10);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RestartPolicy {
    /// The ends that are followed by a restart.
    pub on: RestartOn,
    /// Waits before restarts.
    pub backoff: Backoff,
    /// Restarts within `window` after which the host gives up.
    pub limit: u32,
    /// The window of `limit`.
    pub window: Span,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            on: RestartOn::Failure,
            backoff: Backoff::new(Span::millis(250), Span::secs(30)),
            limit: 5,
            window: Span::secs(60),
        }
    }
}

/// How long a worker lives that nobody uses. Default: off, it lives until somebody stops it.
///
/// ```
/// use tenure::{IdleTimeout, Span};
///
/// assert_eq!(IdleTimeout::try_from("30m".to_owned())?, IdleTimeout::after(Span::secs(1800)));
/// assert_eq!(IdleTimeout::try_from("off".to_owned())?, IdleTimeout::OFF);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdleTimeout(Option<Span>);

impl IdleTimeout {
    /// It lives until somebody stops it.
    pub const OFF: Self = Self(None);

    /// It ends after this time without use; at least one second, which [`Spec::validate`](crate::Spec::validate)
    /// checks.
    #[must_use]
    pub const fn after(time: Span) -> Self {
        Self(Some(time))
    }

    /// The time; `None` where it lives until somebody stops it.
    #[must_use]
    pub const fn time(self) -> Option<Span> {
        self.0
    }

    /// Whether it lives until somebody stops it.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.is_none()
    }
}

/// The word for a worker that lives until somebody stops it.
const OFF: &str = "off";

impl From<IdleTimeout> for String {
    fn from(timeout: IdleTimeout) -> Self {
        timeout.0.map_or_else(|| OFF.to_owned(), |time| time.to_string())
    }
}

/// Text that is no time without use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("understand {text:?}: write \"off\" or a duration, such as \"30m\"")]
pub struct BadIdleTimeout {
    /// As written.
    pub text: String,
}

impl TryFrom<String> for IdleTimeout {
    type Error = BadIdleTimeout;

    fn try_from(text: String) -> Result<Self, BadIdleTimeout> {
        if text == OFF {
            return Ok(Self::OFF);
        }
        text.parse().map(Self::after).map_err(|_| BadIdleTimeout { text })
    }
}

/// Bounds of the program's log. Default: 10 MB a file, 3 old files.
///
/// ```
/// use tenure::{Logs, Size};
///
/// let mut logs = Logs::default();
/// (logs.size, logs.keep) = (Size::bytes(1_000_000), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Logs {
    /// Size at which a file is rotated.
    pub size: Size,
    /// Rotated files kept besides the current one.
    pub keep: u32,
}

impl Default for Logs {
    fn default() -> Self {
        Self { size: Size::bytes(10_000_000), keep: 3 }
    }
}
