//! Asking a worker over its control socket: connect, HELLO, WAIT, STOP.
//!
//! Waits are the worker's (WAIT is answered when it holds) or the kernel's; nothing here polls. A peer must run as our
//! user, and must answer with our scope's id, or it is not our worker.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tenure_sys::socket::{self, ConnectError};
use tenure_sys::user;

use crate::deadline::{Stage, millis};
use crate::protocol::wire::{self, Answer, Asker, ControlRequest, Hello, Until, WireError};
use crate::store::paths::{StateDir, file};

/// A worker answers at the end of a wait; this lets that answer arrive.
const ANSWER_SLACK: Duration = Duration::from_millis(250);

/// A connection to whoever listens on a scope's control socket.
#[derive(Debug)]
pub struct Connection<'state> {
    stream: UnixStream,
    state: &'state StateDir,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// There is no socket.
    #[error("connect to the worker: there is no control socket")]
    Absent,
    /// There is a socket, and nobody listens on it.
    #[error("connect to the worker: nobody listens on its control socket")]
    Refused,
    /// The kernel does not let us connect: a sandbox, not a dead socket.
    #[error("connect to the worker: the system does not permit it")]
    Denied(#[source] io::Error),
    /// Its queue of connections stayed full: somebody listens, and many ask. Whether it still takes any of them cannot
    /// be told from here.
    #[error("connect to the worker: its queue of connections is full")]
    Busy,
    /// Connected, and no answer in time.
    #[error("get an answer from the worker: it is silent")]
    Silent,
    /// The connection ended before an answer: the worker died, or is about to.
    #[error("get an answer from the worker: it closed the connection")]
    Closed,
    /// The peer runs as another user.
    #[error("trust the control socket: its peer has uid {uid}, not {ours}{hint}", hint = namespace_hint(*uid))]
    OtherUser {
        /// The peer's uid.
        uid: u32,
        /// Our uid.
        ours: u32,
    },
    /// The answer is not one of our worker.
    #[error("trust the control socket: {why}")]
    NotOurs {
        /// What is wrong with the answer.
        why: String,
    },
}

fn namespace_hint(uid: u32) -> &'static str {
    if uid == socket::overflow_uid() {
        " (the overflow uid: one side is in another user namespace)"
    } else {
        ""
    }
}

/// Connects to the control socket of `state`.
pub fn connect(state: &StateDir, stage: Stage) -> Result<Connection<'_>, Silence> {
    let stream =
        socket::connect_unix(state.dir(), file::CONTROL, stage.remaining()).map_err(|error| match error {
            ConnectError::Absent => Silence::Absent,
            ConnectError::Refused => Silence::Refused,
            ConnectError::Denied(source) => Silence::Denied(source),
            ConnectError::Full => Silence::Busy,
            ConnectError::Other(source) => silence(source),
        })?;
    let ours = user::effective_uid();
    match socket::peer_cred(&stream) {
        Ok(peer) if peer.uid == ours => Ok(Connection { stream, state }),
        Ok(peer) => Err(Silence::OtherUser { uid: peer.uid, ours }),
        Err(error) => Err(silence(error)),
    }
}

