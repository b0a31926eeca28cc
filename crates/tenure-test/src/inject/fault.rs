//! What is injected, into whom, on which road.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whose system calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The process that was typed.
    Launcher,
    /// The worker that the call starts: on the roads of a takeover that is the successor.
    Host,
    /// The same with its children: shim and program.
    Family,
}

/// What is typed while the fault is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Road {
    /// `ensure` where no worker is.
    Cold,
    /// `restart`: a takeover.
    Takeover,
    /// `ensure` of a higher version: a takeover with a probation.
    Upgrade,
    /// The same with both programs beside each other for a while.
    Overlap,
    /// `restart --force`: the old one is ended first.
    Force,
    /// `stop`.
    Stop,
    /// `stop --hold`.
    Hold,
    /// `pin` of the version that does not run.
    Pin,
}

/// What happens at the chosen system call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Kind {
    /// SIGKILL at the Nth call of this name: it is not made any more.
    Kill {
        /// As `strace` names it.
        call: String,
    },
    /// The Nth call of this name fails with this error.
    Error {
        /// As `strace` names it.
        call: String,
        /// As `errno(3)` names it.
        errno: String,
    },
}

/// Whose calls on which road: a row of the summary. Written as `host cold`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Course {
    /// Whose.
    pub who: Who,
    /// On which road.
    pub road: Road,
}

/// One fault. Written as `host cold kill:write 7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fault {
    /// Whose call is struck, on which road.
    pub course: Course,
    /// What happens.
    pub kind: Kind,
    /// At the call of this number, from 1.
    pub nth: usize,
}

impl Who {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Launcher, Self::Host, Self::Family];
}

impl Road {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Cold,
        Self::Takeover,
        Self::Upgrade,
        Self::Overlap,
        Self::Force,
        Self::Stop,
        Self::Hold,
        Self::Pin,
    ];

    /// Whether a worker is started on it: elsewhere there is no host to strike.
    #[must_use]
    pub fn starts(self) -> bool {
        !matches!(self, Self::Stop | Self::Hold)
    }
}

/// The errors that machines produce, at the calls at which they matter.
const ERRORS: [(&str, &str); 26] = [
    ("openat", "EMFILE"),
    ("openat", "EIO"),
    ("openat", "ENOSPC"),
    ("socket", "EMFILE"),
    ("connect", "EMFILE"),
    ("accept4", "EMFILE"),
    ("pipe2", "EMFILE"),
    ("fcntl", "EMFILE"),
    ("recvmsg", "EMFILE"),
    ("pidfd_open", "EMFILE"),
    ("eventfd2", "EMFILE"),
    ("write", "ENOSPC"),
    ("write", "EIO"),
    ("fsync", "EIO"),
    ("fdatasync", "EIO"),
    ("fallocate", "ENOSPC"),
    ("rename", "ENOSPC"),
    ("renameat", "ENOSPC"),
    ("bind", "ENOSPC"),
    ("listen", "EIO"),
    ("clone", "EAGAIN"),
    ("execve", "EIO"),
    ("flock", "EINTR"),
    ("ppoll", "EINTR"),
    ("poll", "EINTR"),
    ("sendmsg", "ENOBUFS"),
];

/// The calls between which something outside the process has changed, or is about to: a death anywhere else looks like a
/// death at one of these.
const DEATHS: [&str; 22] = [
    "openat",
    "write",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "unlinkat",
    "close",
    "flock",
    "socket",
    "bind",
    "listen",
    "connect",
    "sendto",
    "sendmsg",
    "recvmsg",
    "recvfrom",
    "clone",
    "execve",
    "pidfd_open",
    "ppoll",
    "poll",
];

/// Every kind of fault.
#[must_use]
pub fn kinds() -> Vec<Kind> {
    let deaths = DEATHS.iter().map(|call| Kind::Kill { call: (*call).to_owned() });
    let errors = ERRORS
        .iter()
        .map(|(call, errno)| Kind::Error { call: (*call).to_owned(), errno: (*errno).to_owned() });
    deaths.chain(errors).collect()
}

impl Kind {
    /// What `strace` is told to strike at the `nth` call.
    #[must_use]
    pub fn words(&self, nth: usize) -> Vec<String> {
        match self {
            // `?` lets a name pass that this machine's kind does not have.
            Self::Kill { call } => traced(call, &format!("signal=SIGKILL:when={nth}")),
            Self::Error { call, errno } => traced(call, &format!("error={errno}:when={nth}")),
        }
    }

