//! Who loads, and how. Data only.

use std::time::Duration;

/// Who loads, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// Clients with a new connection for every request.
    pub fresh: usize,
    /// Clients that keep their connection.
    pub kept: usize,
    /// Clients that ask for long answers.
    pub streams: usize,
    /// What the first two ask for.
    pub path: String,
    /// What clients with new connections say instead of asking for `path`.
    pub words: Option<Words>,
    /// What answers must look like.
    pub shape: Shape,
    /// Chunks of a long answer.
    pub chunks: u64,
    /// Time between two of them.
    pub every: Duration,
    /// How long a client waits for the next byte.
    pub patience: Duration,
    /// Pause between two requests of a client; none for back to back.
    pub pace: Duration,
}

/// An exchange that is no HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What the client says.
    pub say: Vec<u8>,
    /// What an answer has in it; not empty.
    pub until: Vec<u8>,
}

/// What an answer must look like, besides its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The first line of its body tells the generation.
    Told,
    /// Anything.
    Any,
}

impl Default for Clients {
    /// Eight clients with new connections, four that keep theirs, back to back.
    fn default() -> Self {
        Self {
            fresh: 8,
            kept: 4,
            streams: 0,
            path: "/".to_owned(),
            words: None,
            shape: Shape::Told,
            chunks: 20,
            every: Duration::from_millis(50),
            patience: Duration::from_secs(30),
            pace: Duration::ZERO,
        }
    }
}
