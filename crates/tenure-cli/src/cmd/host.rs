//! `tenure host`: the worker in the name of a program, as a launcher starts it.
//!
//! All that it needs comes from that launcher through inherited descriptors, so it is of no use when it is typed.

use tenure_worker::{Standby, host};

use crate::answer::AnswerState;
use crate::output::failure::Failure;

/// Keeps the program until it is over; the exit code.
pub(crate) fn run() -> Result<u8, Failure> {
    match Standby::adopt() {
        Ok(Some(standby)) => Ok(host::run(standby)),
        Ok(None) => {
            let message =
                "keep a program: `tenure host` is started by `tenure ensure`, which hands over what it needs";
            Err(Failure::new(AnswerState::WrongUse, message)
                .hint("`tenure ensure NAME -- CMD…` starts a program"))
        }
        Err(error) => Err(Failure::because(AnswerState::SpawnFailed, &error)),
    }
}
