//! `notify`: the socket of `sd_notify(3)`, to which a program sends that it is ready, its version, and how it is.
//!
//! It is a file in the scope's directory, which only our user can enter: whoever can write to it may as well signal the
//! program. It is removed with its owner. One that a dead host left is removed by the next host, and at the end of a
//! host beside which that one died.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tenure_core::os_text;
use tenure_core::store::paths::StateDir;
use tenure_sys::discard::best_effort;

use super::kind::{ReadinessKind, ReadinessMessage};

/// Names the socket.
pub(in crate::host) const NOTIFY_VARIABLE: &str = "NOTIFY_SOCKET";

/// How its name begins; the generation follows.
const NAME: &str = "notify.";

/// Longest path of a socket without its end mark (unix(7)).
const PATH_LIMIT: usize = 107;

/// Longest message: systemd takes 4 KiB.
const LONGEST: usize = 4096;

/// The socket.
#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: UnixDatagram,
    /// What `NOTIFY_SOCKET` is to say.
    address: PathBuf,
    path: PathBuf,
    state: StateDir,
}

impl ReadinessKind for NotifySocket {
    fn awaited(&self) -> (String, &'static str) {
        ("READY=1 on NOTIFY_SOCKET".to_owned(), "did not arrive")
    }

    fn variable(&self, _descriptor: usize) -> Option<(&'static str, String)> {
        Some((NOTIFY_VARIABLE, os_text::text(self.address.as_os_str())))
    }

    fn begin(&mut self) {
        self.take_messages();
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn read(&mut self) -> Vec<ReadinessMessage> {
        self.take_messages()
    }
}

impl NotifySocket {
    /// Binds the socket of this generation. Only for a holder of the lease: a worker that makes room for another one
    /// keeps its own.
    pub(super) fn bind(state: &StateDir, generation: u64) -> io::Result<Self> {
        remove_dead(state)?;
        let name = format!("{NAME}{generation}");
        let own = StateDir::at(state.path(), state.scope()).map_err(io::Error::other)?;
        let (path, address) = (state.path().join(&name), reachable(state, &name));
        let socket = UnixDatagram::bind(&address)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address, path, state: own })
    }

    /// Takes all messages that the program has sent, in their order.
    fn take_messages(&self) -> Vec<ReadinessMessage> {
        let mut messages = Vec::new();
        let mut message = vec![0_u8; LONGEST];
        while let Ok(count) = self.socket.recv(&mut message) {
            messages.extend(parse(message.get(..count).unwrap_or_default()));
        }
        messages
    }
}

impl Drop for NotifySocket {
    /// Also removes the socket of a successor that was killed beside this worker: perhaps no later worker comes.
    fn drop(&mut self) {
        best_effort(std::fs::remove_file(&self.path));
        best_effort(remove_dead(&self.state));
    }
}

/// Removes the sockets of workers that are gone.
fn remove_dead(state: &StateDir) -> io::Result<()> {
    for name in state.dir().names()? {
        if name.to_str().is_some_and(|name| name.starts_with(NAME) && is_dead(&reachable(state, name))) {
            state.dir().remove(&name)?;
        }
    }
    Ok(())
}

/// A path by which the program reaches a socket as well as we do: a long one goes through our open directory.
fn reachable(state: &StateDir, name: &str) -> PathBuf {
    let path = state.path().join(name);
    if path.as_os_str().len() <= PATH_LIMIT {
        return path;
    }
    let directory = state.dir().as_fd().as_raw_fd();
    Path::new("/proc").join(std::process::id().to_string()).join(format!("fd/{directory}")).join(name)
}

/// Whether nobody has the socket any more. What cannot be asked is left alone.
fn is_dead(path: &Path) -> bool {
    let asked = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    asked.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn parse(message: &[u8]) -> Vec<ReadinessMessage> {
    let text = String::from_utf8_lossy(message);
    let message = |line: &str| match line.split_once('=')? {
        ("READY", "1") => Some(ReadinessMessage::Ready),
        ("STATUS", status) => Some(ReadinessMessage::Status(status.to_owned())),
        // `X_` marks extensions of sd_notify(3), which other readers ignore.
        ("X_TENURE_VERSION", said) => Some(ReadinessMessage::Version(said.to_owned())),
        _ => None,
    };
    text.lines().filter_map(message).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_message_may_tell_several_things_and_some_that_are_not_for_us() {
        let messages = parse(b"STATUS=loading\nMAINPID=7\nREADY=1\n");
        assert_eq!(messages, [ReadinessMessage::Status("loading".into()), ReadinessMessage::Ready]);
        assert_eq!(parse(b"READY=0"), []);
        let versioned = parse(b"READY=1\nX_TENURE_VERSION=v13.6.0");
        assert_eq!(versioned, [ReadinessMessage::Ready, ReadinessMessage::Version("v13.6.0".into())]);
    }

    #[test]
    fn what_is_told_arrives_over_long_paths_too_and_the_file_goes_with_the_socket() {
        let private = || PermissionsExt::from_mode(0o700);
        let root = tempfile::Builder::new().permissions(private()).tempdir().expect("a directory");
        for length in [1, 120] {
            let directory = root.path().join("d".repeat(length));
            std::fs::create_dir(&directory).expect("made");
            std::fs::set_permissions(&directory, private()).expect("private");
            let state = StateDir::at(&directory, &"memory".parse().expect("a scope")).expect("private");
            // As a dead host leaves it: a socket file that no process has open.
            std::fs::write(directory.join("notify.6"), "").expect("written");
            let socket = NotifySocket::bind(&state, 7).expect("bound");
            assert_eq!(socket.variable(3), Some((NOTIFY_VARIABLE, socket.address.display().to_string())));
            let program = UnixDatagram::unbound().expect("a socket");
            program.send_to(b"READY=1", &socket.address).expect("sent");
            assert_eq!(socket.take_messages(), [ReadinessMessage::Ready]);
            assert_eq!(socket.take_messages(), []);
            drop(socket);
            assert_eq!(std::fs::read_dir(&directory).expect("there").count(), 0);
        }
    }
}
