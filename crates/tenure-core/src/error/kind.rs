//! The kinds of failure, and whose move each is.

/// What kind of failure it was. Every kind has a row in the reference of errors.
///
/// ```no_run
/// use tenure::{Request, Scope, Spec};
///
/// let spec = Spec::of_command(vec!["/bin/sleep".into(), "1".into()], "/".into());
/// let request = Request::new("web".parse::<Scope>()?, spec)?;
/// // Not run here: it could start a worker.
/// if let Err(error) = tenure::ensure(&request) && error.kind() == tenure::ErrorKind::HeldDown {
///     println!("a person keeps it down");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The system does not permit it: a sandbox, a permission, a namespace.
    Denied,
    /// The state directory cannot be found, made or trusted.
    StateUnusable,
    /// A record is damaged, or cannot be read or written.
    RecordUnusable,
    /// A record was written by a newer `tenure`: that one is to be used.
    RecordTooNew,
    /// Somebody answers on the control socket who is not our worker.
    NotOurs,
    /// The worker is newer and shares no protocol version with this launcher.
    ClientTooOld,
    /// The same version runs with another command, directory or listeners.
    SpecConflict,
    /// The worker was started as one version and says, when started once more too, that it is an older one.
    VersionDisagrees,
    /// A version is to be pinned or forgotten that no launcher has offered.
    UnknownVersion,
    /// A version is to be forgotten that a person holds.
    VersionPinned,
    /// The version was offered by a project's file whose content nobody trusts any more.
    Untrusted,
    /// A person stopped the worker until a person starts it.
    HeldDown,
    /// A limit of this launcher is too low for a worker, which would inherit it.
    LimitTooLow,
    /// The worker could not be started.
    SpawnFailed,
    /// It failed a moment ago; the next try is suppressed.
    SpawnSuppressed,
    /// The call comes from inside the worker's own process tree.
    Recursion,
    /// A worker is silent and cannot be ended.
    Wedged,
    /// Another process holds the gate for longer than the budget.
    GateHeld,
    /// The budget ran out.
    TimedOut,
    /// Something did not end.
    Survivor,
    /// A worker that was replaced once in this call is still not usable.
    StillUnusable,
    /// A restart could not be proved.
    RestartUnproved,
    /// An invariant of `tenure` itself does not hold.
    Bug,
}

impl ErrorKind {
    /// Every kind of this version, for whoever has something to say about each.
    pub const ALL: [Self; 23] = [
        Self::Denied,
        Self::StateUnusable,
        Self::RecordUnusable,
        Self::RecordTooNew,
        Self::NotOurs,
        Self::ClientTooOld,
        Self::SpecConflict,
        Self::VersionDisagrees,
        Self::UnknownVersion,
        Self::VersionPinned,
        Self::Untrusted,
        Self::HeldDown,
        Self::LimitTooLow,
        Self::SpawnFailed,
        Self::SpawnSuppressed,
        Self::Recursion,
        Self::Wedged,
        Self::GateHeld,
        Self::TimedOut,
        Self::Survivor,
        Self::StillUnusable,
        Self::RestartUnproved,
        Self::Bug,
    ];
}

/// Whose move it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The caller asked for something that cannot be.
    Caller,
    /// The worker or its program.
    Worker,
    /// The machine: permissions, disk, other processes.
    Environment,
    /// `tenure`.
    Bug,
}
