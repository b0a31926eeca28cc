//! Decides what to do from what is wanted and what was seen: the table at the heart of `ensure`.
//!
//! Pure: no I/O and no clock. The model explores these very functions.

use std::time::Duration;

use crate::spec::version::Version;

use crate::policy::warning::Warning;
use crate::protocol::wire::{AppState, Hello, PROTOCOL, ProtocolRange};
use crate::spec::app::{AppId, AppStanding, Difference};
use crate::spec::origin::Origin;
use crate::spec::{Spec, Summary};

/// How long a worker may be silent before it counts as wedged. Its control thread waits for nothing that the app holds:
/// what both share is locked, and never over a wait or over the app's code. So after ten seconds without an answer the
/// process is stopped, or the machine is in a state in which one more process would not help.
pub const SILENT_IS_WEDGED: Duration = Duration::from_secs(10);

/// The result of one probe of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A worker answered.
    Answered(Box<Hello>),
    /// There is no socket, or nobody listens on it.
    Nobody,
    /// A process holds the socket open and does not answer.
    Silent,
    /// The system does not let this process connect.
    Denied(String),
    /// Another process answers, which is not the worker of this scope.
    Foreign(String),
}

/// The part of a launcher's spec that decides whether a worker is acceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criteria {
    /// Version that the launcher offers.
    pub version: Version,
    /// The identity of what it describes.
    pub app: AppId,
    /// Digests of its spec, and the parts by which people tell two specs apart.
    pub summary: Summary,
    /// Protocol versions that the launcher speaks.
    pub protocol: ProtocolRange,
    /// A worker whose app has not answered for longer than this is replaced.
    pub stall_timeout: Duration,
}

/// What is to be done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A worker serves, and this launcher accepts it.
    Use(Box<Usable>),
    /// A worker boots, backs off or is on probation: wait for it outside the gate.
    Await(Box<Hello>),
    /// A worker has announced its end: wait for its lease.
    AwaitEnd(Box<Hello>),
    /// Nobody serves: try the lease.
    TryLease,
    /// A process is silent: find out whether it is wedged.
    Suspect,
    /// A worker is there that must make room for the target.
    Replace(Box<Hello>, ReplaceReason),
    /// Nothing may be done.
    Refuse(Refusal),
}

impl Decision {
    /// Whether a worker may be started for it.
    #[must_use]
    pub fn may_start(&self) -> bool {
        match self {
            Self::AwaitEnd(_) | Self::TryLease | Self::Suspect | Self::Replace(..) => true,
            Self::Use(_) | Self::Await(_) | Self::Refuse(_) => false,
        }
    }
}

/// An acceptable worker, with warnings about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usable {
    /// Its account of itself.
    pub hello: Hello,
    /// Warnings for a person.
    pub warnings: Vec<Warning>,
}

/// Why a worker has to make room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplaceReason {
    /// It is older than the target.
    Older {
        /// The version to be started instead.
        target: Version,
    },
    /// The worker was started as the target version and says that it is an older one. For each version that it names,
    /// the target is started once more.
    Disagrees {
        /// The version that was to run.
        target: Version,
        /// The version that it says it is.
        says: Version,
    },
    /// It is another app's, and the name is kept for this launcher's: a person has given it up, or taken it over.
    OtherApp {
        /// Whose worker it is.
        theirs: AppId,
    },
    /// The files of its build have changed since it was started.
    SourceChanged,
    /// Its app has failed for good.
    Failed {
        /// What it says about it.
        reason: String,
    },
    /// Its app's runtime does not answer.
    Stalled {
        /// For how long.
        for_ms: u64,
    },
}

