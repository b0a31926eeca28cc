//! Asks a handle how its process ended (`PIDFD_GET_INFO`, Linux 6.13).

use std::os::fd::BorrowedFd;

use rustix::ioctl::{self, opcode};

use crate::common::exit_status::ExitStatus;

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
    fn the_question_has_the_size_that_the_kernel_published() {
        assert_eq!(size_of::<PidfdInfo>(), 64);
    }
}
