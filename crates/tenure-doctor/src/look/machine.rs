//! What holds for every worker of this user on this machine: boot, kernel, limits, variables, the root of all state.

use std::path::{Path, PathBuf};

use tenure_core::deadline::{Moment, wall_millis};
use tenure_core::os_text;
use tenure_core::spec::program::{self, HOST_VARIABLE};
use tenure_core::store::paths;
use tenure_sys::identity::Identity;
use tenure_sys::{kernel, limits, user};

use crate::facts::{DirectoryFacts, Gathered, MachineFacts, Unread};
use crate::look::directory;

/// Directory of the records of trusted files, below the root.
const TRUST: &str = "trust";

/// Gathers the facts of the machine. `configuration` is what the caller has found wrong with the files that describe
/// workers.
pub(crate) fn machine(configuration: Vec<String>) -> MachineFacts {
    let variables = variables();
    MachineFacts {
        user: user::effective_uid(),
        now: Moment::now(),
        wall_s: wall_millis() / 1000,
        identity: own_identity(),
        listed: listed(),
        watch: kernel::try_watch().map_err(|error| Unread::of("watch files", &error)),
        roots: roots(),
        host: host(),
        machine_id: paths::state_root().is_ok_and(|root| matches!(paths::machine_id(&root), Ok(Some(_)))),
        kernel: kernel::release(),
        features: kernel::features(),
        watch_limits: kernel::watch_limits()
            .map_err(|error| Unread::of("read the bounds on watches of files", &error)),
        descriptors: limits::nofile(),
        named_host: named_host(&variables),
        variables,
        configuration,
    }
}

fn own_identity() -> Gathered<Identity> {
    Identity::current().map_err(|error| Unread::of("read boot id and own identity in /proc", &error))
}

fn host() -> Gathered<DirectoryFacts> {
    let host = paths::state_root().and_then(|root| paths::host_directory(&root));
    host.map(|host| directory::inspect(&host)).map_err(|error| Unread(error.to_string()))
}

/// Empty without a root: the host's directory, which is below it, tells why there is none.
fn roots() -> Vec<DirectoryFacts> {
    let Ok(root) = paths::state_root() else { return Vec::new() };
    let trust = root.join(TRUST);
    vec![directory::inspect_root(&root), directory::inspect(&trust)]
}

/// How many workers have state here.
fn listed() -> Gathered<usize> {
    match paths::scopes() {
        Ok(scopes) => Ok(scopes.len()),
        Err(error) => Err(Unread::of("list the workers that ran here", &error)),
    }
}

fn variables() -> Vec<(String, String)> {
    let named = |name: &str| name.starts_with("TENURE_");
    let all = std::env::vars_os().map(|(name, value)| (os_text::text(&name), os_text::text(&value)));
    let mut found: Vec<_> = all.filter(|(name, _)| named(name)).collect();
    found.sort();
    found
}

fn named_host(variables: &[(String, String)]) -> Option<Gathered<PathBuf>> {
    let (_, named) = variables.iter().find(|(name, value)| name == HOST_VARIABLE && !value.is_empty())?;
    let found = program::resolve(named, Path::new("/"), None);
    Some(found.map_err(|error| Unread(error.to_string())))
}