/// Why nothing may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The system does not let this process connect.
    Denied(String),
    /// Another process answers, which is not the worker of this scope.
    Foreign(String),
    /// The worker is newer, or is to stay, and shares no protocol version with the launcher.
    ClientTooOld {
        /// The worker's version.
        worker: Version,
        /// The protocol versions that it needs.
        needs: ProtocolRange,
    },
    /// The worker was started as the target version and says that it is an older one, and said the same before it was
    /// started once more.
    VersionDisagrees {
        /// The version that was to run.
        target: Version,
        /// The version that it says it is.
        says: Version,
    },
    /// The name is kept for another app, whatever the versions are.
    OtherApp {
        /// The app that it is kept for.
        theirs: Box<AppId>,
        /// The launcher's.
        ours: Box<AppId>,
        /// No `restart` takes the name over: the app has a name, or one of its versions is pinned. It has to be given up.
        must_give_up: bool,
    },
    /// A worker of the same version runs with another command, directory or listeners.
    SpecConflict {
        /// The spec of the worker.
        running: Box<Summary>,
        /// The spec of the launcher.
        wanted: Box<Summary>,
    },
}

/// The target of one call as far as [`decide`] compares workers with it: what the record and the files of the build
/// say. The fast path reads no record and knows no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTarget {
    /// The version that would be started now, or why nothing can be started.
    pub version: Result<Version, String>,
    /// Whether a person pinned this version.
    pub pinned: bool,
    /// Whether the name may be used by the launcher's app.
    pub app: AppStanding,
    /// The versions that workers of this version said they were, each of which was tried once more.
    pub tried: Vec<Version>,
    /// Digest of the build as its files are now, or why they cannot be read; none where nobody asked for it.
    pub content: Option<Result<String, String>>,
}

impl KnownTarget {
    /// The target of a record that says nothing else.
    #[must_use]
    pub fn of(version: Result<Version, String>) -> Self {
        Self { version, pinned: false, app: AppStanding::Free, tried: Vec::new(), content: None }
    }
}

impl Criteria {
    /// The criteria of a launcher with `spec`, read from `origin`.
    #[must_use]
    pub fn of(spec: &Spec, origin: &Origin) -> Self {
        Self {
            version: spec.version.clone(),
            app: AppId::of(spec, origin),
            summary: spec.summary(),
            protocol: PROTOCOL,
            stall_timeout: spec.stall_timeout.duration(),
        }
    }
}

/// Decides what follows from an observation. `target` is `None` where the record was not read.
#[must_use]
pub fn decide(criteria: &Criteria, target: Option<&KnownTarget>, seen: &Observation) -> Decision {
    let decision = for_observation(criteria, target, seen);
    match (decision, target) {
        // Nobody takes over from a worker on probation: it fails and the worker before it goes on, or it passes and can
        // make room.
        (Decision::Replace(hello, _), Some(_)) if hello.probation.is_some() => Decision::Await(hello),
        (decision, _) => decision,
    }
}

/// Decides what follows from a probe without the gate. Most need no record; `known` reads it where an older worker may
/// be the one that is to stay, and where another app's worker is there.
#[must_use]
pub fn decide_without_gate(
    criteria: &Criteria,
    seen: &Observation,
    known: impl FnOnce() -> Option<KnownTarget>,
) -> Decision {
    let mut decision = decide(criteria, None, seen);
    if let Decision::Replace(_, ReplaceReason::Older { .. } | ReplaceReason::OtherApp { .. }) = &decision
        && let Some(target) = known()
    {
        decision = decide(criteria, Some(&target), seen);
    }
    // It can be replaced only when the probation is over; until then the gate stays free for others.
    if let Decision::Replace(hello, _) = &decision
        && hello.probation.is_some()
    {
        return Decision::Await(hello.clone());
    }
    decision
}

fn for_observation(criteria: &Criteria, target: Option<&KnownTarget>, seen: &Observation) -> Decision {
    // A stranger starts, ends and waits for nothing here, whatever is there.
    if let Some(KnownTarget { app: AppStanding::Taken(theirs), pinned, .. }) = target {
        let must_give_up = *pinned || theirs.name.is_some();
        let (theirs, ours) = (Box::new(theirs.clone()), Box::new(criteria.app.clone()));
        return Decision::Refuse(Refusal::OtherApp { theirs, ours, must_give_up });
    }
    match seen {
        Observation::Nobody => Decision::TryLease,
        Observation::Silent => Decision::Suspect,
        Observation::Denied(why) => Decision::Refuse(Refusal::Denied(why.clone())),
        Observation::Foreign(why) => Decision::Refuse(Refusal::Foreign(why.clone())),
        Observation::Answered(hello) => for_worker(criteria, target, hello),
    }
}

