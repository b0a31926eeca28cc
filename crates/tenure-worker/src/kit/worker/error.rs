//! Why a worker cannot say that it is ready.

use crate::takeover::TakeoverError;

/// A worker cannot say that it is ready.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// Its end has been announced meanwhile: it should drain and finish.
    #[error("become ready: it was asked to end ({reason})")]
    Stopping {
        /// Why it is to end.
        reason: String,
    },
    /// Another worker serves, and this one cannot take its place: it should end.
    #[error("become ready")]
    Takeover(#[source] TakeoverError),
    /// It takes the place of another worker, and the app says that it is another version than it was started as.
    #[error("become ready: {0}")]
    OtherVersion(String),
}
