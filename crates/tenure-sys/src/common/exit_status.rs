//! How a process ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a process ended: by its own code or by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExitStatus {
    /// The code that the process gave, 0 to 255.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether the kernel wrote a core file.
    pub core: bool,
}

impl ExitStatus {
    /// Reads the form that the kernel uses: code in the second byte, signal in the low seven bits.
    #[must_use]
    pub fn from_wait_status(raw: i32) -> Self {
        match raw & 0x7f {
            0 => Self { code: Some((raw >> 8) & 0xff), signal: None, core: false },
            signal => Self { code: None, signal: Some(signal), core: raw & 0x80 != 0 },
        }
    }

    /// Tells whether the process ended by itself with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit status {code}"),
            (None, Some(signal)) => match name_of(signal) {
                Some(name) => write!(f, "signal {signal} ({name})"),
                None => write!(f, "signal {signal}"),
            },
            (None, None) => f.write_str("unknown end"),
        }?;
        if self.core { f.write_str(", core dumped") } else { Ok(()) }
    }
}

/// The signals that end a process in practice; numbers differ between architectures, names do not.
fn name_of(signal: i32) -> Option<&'static str> {
    let known = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGUSR1, "SIGUSR1"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGUSR2, "SIGUSR2"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGALRM, "SIGALRM"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGXCPU, "SIGXCPU"),
        (libc::SIGXFSZ, "SIGXFSZ"),
        (libc::SIGSYS, "SIGSYS"),
    ];
    known.into_iter().find_map(|(number, name)| (number == signal).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words() {
        for (raw, words) in [
            (0, "exit status 0"),
            (3 << 8, "exit status 3"),
            (9, "signal 9 (SIGKILL)"),
            (0x0b | 0x80, "signal 11 (SIGSEGV), core dumped"),
            (40, "signal 40"),
        ] {
            assert_eq!(ExitStatus::from_wait_status(raw).to_string(), words);
        }
        assert!(ExitStatus::from_wait_status(0).success());
        assert!(!ExitStatus::from_wait_status(9).success());
    }
}
