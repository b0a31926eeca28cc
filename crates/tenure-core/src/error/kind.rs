//! The kinds of failure, and one row of facts for each.

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
    /// The name is kept for another app, whatever the versions are.
    OtherApp,
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
    /// A worker that this one depends on could not be ensured.
    DependencyFailed,
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
    pub const ALL: [Self; 25] = {
        let mut all = [Self::Bug; 25];
        let mut at = 0;
        while at < all.len() {
            all[at] = ROWS[at].kind;
            at += 1;
        }
        all
    };
}

/// Whose move it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
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

/// What holds for every failure of a kind. The pages of errors and of exit codes say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRow {
    /// The kind.
    pub kind: ErrorKind,
    /// The kind in a JSON document.
    pub word: &'static str,
    /// The state in which a call of the command `tenure` ends, as its documents tell it.
    pub state: &'static str,
    /// The exit code of that call.
    pub exit: u8,
    /// Whose move it is.
    pub blame: Blame,
    /// Whether the same call may succeed later without anybody changing anything.
    pub retryable: bool,
    /// What to type or to change, where nothing more is known. `NAME` stands for the worker.
    pub hint: &'static str,
}

/// A row for each kind, in their order.
const ROWS: [ErrorRow; 25] = [
    ErrorRow::new(ErrorKind::Denied, "denied", 4, Blame::Environment).hint(
        "allow this process to use the state directory and to connect to the socket in it; outside of the \
            sandbox `tenure status NAME` tells what stands",
    ),
    ErrorRow::new(ErrorKind::StateUnusable, "state-unusable", 4, Blame::Environment).hint(
        "make the directory yours and private (`tenure doctor --fix`), or name another one in \
            TENURE_STATE_DIR",
    ),
    ErrorRow::new(ErrorKind::RecordUnusable, "record-unusable", 4, Blame::Environment)
        .hint(
            "`tenure doctor NAME` shows what is wrong with it; a damaged one may be moved aside once `tenure \
            status NAME` says that nothing runs",
        )
        .state("state-unusable"),
    ErrorRow::new(ErrorKind::RecordTooNew, "record-too-new", 4, Blame::Caller)
        .hint("use the newer tenure that wrote the record, or install this one anew")
        .state("state-unusable"),
    ErrorRow::new(ErrorKind::NotOurs, "not-ours", 4, Blame::Environment)
        .hint("two state directories meet at one socket: look at TENURE_STATE_DIR on both sides"),
    ErrorRow::new(ErrorKind::ClientTooOld, "client-too-old", 5, Blame::Caller)
        .hint("update this tenure; the worker is newer and stays"),
    ErrorRow::new(ErrorKind::OtherApp, "other-app", 5, Blame::Caller).hint(
        "another name, or --key, keeps both; `tenure forget NAME --app` gives the name up to the app that asks next",
    ),
    ErrorRow::new(ErrorKind::SpecConflict, "spec-conflict", 5, Blame::Caller).hint(
        "`tenure restart NAME` takes the description given here; a raised `version` replaces the worker \
            by itself; another name or --key keeps both",
    ),
    ErrorRow::new(ErrorKind::VersionDisagrees, "version-disagrees", 5, Blame::Worker).hint(
        "make what the worker is started as and what it says agree, then `tenure restart NAME`; \
            `--version` with what it says uses it as it is",
    ),
    ErrorRow::new(ErrorKind::UnknownVersion, "unknown-version", 5, Blame::Caller).hint(
        "`tenure restart NAME --version V` puts V on record and starts the highest again; then it can be pinned",
    ),
    ErrorRow::new(ErrorKind::VersionPinned, "version-pinned", 5, Blame::Caller)
        .hint("`tenure unpin NAME` releases it; then it can be forgotten"),
    ErrorRow::new(ErrorKind::Untrusted, "untrusted", 6, Blame::Caller)
        .hint("read that file; `tenure trust`, typed in its directory, allows what it says now"),
    ErrorRow::new(ErrorKind::HeldDown, "held-down", 3, Blame::Caller)
        .hint("`tenure start NAME` starts it again")
        .state("down"),
    ErrorRow::new(ErrorKind::LimitTooLow, "limit-too-low", 4, Blame::Environment).hint(
        "raise the limit that is named, or call `tenure ensure NAME` from where it is higher; nothing was \
            started, and nothing is held against the version",
    ),
    ErrorRow::new(ErrorKind::SpawnFailed, "spawn-failed", 1, Blame::Worker)
        .hint("`tenure logs NAME --worker` and `tenure logs NAME` show what it wrote"),
    ErrorRow::new(ErrorKind::SpawnSuppressed, "spawn-suppressed", 1, Blame::Worker)
        .hint("repair the cause, then `tenure restart NAME` tries at once")
        .retryable(),
    ErrorRow::new(ErrorKind::DependencyFailed, "dependency-failed", 1, Blame::Worker)
        .hint("`tenure ensure NAME` for the worker that is named shows why; nothing of this one was started"),
    ErrorRow::new(ErrorKind::Recursion, "recursion", 1, Blame::Caller).hint(
        "do not ask for a worker from inside of it; if this process is no part of it, unset TENURE_COOKIE",
    ),
    ErrorRow::new(ErrorKind::Wedged, "wedged", 7, Blame::Worker)
        .hint("`tenure status NAME` names the process; end or resume it, then try again"),
    ErrorRow::new(ErrorKind::GateHeld, "gate-held", 8, Blame::Environment)
        .hint("wait for the holder of the gate, or end it; `tenure events NAME` tells what it did")
        .retryable(),
    ErrorRow::new(ErrorKind::TimedOut, "timed-out", 124, Blame::Environment)
        .hint(
            "give it more time with --timeout (a worker that stands still is ended after 10s of silence), or \
            see `tenure status NAME`",
        )
        .retryable(),
    ErrorRow::new(ErrorKind::Survivor, "survivor", 1, Blame::Worker)
        .hint("end the process that is named, or that the printed command finds, and try again"),
    ErrorRow::new(ErrorKind::StillUnusable, "still-unusable", 7, Blame::Worker)
        .hint("`tenure logs NAME` shows why the new worker does not serve")
        .state("unhealthy"),
    ErrorRow::new(ErrorKind::RestartUnproved, "restart-unproved", 1, Blame::Worker)
        .hint("`tenure status NAME` and `tenure logs NAME` tell what stands now"),
    ErrorRow::new(ErrorKind::Bug, "bug", 1, Blame::Bug).hint(
        "this is a fault of tenure itself; please report it with the output of `tenure version --json`",
    ),
];

impl ErrorRow {
    /// The row of a kind.
    #[must_use]
    pub const fn of(kind: ErrorKind) -> Self {
        ROWS[kind as usize]
    }

    const fn new(kind: ErrorKind, word: &'static str, exit: u8, blame: Blame) -> Self {
        Self { kind, word, state: word, exit, blame, retryable: false, hint: "" }
    }

    const fn state(self, state: &'static str) -> Self {
        Self { state, ..self }
    }

    const fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    const fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_are_listed_in_their_order() {
        for (at, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at, "{kind:?}");
        }
        assert_eq!(ErrorKind::ALL.last(), Some(&ErrorKind::Bug), "the last one closes the list");
    }
}
