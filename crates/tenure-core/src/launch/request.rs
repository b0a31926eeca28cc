//! What a launcher asks for: a worker by scope and spec, with a budget and the manner of asking.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tenure_sys::identity::Identity;
use tenure_sys::process;

use crate::launch::ask::probe::FIRST_ANSWER;
use crate::policy::decide::SILENT_IS_WEDGED;
use crate::protocol::wire::Asker;
use crate::spec::amount::Span;
use crate::spec::origin::{Origin, ReadStated};
use crate::spec::scope::{COOKIE_VARIABLE, Scope, cookie_prefix};
use crate::spec::{BadSpec, Spec};
use crate::store::paths::StateDir;

/// Variable that forbids starting a worker, like [`Request::no_spawn`].
pub const NO_SPAWN_VARIABLE: &str = "TENURE_NO_SPAWN";

/// Variable that overrides [`FIRST_ANSWER`], as a duration such as `500ms`.
pub const FIRST_ANSWER_VARIABLE: &str = "TENURE_FIRST_ANSWER";

/// Variable that overrides [`SILENT_IS_WEDGED`], as a duration such as `10s`.
pub const WEDGED_AFTER_VARIABLE: &str = "TENURE_WEDGED_AFTER";

/// Budget of a call that names none. A person who waits longer than this wants to be told why instead.
pub const DEFAULT_BUDGET: Duration = Duration::from_mins(1);

/// A request for a worker.
///
/// ```no_run
/// use tenure::{Request, Spec};
///
/// let spec = Spec::of_command(vec!["node".into(), "server.mjs".into()], "/srv/app".into());
/// let request = Request::new("memory".parse()?, spec)?;
/// // Not run here: it starts a worker, which needs the command `tenure` as its host.
/// let ensured = tenure::ensure(&request)?;
/// println!("{:?}", ensured.endpoints());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of the caller that says nothing of the others"
)]
pub struct Request {
    pub(crate) scope: Scope,
    pub(crate) spec: Spec,
    pub(crate) budget: Duration,
    pub(crate) no_spawn: bool,
    pub(crate) start: bool,
    pub(crate) overlap: bool,
    pub(crate) force: bool,
    pub(crate) host: Option<PathBuf>,
    pub(crate) origin: Origin,
    pub(crate) stated: bool,
    pub(crate) read_stated: Option<ReadStated>,
    pub(crate) find_dependency: Option<FindDependency>,
    pub(crate) first_answer: Duration,
    pub(crate) wedged_after: Duration,
}

impl Request {
    /// A request for a worker of `spec` under `scope`; fails if the spec is not valid.
    pub fn new(scope: Scope, spec: Spec) -> Result<Self, BadSpec> {
        spec.validate()?;
        let first_answer = duration_of(FIRST_ANSWER_VARIABLE, FIRST_ANSWER)?;
        let wedged_after = duration_of(WEDGED_AFTER_VARIABLE, SILENT_IS_WEDGED)?;
        Ok(Self {
            scope,
            spec,
            budget: DEFAULT_BUDGET,
            no_spawn: false,
            start: false,
            overlap: false,
            force: false,
            host: None,
            origin: Origin::Call,
            stated: false,
            read_stated: None,
            find_dependency: None,
            first_answer,
            wedged_after,
        })
    }

    /// The longest time that the call may take.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Never start a worker; report what runs. The command line calls this `--no-daemon`.
    #[must_use]
    pub fn no_spawn(mut self, no_spawn: bool) -> Self {
        self.no_spawn = no_spawn;
        self
    }

    /// Start the worker even where a person stopped it for good ([`StopOptions::hold`](crate::StopOptions::hold)): a
    /// person asks.
    #[must_use]
    pub fn start(mut self, start: bool) -> Self {
        self.start = start;
        self
    }

    /// Start the new program beside the old one this time, as `overlap = true` in the spec does each time. A worker
    /// whose spec does not allow it ([`Spec::may_overlap`]) is left alone, and the call fails.
    #[must_use]
    pub fn overlap(mut self, overlap: bool) -> Self {
        self.overlap = overlap;
        self
    }

    /// End the old worker before the new one starts, where the new one would take over from it. Comes before
    /// [`overlap`](Self::overlap).
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// The `tenure` executable that hosts programs. Default: `TENURE_HOST`, else `tenure` in PATH.
    #[must_use]
    pub fn host(mut self, executable: PathBuf) -> Self {
        self.host = Some(executable);
        self
    }

    /// What the spec was read from; a call's own words unless this is said. `stated` says that the file itself names
    /// this version, and not the call.
    #[must_use]
    pub fn origin(mut self, origin: Origin, stated: bool) -> Self {
        self.origin = origin;
        self.stated = stated;
        self
    }

    /// How the files that offers came from are read again, where it has to be known whether they still say so. Without
    /// it a file that is there is taken to say what it said.
    #[must_use]
    pub fn read_stated(mut self, read: ReadStated) -> Self {
        self.read_stated = Some(read);
        self
    }

