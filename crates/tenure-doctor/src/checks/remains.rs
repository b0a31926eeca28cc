//! Checks of what lies around a worker: processes that a dead one left, logs, the executable that hosts it, and
//! whatever could not be looked at.

use tenure_core::launch::end::orphans;
use tenure_core::os_text::shell::word;
use tenure_core::protocol::ends::{self, UnaskedEnd, UnaskedEndKind};
use tenure_core::store::paths::file;
use tenure_sys::census::SeenProcess;

use crate::check::{Case, DoctorCheck, Look, bytes};
use crate::facts::{HostCode, Unread, line_of};
use crate::finding::{Fix, Symptom};

pub(crate) const CHECKS: &[DoctorCheck] = &[
    DoctorCheck { id: "leftovers", part: "leftovers", look: Look::Worker(left_running) },
    DoctorCheck { id: "leftovers-of-another-user", part: "leftovers", look: Look::Worker(of_another_user) },
    DoctorCheck { id: "program-lock-held", part: "leftovers", look: Look::Worker(program_lock) },
    DoctorCheck { id: "ended-by-itself", part: "ends", look: Look::Worker(ended) },
    DoctorCheck { id: "ends-again-and-again", part: "ends", look: Look::Worker(ends_again) },
    DoctorCheck { id: "logs-too-large", part: "logs", look: Look::Worker(logs) },
    DoctorCheck { id: "log-moved", part: "logs", look: Look::Worker(log_moved) },
    DoctorCheck { id: "host-gone", part: "host executable", look: Look::Worker(host_gone) },
    DoctorCheck { id: "host-replaced", part: "host executable", look: Look::Worker(host_replaced) },
    DoctorCheck { id: "host-newer", part: "host executable", look: Look::Worker(host_newer) },
    DoctorCheck { id: "inherited", part: "host executable", look: Look::Worker(inherited) },
    DoctorCheck { id: "not-looked-at", part: "state directory", look: Look::Worker(not_looked_at) },
];

/// Logs may pass their bound by what is written while they are rotated, and by the worker's own log.
const LOG_SLACK: u64 = 4_000_000;

/// Ends that are older do not count.
const RECENT_MS: u64 = 24 * 3_600_000;

/// From so many ends on, they are no accident.
const OFTEN: usize = 3;

/// How many processes a finding names.
const NAMED: usize = 8;

fn is_over(case: &Case<'_>) -> bool {
    case.state.is_free() && case.state.hello().is_none() && !case.state.is_in_motion()
}

/// All processes that carry the worker's cookie, and all others that belong to its program.
fn left<'case>(case: &'case Case<'_>) -> Vec<&'case SeenProcess> {
    let mut left: Vec<&SeenProcess> = case.with_cookie().collect();
    let pids: Vec<u32> = left.iter().map(|seen| seen.pid).collect();
    left.extend(case.state.orphans.iter().filter(|seen| !pids.contains(&seen.pid)));
    left
}

fn left_running(case: &Case<'_>) -> Option<Symptom> {
    let left = left(case);
    if !is_over(case) || left.is_empty() {
        return None;
    }
    let more = left.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    Some(
        Symptom::warning("a dead worker left processes running; the next start ends them first")
            .saw_all(left.iter().take(NAMED).map(|seen| line_of(seen)))
            .saw_all(more)
            .remedy(case.type_in("doctor --fix"))
            .fix(Fix::EndLeftovers { scope: case.worker.scope.clone() }),
    )
}

/// Orphans that have changed their user: only a user with more rights can end them.
fn of_another_user(case: &Case<'_>) -> Option<Symptom> {
    let of_others = &case.state.orphans_of_others;
    if !is_over(case) || of_others.is_empty() {
        return None;
    }
    let pids: Vec<String> = of_others.iter().map(|(seen, _)| seen.pid.to_string()).collect();
    let line = |(seen, owner): &(SeenProcess, u32)| format!("{} belongs to user {owner}", line_of(seen));
    Some(
        Symptom::error(
            "processes that a dead worker left belong to another user: nothing can be started beside them",
        )
        .saw_all(of_others.iter().take(NAMED).map(line))
        .remedy(format!("`sudo kill -9 {}`", pids.join(" "))),
    )
}

/// What a worker has inherited and cannot put back without privilege stays with it for life.
fn inherited(case: &Case<'_>) -> Option<Symptom> {
    let by = &case.state.hello()?.started_by;
    if case.state.inherited.is_empty() {
        return None;
    }
    // A worker in another network namespace is replaced with `--force` only.
    let elsewhere = case.state.inherited.iter().any(|line| line.starts_with("net namespace"));
    Some(
        Symptom::note("the worker inherited something from whoever started it that is different here")
            .saw_all(case.state.inherited.iter().cloned())
            .saw(format!("it was started by pid {} ({})", by.pid, by.command))
            .remedy(case.type_in(if elsewhere { "restart --force" } else { "restart" })),
    )
}

/// A process that holds the program's lock and may not be looked into cannot be found, and nothing starts beside it.
fn program_lock(case: &Case<'_>) -> Option<Symptom> {
    let seen = !left(case).is_empty() || !case.state.orphans_of_others.is_empty();
    let held = case.state.program_lock == Ok(true) && !seen;
    (is_over(case) && held).then(|| {
        Symptom::error(
            "something of a dead worker's program lives and cannot be found: nothing can be started",
        )
        .saw("the lock of a program is held, and no process that this user may look into has inherited it")
        .saw_all(case.state.programs.iter().map(crate::facts::Member::line))
        .remedy(format!(
            "`{}` finds it; end it, and start again",
            orphans::search(&case.worker.directory.path, &format!("{}*", file::PROGRAM))
        ))
    })
}

