//! A failed call as people and programs are told of it: one shape for every source of failure.
//!
//! Data only: commands give it a state and a message, `hint` gives the remedy, `render` writes it.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tenure_core::protocol::not_ready::NotReady;
use tenure_core::{Error, ErrorRow, causes};

use crate::answer::AnswerState;
use crate::config::ConfigError;

/// Why a call failed, and what to type next.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The row of the answer table.
    pub(crate) state: AnswerState,
    /// What is told in JSON besides the state.
    pub(crate) body: Box<ErrorBody>,
    /// The reader of stdout has closed it: nothing is printed, and nothing was wrong.
    pub(crate) unheard: bool,
    /// A newer `tenure` that would have an answer.
    pub(crate) newer: Option<PathBuf>,
}

/// The `error` of a JSON document.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorBody {
    /// The kind, finer than the state.
    pub(crate) kind: String,
    /// A fragment that reads after "failed to".
    pub(crate) message: String,
    /// The named stage, where there is one.
    pub(crate) stage: Option<String>,
    /// What lies below the message, outermost first.
    pub(crate) causes: Vec<String>,
    /// The last lines that a failed worker wrote.
    pub(crate) last_words: Vec<String>,
    /// Why the program was not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_ready: Option<NotReady>,
    /// When the next try has a chance.
    pub(crate) retry_after_ms: Option<u64>,
    /// The next command to type, or what to change.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure of ours: `kind` is the state's own word.
    pub(crate) fn new(state: AnswerState, message: impl Into<String>) -> Self {
        let body = ErrorBody {
            kind: state.word().to_owned(),
            message: message.into(),
            stage: None,
            causes: Vec::new(),
            last_words: Vec::new(),
            not_ready: None,
            retry_after_ms: None,
            hint: None,
        };
        Self { state, body: Box::new(body), unheard: false, newer: None }
    }

    /// A failure of ours that `error` caused.
    pub(crate) fn caused(state: AnswerState, message: impl Into<String>, error: &io::Error) -> Self {
        let mut failure = Self::new(state, message);
        failure.body.causes = vec![error.to_string()];
        failure
    }

    /// The failure that `error` is, with what lies below it.
    pub(crate) fn because(state: AnswerState, error: &(dyn StdError + 'static)) -> Self {
        let mut failure = Self::new(state, error.to_string());
        failure.body.causes = causes::of(error).map(ToString::to_string).collect();
        failure
    }

    /// The same, with the remedy.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    /// A write to stdout that failed. A reader that closed the pipe, such as `head`, has what it wanted.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        let mut failure = Self::caused(AnswerState::OutputFailed, "write to stdout", error)
            .hint("redirect stdout to a place with room; what the command did is not undone");
        failure.unheard = error.kind() == io::ErrorKind::BrokenPipe;
        failure
    }

    /// A failure of the library.
    pub(crate) fn of_library(error: &Error) -> Self {
        let mut failure = Self::because(AnswerState::of_kind(error.kind()), error);
        let body = &mut failure.body;
        ErrorRow::of(error.kind()).word.clone_into(&mut body.kind);
        body.stage = error.stage().map(str::to_owned);
        body.last_words = error.last_words().to_vec();
        body.not_ready = error.not_ready().cloned();
        body.retry_after_ms = error.retry_after().map(tenure_core::deadline::millis);
        failure.newer = error.newer_tenure().map(Path::to_owned);
        failure
    }

    /// The same failure where a description is at fault: its state and its remedy.
    pub(crate) fn for_configuration(mut self, wrong: &ConfigError) -> Self {
        self.state = wrong.state();
        self.state.word().clone_into(&mut self.body.kind);
        self.hint(wrong.remedy())
    }

    /// The exit code: of the answer, or what a shell shows for a program that SIGPIPE ended.
    pub(crate) fn exit(&self) -> u8 {
        const SIGPIPE: u8 = 13;
        if self.unheard { 128 + SIGPIPE } else { self.state.exit() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::because(error.state(), &error).hint(error.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_gives_the_code_of_sigpipe() {
        assert_eq!(Failure::of_output(&io::ErrorKind::BrokenPipe.into()).exit(), 141);
        assert_eq!(Failure::of_output(&io::ErrorKind::StorageFull.into()).exit(), 1);
    }
}
