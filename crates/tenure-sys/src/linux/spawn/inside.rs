//! What runs between fork and exec.
//!
//! The process is a copy of one thread of the caller: any lock that another thread held is held for ever. So nothing
//! here takes memory, a lock or a buffered stream; there are only system calls, and what the plan has prepared. All
//! signals are blocked from before the fork until just before the exec, so no handler of the caller runs in the copy.

use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::{io, ptr};

use rustix::process::Pid;

use super::plan::{KEEP, PID_DIGITS, SpawnPlan};
use super::reset::reset_inherited;

/// Length of a report: stage and error number.
pub(super) const REPORT: usize = 8;

/// Exit code of a process that did not become the program; the one that shells use.
const NOT_STARTED: libc::c_int = 127;

/// Where a start failed.
#[derive(Clone, Copy, Debug)]
pub(super) enum SpawnStage {
    Fork,
    Handle,
    Descriptors,
    Setting,
    Directory,
    Exec,
}

/// What the forked process does.
#[derive(Clone, Copy, Debug)]
pub(super) enum ChildRole {
    /// The program.
    Program,
    /// The process in between, which forks the program, sends its handle and ends.
    Between,
}

/// The numbers of the ends that the new process inherits.
#[derive(Clone, Copy)]
pub(super) struct ChildPipeEnds {
    pub(super) release: RawFd,
    pub(super) released: RawFd,
    pub(super) reporter: RawFd,
}

type ChildFailure = (SpawnStage, libc::c_int);

/// Forks. The caller gets the number of the new process, which never returns from here.
pub(super) fn fork(plan: &mut SpawnPlan, role: ChildRole, ends: ChildPipeEnds) -> io::Result<Pid> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are initialised before they are read: the first by `sigfillset`, the second by the first
    // `pthread_sigmask`. The copy only runs `run`, which keeps to what is allowed after a fork.
    let (pid, error) = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let pid = libc::fork();
        if pid == 0 {
            run(plan, role, ends);
        }
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        (pid, error)
    };
    // A failed fork gives -1, of which no `Pid` can be made.
    Pid::from_raw(pid.max(0)).ok_or(error)
}

/// Reads what a new process has written.
pub(super) fn read_report(report: [u8; REPORT]) -> Option<(SpawnStage, io::Error)> {
    let [s0, s1, s2, s3, e0, e1, e2, e3] = report;
    let stages = [
        SpawnStage::Fork,
        SpawnStage::Handle,
        SpawnStage::Descriptors,
        SpawnStage::Setting,
        SpawnStage::Directory,
        SpawnStage::Exec,
    ];
    let stage = stages.into_iter().find(|stage| *stage as i32 == i32::from_ne_bytes([s0, s1, s2, s3]))?;
    Some((stage, io::Error::from_raw_os_error(i32::from_ne_bytes([e0, e1, e2, e3]))))
}

fn errno() -> libc::c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn checked(stage: SpawnStage, answer: libc::c_int) -> Result<libc::c_int, ChildFailure> {
    if answer < 0 { Err((stage, errno())) } else { Ok(answer) }
}

fn run(plan: &mut SpawnPlan, role: ChildRole, mut ends: ChildPipeEnds) -> ! {
    // SAFETY: the number is the copy of an end that only the caller uses. Closing it here lets this process see the end
    // of the channel.
    unsafe { libc::close(ends.release) };
    let failure = match role {
        ChildRole::Program => become_program(plan, &mut ends),
        ChildRole::Between => fork_program(plan, &mut ends),
    };
    if let Err((stage, error)) = failure {
        report(ends.reporter, stage, error);
    }
    // SAFETY: has no preconditions and runs nothing of the caller.
    unsafe { libc::_exit(NOT_STARTED) }
}

fn report(reporter: RawFd, stage: SpawnStage, error: libc::c_int) {
    let [s0, s1, s2, s3] = (stage as i32).to_ne_bytes();
    let [e0, e1, e2, e3] = error.to_ne_bytes();
    let report = [s0, s1, s2, s3, e0, e1, e2, e3];
    // SAFETY: the buffer has as many bytes as said. If nobody reads any more, SIGPIPE is blocked.
    unsafe { libc::write(reporter, report.as_ptr().cast(), REPORT) };
}

/// Forks the program, hands its handle over, and ends with success.
fn fork_program(plan: &mut SpawnPlan, ends: &mut ChildPipeEnds) -> Result<(), ChildFailure> {
    // The bare system call: fork(3) is not safe in the forked copy of a threaded process.
    // SAFETY: without a new stack or shared memory this is a plain fork; the copy goes on below.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(libc::SIGCHLD), 0, 0, 0, 0) };
    if pid == 0 {
        return become_program(plan, ends);
    }
    let pid = libc::pid_t::try_from(pid).unwrap_or(-1);
    checked(SpawnStage::Fork, pid)?;
    // SAFETY: the call takes two integers. The child cannot have been waited for: only this process could.
    let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let handle = checked(SpawnStage::Handle, libc::c_int::try_from(handle).unwrap_or(-1))?;
    send_handle(ends.released, handle)?;
    // SAFETY: has no preconditions and runs nothing of the caller.
    unsafe { libc::_exit(0) }
}

