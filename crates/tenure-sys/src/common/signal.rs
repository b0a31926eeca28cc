//! The signals that tenure sends, by name.
//!
//! A closed list: what is not here is not sent. Names are the same in configuration, records and messages.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A signal that can be sent through a process handle. Written and read as `TERM`; `SIGTERM` is read as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// Ask to end.
    #[serde(alias = "SIGTERM")]
    Term,
    /// End without asking.
    #[serde(alias = "SIGKILL")]
    Kill,
    /// Interrupt, as from the keyboard.
    #[serde(alias = "SIGINT")]
    Int,
    /// Hang up; for many daemons: read the configuration again.
    #[serde(alias = "SIGHUP")]
    Hup,
    /// Quit, with a core dump by default.
    #[serde(alias = "SIGQUIT")]
    Quit,
    /// Free for the program, first.
    #[serde(alias = "SIGUSR1")]
    Usr1,
    /// Free for the program, second.
    #[serde(alias = "SIGUSR2")]
    Usr2,
    /// Go on after a stop.
    #[serde(alias = "SIGCONT")]
    Cont,
    /// The window's size has changed; for some servers: end the old worker processes.
    #[serde(alias = "SIGWINCH")]
    Winch,
    /// Terminal input; for some servers: one more worker process.
    #[serde(alias = "SIGTTIN")]
    Ttin,
    /// Terminal output; for some servers: one worker process less.
    #[serde(alias = "SIGTTOU")]
    Ttou,
    /// Stop without asking; to be continued.
    #[serde(alias = "SIGSTOP")]
    Stop,
}

/// A name that stands for no signal of the list.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "read {name:?} as a signal: one of TERM, KILL, INT, HUP, QUIT, USR1, USR2, CONT, WINCH, TTIN, TTOU, STOP is expected"
)]
pub struct UnknownSignal {
    /// What was given.
    pub name: String,
}

impl Signal {
    /// In the order of the declaration.
    const ALL: [(Self, &'static str, rustix::process::Signal); 12] = [
        (Self::Term, "TERM", rustix::process::Signal::TERM),
        (Self::Kill, "KILL", rustix::process::Signal::KILL),
        (Self::Int, "INT", rustix::process::Signal::INT),
        (Self::Hup, "HUP", rustix::process::Signal::HUP),
        (Self::Quit, "QUIT", rustix::process::Signal::QUIT),
        (Self::Usr1, "USR1", rustix::process::Signal::USR1),
        (Self::Usr2, "USR2", rustix::process::Signal::USR2),
        (Self::Cont, "CONT", rustix::process::Signal::CONT),
        (Self::Winch, "WINCH", rustix::process::Signal::WINCH),
        (Self::Ttin, "TTIN", rustix::process::Signal::TTIN),
        (Self::Ttou, "TTOU", rustix::process::Signal::TTOU),
        (Self::Stop, "STOP", rustix::process::Signal::STOP),
    ];

    /// The name without `SIG`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    pub(crate) fn kernel(self) -> rustix::process::Signal {
        Self::ALL[self as usize].2
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Signal {
    type Err = UnknownSignal;

    fn from_str(name: &str) -> Result<Self, UnknownSignal> {
        let short = name.strip_prefix("SIG").unwrap_or(name);
        let found = Self::ALL.into_iter().find(|(_, known, _)| *known == short);
        found.map(|(signal, ..)| signal).ok_or_else(|| UnknownSignal { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_read_from_both_of_its_names() {
        for (signal, name, _) in Signal::ALL {
            assert_eq!(signal.name(), name);
            let long = format!("SIG{signal}");
            assert_eq!(signal.to_string().parse(), Ok(signal));
            assert_eq!(long.parse(), Ok(signal));
            assert_eq!(serde_json::to_string(&signal).ok(), Some(format!("{:?}", signal.name())));
            assert_eq!(serde_json::from_str::<Signal>(&format!("{long:?}")).ok(), Some(signal));
        }
    }

    #[test]
    fn a_number_or_another_name_is_refused_by_name() {
        assert_eq!("9".parse::<Signal>(), Err(UnknownSignal { name: "9".to_owned() }));
        assert!("SIGSEGV".parse::<Signal>().is_err());
    }
}
