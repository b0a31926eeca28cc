//! Families of processes: who descends from whom, what carries a cookie, and the children that end.
//!
//! A listed number may have another owner a moment later, so callers verify it through a handle before they signal.
//! Functions that return handles have looked again after each handle was opened.

use std::collections::HashMap;
use std::{fs, io};

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process_group, set_child_subreaper, wait, waitid,
};

use crate::linux::file::lock::{has_taken, inherited_from};
use crate::linux::identity::Identity;
use crate::linux::process::procfs;
use crate::linux::process::procfs::memory::variable_of;
use crate::linux::process::{self, Delivery, ExitStatus, GoneReason, ProcessHandle, Signal, Verified};

/// The variable whose value, the cookie, marks what a worker has started.
pub(crate) const COOKIE: &str = "TENURE_COOKIE";

/// Makes the caller the parent of every orphan below it (`PR_SET_CHILD_SUBREAPER`), so that none escapes upwards.
pub fn set_subreaper() -> io::Result<()> {
    // Any number says yes.
    Ok(set_child_subreaper(Some(getpid()))?)
}

fn children_by_parent() -> HashMap<u32, Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in procfs::pids() {
        if let Some(parent) = process::parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// Lists the children that a process has now, those included that ended and were not waited for.
#[must_use]
pub fn children_of(pid: u32) -> Vec<u32> {
    children_by_parent().remove(&pid).unwrap_or_default()
}

/// Lists all that descends from a process now, nearest first, from one look at the process table.
///
/// An orphan has another parent and is not found here; its cookie finds it, or a subreaper keeps it.
#[must_use]
pub fn descendants_of(pid: u32) -> Vec<u32> {
    let mut children = children_by_parent();
    let mut found = children.remove(&pid).unwrap_or_default();
    let mut at = 0;
    while let Some(next) = found.get(at) {
        // Removal also ends a circle, which a reused number could make while the table was read.
        let more = children.remove(next).unwrap_or_default();
        found.extend(more);
        at += 1;
    }
    found
}

/// Handles of all that descends from a living process, nearest first; each was listed again after its handle was
/// opened.
#[must_use]
pub fn handles_below(ancestor: &ProcessHandle) -> Vec<ProcessHandle> {
    let listed: Vec<ProcessHandle> =
        descendants_of(ancestor.pid()).into_iter().filter_map(|pid| ProcessHandle::open(pid).ok()).collect();
    let still = descendants_of(ancestor.pid());
    // Only while the ancestor lives is its number its own.
    if ancestor.has_ended() {
        return Vec::new();
    }
    let is_below = |handle: &ProcessHandle| still.contains(&handle.pid()) && !handle.has_ended();
    listed.into_iter().filter(is_below).collect()
}

/// Handles of the processes in the session that this process began, the leader and the caller excepted. Each was looked
/// at again after its handle was opened.
///
/// The kernel does not reuse a number while a session has it. Where another process has the leader's number now, the
/// session is over, and the list is empty; a process that is older than the leader is not listed.
#[must_use]
pub fn in_session_of(leader: &Identity) -> Vec<ProcessHandle> {
    if matches!(
        process::verify(leader),
        Verified::Unverifiable(_) | Verified::Gone(GoneReason::OtherBoot | GoneReason::PidReused)
    ) {
        return Vec::new();
    }
    let is_member = |pid: u32| {
        let stat = procfs::stat(&pid.to_string()).ok().filter(|_| pid != leader.pid)?;
        (stat.session == leader.pid && stat.start >= leader.start && stat.state != 'Z').then_some(())
    };
    found_twice(is_member).map(|(handle, ())| handle).collect()
}

/// Handles of the processes, the caller excepted, that hold the exclusive lock of this file by a descriptor that they
/// inherited; each was looked at again after its handle was opened.
///
/// Left out are processes that inherited the lock from a stranger: a living process that holds the lock, is not the
/// caller and carries no cookie. What a stranger has started belongs to it.
#[must_use]
pub fn heirs_of(lock: &fs::File) -> Vec<ProcessHandle> {
    let own = std::process::id();
    let is_stranger =
        |taker: u32| taker != own && has_taken(taker, lock) && variable_of(taker, COOKIE, "").is_none();
    let heir = |pid: u32| inherited_from(pid, lock).filter(|taker| !is_stranger(*taker));
    found_twice(heir).map(|(handle, _)| handle).collect()
}

/// Every process but the caller in which `look` finds something, before and after its handle was opened, with what was
/// found the second time.
fn found_twice<T>(look: impl Fn(u32) -> Option<T>) -> impl Iterator<Item = (ProcessHandle, T)> {
    let own = std::process::id();
    procfs::pids().into_iter().filter(move |pid| *pid != own).filter_map(move |pid| {
        // The first look only chooses which handles to open.
        look(pid)?;
        let handle = ProcessHandle::open(pid).ok()?;
        let found = look(pid)?;
        // The process is still there, so the second look was at this process.
        (!handle.has_ended()).then_some((handle, found))
    })
}

/// What waiting for any child gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// This child had ended and is waited for now; its number is free.
    One(u32, ExitStatus),
    /// There are children, and none has ended.
    NoneReady,
    /// There are no children.
    NoChildren,
}

