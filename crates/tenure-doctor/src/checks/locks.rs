//! Checks of gate and lease: who holds them, and whether that holder can go on.

use std::time::Duration;

use tenure_core::policy::decide::Observation;
use tenure_sys::process::RunState;

use crate::check::{Case, DoctorCheck, Look, span};
use crate::facts::{GateHolder, Member, Now};
use crate::finding::Symptom;

pub(crate) const CHECKS: &[DoctorCheck] = &[
    DoctorCheck { id: "gate-holder-stopped", part: "gate", look: Look::Worker(gate_stopped) },
    DoctorCheck { id: "gate-held", part: "gate", look: Look::Worker(gate_held) },
    DoctorCheck { id: "gate-unsigned", part: "gate", look: Look::Worker(gate_unsigned) },
    DoctorCheck { id: "worker-stopped", part: "lease", look: Look::Worker(worker_stopped) },
    DoctorCheck { id: "worker-traced", part: "lease", look: Look::Worker(worker_traced) },
    DoctorCheck { id: "wedged", part: "lease", look: Look::Worker(wedged) },
    DoctorCheck { id: "booting-silently", part: "lease", look: Look::Worker(booting) },
    DoctorCheck { id: "unreachable", part: "lease", look: Look::Worker(unreachable) },
    DoctorCheck { id: "unknown-holder", part: "lease", look: Look::Worker(unknown_holder) },
    DoctorCheck { id: "lease-lost", part: "lease", look: Look::Worker(lease_lost) },
];

/// A hold that lasts longer waits for something slow: each is bounded by a watchdog, at a minute beyond its own
/// budgets.
const LONG_HOLD: Duration = Duration::from_mins(1);

fn signed<'case>(
    case: &Case<'case>,
) -> Option<(&'case tenure_core::store::gate::Signature, Option<RunState>)> {
    match case.state.gate.as_ref().ok()?.as_ref()? {
        GateHolder::Signed { by, run } => Some((by, *run)),
        GateHolder::Unsigned { .. } => None,
    }
}

fn is_suspended(run: Option<RunState>) -> bool {
    matches!(run, Some(RunState::Stopped | RunState::Traced))
}

fn held_for(case: &Case<'_>, by: &tenure_core::store::gate::Signature) -> Duration {
    by.since.until(&case.machine.now)
}

fn gate_stopped(case: &Case<'_>) -> Option<Symptom> {
    let (by, run) = signed(case).filter(|(_, run)| is_suspended(*run))?;
    let pid = by.identity.pid;
    let remedy = match run {
        Some(RunState::Traced) => format!("let the debugger of pid {pid} go on"),
        _ => format!("`kill -CONT {pid}`"),
    };
    let run = run.map(|run| run.to_string()).unwrap_or_default();
    Some(
        Symptom::error("the gate is held by a process that is stopped: nothing can be started or replaced")
            .saw(format!("pid {pid} ({}) is {run}", by.command))
            .saw(format!("it has held the gate for {}", span(held_for(case, by))))
            .remedy(remedy),
    )
}

fn gate_held(case: &Case<'_>) -> Option<Symptom> {
    let (by, run) = signed(case).filter(|(_, run)| !is_suspended(*run))?;
    let held = held_for(case, by);
    let symptom = if let Some(upgrade) = &by.upgrade {
        Symptom::note(format!("an upgrade to version {} is under way", upgrade.to))
            .saw_all(upgrade.beside.then(|| "the version before serves meanwhile".to_owned()))
    } else if held > LONG_HOLD {
        Symptom::warning("a launcher has been at work for long; others wait for it")
    } else {
        Symptom::note("a launcher is at work")
    };
    let run = run.map_or_else(|| "ending".to_owned(), |run| run.to_string());
    Some(
        symptom
            .saw(format!("pid {} ({}) is {run}", by.identity.pid, by.command))
            .saw(format!("it has held the gate for {}", span(held)))
            .remedy(case.type_in("events")),
    )
}

fn gate_unsigned(case: &Case<'_>) -> Option<Symptom> {
    let Ok(Some(GateHolder::Unsigned { file })) = &case.state.gate else { return None };
    Some(
        Symptom::warning(
            "the gate is held by somebody who did not sign it, or whose name cannot be verified",
        )
        .saw_all(case.holders(*file))
        .remedy("wait for the process that is named, or end it"),
    )
}

fn is_held(case: &Case<'_>) -> bool {
    case.state.lease == Ok(true)
}

fn suspended<'case>(case: &Case<'case>) -> Option<&'case Member> {
    case.state.lineage.iter().find(|member| member.is_suspended())
}

