//! One call of the command: the flags that all commands share, applied.
//!
//! Commands ask it for the directory to start from, the budget, the order to the library and the screen.

use std::path::PathBuf;
use std::time::Duration;

use tenure::{DEFAULT_BUDGET, Error, Order};

use crate::answer::State;
use crate::config::{self, Target};
use crate::failure::Failure;
use crate::hint;
use crate::render::Screen;
use crate::words::{By, Common, Wanted};

/// The flags of a call, and where it speaks.
#[derive(Debug)]
pub(crate) struct Call {
    /// The flags.
    pub(crate) common: Common,
    /// Where it speaks.
    pub(crate) screen: Screen,
}

impl Call {
    /// The call that these flags make.
    pub(crate) fn new(common: Common) -> Self {
        let screen = Screen::new(&common);
        Self { common, screen }
    }

    /// The directory to start from.
    pub(crate) fn here(&self) -> Result<PathBuf, Failure> {
        Ok(config::here(self.common.directory.as_deref())?)
    }

    /// The longest time that the call may take.
    pub(crate) fn budget(&self) -> Duration {
        self.common.timeout.map_or(DEFAULT_BUDGET, tenure::amount::Span::duration)
    }

    /// A target as this call may name it: with -C the plain name leads elsewhere from where the caller is.
    fn called(&self, target: Target) -> Target {
        if self.common.directory.is_some() { Target::whole(target.scope) } else { target }
    }

    /// The worker that is wanted.
    pub(crate) fn wanted(&self, words: &Wanted, command: &[String]) -> Result<config::Order, Failure> {
        let config::Order { target, spec } = config::wanted(&self.here()?, words, command)?;
        Ok(config::Order { target: self.called(target), spec })
    }

    /// The worker that is meant.
    pub(crate) fn named(&self, name: &str, by: &By) -> Result<Target, Failure> {
        Ok(self.called(config::target(&self.here()?, name, by)?))
    }

    /// The order to the library. Programs are hosted by this very executable, unless the environment names another.
    pub(crate) fn order(&self, config::Order { target, spec }: config::Order) -> Result<Order, Failure> {
        let order = Order::new(target.scope, spec)
            .map_err(|bad| {
                let remedy = format!("correct `{}`, or unset it where it is a variable", bad.key);
                Failure::because(State::BadConfig, &bad).hint(remedy)
            })?
            .budget(self.budget())
            .no_spawn(self.common.no_daemon);
        let named = std::env::var_os(tenure::program::HOST_VARIABLE).is_some_and(|value| !value.is_empty());
        Ok(match std::env::current_exe() {
            // A file that was replaced while it ran has no path any more; PATH leads to the new one.
            Ok(own) if !named && !own.as_os_str().as_encoded_bytes().ends_with(b" (deleted)") => {
                order.host(own)
            }
            Ok(_) | Err(_) => order,
        })
    }

    /// A failure of the library while it worked for the worker called so.
    pub(crate) fn failed(error: &Error, called: &str) -> Failure {
        Failure::of_library(error).hint(hint::of(error, called))
    }
}
