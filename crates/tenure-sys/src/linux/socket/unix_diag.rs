//! Local sockets that listen, asked of the kernel by `sock_diag(7)`: which file each of them has, and whose it is.
//!
//! The file decides and not its name: a socket that was renamed after it was bound keeps its old name in the kernel,
//! and a name that another socket has taken leads elsewhere. Only sockets of this network namespace are seen.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::owner::{ListeningSocket, pids_of};
use super::sock_diag::{ESTABLISHED, HEADER, LISTEN, SockDiag, half, word};

/// `UDIAG_SHOW_VFS`, `UDIAG_SHOW_PEER`, `UDIAG_SHOW_ICONS`, `UDIAG_SHOW_RQLEN` and `UDIAG_SHOW_UID` of
/// `linux/unix_diag.h`; the last is not known before Linux 5.3.
const SHOW: u32 = 2 | 4 | 8 | 16 | 64;

/// `UNIX_DIAG_VFS`, `UNIX_DIAG_PEER`, `UNIX_DIAG_ICONS` (whose connections nobody has accepted), `UNIX_DIAG_RQLEN` (of
/// which the first number counts waiting connections) and `UNIX_DIAG_UID`.
const FILE: u16 = 1;
const OTHER_END: u16 = 2;
const QUEUED: u16 = 3;
const QUEUE: u16 = 4;
const UID: u16 = 7;

/// Where `udiag_ino` stands in an answer, and where its attributes begin.
const INODE: usize = HEADER + 4;
const ATTRIBUTES: usize = HEADER + 16;

/// A local socket that listens, or is connected.
struct LocalSocket {
    inode: u64,
    /// The inodes of the sockets at its other end, and of those whose connections wait here; 0 where no process has one
    /// open.
    others: Vec<u64>,
    /// The lower half of the inode of its file; `None` for a name that is no file.
    file: Option<u32>,
    uid: Option<u32>,
    /// Connections that nobody has accepted.
    waiting: u32,
}

/// Lists the sockets that listen at the path: those whose file stands there now. Empty also where the kernel may not be
/// asked.
#[must_use]
pub fn listening_at(path: &Path) -> Vec<ListeningSocket> {
    let Ok(standing) = std::fs::symlink_metadata(path) else { return Vec::new() };
    let found = listeners().unwrap_or_default().into_iter();
    let here = found.filter(|socket| socket.file == Some(lower_half(standing.ino())));
    here.map(|socket| ListeningSocket {
        uid: socket.uid.unwrap_or_else(|| standing.uid()),
        inode: socket.inode,
        waiting: socket.waiting,
    })
    .collect()
}

/// Lists every process that has a socket open which listens at the path, lowest number first; processes of other users
/// are not visible.
#[must_use]
pub fn listener_pids_at(path: &Path) -> Vec<u32> {
    let inodes: Vec<u64> = listening_at(path).iter().map(|socket| socket.inode).collect();
    pids_of(&inodes)
}

/// Whether the path leads to this listening socket; `None` where the kernel may not be asked.
#[must_use]
pub fn leads_to(path: &Path, listener: BorrowedFd<'_>) -> Option<bool> {
    let own = crate::linux::file::dir::fstat(listener).ok()?;
    let Ok(standing) = std::fs::symlink_metadata(path) else { return Some(false) };
    let found = listeners().ok()?;
    Some(
        found.iter().any(|socket| socket.inode == own.ino && socket.file == Some(lower_half(standing.ino()))),
    )
}

/// The connections by the socket whose file stands at the path, as the inodes of the sockets at their other ends. A
/// socket that was accepted has the file of the one that listens (`unix_stream_connect`), which itself names those that
/// nobody has accepted. Empty also where nothing stands at the path.
pub(super) fn connections_at(path: &Path) -> io::Result<Vec<u64>> {
    let standing = match std::fs::symlink_metadata(path) {
        Ok(standing) => lower_half(standing.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let found = sockets(ESTABLISHED | LISTEN)?.into_iter();
    let others = found.filter(|socket| socket.file == Some(standing)).flat_map(|socket| socket.others);
    Ok(others.filter(|other| *other != 0).collect())
}

fn listeners() -> io::Result<Vec<LocalSocket>> {
    sockets(LISTEN)
}

fn sockets(states: u32) -> io::Result<Vec<LocalSocket>> {
    let mut found = Vec::new();
    SockDiag::new()?.dump(&question(states), |answer| {
        found.push(local_socket(answer)?);
        Some(())
    })?;
    Ok(found)
}

/// `struct unix_diag_req`.
fn question(states: u32) -> Vec<u8> {
    let family = u8::try_from(libc::AF_UNIX).unwrap_or(0);
    let mut bytes = vec![family, 0, 0, 0];
    bytes.extend(states.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(SHOW.to_ne_bytes());
    // No cookie: any socket.
    bytes.extend([0xff; 8]);
    bytes
}

fn local_socket(answer: &[u8]) -> Option<LocalSocket> {
    let inode = u64::from(word(answer, INODE)?);
    let mut found = LocalSocket { inode, others: Vec::new(), file: None, uid: None, waiting: 0 };
    let mut rest = answer.get(ATTRIBUTES..)?;
    // `struct rtattr`: length with this head, kind, value; aligned to four bytes.
    while let (Some(length), Some(kind)) = (half(rest, 0), half(rest, 2)) {
        let value = rest.get(4..usize::from(length)).unwrap_or_default();
        match kind {
            FILE => found.file = word(rest, 4),
            OTHER_END | QUEUED => {
                let inodes = value.chunks_exact(4).filter_map(|inode| word(inode, 0));
                found.others.extend(inodes.map(u64::from));
            }
            QUEUE => found.waiting = word(rest, 4).unwrap_or(0),
            UID => found.uid = word(rest, 4),
            _ => {}
        }
        let length = usize::from(length).max(4).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
    }
    Some(found)
}

/// The kernel tells the inode of a file in 32 bits here.
fn lower_half(inode: u64) -> u32 {
    u32::try_from(inode & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_listener_is_found_by_its_file_under_whatever_name() {
        let place = tempfile::tempdir().expect("a directory");
        let (first, second) = (place.path().join("first"), place.path().join("second"));
        let listener = UnixListener::bind(&first).expect("a free name");
        std::fs::rename(&first, &second).expect("one directory");
        assert_eq!(leads_to(&second, listener.as_fd()), Some(true));
        assert_eq!(leads_to(&first, listener.as_fd()), Some(false));
        let found = listening_at(&second);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].uid, crate::linux::machine::user::effective_uid());

        let other = UnixListener::bind(&first).expect("a free name");
        std::fs::rename(&first, &second).expect("one directory");
        assert_eq!(leads_to(&second, listener.as_fd()), Some(false));
        assert_eq!(leads_to(&second, other.as_fd()), Some(true));
        drop((listener, other));
        assert_eq!(listening_at(&second), []);
    }
}
