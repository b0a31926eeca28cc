//! One pass over the process table that answers several questions at once: who carries a cookie, who has a socket open,
//! and who has a locked file open.
//!
//! For messages only: a number may have another owner a moment later, so a process that is to be signalled is found
//! again through a handle. Processes that the caller may not look into are counted, so that "nobody" can be told from
//! "nobody that can be seen".

use std::fs;
use std::path::Path;

use crate::linux::file::lock::{file_id, is_locked_at};
use crate::linux::process::{self, procfs};
use crate::linux::tree::COOKIE;

pub use crate::linux::process::procfs::has_socket;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Every process of this user that carries the cookie of a worker.
    pub cookies: bool,
    /// Who has a socket with one of these inodes open.
    pub sockets: Vec<u64>,
    /// Who has one of these files open by a description that holds a lock; as device and inode.
    pub locks: Vec<(u64, u64)>,
}

/// A process that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenProcess {
    /// Its number.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// Its parent, grandparent and so on; filled only for a process that was found by a socket.
    pub above: Vec<u32>,
}

/// What the pass has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Cookies and their carriers, by number; the caller is not among them.
    pub cookies: Vec<(String, SeenProcess)>,
    /// Sockets and who has them open, by number of the process.
    pub sockets: Vec<(u64, SeenProcess)>,
    /// Locked files and who has them open, by number of the process; the caller is not among them.
    pub locks: Vec<((u64, u64), SeenProcess)>,
    /// Processes whose open files could not be looked at: those of other users.
    pub hidden: usize,
}

impl Questions {
    /// Whether nothing is asked, so that no pass is needed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.cookies && self.sockets.is_empty() && self.locks.is_empty()
    }

    /// Goes once over all processes.
    #[must_use]
    pub fn ask(&self) -> Census {
        let mut census = Census::default();
        if self.is_empty() {
            return census;
        }
        let (own, user) = (std::process::id(), crate::linux::machine::user::effective_uid());
        let mut pids = procfs::pids();
        pids.sort_unstable();
        for pid in pids {
            if self.cookies
                && pid != own
                && procfs::owner(pid) == Some(user)
                && let Some(cookie) = procfs::memory::variable_of(pid, COOKIE, "")
            {
                census.cookies.push((cookie, seen(pid)));
            }
            self.look_at_files(pid, pid == own, &mut census);
        }
        census
    }

    fn look_at_files(&self, pid: u32, is_caller: bool, census: &mut Census) {
        if self.sockets.is_empty() && self.locks.is_empty() {
            return;
        }
        let Ok(entries) = fs::read_dir(procfs::path(pid, "fd")) else {
            // A process that has ended meanwhile hides nothing.
            census.hidden += usize::from(Path::new(&format!("/proc/{pid}")).exists());
            return;
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if let Some(inode) = procfs::socket_behind(&path).filter(|inode| self.sockets.contains(inode)) {
                push_once(&mut census.sockets, inode, || SeenProcess { above: above(pid), ..seen(pid) });
            }
            if is_caller || self.locks.is_empty() {
                continue;
            }
            let file = fs::metadata(&path).ok().as_ref().map(file_id);
            if let Some(file) = file.filter(|file| self.locks.contains(file))
                && path.file_name().is_some_and(|descriptor| is_locked_at(pid, descriptor))
            {
                push_once(&mut census.locks, file, || seen(pid));
            }
        }
    }
}

/// A process may have one thing open several times, one descriptor after the other.
fn push_once<T: PartialEq>(list: &mut Vec<(T, SeenProcess)>, what: T, seen: impl FnOnce() -> SeenProcess) {
    let seen = seen();
    if !list.iter().any(|(known, other)| *known == what && other.pid == seen.pid) {
        list.push((what, seen));
    }
}

fn seen(pid: u32) -> SeenProcess {
    SeenProcess { pid, command: process::command_line(pid).unwrap_or_default(), above: Vec::new() }
}

/// The bound ends a circle, which a reused number could make while the parents are read.
fn above(pid: u32) -> Vec<u32> {
    let parents = std::iter::successors(process::parent_of(pid), |parent| process::parent_of(*parent));
    parents.take_while(|parent| *parent != 0).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::socket;

    #[test]
    fn nothing_asked_needs_no_pass() {
        assert!(Questions::default().is_empty());
        assert_eq!(Questions::default().ask(), Census::default());
    }

    #[test]
    fn the_caller_is_found_by_its_socket_and_once() {
        let listener = socket::bind_tcp("127.0.0.1:0".parse().expect("an address"), 1).expect("a listener");
        let _twice = listener.try_clone().expect("a second descriptor");
        let inodes = socket::listening_sockets(listener.local_addr().expect("an address"));
        let inodes: Vec<u64> = inodes.iter().map(|socket| socket.inode).collect();
        let census = Questions { sockets: inodes.clone(), ..Questions::default() }.ask();
        let own: Vec<_> = census.sockets.iter().filter(|(_, seen)| seen.pid == std::process::id()).collect();
        assert_eq!(own.len(), 1, "{census:?}");
        assert_eq!(own[0].1.above.first().copied(), process::parent_of(std::process::id()));
        assert!(has_socket(std::process::id(), &inodes));
        assert!(!has_socket(std::process::id(), &[u64::MAX]));
    }
}