    /// What the names in [`Spec::depends`] stand for. Without it, a worker that depends on others is not started: the
    /// names alone do not say what to start. A request that is found without a `find_dependency` or a
    /// [`host`](Self::host) of its own gets those of this request.
    ///
    /// ```
    /// use tenure::{FindDependency, Request, Spec};
    ///
    /// let command = |words: &[&str]| Spec::of_command(words.iter().map(|w| (*w).into()).collect(), "/srv".into());
    /// let mut web = command(&["node", "server.mjs"]);
    /// web.depends = vec!["db".into()];
    /// let request = Request::new("web".parse()?, web)?.find_dependency(FindDependency::new(move |query| {
    ///     Ok(Request::new(query.name.parse()?, command(&["redis-server"]))?)
    /// }));
    /// # let _ = request;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn find_dependency(mut self, find: FindDependency) -> Self {
        self.find_dependency = Some(find);
        self
    }

    /// How long a worker that holds its socket may be silent before it is called wedged and ended by verified kill.
    /// Default: `TENURE_WEDGED_AFTER`, else 10 s. A false suspicion costs a restart, never a second worker.
    #[must_use]
    pub fn wedged_after(mut self, silence: Duration) -> Self {
        self.wedged_after = silence;
        self
    }

    /// The longest wait for the first answer of a worker, in each probe, with and without the gate. Default:
    /// `TENURE_FIRST_ANSWER`, else 500 ms.
    #[must_use]
    pub fn first_answer(mut self, wait: Duration) -> Self {
        self.first_answer = wait;
        self
    }

    /// The scope asked for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The spec asked for.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Who asks: this process, with the version that it offers.
    #[must_use]
    pub fn asker(&self) -> Asker {
        Asker { version: Some(self.spec.version.clone()), ..asker() }
    }

    /// What a call under the gate may take beyond the usual: the caller's budget, and the boot of the new worker.
    pub(crate) fn gate_time(&self) -> Duration {
        self.budget.saturating_add(self.spec.start_timeout.duration())
    }

    pub(crate) fn may_spawn(&self) -> bool {
        !self.no_spawn
            && std::env::var_os(NO_SPAWN_VARIABLE).is_none_or(|value| value.is_empty() || value == "0")
    }
}

/// A worker on which another one depends, and which is to be found.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct DependencyQuery<'call> {
    /// Its name, or NAME@KEY, as [`Spec::depends`] has it.
    pub name: &'call str,
    /// The worker that depends on it.
    pub dependent: &'call Scope,
    /// What the spec of the dependent was read from: its names are those of that place.
    pub origin: &'call Origin,
    /// What is left of the call's time.
    pub budget: Duration,
}

/// Finds the request for a dependency. It is asked only before a worker is started, and from one thread at a time for
/// each dependent.
#[derive(Clone)]
pub struct FindDependency(Arc<FindByQuery>);

type FindByQuery =
    dyn Fn(&DependencyQuery<'_>) -> Result<Request, Box<dyn StdError + Send + Sync>> + Send + Sync;

impl FindDependency {
    /// Finds dependencies by this function. Its error becomes the source of the error of the call.
    pub fn new(
        find: impl Fn(&DependencyQuery<'_>) -> Result<Request, Box<dyn StdError + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(find))
    }

    pub(crate) fn find(
        &self,
        query: &DependencyQuery<'_>,
    ) -> Result<Request, Box<dyn StdError + Send + Sync>> {
        (self.0)(query)
    }
}

impl fmt::Debug for FindDependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FindDependency").finish_non_exhaustive()
    }
}

/// A duration from the environment, or the default where the variable is unset or empty.
fn duration_of(variable: &'static str, default: Duration) -> Result<Duration, BadSpec> {
    match std::env::var(variable) {
        Ok(text) if text.is_empty() => Ok(default),
        Ok(text) => match text.parse::<Span>() {
            Ok(span) if !span.duration().is_zero() => Ok(span.duration()),
            Ok(_) => Err(BadSpec { key: variable, why: "must be longer than zero".to_owned() }),
            Err(error) => Err(BadSpec { key: variable, why: format!("is no duration: failed to {error}") }),
        },
        Err(_) => Ok(default),
    }
}

/// How long a worker may be silent, for calls without a [`Request`]. A variable that cannot be read counts as not set.
pub(crate) fn wedged_after() -> Duration {
    duration_of(WEDGED_AFTER_VARIABLE, SILENT_IS_WEDGED).unwrap_or(SILENT_IS_WEDGED)
}

/// This process, as it appears in events.
#[must_use]
pub fn asker() -> Asker {
    let pid = Identity::current().map_or_else(|_| std::process::id(), |identity| identity.pid);
    Asker { pid, command: process::command_line(pid).unwrap_or_default(), version: None }
}

/// Whether this process runs inside the tree of the scope's own worker, and so would wait for itself.
#[must_use]
pub fn is_inside(state: &StateDir) -> bool {
    std::env::var(COOKIE_VARIABLE).is_ok_and(|cookie| {
        state.cookie_scopes().iter().any(|scope_id| cookie.starts_with(&cookie_prefix(scope_id)))
    })
}
