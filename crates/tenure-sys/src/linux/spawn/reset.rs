//! Resets, between fork and exec, what a detached process would inherit from whoever happens to start it.
//!
//! Only system calls, as in `inside`. What the system does not allow to reset is no failure; it stays, and the doctor
//! reads it from outside.

use std::ptr;

use super::plan::SoftLimit;

/// The slack of timers that the kernel gives to the first process (`init_task`, 50 µs).
const TIMER_SLACK_NS: libc::c_ulong = 50_000;

/// One bit for each of 8192 processors, the most that a kernel can be built for; the kernel leaves out those that are
/// not allowed.
const ALL_PROCESSORS: [u8; 1024] = [u8::MAX; 1024];

/// `IOPRIO_WHO_PROCESS` of linux/ioprio.h; the class "none" follows the nice value.
const IOPRIO_WHO_PROCESS: libc::c_long = 1;

/// Resets soft limits, scheduling, processors, memory policy, personality, timer slack and the OOM score.
///
/// # Safety
///
/// Only in a process that has nothing left to do but to become another program.
pub(super) unsafe fn reset_inherited(limits: &[SoftLimit]) {
    let normal: libc::c_int = 0;
    // SAFETY: each pointer leads to a whole value of what the call reads, alive until the call returns, or is null
    // where the call allows it. No call writes to memory of this process.
    unsafe {
        for SoftLimit { resource, limit } in limits {
            libc::syscall(libc::SYS_prlimit64, 0, *resource, ptr::from_ref(limit), ptr::null::<u8>());
        }
        libc::syscall(libc::SYS_sched_setaffinity, 0, ALL_PROCESSORS.len(), ALL_PROCESSORS.as_ptr());
        libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_OTHER, ptr::from_ref(&normal));
        libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0);
        libc::syscall(libc::SYS_set_mempolicy, 0, ptr::null::<u8>(), 0);
        libc::syscall(libc::SYS_personality, 0);
        libc::prctl(libc::PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
        let score = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if score >= 0 {
            libc::write(score, c"0".as_ptr().cast(), 1);
            libc::close(score);
        }
    }
}
