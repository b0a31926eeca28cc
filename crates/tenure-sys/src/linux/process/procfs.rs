//! Reads the text files of `/proc` into plain values.
//!
//! What is read here proves nothing about a process, because the number in the path may have a new owner by the time
//! the file is read. Callers that need proof hold a process handle, read, and then ask the handle whether the process
//! is still there.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

pub(crate) mod memory;

/// The fields of `/proc/PID/stat` that are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) state: char,
    /// 0 where it is outside the pid namespace; so are group and session.
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    pub(crate) start: u64,
}

/// The number that a process handle shows in its `fdinfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShownPid {
    /// The number in the namespace of the mounted `/proc`.
    Number(u32),
    /// The process lives in a namespace that cannot be seen from here.
    Outside,
    /// The process has been waited for; the handle leads nowhere.
    Reaped,
}

/// Builds the path of a file of a process.
pub(crate) fn path(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

/// Reads `/proc/PID/stat`; `who` is a number or `self`.
pub(crate) fn stat(who: &str) -> io::Result<Stat> {
    let text = fs::read(format!("/proc/{who}/stat"))?;
    parse_stat(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable process status line"))
}

/// The fields of `/proc/PID/stat` from the third one on. The name in parentheses may hold anything, so the fields are
/// counted from the last closing parenthesis (proc(5)).
fn fields(text: &[u8]) -> Option<impl Iterator<Item = &str>> {
    let end = text.iter().rposition(|byte| *byte == b')')?;
    Some(str::from_utf8(text.get(end + 1..)?).ok()?.split_ascii_whitespace())
}

fn parse_stat(text: &[u8]) -> Option<Stat> {
    let mut fields = fields(text)?;
    let state = fields.next()?.chars().next()?;
    // Fields 4 to 6 of the line, then 22; the state is field 3.
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let start = fields.nth(15)?.parse().ok()?;
    Some(Stat { state, parent, group, session, start })
}

/// Reads the line `key:` of `/proc/PID/status`.
pub(crate) fn status_field(pid: u32, key: &str) -> Option<String> {
    let text = fs::read_to_string(path(pid, "status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Reads the number behind a process handle.
pub(crate) fn shown_pid(handle: BorrowedFd<'_>) -> io::Result<ShownPid> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd()))?;
    let shown = text.lines().find_map(|line| line.strip_prefix("Pid:")).map(str::trim);
    match shown {
        Some("-1") => Ok(ShownPid::Reaped),
        Some("0") => Ok(ShownPid::Outside),
        Some(number) => number
            .parse()
            .map(ShownPid::Number)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "unreadable number in a process handle")),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "descriptor is not a process handle")),
    }
}

/// Lists the numbers of all processes that `/proc` shows, in no order.
pub(crate) fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The effective user of a process, as the owner of its directory.
pub(crate) fn owner(pid: u32) -> Option<u32> {
    Some(fs::metadata(format!("/proc/{pid}")).ok()?.uid())
}

/// The inode of the socket that a descriptor in `/proc/PID/fd` leads to.
pub(crate) fn socket_behind(descriptor: &Path) -> Option<u64> {
    let target = fs::read_link(descriptor).ok()?;
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Whether a process has one of these sockets open; `false` also where the caller may not look into the process.
#[must_use]
pub fn has_socket(pid: u32, inodes: &[u64]) -> bool {
    let Ok(entries) = fs::read_dir(path(pid, "fd")) else { return false };
    let mut sockets = entries.filter_map(|entry| socket_behind(&entry.ok()?.path()));
    sockets.any(|inode| inodes.contains(&inode))
}

/// The inodes of the sockets that a process has open.
pub(crate) fn sockets_of(pid: u32) -> io::Result<Vec<u64>> {
    let entries = fs::read_dir(path(pid, "fd"))?;
    Ok(entries.filter_map(|entry| socket_behind(&entry.ok()?.path())).collect())
}

/// The namespace of this kind (`mnt`, `net`, `pid`) that a process is in, as the inode that names it; `who` is a number
/// or `self`.
pub(crate) fn namespace(who: &str, kind: &str) -> io::Result<u64> {
    Ok(fs::metadata(format!("/proc/{who}/ns/{kind}"))?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line = b"42 (a) R (b) S 7 42 41 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 123456 1 2 3";
        let stat = parse_stat(line).expect("the line is whole");
        assert_eq!(
            (stat.state, stat.parent, stat.group, stat.session, stat.start),
            ('S', 7, 42, 41, 123_456)
        );
    }

    #[test]
    fn a_cut_line_is_not_read() {
        assert!(parse_stat(b"42 (a) S 7 42").is_none());
        assert!(parse_stat(b"").is_none());
    }
}