/// Nobody serves, and nobody had asked for that.
fn ended(case: &Case<'_>) -> Option<Symptom> {
    let ledger = case.state.ledger.good().filter(|_| is_over(case))?;
    let end = ledger.last_end().filter(|end| end.how != UnaskedEndKind::Idle)?;
    let times = ends::failed_starts(&ledger.ends, ledger.generation);
    let counted = (times > 0)
        .then(|| "it counts as a failed start: the next call waits before it tries again".to_owned());
    Some(
        Symptom::warning("the worker ended, and nobody had asked it to")
            .saw(format!("generation {} {}", end.generation, end.line()))
            .saw_all(end.last_words.iter().cloned())
            .saw_all(counted)
            .remedy(case.type_in("logs")),
    )
}

/// A program that comes back each time looks healthy at any one moment.
fn ends_again(case: &Case<'_>) -> Option<Symptom> {
    let now = &case.machine.now;
    let ends = &case.state.ledger.good()?.ends;
    let recent = |end: &&UnaskedEnd| {
        let is_idle = end.how == UnaskedEndKind::Idle;
        !is_idle && end.at.boot == now.boot && now.ms.saturating_sub(end.at.ms) < RECENT_MS
    };
    let recent: Vec<&UnaskedEnd> = ends.iter().filter(recent).collect();
    (recent.len() >= OFTEN).then(|| {
        Symptom::warning("the worker ends again and again, and nobody asks it to")
            .saw_all(recent.iter().rev().map(|end| format!("generation {} {}", end.generation, end.line())))
            .remedy(case.type_in("logs"))
    })
}

fn logs(case: &Case<'_>) -> Option<Symptom> {
    let logs = case.state.logs.as_ref().ok()?.as_ref()?;
    (logs.all > logs.bound.saturating_mul(2).saturating_add(LOG_SLACK)).then(|| {
        Symptom::warning("the logs are far larger than their bound")
            .saw(format!("{} of logs; the settings allow {}", bytes(logs.all), bytes(logs.bound)))
            .remedy(format!("remove old files in {}", word(&case.worker.directory.path.join(file::LOGS))))
    })
}

/// The host opens `output.log` again with the next output. A worker's own log is the stdout that it was started with.
fn log_moved(case: &Case<'_>) -> Option<Symptom> {
    let moved = case.state.moved_log.as_ref()?;
    let log = case.worker.directory.path.join(file::LOGS).join(file::BOOT_LOG);
    Some(
        Symptom::warning(
            "the worker's own log was moved or removed, and the worker still writes to the old file",
        )
        .saw(format!("it writes to {}", moved.display()))
        .saw(format!("`tenure logs` reads {}", log.display()))
        .remedy(case.type_in("restart")),
    )
}

/// The file of the recorded host, where a worker of it lives: a dead one's needs nobody.
fn living<'case>(case: &Case<'case>) -> Option<&'case HostCode> {
    case.state.host.as_ref().filter(|_| case.state.hello().is_some())
}

fn is_unlinked(host: &HostCode) -> bool {
    host.runs.as_ref().is_some_and(|runs| runs.as_os_str().as_encoded_bytes().ends_with(b" (deleted)"))
}

fn host_gone(case: &Case<'_>) -> Option<Symptom> {
    let host = living(case).filter(|host| !host.there)?;
    Some(
        Symptom::warning("the executable of the worker is not on disk any more")
            .saw(format!("{} is gone; the worker runs on", host.record.exe))
            .remedy(format!("{}, from an installation that is there", case.type_in("restart"))),
    )
}

fn host_replaced(case: &Case<'_>) -> Option<Symptom> {
    let host = living(case).filter(|host| host.there && is_unlinked(host))?;
    Some(
        Symptom::note("the executable of the worker was replaced since it was started")
            .saw(format!("it runs a file that {} no longer leads to", host.record.exe))
            .remedy(format!("{}, to have the new one", case.type_in("restart"))),
    )
}

fn host_newer(case: &Case<'_>) -> Option<Symptom> {
    let host = case.state.host.as_ref().filter(|host| host.record.is_newer_host())?;
    Some(
        Symptom::note("a newer tenure keeps this worker, and is used for it as long as it is there")
            .saw(format!("{} is tenure {}", host.record.exe, host.record.version))
            .saw(format!("this is tenure {}", env!("CARGO_PKG_VERSION")))
            .remedy("update this tenure"),
    )
}

fn not_looked_at(case: &Case<'_>) -> Option<Symptom> {
    let state = case.state;
    // Obstacles are told by a check of their own.
    let why = |names: &[&str], why: Option<&Unread>| {
        why.filter(|_| !names.iter().any(|name| state.is_blocked(name))).map(|why| format!("could not {why}"))
    };
    let parts = [
        why(&[file::GATE], state.gate.as_ref().err()),
        why(&[file::LEASE], state.lease.as_ref().err()),
        why(&file::PROGRAMS, state.program_lock.as_ref().err()),
        why(&[file::CONTROL], state.socket.as_ref().err()),
        why(&[file::LOGS], state.logs.as_ref().err()),
    ];
    let missing: Vec<String> = parts.into_iter().flatten().collect();
    (!missing.is_empty()).then(|| {
        Symptom::warning("a part could not be looked at: other findings may be missing")
            .saw_all(missing)
            .remedy(format!("`ls -la {}`", word(&case.worker.directory.path)))
    })
}
