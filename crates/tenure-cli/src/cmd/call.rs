//! One call of the command: the flags that all commands share, and what commands make of them.
//!
//! Commands ask it for the directory to start from, the budget, the request to the library and the screen.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command};
use tenure_core::deadline::monotonic;
use tenure_core::{DEFAULT_BUDGET, Error, NO_SPAWN_VARIABLE, Request, os_text};

use crate::answer::AnswerState;
use crate::args::{Common, KeyOrFile, WithCommon, WorkerSelection};
use crate::config::{self, ConfigError, ConfigPlaces, ScopeTarget};
use crate::output::failure::Failure;
use crate::output::hint;
use crate::output::progress::Progress;
use crate::output::render::{Screen, printable};

/// The flags of a call, and the screen that it prints to.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) common: Common,
    pub(crate) screen: Screen,
    /// Declares all commands, for what is made from their declaration: the manual and the completions.
    pub(crate) declare: fn() -> Command,
    /// When it began.
    began: Duration,
}

/// What a command does with the arguments that were typed.
pub(crate) trait Run {
    /// Runs the command and prints its outcome. Returns the exit code.
    fn run(&self, call: &Call) -> Result<u8, Failure>;

    /// The flags for all that were typed behind a command below this one.
    fn below(&self) -> Option<Common> {
        None
    }
}

impl<T: Args + Run> WithCommon<T> {
    /// The flags for all that were typed behind the command, and the command.
    pub(crate) fn parts(&self) -> (Common, &dyn Run) {
        let common = self.own.below().map_or_else(|| self.common.clone(), |below| below.or(&self.common));
        (common, &self.own)
    }
}

impl Call {
    /// The call that these flags make.
    pub(crate) fn new(common: Common, declare: fn() -> Command) -> Self {
        let screen = Screen::new(&common);
        Self { common, screen, declare, began: monotonic() }
    }

    /// The directory to start from.
    pub(crate) fn here(&self) -> Result<PathBuf, Failure> {
        Ok(config::here(self.common.directory.as_deref())?)
    }

    /// Where this call looks for configuration.
    pub(crate) fn places(&self) -> Result<ConfigPlaces, Failure> {
        let here = match config::here(self.common.directory.as_deref()) {
            // What needs no directory goes on without one: a worker of that name can be stopped from everywhere.
            Err(ConfigError::DirectoryGone) if self.common.directory.is_none() => None,
            here => Some(here?),
        };
        Ok(ConfigPlaces::of(here)?)
    }

    /// The longest time that the call may take: from --timeout, else from the variable.
    pub(crate) fn budget(&self) -> Result<Duration, Failure> {
        match self.common.timeout {
            Some(timeout) => Ok(timeout.duration()),
            None => Ok(config::timeout()?.unwrap_or(DEFAULT_BUDGET)),
        }
    }

    /// A target as this call may name it: with -C the plain name leads elsewhere from where the caller is.
    fn named_from_caller(&self, target: ScopeTarget) -> ScopeTarget {
        if self.common.directory.is_some() { ScopeTarget::whole(target.scope) } else { target }
    }

    /// The worker that is wanted.
    pub(crate) fn wanted(
        &self,
        selection: &WorkerSelection,
        command: &[String],
    ) -> Result<config::WantedWorker, Failure> {
        let wanted = config::wanted(&self.places()?, selection, command, self.budget()?)?;
        let wanted = self.warned(wanted);
        if wanted.is_recorded {
            let by = wanted
                .origin
                .path()
                .map_or_else(|| "a call".to_owned(), |file| printable(&os_text::text(file.as_os_str())));
            let name = &wanted.target.display_name;
            self.screen
                .info(&format!("{name}: no configuration here describes it; what {by} offered is used"));
        }
        Ok(config::WantedWorker { target: self.named_from_caller(wanted.target), ..wanted })
    }

    /// The worker that is meant. A broken project's file that cannot concern it is told in a warning.
    pub(crate) fn named(&self, name: &str, by: &KeyOrFile) -> Result<ScopeTarget, Failure> {
        let target = config::target_or_passed(&self.places()?, name, by)?;
        Ok(self.named_from_caller(self.warned(target)))
    }

    /// The worker that is meant, where every file can be understood.
    pub(crate) fn named_by_sound_files(&self, name: &str, by: &KeyOrFile) -> Result<ScopeTarget, Failure> {
        Ok(self.named_from_caller(config::target(&self.places()?, name, by)?))
    }

    fn warned<T>(&self, passed: config::Passed<T>) -> T {
        if let Some(warning) = &passed.warning {
            self.screen.warning(&printable(warning));
        }
        passed.found
    }

    /// The request to the library. Programs are hosted by this very executable, unless the environment names another.
    pub(crate) fn request(&self, wanted: config::WantedWorker) -> Result<Request, Failure> {
        let config::WantedWorker {
            target,
            spec,
            origin,
            version_from_file,
            is_recorded: _,
            first_answer,
            wedged_after,
            spent,
        } = wanted;
        let mut request = Request::new(target.scope, spec)
            .map_err(|bad| {
                let remedy = format!("correct `{}`, or unset it where it is a variable", bad.key);
                Failure::because(AnswerState::BadConfig, &bad).hint(remedy)
            })?
            .origin(origin, version_from_file)
            .read_stated(config::read_stated_version)
            .budget(self.budget()?.saturating_sub(spent))
            .no_spawn(self.common.no_spawn);
        if let Some(wait) = first_answer {
            request = request.first_answer(wait.duration());
        }
        if let Some(silence) = wedged_after {
            request = request.wedged_after(silence.duration());
        }
        Ok(match Self::host() {
            Some(host) => request.host(host),
            None => request,
        })
    }

    /// The executable that hosts programs: this very one, unless the environment names another.
    pub(crate) fn host() -> Option<PathBuf> {
        let named = std::env::var_os(tenure_core::spec::program::HOST_VARIABLE)
            .is_some_and(|value| !value.is_empty());
        // A file that was replaced while it ran has no path any more; PATH leads to the new one.
        let there = |own: &PathBuf| !own.as_os_str().as_encoded_bytes().ends_with(b" (deleted)");
        std::env::current_exe().ok().filter(there).filter(|_| !named)
    }

    /// Refuses what would start a worker where that is not allowed, before anything is stopped.
    pub(crate) fn may_start(&self, what: &str) -> Result<(), Failure> {
        let forbidden =
            std::env::var_os(NO_SPAWN_VARIABLE).is_some_and(|value| !value.is_empty() && value != "0");
        if self.common.no_spawn || forbidden {
            let message = format!("{what}: starting a worker is not allowed here");
            return Err(Failure::new(AnswerState::Down, message)
                .hint("leave out --no-daemon, or unset TENURE_NO_SPAWN; nothing was stopped"));
        }
        Ok(())
    }

    /// Runs a call of the library for a worker, and shows on a terminal what it waits for.
    pub(crate) fn wait<T>(
        &self,
        target: &ScopeTarget,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let shown = Progress::of(self.screen, target);
        let ended = work();
        drop(shown);
        ended.map_err(|error| Self::failed(&error, &target.display_name))
    }

    /// How long the call has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        monotonic().saturating_sub(self.began)
    }

    /// The failure of a call of the library for the worker of that display name.
    pub(crate) fn failed(error: &Error, display_name: &str) -> Failure {
        Failure::of_library(error).hint(hint::of(error, display_name))
    }
}
