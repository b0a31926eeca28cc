//! How a process ended, and how to ask it of a handle.

use std::fmt;
use std::os::fd::BorrowedFd;

use rustix::ioctl::{self, opcode};
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

/// `struct pidfd_info` of linux/pidfd.h in its first published size, 64 bytes.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    pids: [u32; 3],
    owners: [u32; 8],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`, Linux 6.15.
const INFO_EXIT: u64 = 1 << 3;

/// `_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)`.
const GET_INFO: ioctl::Opcode = opcode::read_write::<PidfdInfo>(0xFF, 11);

/// Asks a handle how its process ended; the kernel keeps the answer as long as the handle is open.
pub(crate) fn of_handle(handle: BorrowedFd<'_>) -> Option<ExitStatus> {
    let mut info = PidfdInfo { mask: INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the request carries the size of `info`, and the kernel reads and writes no more than that.
    let answer = unsafe { ioctl::ioctl(handle, ioctl::Updater::<GET_INFO, _>::new(&mut info)) };
    (answer.is_ok() && info.mask & INFO_EXIT != 0).then(|| ExitStatus::from_wait_status(info.exit_code))
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

    #[test]
    fn the_question_has_the_size_that_the_kernel_published() {
        assert_eq!(size_of::<PidfdInfo>(), 64);
    }
}
