//! The control wire, version 1: frozen frames between any two versions of `tenure`.
//!
//! A frame is the byte 1, a 32-bit big-endian length and that many bytes of JSON. Readers accept fields that they do
//! not know and refuse requests that they do not know, so that any two versions can exchange HELLO and STOP. Encoding
//! only: nothing here connects or waits.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

mod hello;
mod takeover;

pub use hello::{
    App, AppState, Asker, Check, Endpoint, Hello, PROTOCOL, Probation, ProgramStatus, ProtocolRange, Role,
};
pub use takeover::{Abort, Active, DESCRIPTORS_A_FRAME, Granted, MOST_DESCRIPTORS, Prepare, Prepared};

/// First byte of every frame.
pub const WIRE_VERSION: u8 = 1;

/// Longest frame in bytes: a HELLO with hundreds of listeners fits, and a hostile peer costs no more than this.
pub const LONGEST_FRAME: u32 = 256 * 1024;

/// Bytes before the JSON of a frame.
pub const HEADER: usize = 5;

/// What a peer asks of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ControlRequest {
    /// Asks for the worker's account of itself. Answered with [`Answer::Hello`].
    Hello {
        /// Whoever asks does not use the worker. A HELLO that does not say so counts as a use.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        look: bool,
    },
    /// Answer HELLO as soon as `until` holds, or when `within_ms` has passed.
    Wait {
        /// What is waited for.
        until: Until,
        /// Longest wait in milliseconds.
        within_ms: u64,
        /// Also wait for the end of its probation, where it is on one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        proved: bool,
    },
    /// Asks the worker to drain and exit. Answered with [`Answer::Stopping`]; the connection ends with the worker.
    Stop {
        /// Why, for events and logs.
        reason: String,
        /// Milliseconds until the worker must be gone.
        deadline_ms: u64,
        /// Who asks.
        by: Asker,
        /// Only a worker on probation is to end, so that the worker before it takes the scope back. This is no failure.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        back: bool,
    },
    /// A successor asks for lease, control socket and listeners. Answered with [`Answer::Prepared`].
    Prepare(Box<Prepare>),
    /// A successor asks the incumbent to stop serving. Answered with [`Answer::Granted`].
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
    /// More descriptors for the same PREPARE.
    Descriptors {
        /// How many come with this frame.
        count: usize,
    },
    /// To COMMIT; the descriptor of the app's state comes with it.
    Granted(Granted),
    /// To a request that cannot be met.
    Refused {
        /// Why, as a lowercase fragment.
        why: String,
        /// To PREPARE or COMMIT: the incumbent goes on serving, and must not be ended for its answer.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        goes_on: bool,
    },
}

impl Answer {
    /// The request cannot be met.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), goes_on: false }
    }

    /// The request cannot be met now, and the incumbent goes on serving.
    #[must_use]
    pub fn goes_on(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), goes_on: true }
    }
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
    /// The first byte is not [`WIRE_VERSION`].
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
        assert_eq!(text(&ControlRequest::Hello { look: false }), r#"{"op":"hello"}"#);
        assert_eq!(text(&ControlRequest::Hello { look: true }), r#"{"op":"hello","look":true}"#);
        let plain: ControlRequest = serde_json::from_str(r#"{"op":"hello","new_field":1}"#).expect("reads");
        assert_eq!(plain, ControlRequest::Hello { look: false });
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
