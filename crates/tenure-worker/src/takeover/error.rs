//! Why a worker cannot take another one's place, and whose fault that is.

use std::io;

use tenure_core::launch::end::orphans::OrphanError;
use tenure_core::launch::start::listen::ListenError;
use tenure_core::store::records::RecordError;

/// Why a takeover is given up whose incumbent sent an answer that its state does not allow.
pub(super) const UNEXPECTED_ANSWER: &str = "it answers something else";

/// This worker cannot take the other one's place.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The worker that serves does not make room; nothing was changed.
    #[error("take over from the worker that serves: {why}")]
    Declined {
        /// Why, as a lowercase fragment.
        why: String,
    },
    /// The worker that serves does not answer. The fault may be this worker's own, so it ends nobody.
    #[error("hear the worker that serves: {why}")]
    NoAnswer {
        /// Why, as a lowercase fragment.
        why: String,
    },
    /// The takeover cannot be completed; the other worker serves on.
    #[error("go on with the takeover: {why}")]
    GivenUp {
        /// Why, as a lowercase fragment.
        why: String,
    },
    /// What the spec listens on cannot be had beside the other worker.
    #[error("take over the listeners")]
    Listen(#[source] ListenError),
    /// The generation cannot be recorded.
    #[error("record the takeover")]
    Record(#[source] RecordError),
    /// Orphans of the other worker's program cannot be ended.
    #[error("take over from a worker that died")]
    Orphan(#[source] OrphanError),
    /// A descriptor cannot be had or used.
    #[error("take over {what}")]
    Io {
        /// What it is.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl TakeoverError {
    /// Whether it is what was to be started that cannot be, rather than what the two had or said to each other.
    #[must_use]
    pub(crate) fn is_of_the_version(&self) -> bool {
        match self {
            Self::Listen(error) => error.is_of_the_spec(),
            Self::Declined { .. }
            | Self::NoAnswer { .. }
            | Self::GivenUp { .. }
            | Self::Record(_)
            | Self::Orphan(_)
            | Self::Io { .. } => false,
        }
    }
}

pub(super) fn broken(what: &'static str) -> impl FnOnce(io::Error) -> TakeoverError {
    move |source| TakeoverError::Io { what, source }
}

pub(super) fn declined(why: impl Into<String>) -> TakeoverError {
    TakeoverError::Declined { why: why.into() }
}

pub(super) fn no_answer(why: impl Into<String>) -> TakeoverError {
    TakeoverError::NoAnswer { why: why.into() }
}

pub(super) fn given_up(why: impl Into<String>) -> TakeoverError {
    TakeoverError::GivenUp { why: why.into() }
}
