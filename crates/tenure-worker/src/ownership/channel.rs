//! The worker's end of the socket pair that its launcher gave it: the handshake, the go, and one report.
//!
//! A launcher that has died is an end of file, never an error: the worker goes on without it. Nothing here blocks after
//! the go; a report to a launcher that does not read is lost and not waited for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use tenure_core::launch::start::handshake::{GO, Handshake, LONGEST_MESSAGE, Report};
use tenure_sys::{pipe, socket};

/// The channel; closed by its one report.
#[derive(Debug)]
pub(crate) struct Channel(Mutex<Option<OwnedFd>>);

/// Why there is no handshake.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The socket cannot be read.
    #[error("read from the launcher")]
    Read(#[source] io::Error),
    /// It has no handshake on it.
    #[error("read the launcher's handshake: there is none")]
    NoHandshake,
    /// What it has is no handshake.
    #[error("understand the launcher's handshake")]
    Json(#[source] serde_json::Error),
}

/// How the wait for the go ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Go {
    /// The launcher has recorded us; the ledger is ours.
    Given,
    /// The launcher is gone; whether it has recorded us is not known.
    LauncherGone,
}

impl Channel {
    /// Takes the channel and reads the handshake, which was sent before this process was started.
    pub(crate) fn open(fd: OwnedFd) -> Result<(Self, Handshake), ChannelError> {
        let received = socket::recv_long(fd.as_fd(), LONGEST_MESSAGE).map_err(ChannelError::Read)?;
        if received.is_empty() {
            return Err(ChannelError::NoHandshake);
        }
        let handshake = serde_json::from_slice(&received).map_err(ChannelError::Json)?;
        Ok((Self(Mutex::new(Some(fd))), handshake))
    }

    /// Waits for the go. Messages that this build does not know are passed over. The boot watchdog bounds the wait: a
    /// launcher that is stopped here holds the gate, and everyone is told so.
    pub(crate) fn await_go(&self) -> Result<Go, ChannelError> {
        let fd = {
            let place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A duplicate, so that the watchdog can report during this wait.
            place.as_ref().map(OwnedFd::try_clone).transpose().map_err(ChannelError::Read)?
        };
        let Some(fd) = fd else { return Ok(Go::LauncherGone) };
        loop {
            match socket::recv_long(fd.as_fd(), LONGEST_MESSAGE) {
                Ok(received) if received == GO => return Ok(Go::Given),
                Ok(received) if received.is_empty() => return Ok(Go::LauncherGone),
                Ok(_) => {}
                Err(error) => return Err(ChannelError::Read(error)),
            }
        }
    }

    /// Sends the one report to the launcher and closes the channel. `false` when the launcher is gone or does not read,
    /// or when a report was sent before.
    pub(crate) fn report(&self, report: &Report) -> bool {
        let fd = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(fd), Ok(bytes)) = (fd, serde_json::to_vec(report)) else { return false };
        pipe::set_nonblocking(fd.as_fd(), true).is_ok() && socket::send_long(fd.as_fd(), &bytes).is_ok()
    }

    /// Whether no report was sent yet.
    pub(crate) fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> (OwnedFd, Channel) {
        let (ours, theirs) = socket::pair().expect("a pair");
        (ours, Channel(Mutex::new(Some(theirs))))
    }

    #[test]
    fn a_go_is_told_apart_from_a_launcher_that_died() {
        let (launcher, channel) = channel();
        socket::send(launcher.as_fd(), b"something of a later build", &[]).expect("room");
        socket::send(launcher.as_fd(), GO, &[]).expect("room");
        assert_eq!(channel.await_go().expect("reads"), Go::Given);
        drop(launcher);
        assert_eq!(channel.await_go().expect("reads"), Go::LauncherGone);
    }

    #[test]
    fn one_report_is_told_and_the_next_is_not() {
        let (launcher, channel) = channel();
        let report = Report::Failed { stage: "s".into(), message: "m".into(), since: None, not_ready: None };
        assert!(channel.report(&report));
        assert!(!channel.report(&report) && !channel.is_open());
        let received = socket::recv(launcher.as_fd(), LONGEST_MESSAGE).expect("reads");
        assert_eq!(serde_json::from_slice::<Report>(&received.bytes).expect("a report"), report);
    }

    #[test]
    fn a_report_to_nobody_is_not_heard() {
        let (launcher, channel) = channel();
        drop(launcher);
        assert!(!channel.report(&Report::Failed {
            stage: "s".into(),
            message: "m".into(),
            since: None,
            not_ready: None
        }));
    }

    #[test]
    fn a_channel_without_a_handshake_is_named() {
        let (launcher, theirs) = socket::pair().expect("a pair");
        socket::send(launcher.as_fd(), b"{}", &[]).expect("room");
        assert!(matches!(Channel::open(theirs), Err(ChannelError::Json(_))));
        let (launcher, theirs) = socket::pair().expect("a pair");
        drop(launcher);
        assert!(matches!(Channel::open(theirs), Err(ChannelError::NoHandshake)));
    }
}
