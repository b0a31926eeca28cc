//! The environment of a program: what the host was given, and what `tenure` tells the program about itself. Pure.

use tenure_core::fault;
use tenure_core::launch::start::handshake::{DESCRIPTORS_PID_VARIABLE, DESCRIPTORS_VARIABLE};
use tenure_core::protocol::wire::Endpoint;
use tenure_core::spec::scope::COOKIE_VARIABLE;

use crate::host::readiness::fd::READY_VARIABLE;
use crate::host::readiness::kind::ReadinessKind;
use crate::host::readiness::notify::NOTIFY_VARIABLE;

/// Names the generation that the program runs in.
const GENERATION_VARIABLE: &str = "TENURE_GENERATION";

/// The first descriptor of a program after its standard ones.
pub(super) const FIRST_DESCRIPTOR: usize = 3;

/// What a program learns from its variables.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// What each process of its tree carries as `TENURE_COOKIE`.
    pub(super) cookie: &'a str,
    /// Its generation.
    pub(super) generation: u64,
    /// Every address of the worker, those included that the program is to bind itself.
    pub(super) endpoints: &'a [Endpoint],
    /// Names of the listeners that it gets, from descriptor 3 on.
    pub(super) listeners: &'a [String],
    /// How it tells its readiness: on a descriptor after those of the listeners, for example.
    pub(super) readiness: Option<&'a dyn ReadinessKind>,
}

/// The environment of a program, from that of its host.
pub(super) fn variables(
    host: impl IntoIterator<Item = (String, String)>,
    surroundings: &Surroundings<'_>,
) -> Vec<(String, String)> {
    let ours = ours(surroundings);
    let mut built: Vec<(String, String)> = host
        .into_iter()
        .filter(|(name, _)| !is_private(name) && ours.iter().all(|(own, _)| own != name))
        .collect();
    built.extend(ours);
    built.sort();
    built
}

/// The value of one variable of a built environment.
pub(super) fn value<'a>(built: &'a [(String, String)], name: &str) -> Option<&'a str> {
    built.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Sets one variable of a built environment.
pub(super) fn set_variable(built: &mut Vec<(String, String)>, name: String, value: String) {
    built.retain(|(known, _)| *known != name);
    built.push((name, value));
}

/// Tells another generation to a built environment.
pub(super) fn set_generation(built: &mut Vec<(String, String)>, generation: u64, cookie: &str) {
    set_variable(built, COOKIE_VARIABLE.to_owned(), cookie.to_owned());
    set_variable(built, GENERATION_VARIABLE.to_owned(), generation.to_string());
}

/// Variables that were meant for the host alone, or that the wrong process would believe.
fn is_private(name: &str) -> bool {
    let listed = [
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        NOTIFY_VARIABLE,
        READY_VARIABLE,
        DESCRIPTORS_VARIABLE,
        DESCRIPTORS_PID_VARIABLE,
    ];
    listed.contains(&name) || name.starts_with("TENURE_LISTEN_") || fault::variable() == Some(name)
}

fn ours(surroundings: &Surroundings<'_>) -> Vec<(String, String)> {
    let mut ours = vec![
        (COOKIE_VARIABLE.to_owned(), surroundings.cookie.to_owned()),
        (GENERATION_VARIABLE.to_owned(), surroundings.generation.to_string()),
    ];
    for endpoint in surroundings.endpoints {
        ours.push((format!("TENURE_LISTEN_{}", shouted(&endpoint.name)), endpoint.address.text()));
    }
    if !surroundings.listeners.is_empty() {
        // LISTEN_PID is written by the process that is about to become the program.
        ours.push(("LISTEN_FDS".to_owned(), surroundings.listeners.len().to_string()));
        ours.push(("LISTEN_FDNAMES".to_owned(), surroundings.listeners.join(":")));
    }
    let descriptor = FIRST_DESCRIPTOR + surroundings.listeners.len();
    let readiness = surroundings.readiness.and_then(|readiness| readiness.variable(descriptor));
    ours.extend(readiness.map(|(name, value)| (name.to_owned(), value)));
    ours
}

fn shouted(name: &str) -> String {
    name.chars().map(|c| if matches!(c, '-' | '.') { '_' } else { c.to_ascii_uppercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(surroundings: &Surroundings<'_>) -> Vec<String> {
        let host = [
            ("PATH", "/bin"),
            ("TENURE_STATE_DIR", "/s"),
            (DESCRIPTORS_VARIABLE, "4"),
            (COOKIE_VARIABLE, "host"),
            ("LISTEN_PID", "1"),
            ("NOTIFY_SOCKET", "/other"),
        ];
        let host = host.map(|(name, value)| (name.to_owned(), value.to_owned()));
        variables(host, surroundings).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    struct OnDescriptor;

    impl ReadinessKind for OnDescriptor {
        fn variable(&self, descriptor: usize) -> Option<(&'static str, String)> {
            Some((READY_VARIABLE, descriptor.to_string()))
        }
    }

    fn plain<'a>() -> Surroundings<'a> {
        Surroundings { cookie: "c", generation: 7, endpoints: &[], listeners: &[], readiness: None }
    }

    #[test]
    fn what_was_told_to_the_host_alone_does_not_reach_the_program() {
        let entries = built(&plain());
        assert_eq!(entries, ["PATH=/bin", "TENURE_COOKIE=c", "TENURE_GENERATION=7", "TENURE_STATE_DIR=/s"]);
    }

    #[test]
    fn listeners_are_told_by_number_name_and_address() {
        let endpoints = [Endpoint::new("web.ui-2", "127.0.0.1:80".parse().expect("an address"))];
        let listeners = ["web.ui-2".to_owned(), "rpc".to_owned()];
        let entries = built(&Surroundings {
            endpoints: &endpoints,
            listeners: &listeners,
            readiness: Some(&OnDescriptor),
            ..plain()
        });
        for expected in [
            "LISTEN_FDS=2",
            "LISTEN_FDNAMES=web.ui-2:rpc",
            "TENURE_LISTEN_WEB_UI_2=127.0.0.1:80",
            "TENURE_READY_FD=5",
        ] {
            assert!(entries.iter().any(|entry| entry == expected), "{expected} in {entries:?}");
        }
    }
}
