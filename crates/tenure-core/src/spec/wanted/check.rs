//! How it is found out that a program serves: the kinds of `ready` and `health`, and what a check asks. Data only.
//!
//! A check is written as its name (`"tcp"`), or as a table of its name and what belongs to it (`{ http = "/readyz",
//! listener = "admin" }`). What is not said is not written, so a spec that says nothing keeps its digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::spec::amount::Span;

use super::status_codes::StatusCodes;

mod form;

/// How it is found out that a program serves: for readiness once, for health again and again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ready {
    /// The program runs.
    Up,
    /// A GET is answered as wanted.
    Http(HttpCheck),
    /// A listener's address accepts, and the socket belongs to the program's tree.
    Tcp(TcpCheck),
    /// This command exits with 0.
    Exec(Vec<String>),
    /// A line of the output matches this regular expression. It is matched without escape sequences of a terminal, and
    /// a carriage return ends a line too.
    Log(String),
    /// `READY=1` arrives on `NOTIFY_SOCKET` (the protocol of `sd_notify(3)`).
    Notify,
    /// A line is written to the descriptor that `TENURE_READY_FD` names, or that descriptor is closed after a write.
    Fd,
}

/// A GET over a fresh connection, of whose answer only the status counts. Made from a path, it asks the first listener
/// and wants 2xx or 3xx.
///
/// ```
/// use tenure::{HttpCheck, Ready};
///
/// let mut check = HttpCheck::from("/readyz");
/// check.listener = Some("admin".into());
/// check.status = vec![200.into(), "3xx".parse()?];
/// assert!(matches!(Ready::Http(check), Ready::Http(check) if check.passes(302) && !check.passes(204)));
/// # Ok::<(), tenure::BadStatus>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HttpCheck {
    /// The path.
    pub path: String,
    /// The name of the listener that is asked; the first one where there is none.
    pub listener: Option<String>,
    /// The statuses that pass; 2xx and 3xx where there are none.
    pub status: Vec<StatusCodes>,
    /// The statuses by which a program says that it lives and does not serve as it should. They come before `status`,
    /// and never count as a failure. For `health` only.
    pub degraded: Vec<StatusCodes>,
    /// Headers to send, by name. They replace those of the same name that are sent anyway. Their values may be secret
    /// and are never shown.
    pub headers: BTreeMap<String, String>,
    /// Whether the request goes over TLS. Nobody's certificate is verified.
    pub tls: bool,
}

impl HttpCheck {
    /// Whether a status passes.
    #[must_use]
    pub fn passes(&self, status: u16) -> bool {
        if self.status.is_empty() {
            return (200..=399).contains(&status);
        }
        self.status.iter().any(|codes| codes.contains(status))
    }

    /// Whether a status means that the program is degraded.
    #[must_use]
    pub fn is_degraded(&self, status: u16) -> bool {
        self.degraded.iter().any(|codes| codes.contains(status))
    }

    pub(super) fn is_plain(&self) -> bool {
        *self == Self::from(self.path.as_str())
    }
}

impl From<&str> for HttpCheck {
    fn from(path: &str) -> Self {
        Self::from(path.to_owned())
    }
}

impl From<String> for HttpCheck {
    fn from(path: String) -> Self {
        Self { path, ..Self::default() }
    }
}

/// A connection to a listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TcpCheck {
    /// The name of the listener that is asked; the first one where there is none.
    pub listener: Option<String>,
}

impl Ready {
    /// The command whose exit status is the answer; `None` for the kinds that run no command.
    ///
    /// ```
    /// assert_eq!(tenure::Ready::Exec(vec!["true".into()]).command(), Some(&["true".to_owned()][..]));
    /// ```
    #[must_use]
    pub fn command(&self) -> Option<&[String]> {
        match self {
            Self::Exec(words) => Some(words),
            Self::Up | Self::Http(_) | Self::Tcp(_) | Self::Log(_) | Self::Notify | Self::Fd => None,
        }
    }

    /// Its name, as it is written.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Exec(_) => "exec",
            Self::Log(_) => "log",
            Self::Notify => "notify",
            Self::Fd => "fd",
        }
    }

    /// The name of the listener that it asks, where it names one.
    #[must_use]
    pub fn listener(&self) -> Option<&str> {
        match self {
            Self::Http(check) => check.listener.as_deref(),
            Self::Tcp(check) => check.listener.as_deref(),
            Self::Up | Self::Exec(_) | Self::Log(_) | Self::Notify | Self::Fd => None,
        }
    }
}

/// A check that is repeated while the program runs. Defaults: every 10 s, 2 s each, 3 failures in a row.
///
/// ```
/// use tenure::{Health, Ready, Span};
///
/// let mut health = Health::of(Ready::Http("/healthz".into()));
/// health.interval = Span::secs(30);
/// assert_eq!(health.failures, 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "form::HealthForm")]
#[non_exhaustive]
pub struct Health {
    /// What is asked: `http`, `tcp` or `exec`.
    #[serde(flatten)]
    pub check: Ready,
    /// Time between two checks.
    pub interval: Span,
    /// Longest time of one check.
    pub timeout: Span,
    /// Failures in a row after which the program is restarted by policy.
    pub failures: u32,
}

impl Health {
    /// A check with default times.
    #[must_use]
    pub fn of(check: Ready) -> Self {
        Self { check, interval: Self::interval(), timeout: Self::timeout(), failures: Self::failures() }
    }

    pub(super) fn interval() -> Span {
        Span::secs(10)
    }

    pub(super) fn timeout() -> Span {
        Span::secs(2)
    }

    pub(super) fn failures() -> u32 {
        3
    }
}
