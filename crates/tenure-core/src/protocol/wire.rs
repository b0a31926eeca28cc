//! The control wire, version 1: frozen frames between any two versions of `tenure`.
//!
//! A frame is the byte 1, a 32-bit big-endian length and that many bytes of JSON. Readers accept fields that they do not
//! know and refuse verbs that they do not know, so that old and new can always say HELLO and STOP to each other.
//! Encoding only: who connects and who waits is elsewhere.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use semver::Version;
use serde::{Deserialize, Serialize};
use tenure_sys::identity::Identity;

use crate::protocol::ends::End;
use crate::spec::Summary;

mod takeover;

pub use takeover::{Abort, Active, DESCRIPTORS_A_FRAME, Granted, MOST_DESCRIPTORS, Prepare, Prepared};

/// First byte of every frame.
pub const WIRE_VERSION: u8 = 1;

/// Longest frame in bytes: a HELLO with hundreds of listeners fits, and a hostile peer costs no more than this.
pub const LONGEST_FRAME: u32 = 256 * 1024;

/// Bytes before the JSON of a frame.
pub const HEADER: usize = 5;

/// The protocol versions that this build speaks.
pub const PROTOCOL: ProtocolRange = ProtocolRange { min: 1, max: 1 };

/// A closed range of protocol versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProtocolRange {
    /// Oldest version spoken.
    pub min: u32,
    /// Newest version spoken.
    pub max: u32,
}

impl ProtocolRange {
    /// Whether both sides have a version in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// What a peer asks of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ControlRequest {
    /// Who are you, and how are you? Answered with [`Answer::Hello`].
    Hello,
    /// Answer HELLO as soon as `until` holds, or when `within_ms` has passed.
    Wait {
        /// What is waited for.
        until: Until,
        /// Longest wait in milliseconds.
        within_ms: u64,
        /// And not before its probation is over, where it is on one.
        #[serde(default, skip_serializing_if = "is_false")]
        proved: bool,
    },
    /// End: drain, then exit. Answered with [`Answer::Stopping`]; the end itself is the end of the connection.
    Stop {
        /// Why, for events and logs.
        reason: String,
        /// Milliseconds until the worker must be gone.
        deadline_ms: u64,
        /// Who asks.
        by: Asker,
        /// Only a worker on probation is to end: the one before it takes the scope back, and nothing has failed.
        #[serde(default, skip_serializing_if = "is_false")]
        back: bool,
    },
    /// Hand over: from a successor that stands by. Answered with [`Answer::Prepared`].
    Prepare(Box<Prepare>),
    /// Stop serving. Answered with [`Answer::Granted`].
    Commit,
    /// The successor serves. Not answered.
    Active(Active),
    /// The successor gives up. Not answered.
    Abort(Abort),
}

/// What a WAIT waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// The app is ready, degraded or failed: anything but booting or backing off.
    Settled,
    /// The generation is greater than this one, and the app is settled.
    GenerationAbove(u64),
}

/// Who asked for something: for events, never for a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asker {
    /// Process id at the time.
    pub pid: u32,
    /// Its command line, shortened.
    pub command: String,
    /// The version that it offers, where it offers one.
    pub version: Option<Version>,
}

/// What a worker answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// To HELLO and WAIT.
    Hello(Box<Hello>),
    /// To STOP.
    Stopping {
        /// Milliseconds within which the worker will be gone.
        within_ms: u64,
    },
    /// To PREPARE; the first descriptors come with it.
    Prepared(Prepared),
    /// More descriptors of the same hand-over.
    Descriptors {
        /// How many come with this frame.
        count: usize,
    },
    /// To COMMIT; the descriptor of the state comes with it.
    Granted(Granted),
    /// To anything that cannot be done.
    Refused {
        /// Why, as a lowercase fragment.
        why: String,
        /// To PREPARE or COMMIT: it goes on serving, and is not to be ended for this.
        #[serde(default, skip_serializing_if = "is_false")]
        goes_on: bool,
    },
}

impl Answer {
    /// It cannot be done.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), goes_on: false }
    }

    /// It cannot be done now, and whoever says so goes on serving.
    #[must_use]
    pub fn goes_on(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), goes_on: true }
    }
}

