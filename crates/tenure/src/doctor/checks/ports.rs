//! Checks of addresses: who listens where the worker serves, or where it would.

use tenure_sys::census::Seen;

use crate::doctor::check::{Case, Check, Look};
use crate::doctor::facts::{Port, line_of};
use crate::doctor::finding::Symptom;
use crate::doctor::look::ports::inodes;
use crate::wire::AppState;

pub(crate) const CHECKS: &[Check] = &[
    Check { id: "port-taken", part: "ports", look: Look::Each(taken) },
    Check { id: "port-of-another", part: "ports", look: Look::Each(of_another) },
    Check { id: "port-silent", part: "ports", look: Look::Each(silent) },
];

/// Who has the listening sockets of the port open, as far as can be seen.
fn listeners<'case>(case: &Case<'case>, port: &Port) -> Vec<&'case Seen> {
    let inodes = inodes(&port.sockets);
    case.census.sockets.iter().filter(|(inode, _)| inodes.contains(inode)).map(|(_, seen)| seen).collect()
}

/// Whether one of those processes belongs to this worker: by its mark, because it descends from the worker, or by the other
/// evidence of what a dead one left, for one that blanked its environment.
fn is_ours(case: &Case<'_>, listeners: &[&Seen]) -> bool {
    let hello = case.state.hello();
    let program = hello.and_then(|hello| hello.program.as_ref()?.identity.as_ref());
    let worker = hello.map(|hello| &hello.identity).into_iter().chain(program).map(|identity| identity.pid);
    let of_others = case.state.remains_of_others.iter().map(|(seen, _)| seen);
    let left = case.state.remains.iter().chain(of_others);
    let ours: Vec<u32> = case.marked().chain(left).map(|seen| seen.pid).chain(worker).collect();
    listeners.iter().any(|seen| ours.contains(&seen.pid) || seen.above.iter().any(|pid| ours.contains(pid)))
}

fn strangers(case: &Case<'_>, port: &Port) -> Option<Vec<String>> {
    if port.sockets.is_empty() || port.is_ours {
        return None;
    }
    let listeners = listeners(case, port);
    if is_ours(case, &listeners) {
        return None;
    }
    let lines: Vec<String> =
        listeners.iter().map(|seen| format!("{} listens there", line_of(seen))).collect();
    if !lines.is_empty() {
        return Some(lines);
    }
    let owners = port.sockets.iter().map(|socket| socket.uid);
    Some(
        owners
            .map(|uid| format!("a process of uid {uid} listens there; it cannot be seen from here"))
            .collect(),
    )
}

fn remedy(case: &Case<'_>, port: &Port) -> String {
    match listeners(case, port).first() {
        Some(seen) => format!("end pid {}, or choose another address in `listen`", seen.pid),
        None => "end the process there, or choose another address in `listen`".to_owned(),
    }
}

fn each(case: &Case<'_>, look: fn(&Case<'_>, &Port) -> Option<Symptom>) -> Vec<Symptom> {
    case.state.ports.iter().filter_map(|port| look(case, port)).collect()
}

/// What stands between the lease that is free and the address that is taken is told as leftovers, where it is ours.
fn taken(case: &Case<'_>) -> Vec<Symptom> {
    each(case, |case, port| {
        let lines = strangers(case, port).filter(|_| case.state.is_free())?;
        Some(
            Symptom::error(format!("the address of {:?} is taken: the worker cannot be started", port.name))
                .saw(port.address.to_string())
                .saw_all(lines)
                .remedy(remedy(case, port)),
        )
    })
}

fn of_another(case: &Case<'_>) -> Vec<Symptom> {
    each(case, |case, port| {
        let lines = strangers(case, port).filter(|_| case.state.hello().is_some())?;
        Some(
            Symptom::error(format!("another process listens where the worker should serve {:?}", port.name))
                .saw(port.address.to_string())
                .saw_all(lines)
                .remedy(remedy(case, port)),
        )
    })
}

fn silent(case: &Case<'_>) -> Vec<Symptom> {
    each(case, |case, port| {
        let serves = |state| matches!(state, AppState::Ready | AppState::Degraded);
        let hello = case.state.hello().filter(|hello| !hello.draining && serves(hello.app.state))?;
        port.sockets.is_empty().then(|| {
            Symptom::error(format!(
                "the worker says that it serves {:?}, and nobody listens there",
                port.name
            ))
            .saw(format!("{} of generation {} names {}", hello.identity, hello.generation, port.address))
            .remedy(case.type_in("stop"))
        })
    })
}
