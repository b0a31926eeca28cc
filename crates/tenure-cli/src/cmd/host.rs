//! `tenure host`: the worker that keeps a program, as a launcher starts it.
//!
//! All that it needs comes from that launcher through inherited descriptors, so it is of no use when it is typed.

use clap::Args;
use tenure_worker::{Standby, host};

use crate::answer::AnswerState;
use crate::cmd::call::{Call, Run};
use crate::output::failure::Failure;

/// Keep a program in the foreground; `tenure ensure` starts this.
#[derive(Debug, Args)]
pub(crate) struct Host {
    /// The scope, shown in lists of processes. What counts is the scope in the inherited handshake.
    #[arg(value_name = "NAME")]
    _name: String,
}

impl Run for Host {
    fn run(&self, _: &Call) -> Result<u8, Failure> {
        match Standby::adopt() {
            Ok(Some(standby)) => Ok(host::run(standby)),
            Ok(None) => {
                let message = "keep a program: `tenure host` is started by `tenure ensure`, which hands over what it needs";
                Err(Failure::new(AnswerState::WrongUse, message)
                    .hint("`tenure ensure NAME -- CMD…` starts a program"))
            }
            Err(error) => Err(Failure::because(AnswerState::SpawnFailed, &error)),
        }
    }
}