/// A worker's own account of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The scope and the path of its state directory: [`crate::spec::scope::Scope::id`]. Where it agrees, this is OUR worker.
    pub scope: String,
    /// The scope and the id of its state directory itself ([`crate::record::directory_id`]), where the directory has one: a directory
    /// that is reached by another path is still the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Fencing token of this activation.
    pub generation: u64,
    /// Place in the lineage.
    pub role: Role,
    /// The version that it was started as.
    pub version: Version,
    /// Version of the `tenure` code that answers.
    pub build: String,
    /// Protocol versions spoken.
    pub protocol: ProtocolRange,
    /// The worker process.
    pub identity: Identity,
    /// Random for each activation.
    pub instance: String,
    /// Path of the worker's executable.
    pub worker_path: String,
    /// Milliseconds since the worker process started.
    pub uptime_ms: u64,
    /// Who started it.
    pub started_by: Asker,
    /// Where it serves.
    pub endpoints: Vec<Endpoint>,
    /// State of the app.
    pub app: App,
    /// It has announced its end.
    pub draining: bool,
    /// What it was started from.
    pub spec: Summary,
    /// The wrapped program, where there is one.
    pub program: Option<ProgramStatus>,
    /// Digest of the build that it runs ([`crate::spec::Spec::build`]), where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The files of its build have changed since it was started, or may have: whoever would act on it reads them again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub source_changed: bool,
    /// It answers PREPARE: a successor can take its place while it serves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hands_over: bool,
    /// It serves on probation: until that is over, the worker before it can take the scope back, and nobody takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probation: Option<Probation>,
}

/// The probation of a worker that took another one's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probation {
    /// Milliseconds that are left of it. At 0 the word of the worker before it is still awaited.
    pub left_ms: u64,
    /// Milliseconds since it began; left out by a worker of an older build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// The version that serves again if this worker fails, or is sent back.
    pub before: Version,
}

impl Hello {
    /// The version that counts: what the app says of itself, else what it was started as.
    #[must_use]
    pub fn stands_as(&self) -> &Version {
        self.app.version.as_ref().unwrap_or(&self.version)
    }

    /// Whether it has announced its end, or made room for a successor: whoever wants a worker looks again.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.draining || matches!(self.role, Role::Draining | Role::Committed)
    }
}

/// For fields that are left out where they say nothing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Place of a worker in its lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Started, not yet serving.
    Booting,
    /// Started beside a worker that serves, to take its place.
    Standby,
    /// Serves.
    Active,
    /// Has made room for a successor, and goes on if that fails.
    Committed,
    /// Has announced its end and no longer accepts.
    Draining,
}

/// State of the app behind a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct App {
    /// Up is not ready.
    pub state: AppState,
    /// Why it is in this state, where that is not plain.
    pub reason: Option<String>,
    /// Milliseconds since an embedded app's runtime last answered, once that is longer than it should be.
    pub stalled_for_ms: Option<u64>,
    /// Named checks and their last results.
    pub checks: Vec<Check>,
    /// The version that the app says it is, where it says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

/// Whether the app serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppState {
    /// Not ready yet.
    #[default]
    Booting,
    /// Serves.
    Ready,
    /// Serves, but a check fails.
    Degraded,
    /// Its program ended; the host will start it again.
    BackOff,
    /// It will not serve again by itself.
    Failed,
}

/// A named check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What is checked.
    pub name: String,
    /// Whether it passed the last time.
    pub ok: bool,
    /// What it said.
    pub detail: String,
}

/// An address that serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The listener's name in the spec.
    pub name: String,
    /// Its address, port resolved.
    pub tcp: SocketAddr,
}

/// The program under a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// The program process, while it runs.
    pub identity: Option<Identity>,
    /// Starts within this generation.
    pub starts: u32,
    /// How it last ended, where it has.
    pub last_exit: Option<String>,
    /// The last end within this generation after which it was started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<Box<End>>,
}