    /// Whether the log of `strace` says that it struck.
    #[must_use]
    pub fn has_struck(&self, log: &str) -> bool {
        match self {
            Self::Kill { .. } => log.contains("+++ killed by SIGKILL +++"),
            Self::Error { .. } => log.contains("(INJECTED)"),
        }
    }
}

fn traced(call: &str, what: &str) -> Vec<String> {
    vec!["-e".to_owned(), format!("trace=?{call}"), "-e".to_owned(), format!("inject=?{call}:{what}")]
}

/// A word of the command line that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of what can be chosen")]
pub struct Unknown(String);

fn among<T: Copy + fmt::Display>(all: &[T], word: &str) -> Result<T, Unknown> {
    let found = all.iter().copied().find(|one| one.to_string() == word);
    found.ok_or_else(|| Unknown(word.to_owned()))
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Launcher => "launcher",
            Self::Host => "host",
            Self::Family => "family",
        })
    }
}

impl FromStr for Who {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        among(&Self::ALL, word)
    }
}

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cold => "cold",
            Self::Takeover => "takeover",
            Self::Upgrade => "upgrade",
            Self::Overlap => "overlap",
            Self::Force => "force",
            Self::Stop => "stop",
            Self::Hold => "hold",
            Self::Pin => "pin",
        })
    }
}

impl FromStr for Road {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        among(&Self::ALL, word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { call } => write!(f, "kill:{call}"),
            Self::Error { call, errno } => write!(f, "{call}:{errno}"),
        }
    }
}

impl FromStr for Kind {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        if let Some(call) = word.strip_prefix("kill:").filter(|call| !call.is_empty()) {
            return Ok(Self::Kill { call: call.to_owned() });
        }
        let parts = word.split_once(':').filter(|(call, errno)| !call.is_empty() && errno.starts_with('E'));
        let (call, errno) = parts.ok_or_else(|| Unknown(word.to_owned()))?;
        Ok(Self::Error { call: call.to_owned(), errno: errno.to_owned() })
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.who, self.road)
    }
}

impl FromStr for Course {
    type Err = Unknown;

    fn from_str(words: &str) -> Result<Self, Unknown> {
        let (who, road) = words.split_once(' ').ok_or_else(|| Unknown(words.to_owned()))?;
        Ok(Self { who: who.parse()?, road: road.parse()? })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.course, self.kind, self.nth)
    }
}

impl FromStr for Fault {
    type Err = Unknown;

    fn from_str(words: &str) -> Result<Self, Unknown> {
        let unknown = || Unknown(words.to_owned());
        let (course, last) = words.rsplit_once(' ').ok_or_else(unknown)?;
        let (course, kind) = course.rsplit_once(' ').ok_or_else(unknown)?;
        let nth = last.parse().map_err(|_| unknown())?;
        Ok(Self { course: course.parse()?, kind: kind.parse()?, nth })
    }
}

/// Records hold what is chosen as it is written on the command line.
macro_rules! written_as_words {
    ($($name:ident),*) => {$(
        impl From<$name> for String {
            fn from(one: $name) -> Self {
                one.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = Unknown;

            fn try_from(words: String) -> Result<Self, Unknown> {
                words.parse()
            }
        }
    )*};
}

written_as_words!(Kind, Course, Fault);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_read_as_it_is_written() {
        assert!(Who::ALL.iter().all(|who| who.to_string().parse() == Ok(*who)));
        assert!(Road::ALL.iter().all(|road| road.to_string().parse() == Ok(*road)));
        assert!(kinds().iter().all(|kind| kind.to_string().parse() == Ok(kind.clone())));
        let fault: Fault = "host cold kill:write 7".parse().expect("a fault");
        assert_eq!((fault.nth, fault.to_string().as_str()), (7, "host cold kill:write 7"));
        assert!("host cold kill:write".parse::<Fault>().is_err());
        assert!(
            "write".parse::<Kind>().is_err() && "up".parse::<Road>().is_err() && "me".parse::<Who>().is_err()
        );
    }

    #[test]
    fn a_fault_strikes_one_call_and_no_other() {
        let write: Kind = "write:EIO".parse().expect("a kind");
        assert_eq!(write.words(3), ["-e", "trace=?write", "-e", "inject=?write:error=EIO:when=3"]);
        assert!(write.has_struck("write(1, \"x\", 1) = -1 EIO (Input/output error) (INJECTED)"));
        let kill: Kind = "kill:write".parse().expect("a kind");
        assert!(!kill.has_struck("+++ exited with 0 +++"));
    }
}
