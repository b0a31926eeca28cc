//! One call of the command: the flags that all commands share, and what commands make of them.
//!
//! Commands ask it for the directory to start from, the budget, the request to the library and the screen.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Command};
use serde::Serialize;
use tenure_core::deadline::monotonic;
use tenure_core::os_text::shell::word;
use tenure_core::spec::BadSpec;
use tenure_core::{
    DEFAULT_BUDGET, Error, FindDependency, NO_SPAWN_VARIABLE, Request, Scope, causes, os_text,
};

use crate::answer::AnswerState;
use crate::args::{Common, KeyOrFile, WithCommon, WorkerSelection};
use crate::config::{self, Choice, ConfigError, ConfigPlaces, ScopeTarget};
use crate::output::failure::Failure;
use crate::output::hint;
use crate::output::progress::Progress;
use crate::output::render::{self, Screen, WarningBody, printable};

/// The flags of a call, and the screen that it prints to.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) common: Common,
    pub(crate) screen: Screen,
    /// Declares all commands, for what is made from their declaration: the manual and the completions.
    pub(crate) declare: fn() -> Command,
    /// When it began.
    began: Duration,
    /// Warnings of the search for the worker; with --json the document has them.
    warnings: RefCell<Vec<WarningBody>>,
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
        Self { common, screen, declare, began: monotonic(), warnings: RefCell::default() }
    }

    /// The directory to start from.
    pub(crate) fn here(&self) -> Result<PathBuf, Failure> {
        Ok(config::here(self.common.directory.as_deref())?)
    }

    /// Where this call looks for configuration.
    pub(crate) fn places(&self) -> Result<ConfigPlaces, Failure> {
        Ok(places(self.common.directory.as_deref())?)
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
        if self.common.directory.is_none() {
            return target;
        }
        ScopeTarget { display_name: target.scope.to_string(), ..target }
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
        let choice = Choice::of_selection(selection, command, self.common.directory.as_deref());
        let target = self.named_from_caller(wanted.target).chosen(choice);
        Ok(config::WantedWorker { target, ..wanted })
    }

    /// The worker that is meant. A broken project's file that cannot concern it is told in a warning.
    pub(crate) fn named(&self, name: &str, by: &KeyOrFile) -> Result<ScopeTarget, Failure> {
        let target = config::target_or_passed(&self.places()?, name, by)?;
        Ok(self.chosen(self.warned(target), name, by))
    }

    /// The worker that is meant, where every file can be understood.
    pub(crate) fn named_by_sound_files(&self, name: &str, by: &KeyOrFile) -> Result<ScopeTarget, Failure> {
        Ok(self.chosen(config::target(&self.places()?, name, by)?, name, by))
    }

    /// Every worker that is configured here.
    pub(crate) fn all(&self, by: &KeyOrFile) -> Result<Vec<ScopeTarget>, Failure> {
        let all = config::all(&self.places()?, by)?;
        let chosen = |target: ScopeTarget| {
            let name = target.scope.name().to_owned();
            self.chosen(target, &name, by)
        };
        Ok(all.into_iter().map(chosen).collect())
    }

    fn chosen(&self, target: ScopeTarget, name: &str, by: &KeyOrFile) -> ScopeTarget {
        let choice = Choice::of_name(name, by, self.common.directory.as_deref());
        self.named_from_caller(target).chosen(choice)
    }

    fn warned<T>(&self, passed: config::Passed<T>) -> T {
        if let Some(message) = passed.warning {
            self.screen.warning(&printable(&message));
            self.warnings.borrow_mut().push(WarningBody { kind: "file-passed-by", message });
        }
        passed.found
    }

    /// The warnings of the search for the worker, for documents.
    pub(crate) fn warnings(&self) -> Vec<WarningBody> {
        self.warnings.borrow().clone()
    }

    /// Writes the document of this call, with its warnings.
    pub(crate) fn document(&self, body: &impl Serialize) -> Result<(), Failure> {
        render::warned_document(body, &self.warnings())
    }

    /// The request to the library. Programs are hosted by this very executable, unless the environment names another.
    pub(crate) fn request(&self, wanted: config::WantedWorker) -> Result<Request, Failure> {
        let spent = wanted.spent;
        let request = request_of(wanted).map_err(|bad| {
            let remedy = format!("correct `{}`, or unset it where it is a variable", bad.key);
            Failure::because(AnswerState::BadConfig, &bad).hint(remedy)
        })?;
        let request = request
            .budget(self.budget()?.saturating_sub(spent))
            .no_spawn(self.common.no_spawn)
            .find_dependency(self.find_dependency());
        Ok(match Self::host() {
            Some(host) => request.host(host),
            None => request,
        })
    }

    /// How the names are looked up that a worker depends on. Most calls start nothing, so the places of the configuration
    /// are found when a name is asked for.
    pub(crate) fn find_dependency(&self) -> FindDependency {
        let directory = self.common.directory.clone();
        FindDependency::new(move |query| {
            Ok(request_of(config::dependency::find(&places(directory.as_deref())?, query)?)?)
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
        ended.map_err(|error| match error.dependency() {
            Some(dependency) => Self::failed(&error, &self.target_here(dependency)),
            None => Self::failed(&error, target),
        })
    }

    /// The scope, named so that it can be typed where the call was made.
    fn target_here(&self, scope: &Scope) -> ScopeTarget {
        let leads_here = |found: &ScopeTarget| found.scope == *scope;
        let found = self.named_by_sound_files(scope.name(), &KeyOrFile::default()).ok().filter(leads_here);
        found.unwrap_or_else(|| ScopeTarget::whole(scope.clone()))
    }

    /// How long the call has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        monotonic().saturating_sub(self.began)
    }

    /// The failure of a call of the library for that worker. Where a worker failed that the wanted one depends on, it is that
    /// one.
    pub(crate) fn failed(error: &Error, target: &ScopeTarget) -> Failure {
        let failure = Failure::of_library(error);
        let wrong = causes::of(error).find_map(|cause| cause.downcast_ref::<ConfigError>());
        if let Some(wrong) = wrong {
            return failure.for_configuration(wrong);
        }
        let innermost = causes::of(error).filter_map(|cause| cause.downcast_ref::<Error>()).last();
        let told = innermost.filter(|_| error.dependency().is_some()).unwrap_or(error);
        failure.hint(hint::of(told, Some(target)))
    }

    /// The failure of a call of the library for no worker in particular.
    pub(crate) fn failed_before(error: &Error) -> Failure {
        Failure::of_library(error).hint(hint::of(error, None))
    }

    /// A command that concerns no worker, in backquotes, for the directory that this call started from.
    pub(crate) fn command(&self, words: &str) -> String {
        let directory = self.common.directory.as_deref().map(word);
        let directory = directory.map(|directory| format!("-C {directory} ")).unwrap_or_default();
        format!("`tenure {directory}{words}`")
    }
}

/// Where a call from this directory, else from the current one, looks for configuration.
fn places(directory: Option<&Path>) -> Result<ConfigPlaces, ConfigError> {
    let here = match config::here(directory) {
        // What needs no directory goes on without one: a worker of that name can be stopped from everywhere.
        Err(ConfigError::DirectoryGone) if directory.is_none() => None,
        here => Some(here?),
    };
    ConfigPlaces::of(here)
}

/// The request for a worker as it is described.
fn request_of(wanted: config::WantedWorker) -> Result<Request, BadSpec> {
    let mut request = Request::new(wanted.target.scope, wanted.spec)?
        .origin(wanted.origin, wanted.version_from_file)
        .read_stated(config::read_stated_version);
    if let Some(wait) = wanted.first_answer {
        request = request.first_answer(wait.duration());
    }
    if let Some(silence) = wanted.wedged_after {
        request = request.wedged_after(silence.duration());
    }
    Ok(request)
}