fn worker_stopped(case: &Case<'_>) -> Option<Symptom> {
    let member = suspended(case).filter(|_| is_held(case) && case.state.hello().is_none())?;
    let pid = member.identity.pid;
    let is_traced = matches!(&member.now, Now::There { run: Some(RunState::Traced), .. });
    let remedy = if is_traced {
        format!("let the debugger of pid {pid} go on")
    } else {
        format!("`kill -CONT {pid}`")
    };
    Some(
        Symptom::error("the worker is stopped, so it does not answer")
            .saw_all(case.state.lineage.iter().map(Member::line))
            .saw(format!("no answer within {}", span(case.state.answered_in)))
            .remedy(remedy),
    )
}

fn worker_traced(case: &Case<'_>) -> Option<Symptom> {
    let is_traced =
        |member: &&Member| matches!(member.now, Now::There { tracer: Some(_), .. }) && !member.is_suspended();
    let member = case.state.lineage.iter().chain(&case.state.programs).find(is_traced)?;
    Some(
        Symptom::note("a debugger is attached: the process is never ended by force")
            .saw(member.line())
            .remedy("detach the debugger when it is no longer needed"),
    )
}

fn boots_for(case: &Case<'_>) -> Duration {
    case.state.ledger.good().map_or(Duration::ZERO, |ledger| ledger.booting_for(&case.machine.now))
}

fn is_booting(case: &Case<'_>) -> bool {
    !boots_for(case).is_zero()
}

/// Whether somebody whom the record names, verified and running, holds the lease and does not answer.
fn is_silent(case: &Case<'_>) -> bool {
    is_held(case)
        && case.state.answer == Observation::Silent
        && suspended(case).is_none()
        && case.state.lineage.iter().any(Member::is_there)
}

fn wedged(case: &Case<'_>) -> Option<Symptom> {
    (is_silent(case) && !is_booting(case)).then(|| {
        Symptom::error("the worker holds its lease and does not answer")
            .saw(format!("connected, and no answer within {}", span(case.state.answered_in)))
            .saw_all(case.state.lineage.iter().map(Member::line))
            .remedy(format!("{}, which ends it by force if need be", case.type_in("stop")))
    })
}

fn booting(case: &Case<'_>) -> Option<Symptom> {
    (is_silent(case) && is_booting(case)).then(|| {
        Symptom::note("the worker boots and does not answer yet")
            .saw(format!("it has {} left for that", span(boots_for(case))))
            .saw_all(case.state.lineage.iter().map(Member::line))
            .remedy(case.type_in("logs --worker"))
    })
}

/// Nobody listens while the lease is held: either the worker is at its very end, or its socket was taken away.
fn unreachable(case: &Case<'_>) -> Option<Symptom> {
    let is_there = case.state.lineage.iter().any(Member::is_there);
    let alone = case.state.answer == Observation::Nobody && suspended(case).is_none();
    (is_held(case) && alone && is_there && !case.state.is_in_motion()).then(|| {
        let socket = match case.state.socket {
            Ok(true) => "nobody listens on its control socket",
            Ok(false) | Err(_) => "it has no control socket",
        };
        Symptom::error("the worker lives and cannot be reached: it is ending, or its socket was taken away")
            .saw(socket)
            .saw_all(case.state.lineage.iter().map(Member::line))
            .remedy(case.type_in("stop"))
    })
}

fn unknown_holder(case: &Case<'_>) -> Option<Symptom> {
    let is_there = case.state.lineage.iter().any(Member::is_there);
    let is_known = is_there || case.state.hello().is_some() || case.state.is_in_motion();
    (is_held(case) && !is_known).then(|| {
        let seen = case.state.lease_file.map(|file| case.holders(file)).unwrap_or_default();
        Symptom::error(
            "the lease is held by somebody who cannot be verified: nothing may end it, and nothing can start",
        )
        .saw_all(case.state.lineage.iter().map(Member::line))
        .saw_all(seen)
        .remedy("end the process that is named, from the pid namespace that it lives in")
    })
}

fn lease_lost(case: &Case<'_>) -> Option<Symptom> {
    let hello = case.state.hello().filter(|_| case.state.is_free() && !case.state.is_in_motion())?;
    Some(
        Symptom::error("a worker answers that does not hold the lease: its lock file was replaced under it")
            .saw(format!("{} answers as generation {}", hello.identity, hello.generation))
            .saw("nobody holds the lock `instance` that is at the path now")
            .remedy(case.type_in("stop")),
    )
}
