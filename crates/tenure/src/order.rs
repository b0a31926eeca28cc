//! What a launcher asks for: a worker by scope and spec, with a budget and the manner of asking.

use std::path::PathBuf;
use std::time::Duration;

use tenure_sys::identity::Identity;
use tenure_sys::process;

use crate::paths::StateDir;
use crate::scope::{COOKIE_VARIABLE, Scope, cookie_prefix};
use crate::spec::{BadSpec, Spec};
use crate::wire::Asker;

/// Variable that forbids starting anything, like [`Order::no_spawn`].
pub const NO_SPAWN_VARIABLE: &str = "TENURE_NO_SPAWN";

/// Budget of a call that names none. A person who waits longer than this wants to be told why instead.
pub const DEFAULT_BUDGET: Duration = Duration::from_mins(1);

/// A request for a worker.
///
/// ```no_run
/// use tenure::{Order, Spec};
///
/// let spec = Spec::of_command(vec!["node".into(), "server.mjs".into()], "/srv/app".into());
/// let order = Order::new("memory".parse()?, spec)?;
/// let ensured = tenure::ensure(&order)?;
/// println!("{:?}", ensured.endpoints());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Order {
    pub(crate) scope: Scope,
    pub(crate) spec: Spec,
    pub(crate) budget: Duration,
    pub(crate) no_spawn: bool,
    pub(crate) host: Option<PathBuf>,
}

impl Order {
    /// An order for `spec` under `scope`, validated.
    pub fn new(scope: Scope, spec: Spec) -> Result<Self, BadSpec> {
        spec.validate()?;
        Ok(Self { scope, spec, budget: DEFAULT_BUDGET, no_spawn: false, host: None })
    }

    /// The longest time that the call may take.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Never start anything: report what stands.
    #[must_use]
    pub fn no_spawn(mut self, no_spawn: bool) -> Self {
        self.no_spawn = no_spawn;
        self
    }

    /// The `tenure` executable that hosts programs. Default: `TENURE_HOST`, else `tenure` in PATH.
    #[must_use]
    pub fn host(mut self, executable: PathBuf) -> Self {
        self.host = Some(executable);
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

    pub(crate) fn may_spawn(&self) -> bool {
        !self.no_spawn
            && std::env::var_os(NO_SPAWN_VARIABLE).is_none_or(|value| value.is_empty() || value == "0")
    }
}

/// This process, as others are told of it.
#[must_use]
pub fn asker() -> Asker {
    let pid = Identity::current().map_or_else(|_| std::process::id(), |identity| identity.pid);
    Asker { pid, command: process::command_line(pid).unwrap_or_default(), version: None }
}

/// Whether this process runs inside the tree of the scope's own worker: waiting for itself would never end.
#[must_use]
pub fn is_inside(state: &StateDir) -> bool {
    std::env::var(COOKIE_VARIABLE).is_ok_and(|cookie| cookie.starts_with(&cookie_prefix(state.id())))
}
