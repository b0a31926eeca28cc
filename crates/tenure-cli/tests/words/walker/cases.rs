//! The cases of the walker: for each state of the answer table what brings a worker there, and the call that ends in it.

mod descriptions;
mod failures;
mod obstacles;
mod successes;

use super::world::{Line, Way, World};

/// One way into a state.
pub(super) struct Case {
    pub(super) state: &'static str,
    /// The situation, for the message of a test that fails.
    pub(super) what: &'static str,
    /// Brings the world there, and returns the call that ends in the state.
    pub(super) make: fn(&mut World) -> Line,
    /// What the words ask a person to do before the command is typed.
    pub(super) repair: Option<fn(&mut World)>,
    /// Ways that do not lead there, with the reason.
    pub(super) except: &'static [(Way, &'static str)],
    /// Parts of commands that must be among those that are printed.
    pub(super) prints: &'static [&'static str],
    /// The call names no worker, so one way is enough.
    pub(super) once: bool,
}

impl Case {
    const fn of(state: &'static str, what: &'static str, make: fn(&mut World) -> Line) -> Self {
        Self { state, what, make, repair: None, except: &[], prints: &[], once: false }
    }

    const fn repair(self, repair: fn(&mut World)) -> Self {
        Self { repair: Some(repair), ..self }
    }

    const fn except(self, except: &'static [(Way, &'static str)]) -> Self {
        Self { except, ..self }
    }

    const fn prints(self, prints: &'static [&'static str]) -> Self {
        Self { prints, ..self }
    }

    const fn once(self) -> Self {
        Self { once: true, ..self }
    }
}

/// Why a call by the name that `list` shows does not get there.
const NO_DESCRIPTION: (Way, &str) = (Way::Listed, "it brings no description, and uses the one on record");

/// Ways in which no project's file describes the worker.
const NO_PROJECT: &[(Way, &str)] = &[
    (Way::User, "files of the user need no trust"),
    (Way::Config, "a file that is named needs no trust"),
    (Way::Stdin, "a description that is given needs no trust"),
    (Way::Call, "a command line needs no trust"),
    (Way::Beside, "a command line needs no trust"),
];

/// Every case.
pub(super) fn cases() -> Vec<Case> {
    let all = [successes::CASES, failures::CASES, descriptions::CASES, obstacles::CASES];
    all.into_iter().flatten().map(|case| Case { ..*case }).collect()
}