/// Waits for one child that has ended, without blocking.
///
/// It takes any child of the process, so it belongs in a process that has no other waiter: a `spawn::Child` of the
/// same process would lose its status to it.
pub fn reap_any() -> io::Result<Reaped> {
    match retry_on_intr(|| wait(WaitOptions::NOHANG)) {
        Ok(None) => Ok(Reaped::NoneReady),
        Ok(Some((child, status))) => {
            let pid = child.as_raw_pid().unsigned_abs();
            Ok(Reaped::One(pid, ExitStatus::from_wait_status(status.as_raw())))
        }
        Err(Errno::CHILD) => Ok(Reaped::NoChildren),
        Err(errno) => Err(errno.into()),
    }
}

/// A process that carries a cookie.
#[derive(Debug)]
pub struct CookieCarrier {
    /// A handle of it; the cookie was read again after it was opened.
    pub handle: ProcessHandle,
    /// The whole cookie.
    pub cookie: String,
    /// Its command line, for messages.
    pub command: String,
}

/// Finds every process of this user, the caller excepted, whose `TENURE_COOKIE` begins with `prefix`.
///
/// The cookie is in the environment with which the process was started: it survives double forks and new sessions, and
/// is lost only where a program is started with another environment. A process that needs longer than 100 ms for
/// execve(2) (its program is on a slow disk) is not found meanwhile.
#[must_use]
pub fn with_cookie(prefix: &str) -> Vec<CookieCarrier> {
    with_environ(COOKIE, prefix)
}

/// Finds every process of this user, the caller excepted, that was started with `key` set to what begins with `prefix`.
#[must_use]
pub fn with_environ(key: &str, prefix: &str) -> Vec<CookieCarrier> {
    let user = crate::linux::machine::user::effective_uid();
    let cookie = |pid: u32| {
        procfs::owner(pid).filter(|owner| *owner == user)?;
        variable_of(pid, key, prefix)
    };
    let carriers = found_twice(cookie).map(|(handle, cookie)| {
        let command = process::command_line(handle.pid()).unwrap_or_default();
        CookieCarrier { handle, cookie, command }
    });
    carriers.collect()
}

/// Signals the process group that a child of the caller leads.
///
/// Refused with `PermissionDenied` unless the process is a child that was not waited for: only then the kernel keeps
/// its number, and with it the number of the group, from anyone else. Refused with `InvalidInput` if the child leads
/// no group. A group is not a tree; what has left it is not reached.
pub fn signal_group(leader: &ProcessHandle, signal: Signal) -> io::Result<Delivery> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::PidFd(leader.as_fd()), look) {
        Ok(_) => {}
        Err(Errno::CHILD) => {
            let message =
                "a group is signalled only by the parent of its leader, before it has waited for it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Err(errno) => return Err(errno.into()),
    }
    // Read from /proc: a group of another pid namespace has the number 0, which getpgid(2) cannot tell from no answer.
    // The child keeps its number while it is not waited for.
    let leads = procfs::stat(&leader.pid().to_string())?.group == leader.pid();
    let group = i32::try_from(leader.pid()).ok().filter(|_| leads).and_then(Pid::from_raw);
    let group =
        group.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the process leads no group"))?;
    match kill_process_group(group, signal.kernel()) {
        Ok(()) => Ok(Delivery::Sent),
        Err(Errno::SRCH) => Ok(Delivery::AlreadyGone),
        Err(errno) => Err(errno.into()),
    }
}