fn for_worker(criteria: &Criteria, target: Option<&KnownTarget>, hello: &Hello) -> Decision {
    if hello.is_leaving() {
        return Decision::AwaitEnd(Box::new(hello.clone()));
    }
    if let Some(theirs) = stranger(criteria, target, hello) {
        // Without the record it cannot be refused: the name may have been given up. Its boot is waited for as any is.
        let boots = target.is_some() && !hello.app.state.is_settled();
        let replaced = || replace(hello, ReplaceReason::OtherApp { theirs });
        return if boots { Decision::Await(Box::new(hello.clone())) } else { replaced() };
    }
    if hello.version >= criteria.version && !hello.protocol.overlaps(criteria.protocol) {
        return too_old_for(hello);
    }
    if hello.version == criteria.version
        && hello.spec.identity != criteria.summary.identity
        && !is_other_installation(criteria, hello)
    {
        let (running, wanted) = (Box::new(hello.spec.clone()), Box::new(criteria.summary.clone()));
        return Decision::Refuse(Refusal::SpecConflict { running, wanted });
    }
    match hello.app.state {
        // A booting worker of any version is waited for: it is never ended within its own budget.
        AppState::Booting | AppState::BackOff => Decision::Await(Box::new(hello.clone())),
        AppState::Failed => replace(hello, ReplaceReason::Failed { reason: reason(hello) }),
        AppState::Ready | AppState::Degraded => match stalled(criteria, hello) {
            Some(for_ms) => replace(hello, ReplaceReason::Stalled { for_ms }),
            None => for_version(criteria, target, hello),
        },
    }
}

/// Whose worker it is, where that is another app. A worker of an older build does not say.
fn stranger(criteria: &Criteria, target: Option<&KnownTarget>, hello: &Hello) -> Option<AppId> {
    let theirs = hello.whose.as_ref()?;
    let is_recorded = matches!(
        target,
        Some(KnownTarget { app: AppStanding::Ours(owner), .. }) if owner.is_same(theirs)
    );
    let is_same_program = hello.spec.identity == criteria.summary.identity;
    (!is_recorded && criteria.app.is_stranger(theirs, is_same_program)).then(|| theirs.clone())
}

/// Whether the worker runs from an installation of the launcher's app, by its name: it may be in another place.
fn is_other_installation(criteria: &Criteria, hello: &Hello) -> bool {
    hello.whose.as_ref().is_some_and(|whose| whose.shares_name(&criteria.app))
}

fn for_version(criteria: &Criteria, target: Option<&KnownTarget>, hello: &Hello) -> Decision {
    let effective = hello.effective_version();
    let older = *effective < criteria.version;
    let known = match target {
        Some(known) => known,
        // Without the record an older worker cannot be accepted: the offered version may be the target.
        None if older => {
            return replace(hello, ReplaceReason::Older { target: criteria.version.clone() });
        }
        None if hello.source_changed => return replace(hello, ReplaceReason::SourceChanged),
        None => return usable(criteria, hello, None),
    };
    if hello.source_changed && differs(known, hello) && is_no_downgrade(known, hello) {
        return replace(hello, ReplaceReason::SourceChanged);
    }
    let unread = hello.source_changed.then(|| source_unread(known)).flatten();
    if !older {
        return usable(criteria, hello, unread);
    }
    let offered = criteria.version.clone();
    let warning = match &known.version {
        Err(why) => Warning::OfferNotRunning { offered, why: why.clone() },
        Ok(target) if hello.version < *target => {
            return replace(hello, ReplaceReason::Older { target: target.clone() });
        }
        Ok(target) if effective < target => {
            let (target, says) = (target.clone(), effective.clone());
            return if known.tried.contains(&says) {
                Decision::Refuse(Refusal::VersionDisagrees { target, says })
            } else {
                replace(hello, ReplaceReason::Disagrees { target, says })
            };
        }
        Ok(pinned) if known.pinned => Warning::Pinned { offered, pinned: pinned.clone() },
        Ok(_) => Warning::OfferNotRunning { offered, why: "it failed to start".to_owned() },
    };
    // It is to stay, and a launcher that shares no protocol version with it cannot use it.
    if hello.protocol.overlaps(criteria.protocol) {
        usable(criteria, hello, Some(warning))
    } else {
        too_old_for(hello)
    }
}

