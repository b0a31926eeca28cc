//! The workers that a worker depends on: where their names are looked up, and what they stand for.
//!
//! The names are those of the place that the dependent is described in: a project's file names the workers that `tenure
//! ensure` finds in the directory of that file, a user's or system's file names those of the user's and system's files,
//! and a file that was named with `--config` names its own. Asked only before a worker is started, and by `doctor`.

use std::path::{Path, PathBuf};

use tenure_core::spec::origin::Origin;
use tenure_core::{DependencyQuery, Scope};

use super::depends::{self, Names};
use super::error::ConfigError;
use super::find::ConfigPlaces;
use super::variables::Overrides;
use super::{WantedWorker, recorded, sources, target, wanted_with};
use crate::args::{KeyOrFile, WorkerSelection};

/// The worker that a dependency's name leads to, if it may be started. A name that leads nowhere, or back to a worker
/// that waits for it, is refused before any command runs.
pub(crate) fn find(places: &ConfigPlaces, query: &DependencyQuery<'_>) -> Result<WantedWorker, ConfigError> {
    let (places, given) = roots(places, query.origin);
    let found = sources(&places, given.as_deref())?;
    let looked_at = || match &given {
        Some(file) => vec![file.display().to_string()],
        None if places.here.is_none() => places.fixed_places(),
        None => places.looked_at(),
    };
    let names = Names { sources: &found, has_records: given.is_none(), looked_at: &looked_at };
    names.check_from(query.dependent, query.name)?;
    let selection = WorkerSelection {
        name: query.name.to_owned(),
        key: None,
        version: None,
        config: given.clone(),
        spec: None,
    };
    Ok(wanted_with(&places, &selection, &[], &Overrides::default(), query.budget)?.found)
}

/// The workers that the offer on record depends on, as they can be named where the call is made: as it names them where
/// that leads to them, else NAME@KEY. A name that leads nowhere is left out.
pub(crate) fn on_record(places: &ConfigPlaces, scope: &Scope) -> Vec<(String, Scope)> {
    let Ok(Some(offer)) = recorded::offer(scope, None) else { return Vec::new() };
    let by = KeyOrFile { key: None, config: None };
    let named = |name: &String| {
        let found = scope_of(places, &offer.origin, name).ok()?;
        let leads_there = target(places, name, &by).is_ok_and(|target| target.scope == found);
        Some((if leads_there { name.clone() } else { found.to_string() }, found))
    };
    offer.spec.depends.iter().filter_map(named).collect()
}

/// The scope that a name leads to, in the place of its dependent. Needs no trust.
fn scope_of(places: &ConfigPlaces, origin: &Origin, name: &str) -> Result<Scope, ConfigError> {
    let (places, given) = roots(places, origin);
    match depends::scope_of(&sources(&places, given.as_deref())?, name)? {
        Some(scope) => Ok(scope),
        None => Ok(name.parse()?),
    }
}

/// Where the names of a description that was read there are looked up, and the one file if only that counts.
fn roots(places: &ConfigPlaces, origin: &Origin) -> (ConfigPlaces, Option<PathBuf>) {
    let of_project = |path: &Path| ConfigPlaces { here: path.parent().map(Path::to_owned), ..places.clone() };
    match origin {
        Origin::Project { path, .. } => (of_project(path), None),
        Origin::File { path } if places.is_of_user_or_system(path) => (places.without_project(), None),
        Origin::File { path } => (places.clone(), Some(path.clone())),
        Origin::Call | _ => (places.clone(), None),
    }
}