impl Connection<'_> {
    /// Asks who the worker is and how it is, in order to use it.
    pub fn hello(&mut self, stage: Stage) -> Result<Hello, Silence> {
        self.ask_hello(&ControlRequest::Hello { look: false }, stage.remaining(), Duration::ZERO)
    }

    /// Asks the same without a use of the worker: one that nobody uses does not live longer for it.
    pub fn look(&mut self, stage: Stage) -> Result<Hello, Silence> {
        self.ask_hello(&ControlRequest::Hello { look: true }, stage.remaining(), Duration::ZERO)
    }

    /// Waits until the worker says that `until` holds, or the stage ends. Returns the worker's last answer in both
    /// cases.
    pub fn wait(&mut self, until: Until, stage: Stage) -> Result<Hello, Silence> {
        let within = stage.remaining();
        self.ask_hello(
            &ControlRequest::Wait { until, within_ms: millis(within), proved: false },
            within,
            ANSWER_SLACK,
        )
    }

    /// Waits until the worker has settled and its probation is over, or the stage ends; returns the same.
    pub fn wait_proved(&mut self, stage: Stage) -> Result<Hello, Silence> {
        let within = stage.remaining();
        let request = ControlRequest::Wait { until: Until::Settled, within_ms: millis(within), proved: true };
        self.ask_hello(&request, within, ANSWER_SLACK)
    }

    fn ask_hello(
        &mut self,
        request: &ControlRequest,
        within: Duration,
        slack: Duration,
    ) -> Result<Hello, Silence> {
        match self.ask(request, within.saturating_add(slack))? {
            Answer::Hello(hello) if is_of(&hello, self.state) => Ok(*hello),
            Answer::Hello(hello) => Err(Silence::NotOurs {
                why: format!("it answers for {:?}, not for {:?}", hello.scope, self.state.by_path()),
            }),
            Answer::Refused { why, .. } => Err(Silence::NotOurs { why }),
            Answer::Stopping { .. }
            | Answer::Prepared(_)
            | Answer::Descriptors { .. }
            | Answer::Granted(_) => {
                Err(Silence::NotOurs { why: "it answers something else to HELLO".to_owned() })
            }
        }
    }

    /// Asks the worker to end; returns the time within which it says that it will be gone.
    pub fn stop(
        &mut self,
        reason: &str,
        deadline: Duration,
        by: &Asker,
        stage: Stage,
    ) -> Result<Duration, Silence> {
        self.ask_stop(&stop_request(reason, deadline, by, false), stage)
    }

    /// Asks a worker on probation to end, so that its incumbent takes the scope back; returns the same.
    pub fn send_back(
        &mut self,
        reason: &str,
        deadline: Duration,
        by: &Asker,
        stage: Stage,
    ) -> Result<Duration, Silence> {
        self.ask_stop(&stop_request(reason, deadline, by, true), stage)
    }

    fn ask_stop(&mut self, request: &ControlRequest, stage: Stage) -> Result<Duration, Silence> {
        match self.ask(request, stage.remaining())? {
            Answer::Stopping { within_ms } => Ok(Duration::from_millis(within_ms)),
            Answer::Refused { why, .. } => Err(Silence::NotOurs { why }),
            Answer::Hello(_) | Answer::Prepared(_) | Answer::Descriptors { .. } | Answer::Granted(_) => {
                Err(Silence::NotOurs { why: "it answers something else to STOP".to_owned() })
            }
        }
    }

    fn ask(&mut self, request: &ControlRequest, within: Duration) -> Result<Answer, Silence> {
        // To the kernel a timeout of zero means no timeout.
        let within = within.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(within)).map_err(silence)?;
        self.stream.set_write_timeout(Some(within)).map_err(silence)?;
        wire::write(&mut self.stream, request).map_err(answer_silence)?;
        wire::read(&mut self.stream).map_err(answer_silence)
    }

    /// The socket itself, for a takeover, whose frames this room does not know.
    #[must_use]
    pub fn into_stream(self) -> UnixStream {
        self.stream
    }

    /// The socket, for asking the kernel about the peer.
    #[must_use]
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }
}

fn stop_request(reason: &str, deadline: Duration, by: &Asker, back: bool) -> ControlRequest {
    ControlRequest::Stop { reason: reason.to_owned(), deadline_ms: millis(deadline), by: by.clone(), back }
}

/// Whether the answer comes from the worker of this directory. The path is compared first, because that costs nothing
/// and the socket lies in the directory that was verified. The directory's id is read only where the worker knows the
/// directory by another path.
fn is_of(hello: &Hello, state: &StateDir) -> bool {
    hello.scope == state.by_path()
        || match &hello.directory {
            Some(directory) => Some(directory) == state.own_id().as_ref(),
            // The worker's tenure is too old to know directory ids.
            None => state.cookie_scopes().contains(&hello.scope),
        }
}

impl AsFd for Connection<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of system errors is open, and only these tell something"
)]
fn silence(error: io::Error) -> Silence {
    // EMFILE, ENFILE: this process lacks descriptors, which says nothing about the worker.
    if matches!(error.raw_os_error(), Some(23 | 24)) {
        return Silence::Denied(error);
    }
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Silence::Silent,
        io::ErrorKind::PermissionDenied => Silence::Denied(error),
        io::ErrorKind::ConnectionRefused => Silence::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::NotConnected => Silence::Closed,
        _ => Silence::NotOurs { why: error.to_string() },
    }
}

fn answer_silence(error: WireError) -> Silence {
    match error {
        WireError::Io(source) => silence(source),
        WireError::Closed => Silence::Closed,
        WireError::Version { .. } | WireError::TooLong { .. } | WireError::Json(_) => {
            Silence::NotOurs { why: format!("failed to {error}") }
        }
    }
}
