//! Which changes concern a build: what each watched directory is to it. Pure.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use tenure_core::spec::build::globs::Globs;
use tenure_sys::watch::{Change, WatchId};

/// What a watched directory is to the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WatchedRole {
    /// It leads to where files of the build can be; only this name in it matters.
    Ancestor(OsString),
    /// Files of the build can be in it.
    Source {
        /// Its name, relative to the worker's directory.
        directory: PathBuf,
        /// How many parts a name below it can have.
        depth: Option<usize>,
    },
}

/// The watched directories. One can have several roles, by links or by patterns that meet.
#[derive(Debug, Default)]
pub(super) struct WatchedDirectories(HashMap<WatchId, Vec<WatchedRole>>);

impl WatchedDirectories {
    /// Notes what a watched directory is.
    pub(super) fn note(&mut self, watch: WatchId, role: WatchedRole) {
        let known = self.0.entry(watch).or_default();
        if !known.contains(&role) {
            known.push(role);
        }
    }

    /// The watches of `self` that `other` does not need.
    pub(super) fn without(&self, other: &Self) -> impl Iterator<Item = WatchId> {
        self.0.keys().filter(|watch| !other.0.contains_key(watch)).copied()
    }

    /// Whether a change can have made it another build. A directory that comes or goes where files of the build can be
    /// may bring or take some of them.
    pub(super) fn concern(&self, change: &Change<'_>, globs: &Globs) -> bool {
        match change {
            Change::Lost => true,
            Change::Directory(watch) => self.0.contains_key(watch),
            Change::Entry { watch, name, is_directory } => {
                let roles = self.0.get(watch).map(Vec::as_slice).unwrap_or_default();
                roles.iter().any(|role| role.concerns(name, *is_directory, globs))
            }
        }
    }
}

impl WatchedRole {
    fn concerns(&self, name: &OsStr, is_directory: bool, globs: &Globs) -> bool {
        match self {
            Self::Ancestor(next) => next == name,
            Self::Source { depth, .. } if is_directory => *depth != Some(1),
            Self::Source { directory, .. } => globs.matches(&directory.join(Path::new(name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use tenure_sys::watch::{Extent, Watches};

    use super::*;

    fn globs(patterns: &[&str]) -> Globs {
        Globs::new(&patterns.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>()).expect("patterns")
    }

    fn source(directory: &str, depth: Option<usize>) -> WatchedRole {
        WatchedRole::Source { directory: directory.into(), depth }
    }

    #[test]
    fn only_what_can_be_of_the_build_concerns_it() {
        let globs = globs(&["dist/**/*.js", "src/*.rs"]);
        let table = [
            (WatchedRole::Ancestor("dist".into()), "dist", true, true),
            (WatchedRole::Ancestor("dist".into()), "server.log", false, false),
            (source("dist", None), "a.js", false, true),
            (source("dist", None), "a.js.map", false, false),
            (source("dist/sub", None), "a.js", false, true),
            (source("dist", None), "new", true, true),
            (source("src", Some(1)), "main.rs", false, true),
            (source("src", Some(1)), "room", true, false),
        ];
        for (role, name, is_directory, expected) in table {
            assert_eq!(role.concerns(OsStr::new(name), is_directory, &globs), expected, "{role:?} {name}");
        }
    }

    #[test]
    fn lost_events_concern_every_build_and_unknown_directories_none() {
        let place = tempfile::tempdir().expect("a directory");
        let watch =
            Watches::new().and_then(|watches| watches.add(place.path(), Extent::Names)).expect("a watch");
        let globs = globs(&["**"]);
        let (mut known, other) = (WatchedDirectories::default(), WatchedDirectories::default());
        known.note(watch, source("", None));
        known.note(watch, source("", None));
        assert!(other.concern(&Change::Lost, &globs));
        assert!(known.concern(&Change::Directory(watch), &globs));
        let entry = Change::Entry { watch, name: OsStr::new("a"), is_directory: false };
        assert!(known.concern(&entry, &globs) && !other.concern(&entry, &globs));
        assert_eq!(known.without(&other).collect::<Vec<_>>(), [watch]);
    }
}
