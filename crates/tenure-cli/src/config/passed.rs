//! A project's file that cannot be read or understood is passed by for what it cannot concern.
//!
//! A project never redefines a worker that the user's files define, so a broken project's file says nothing about such a
//! worker. Nor can it say which worker a name stood for here before: the records do, because an offer has the file that
//! it came from. In every other case the file could matter, and its fault is the error.

use std::path::{Path, PathBuf};

use tenure_core::store::paths;
use tenure_core::{Scope, causes};

use super::error::ConfigError;
use super::find::{ConfigPlaces, Level, PROJECT_FILE};
use super::layers::Layers;

/// The result of a search in the configuration, and a warning if the search passed by a broken project file.
#[derive(Debug)]
pub(crate) struct Passed<T> {
    pub(crate) found: T,
    pub(crate) warning: Option<String>,
}

impl<T> Passed<T> {
    /// Found with every file read.
    pub(super) fn nothing(found: T) -> Self {
        Self { found, warning: None }
    }

    /// Found without the project's file, which has this fault.
    pub(super) fn over(found: T, fault: &ConfigError, because: &str) -> Self {
        let warning = format!("failed to {}; the file is passed by: {because}", causes::in_one_line(fault));
        Self { found, warning: Some(warning) }
    }
}

/// The places without the project's file, where `fault` is a fault of that file and the user's files define the worker.
pub(super) fn users_alone(places: &ConfigPlaces, name: &str, fault: &ConfigError) -> Option<ConfigPlaces> {
    file_of(places, fault)?;
    let alone = ConfigPlaces { here: None, ..places.clone() };
    let found = alone.found().ok()?;
    let description = Layers::open(&found).ok()?.take(name).ok()??;
    (description.about.strongest().level == Level::User).then_some(alone)
}

/// Why the user's files suffice.
pub(super) fn users_own(name: &str) -> String {
    format!("{name:?} is described by your own files")
}

/// The one worker on record that the name can have meant here before the project's file got this fault: the one that
/// the file offered, else the user's of the plain name.
pub(super) fn on_record(places: &ConfigPlaces, name: &str, fault: &ConfigError) -> Option<Scope> {
    let file = file_of(places, fault)?;
    let mut scopes: Vec<Scope> =
        paths::scopes().ok()?.into_iter().filter(|scope| scope.name() == name).collect();
    let from_file: Vec<Scope> = scopes.iter().filter(|scope| is_from(scope, &file)).cloned().collect();
    match from_file.as_slice() {
        [one] => Some(one.clone()),
        [] => {
            scopes.retain(|scope| scope.key().is_none());
            scopes.pop()
        }
        _ => None,
    }
}

fn is_from(scope: &Scope, file: &Path) -> bool {
    let recorded = tenure_core::recorded(scope).ok().flatten();
    recorded.is_some_and(|record| record.offers.iter().any(|offer| offer.origin.path() == Some(file)))
}

/// The project's file that has this fault; `None` where the fault is another file's, or of another kind.
fn file_of(places: &ConfigPlaces, fault: &ConfigError) -> Option<PathBuf> {
    let path = if let ConfigError::Read { path, .. } = fault {
        path
    } else if let ConfigError::Text { place, .. } | ConfigError::UnknownKey { place, .. } = fault {
        &place.path
    } else {
        return None;
    };
    let directory = path.parent()?;
    let is_project = path.ends_with(PROJECT_FILE)
        && places.here.as_deref().is_some_and(|here| here.starts_with(directory))
        && places.user.as_deref() != Some(directory)
        && places.system != directory;
    is_project.then(|| path.clone())
}