/// Sends one byte and one descriptor, from the stack.
fn send_handle(socket: RawFd, handle: RawFd) -> Result<(), ChildFailure> {
    // Aligned for a `cmsghdr`, and larger than one with a descriptor on any architecture.
    let mut space = [0_u64; 8];
    let mut byte = [1_u8];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: all-zero is a valid empty `msghdr`. `space` is zeroed, aligned and holds `CMSG_SPACE(4)` bytes, so the
    // first header and its data lie within it.
    let answer = unsafe {
        let mut message: libc::msghdr = MaybeUninit::zeroed().assume_init();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = space.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        ptr::copy_nonoverlapping(ptr::from_ref(&handle).cast::<u8>(), libc::CMSG_DATA(header), 4);
        libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL)
    };
    checked(SpawnStage::Handle, if answer < 0 { -1 } else { 0 })?;
    Ok(())
}

/// Becomes the program once it is released. Returns only after a failure, or because it was never released.
fn become_program(plan: &mut SpawnPlan, ends: &mut ChildPipeEnds) -> Result<(), ChildFailure> {
    let mut byte = 0_u8;
    // SAFETY: the buffer is one writable byte. All signals are blocked, so the call is not interrupted.
    if unsafe { libc::read(ends.released, (&raw mut byte).cast(), 1) } != 1 {
        return Ok(());
    }
    arrange_descriptors(plan, ends)?;
    settle(plan)?;
    write_own_pid(plan);
    // SAFETY: program, arguments and environment are strings with end marks in arrays with null ends, all of which
    // live in the plan.
    unsafe {
        reset_signals();
        libc::execve(plan.program.as_ptr(), plan.argv.as_ptr(), plan.envp.as_ptr());
    }
    Err((SpawnStage::Exec, errno()))
}

/// Puts every descriptor in its place and closes the rest.
fn arrange_descriptors(plan: &mut SpawnPlan, ends: &mut ChildPipeEnds) -> Result<(), ChildFailure> {
    // The reporter goes right above the places; every source first goes above that, so that no place is overwritten too
    // early.
    let reporter =
        RawFd::try_from(plan.sources.len()).map_err(|_| (SpawnStage::Descriptors, libc::EMFILE))?;
    let above = reporter + 1;
    for source in plan.sources.iter_mut().chain([&mut ends.reporter]).filter(|source| **source != KEEP) {
        // SAFETY: duplicating a number touches no memory.
        let lifted = unsafe { libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, above) };
        *source = checked(SpawnStage::Descriptors, lifted)?;
    }
    for (place, source) in (0..).zip(plan.sources.iter()) {
        // SAFETY: neither call touches memory. The places belong to this copy, of which only the exec is left.
        unsafe {
            if *source == KEEP {
                // A stream that the caller does not have open stays closed.
                libc::fcntl(place, libc::F_SETFD, 0);
            } else {
                checked(SpawnStage::Descriptors, libc::dup2(*source, place))?;
            }
        }
    }
    // SAFETY: as above.
    unsafe {
        checked(SpawnStage::Descriptors, libc::dup3(ends.reporter, reporter, libc::O_CLOEXEC))?;
        ends.reporter = reporter;
        if libc::syscall(libc::SYS_close_range, above, libc::c_uint::MAX, 0) < 0 {
            // Before Linux 5.9.
            for fd in above..plan.highest {
                libc::close(fd);
            }
        }
    }
    Ok(())
}

/// Sets session, umask, directory and limits.
fn settle(plan: &SpawnPlan) -> Result<(), ChildFailure> {
    // SAFETY: the directory is a string with an end mark and the limit a whole struct, both in the plan.
    unsafe {
        if plan.session {
            checked(SpawnStage::Setting, libc::setsid())?;
        }
        if let Some(umask) = plan.umask {
            libc::umask(umask);
        }
        if let Some(limits) = &plan.reset {
            reset_inherited(limits);
        }
        checked(SpawnStage::Directory, libc::chdir(plan.cwd.as_ptr()))?;
        if let Some(limit) = &plan.nofile {
            checked(SpawnStage::Setting, libc::setrlimit(libc::RLIMIT_NOFILE, ptr::from_ref(limit)))?;
        }
    }
    Ok(())
}

/// Writes the own number where the environment has room for it.
fn write_own_pid(plan: &SpawnPlan) {
    if plan.pid_digits.is_null() {
        return;
    }
    // SAFETY: has no preconditions.
    let mut rest = unsafe { libc::getpid() };
    let mut digits = [0_u8; PID_DIGITS];
    let mut count = 0;
    for digit in &mut digits {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        count += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    for (at, digit) in digits.iter().take(count).rev().enumerate() {
        // SAFETY: the plan keeps room for this many digits and the end mark, zeroed, for as long as it lives.
        unsafe { plan.pid_digits.add(at).write(*digit) };
    }
}

/// Gives every signal its default, and lets all of them through.
///
/// Ignored signals (in Rust programs SIGPIPE) stay ignored over execve(2), and blocked signals stay blocked.
///
/// # Safety
///
/// Only in a process that has nothing left to do but to become another program.
unsafe fn reset_signals() {
    // The largest `struct sigaction` of the kernel, all zero: the default, no flags, an empty mask.
    let default = [0_u64; 8];
    // SAFETY: `default` has at least as many bytes as the kernel reads; numbers that cannot be changed are refused and
    // left. `sigemptyset` initialises the set before it is used.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            // The bare system call: the C library reserves two signals and would leave them ignored.
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null::<u8>(), 8);
        }
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}
