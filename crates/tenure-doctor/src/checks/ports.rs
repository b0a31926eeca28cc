//! Checks of addresses: who listens where the worker serves, or where it would.

use tenure_core::os_text::shell_word;
use tenure_core::protocol::wire::AppState;
use tenure_core::spec::Address;
use tenure_sys::census::SeenProcess;

use crate::check::{Case, DoctorCheck, Look};
use crate::facts::{Port, line_of};
use crate::finding::Symptom;
use crate::look::ports::inodes;

pub(crate) const CHECKS: &[DoctorCheck] = &[
    DoctorCheck { id: "port-taken", part: "ports", look: Look::Each(taken) },
    DoctorCheck { id: "port-of-another", part: "ports", look: Look::Each(of_another) },
    DoctorCheck { id: "port-unseen", part: "ports", look: Look::Each(unseen) },
    DoctorCheck { id: "port-silent", part: "ports", look: Look::Each(silent) },
];

/// Who has the listening sockets of the port open, as far as can be seen.
fn listeners<'case>(case: &Case<'case>, port: &Port) -> Vec<&'case SeenProcess> {
    let inodes = inodes(&port.sockets);
    case.census.sockets.iter().filter(|(inode, _)| inodes.contains(inode)).map(|(_, seen)| seen).collect()
}

/// Whether one of those processes belongs to this worker: by its cookie, because it descends from the worker, or by the
/// other evidence of what a dead one left, for one that blanked its environment.
fn is_ours(case: &Case<'_>, listeners: &[&SeenProcess]) -> bool {
    let of_others = case.state.orphans_of_others.iter().map(|(seen, _)| seen);
    let left = case.state.orphans.iter().chain(of_others);
    let own = case.state.own.iter().copied();
    let ours: Vec<u32> = case.with_cookie().chain(left).map(|seen| seen.pid).chain(own).collect();
    listeners.iter().any(|seen| ours.contains(&seen.pid) || seen.above.iter().any(|pid| ours.contains(pid)))
}

/// Who listens on an address, where it is not known to be the worker.
enum PortListener {
    /// A process that was seen, and does not belong to the worker.
    Stranger,
    /// Somebody whom nobody sees from here, or who may be the worker: it cannot be looked at.
    Unseen,
}

fn listener(case: &Case<'_>, port: &Port) -> Option<PortListener> {
    if port.sockets.is_empty() || port.is_ours {
        return None;
    }
    let listeners = listeners(case, port);
    if is_ours(case, &listeners) {
        return None;
    }
    let unseen = listeners.is_empty() || case.state.out_of_sight.is_some();
    Some(if unseen { PortListener::Unseen } else { PortListener::Stranger })
}

fn lines(case: &Case<'_>, port: &Port) -> Vec<String> {
    let listeners = listeners(case, port);
    if listeners.is_empty() {
        let owners = port.sockets.iter().map(|socket| socket.uid);
        return owners
            .map(|uid| format!("a process of uid {uid} listens there; it cannot be seen from here"))
            .collect();
    }
    listeners.iter().map(|seen| format!("{} listens there", line_of(seen))).collect()
}

/// The command that shows root who listens. Whether a process that was not seen should end is not known.
fn who_listens(port: &Port) -> String {
    match &port.address {
        Address::Unix(path) => {
            // A socket that took the place of another keeps a longer name in the kernel's list.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("`sudo ss -lxp | grep -F {}`", shell_word(&name))
        }
        Address::Tcp(address) => format!("`sudo ss -ltnp 'sport = :{}'`", address.port()),
        _ => "`sudo ss -lp`".to_owned(),
    }
}

fn remedy(case: &Case<'_>, port: &Port) -> String {
    match listeners(case, port).first() {
        Some(seen) => format!("end pid {}, or choose another address in `listen`", seen.pid),
        None => format!("{} shows who it is; or choose another address in `listen`", who_listens(port)),
    }
}

fn each(case: &Case<'_>, look: fn(&Case<'_>, &Port) -> Option<Symptom>) -> Vec<Symptom> {
    case.state.ports.iter().filter_map(|port| look(case, port)).collect()
}

/// A process of the worker itself that still listens is told as a leftover, and not here.
fn taken(case: &Case<'_>) -> Vec<Symptom> {
    each(case, |case, port| {
        listener(case, port).filter(|_| case.state.is_free())?;
        Some(
            Symptom::error(format!("the address of {:?} is taken: the worker cannot be started", port.name))
                .saw(port.address.to_string())
                .saw_all(lines(case, port))
                .remedy(remedy(case, port)),
        )
    })
}

fn of_another(case: &Case<'_>) -> Vec<Symptom> {
    each(case, |case, port| {
        case.state.hello()?;
        let PortListener::Stranger = listener(case, port)? else { return None };
        Some(
            Symptom::error(format!("another process listens where the worker should serve {:?}", port.name))
                .saw(port.address.to_string())
                .saw_all(lines(case, port))
                .remedy(remedy(case, port)),
        )
    })
}

/// The listener may be the worker or a stranger: nobody is told to end a process that was merely not seen.
fn unseen(case: &Case<'_>) -> Vec<Symptom> {
    each(case, |case, port| {
        case.state.hello()?;
        let PortListener::Unseen = listener(case, port)? else { return None };
        let what =
            format!("whether it is the worker that listens at {:?} cannot be told from here", port.name);
        let symptom = match &case.state.out_of_sight {
            Some(why) => Symptom::note(what)
                .saw(why.clone())
                .remedy(format!("{} where the worker was started", case.type_in("doctor"))),
            None => Symptom::warning(what).remedy(who_listens(port)),
        };
        Some(symptom.saw(port.address.to_string()).saw_all(lines(case, port)))
    })
}

fn silent(case: &Case<'_>) -> Vec<Symptom> {
    each(case, |case, port| {
        // In another network namespace, or beyond a pid namespace whose network is not known, others listen.
        if case.state.out_of_sight.is_some() {
            return None;
        }
        let serves = |state| matches!(state, AppState::Ready | AppState::Degraded);
        let hello = case.state.hello().filter(|hello| !hello.draining && serves(hello.app.state))?;
        port.sockets.is_empty().then(|| {
            Symptom::error(format!(
                "the worker says that it serves {:?}, and nobody listens there",
                port.name
            ))
            .saw(format!("{} of generation {} names {}", hello.identity, hello.generation, port.address))
            // A path can be made again beside the worker; a port that is gone cannot be explained.
            .remedy(case.type_in(if port.address.unix().is_some() {
                "restart"
            } else {
                "stop"
            }))
        })
    })
}
