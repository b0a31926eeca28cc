//! Checks of the worker's own answer, and of what stands at its sockets.

use std::net::SocketAddr;
use std::time::Duration;

use tenure_core::launch::ask::probe::FIRST_ANSWER;
use tenure_core::policy::decide::Observation;
use tenure_core::protocol::wire::{AppState, Hello};

use crate::check::{Case, DoctorCheck, Look, span};
use crate::finding::{Fix, Symptom};

pub(crate) const CHECKS: &[DoctorCheck] = &[
    DoctorCheck { id: "control-denied", part: "answer", look: Look::Worker(denied) },
    DoctorCheck { id: "not-ours", part: "answer", look: Look::Worker(foreign) },
    DoctorCheck { id: "slow-answer", part: "answer", look: Look::Worker(slow) },
    DoctorCheck { id: "app-failed", part: "answer", look: Look::Worker(failed) },
    DoctorCheck { id: "app-degraded", part: "answer", look: Look::Worker(degraded) },
    DoctorCheck { id: "app-stalled", part: "answer", look: Look::Worker(stalled) },
    DoctorCheck { id: "app-booting", part: "answer", look: Look::Worker(booting) },
    DoctorCheck { id: "draining", part: "answer", look: Look::Worker(draining) },
    DoctorCheck { id: "stale-socket", part: "sockets", look: Look::Worker(stale_socket) },
    DoctorCheck { id: "stale-temporaries", part: "sockets", look: Look::Worker(stale_temporaries) },
];

/// The check by which a worker says that its ledger could not be written.
const LEDGER_CHECK: &str = "ledger";

/// The control thread answers in well under a millisecond. A tenth of a second is a machine under heavy load, and a
/// fifth of what a launcher waits.
const SLOW: Duration = Duration::from_millis(100);

fn denied(case: &Case<'_>) -> Option<Symptom> {
    let Observation::Denied(why) = &case.state.answer else { return None };
    Some(
        Symptom::error("the system does not permit to ask the worker")
            .saw(why.clone())
            .saw("a worker that may not be reached is not taken for a dead one: nothing is started")
            .remedy(format!("allow to connect to the socket in {}", case.worker.directory.path.display())),
    )
}

fn foreign(case: &Case<'_>) -> Option<Symptom> {
    let Observation::Foreign(why) = &case.state.answer else { return None };
    Some(
        Symptom::error("somebody else answers on the control socket")
            .saw(why.clone())
            .saw(format!("this directory's worker would answer for {:?}", case.state.id))
            .remedy("look at TENURE_STATE_DIR on both sides"),
    )
}

fn slow(case: &Case<'_>) -> Option<Symptom> {
    case.state.hello().filter(|_| case.state.answered_in > SLOW)?;
    Some(
        Symptom::warning("the worker answers slowly")
            .saw(format!(
                "{} for the first answer; launchers wait {}",
                span(case.state.answered_in),
                span(FIRST_ANSWER)
            ))
            .remedy("look for what keeps the machine busy"),
    )
}

fn app<'case>(case: &Case<'case>, states: &[AppState]) -> Option<&'case Hello> {
    case.state.hello().filter(|hello| !hello.draining && states.contains(&hello.app.state))
}

fn reasons(hello: &Hello) -> Vec<String> {
    let checks = hello.app.checks.iter().filter(|check| !check.ok);
    let checks = checks.map(|check| {
        let since = check.failing_for_ms.map(|ms| format!(" for {}", span(Duration::from_millis(ms))));
        format!("check {} fails{}: {}", check.name, since.unwrap_or_default(), check.detail)
    });
    let exit = hello.program.as_ref().and_then(|program| program.last_exit.as_ref());
    let exit = exit.map(|exit| format!("its program last ended with {exit}"));
    let not_ready = hello.app.not_ready.as_ref().map(|told| told.line_with_time());
    hello.app.reason.iter().cloned().chain(not_ready).chain(exit).chain(checks).collect()
}