fn too_old_for(hello: &Hello) -> Decision {
    let (worker, needs) = (hello.version.clone(), hello.protocol);
    Decision::Refuse(Refusal::ClientTooOld { worker, needs })
}

fn differs(known: &KnownTarget, hello: &Hello) -> bool {
    matches!(&known.content, Some(Ok(now)) if hello.content.as_ref() != Some(now))
}

/// Whether the target is the worker's version or a higher one. Changed files are no reason for a downgrade.
fn is_no_downgrade(known: &KnownTarget, hello: &Hello) -> bool {
    matches!(&known.version, Ok(target) if *target >= hello.version)
}

fn source_unread(known: &KnownTarget) -> Option<Warning> {
    match &known.content {
        Some(Err(why)) => Some(Warning::SourceUnread { why: why.clone() }),
        Some(Ok(_)) | None => None,
    }
}

fn usable(criteria: &Criteria, hello: &Hello, warning: Option<Warning>) -> Decision {
    let mut warnings: Vec<Warning> = warning.into_iter().collect();
    if hello.app.state == AppState::Degraded {
        warnings.push(Warning::Degraded { reason: reason(hello) });
    }
    if let Some(program) = &hello.program
        && let Some(last) = &program.last_end
    {
        let restarts = program.starts.saturating_sub(1);
        warnings.push(Warning::EndedBefore { restarts, last: last.line() });
    }
    if criteria.version.is_build() && criteria.version.as_str() != hello.version.as_str() {
        let (offered, running) = (criteria.version.clone(), hello.version.clone());
        warnings.push(Warning::BuildOffered { offered, running });
    }
    if hello.version == criteria.version && hello.spec.settings != criteria.summary.settings {
        warnings.push(Warning::Drift);
    }
    if hello.version == criteria.version && is_other_installation(criteria, hello) {
        let cwd = || hello.spec.cwd.clone();
        warnings.extend(match Difference::between(&hello.spec, &criteria.summary) {
            Difference::Nothing => None,
            Difference::Place => Some(Warning::OtherPlace { cwd: cwd() }),
            Difference::Matters(part) => Some(Warning::OtherDescription { part, cwd: cwd() }),
        });
    }
    if let Some(says) = hello.app.version.clone().filter(|says| *says != hello.version) {
        warnings.push(Warning::SaysOther { started_as: hello.version.clone(), says });
    }
    Decision::Use(Box::new(Usable { hello: hello.clone(), warnings }))
}

fn replace(hello: &Hello, reason: ReplaceReason) -> Decision {
    Decision::Replace(Box::new(hello.clone()), reason)
}

fn reason(hello: &Hello) -> String {
    hello.app.reason.clone().unwrap_or_else(|| "it gives no reason".to_owned())
}

fn stalled(criteria: &Criteria, hello: &Hello) -> Option<u64> {
    let limit = u64::try_from(criteria.stall_timeout.as_millis()).unwrap_or(u64::MAX);
    hello.app.stalled_for_ms.filter(|&for_ms| for_ms > limit)
}

/// What a silent process behind the socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// It may still be booting, or merely slow: wait this long before asking again.
    Wait(Duration),
    /// Nobody holds the lease, so the process that keeps the socket open is no worker.
    NoWorker,
    /// It has been silent for too long, and its boot is over.
    Wedged,
}

/// Decides what a silent process is. `booting_for` is how long its boot may still take by the record.
#[must_use]
pub fn suspect(lease_busy: bool, silent_for: Duration, booting_for: Duration, limit: Duration) -> Suspicion {
    if !lease_busy {
        return Suspicion::NoWorker;
    }
    let left = limit.saturating_sub(silent_for).max(booting_for);
    if left.is_zero() { Suspicion::Wedged } else { Suspicion::Wait(left) }
}

#[cfg(test)]
mod tests;