/// A frame that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection failed or ended early.
    #[error("read or write a control frame")]
    Io(#[source] io::Error),
    /// The peer closed the connection between two frames.
    #[error("read a control frame: the peer closed the connection")]
    Closed,
    /// The first byte is not ours.
    #[error("read a control frame: its first byte is {found}, not {WIRE_VERSION}")]
    Version {
        /// The byte found.
        found: u8,
    },
    /// The length is beyond the limit.
    #[error("read a control frame of {length} bytes: the limit is {LONGEST_FRAME}")]
    TooLong {
        /// The length announced.
        length: u32,
    },
    /// The JSON is not a message.
    #[error("read a control frame as a message")]
    Json(#[source] serde_json::Error),
}

/// The bytes of one frame.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, WireError> {
    let mut frame = vec![WIRE_VERSION, 0, 0, 0, 0];
    serde_json::to_writer(&mut frame, message).map_err(WireError::Json)?;
    let length = u32::try_from(frame.len() - HEADER).unwrap_or(u32::MAX);
    if length > LONGEST_FRAME {
        return Err(WireError::TooLong { length });
    }
    frame[1..HEADER].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// The length that a header announces.
pub fn body_length(header: [u8; HEADER]) -> Result<usize, WireError> {
    let [version, length @ ..] = header;
    if version != WIRE_VERSION {
        return Err(WireError::Version { found: version });
    }
    let length = u32::from_be_bytes(length);
    if length > LONGEST_FRAME {
        return Err(WireError::TooLong { length });
    }
    Ok(length as usize)
}

/// Writes one frame.
pub fn write(stream: &mut impl Write, message: &impl Serialize) -> Result<(), WireError> {
    stream.write_all(&encode(message)?).map_err(WireError::Io)
}

/// Reads one frame. A stream that ends before its first byte is [`WireError::Closed`].
pub fn read<T: for<'de> Deserialize<'de>>(stream: &mut impl Read) -> Result<T, WireError> {
    let mut header = [0u8; HEADER];
    let first = loop {
        match stream.read(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other.map_err(WireError::Io)?,
        }
    };
    if first == 0 {
        return Err(WireError::Closed);
    }
    stream.read_exact(&mut header[first..]).map_err(WireError::Io)?;
    let mut body = vec![0u8; body_length(header)?];
    stream.read_exact(&mut body).map_err(WireError::Io)?;
    serde_json::from_slice(&body).map_err(WireError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back() {
        let request = ControlRequest::Wait { until: Until::GenerationAbove(7), within_ms: 10, proved: true };
        let frame = encode(&request).expect("encodes");
        assert_eq!(read::<ControlRequest>(&mut frame.as_slice()).expect("reads"), request);
    }

    #[test]
    fn the_frozen_form_of_the_requests() {
        let text = |request: &ControlRequest| serde_json::to_string(request).expect("writes");
        assert_eq!(text(&ControlRequest::Hello), r#"{"op":"hello"}"#);
        let wait = ControlRequest::Wait { until: Until::Settled, within_ms: 5, proved: false };
        assert_eq!(text(&wait), r#"{"op":"wait","until":"settled","within_ms":5}"#);
        let stop: ControlRequest =
            serde_json::from_str(r#"{"op":"stop","reason":"r","deadline_ms":1,"by":{},"new_field":1}"#)
                .expect("reads");
        let by = Asker::default();
        assert_eq!(stop, ControlRequest::Stop { reason: "r".into(), deadline_ms: 1, by, back: false });
    }

    #[test]
    fn hostile_frames_are_named_and_cost_nothing() {
        let read = |bytes: &[u8]| read::<ControlRequest>(&mut &bytes[..]).expect_err("hostile");
        assert!(matches!(read(&[]), WireError::Closed));
        assert!(matches!(read(b"GET / HTTP/1.1"), WireError::Version { found: b'G' }));
        assert!(matches!(read(&[1, 255, 255, 255, 255]), WireError::TooLong { .. }));
        assert!(matches!(read(&[1, 0, 0, 0, 2, b'x', b'y']), WireError::Json(_)));
        assert!(matches!(read(&[1, 0, 0, 0, 9, b'{']), WireError::Io(_)));
        let unknown = encode(&serde_json::json!({"op": "format_disk"})).expect("encodes");
        assert!(matches!(read(&unknown), WireError::Json(_)));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(0u8.., 0..64)) {
            drop(read::<ControlRequest>(&mut bytes.as_slice()));
        }
    }
}