fn failed(case: &Case<'_>) -> Option<Symptom> {
    let hello = app(case, &[AppState::Failed, AppState::BackOff])?;
    let symptom = if hello.app.state == AppState::Failed {
        Symptom::error("the worker is there and does not serve: its program has failed for good")
    } else {
        Symptom::error(
            "the worker is there and does not serve: its program ended and waits to be started again",
        )
    };
    Some(symptom.saw_all(reasons(hello)).remedy(case.type_in("logs")))
}

/// What helps where the worker could not write its ledger: a restart writes it anew, once there is room again.
fn after_failed_checks(case: &Case<'_>, hello: &Hello) -> String {
    let is_ledger = |check: &tenure_core::protocol::wire::Check| !check.ok && check.name == LEDGER_CHECK;
    case.type_in(if hello.app.checks.iter().any(is_ledger) { "restart" } else { "logs" })
}

fn degraded(case: &Case<'_>) -> Option<Symptom> {
    let hello = app(case, &[AppState::Degraded])?;
    Some(
        Symptom::warning("the worker serves, and one of its checks fails")
            .saw_all(reasons(hello))
            .remedy(after_failed_checks(case, hello)),
    )
}

fn stalled(case: &Case<'_>) -> Option<Symptom> {
    let hello = case.state.hello()?;
    let stalled = Duration::from_millis(hello.app.stalled_for_ms?);
    Some(
        Symptom::warning("the app does not come round to its own clock: something blocks its runtime")
            .saw(format!("nothing was heard of it for {}", span(stalled)))
            .remedy(case.type_in("restart")),
    )
}

fn booting(case: &Case<'_>) -> Option<Symptom> {
    let hello = app(case, &[AppState::Booting])?;
    Some(
        Symptom::note("the worker boots")
            .saw(format!("it was started {} ago", span(Duration::from_millis(hello.uptime_ms))))
            .saw_all(reasons(hello))
            .saw_all(case.state.listens.as_deref().map(listens))
            .remedy(case.type_in("logs")),
    )
}

/// Where a program that boots listens: perhaps elsewhere than it is asked.
fn listens(addresses: &[SocketAddr]) -> String {
    if addresses.is_empty() {
        return "its program listens on no TCP port yet".to_owned();
    }
    let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!("its program listens on {}", all.join(", "))
}

fn draining(case: &Case<'_>) -> Option<Symptom> {
    let hello = case.state.hello().filter(|hello| hello.draining)?;
    Some(
        Symptom::note("the worker has announced its end")
            .saw(format!("{} of generation {} drains", hello.identity, hello.generation))
            .saw_all(reasons(hello))
            .remedy(case.type_in("events")),
    )
}

/// Nobody is there and nobody is about to be: what lies at the sockets then is left from a death.
fn is_dead(case: &Case<'_>) -> bool {
    case.state.is_free() && case.state.answer == Observation::Nobody && !case.state.is_in_motion()
}

fn stale_socket(case: &Case<'_>) -> Option<Symptom> {
    (is_dead(case) && case.state.socket == Ok(true)).then(|| {
        Symptom::note("a dead worker left its control socket; the next start replaces it")
            .saw("nobody listens on it, and nobody holds the lease")
            .remedy(case.type_in("doctor --fix"))
            .fix(Fix::RemoveStale { scope: case.worker.scope.clone() })
    })
}

fn stale_temporaries(case: &Case<'_>) -> Option<Symptom> {
    (is_dead(case) && !case.state.temporaries.is_empty()).then(|| {
        Symptom::note("somebody died in the middle of a write or a start; the next start sweeps it up")
            .saw_all(case.state.temporaries.iter().cloned())
            .remedy(case.type_in("doctor --fix"))
            .fix(Fix::RemoveStale { scope: case.worker.scope.clone() })
    })
}
