//! Decides what to do from what is wanted and what was seen: the table at the heart of `ensure`.
//!
//! Pure: no I/O and no clock. The model explores these very functions.

use std::time::Duration;

use crate::spec::version::Version;

use crate::policy::warning::Warning;
use crate::protocol::wire::{AppState, Hello, PROTOCOL, ProtocolRange};
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
    /// The versions that workers of this version said they were, each of which was tried once more.
    pub tried: Vec<Version>,
    /// Digest of the build as its files are now, or why they cannot be read; none where nobody asked for it.
    pub content: Option<Result<String, String>>,
}

impl KnownTarget {
    /// The target of a record that says nothing else.
    #[must_use]
    pub fn of(version: Result<Version, String>) -> Self {
        Self { version, pinned: false, tried: Vec::new(), content: None }
    }
}

impl Criteria {
    /// The criteria of a launcher with `spec`.
    #[must_use]
    pub fn of(spec: &Spec) -> Self {
        Self {
            version: spec.version.clone(),
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
/// be the one that is to stay.
#[must_use]
pub fn decide_without_gate(
    criteria: &Criteria,
    seen: &Observation,
    known: impl FnOnce() -> Option<KnownTarget>,
) -> Decision {
    let mut decision = decide(criteria, None, seen);
    if let Decision::Replace(_, ReplaceReason::Older { .. }) = &decision
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
    if hello.version >= criteria.version && !hello.protocol.overlaps(criteria.protocol) {
        return too_old_for(hello);
    }
    if hello.version == criteria.version && hello.spec.identity != criteria.summary.identity {
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
