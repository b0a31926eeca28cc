//! Which project files may start programs: a record for each, with a digest of the very content that was shown.
//!
//! A cloned repository brings its own file, and a hook that calls `ensure` in it must not run what nobody looked at. So
//! trust is for content: any changed byte needs it again. The records lie in a private directory of the state root, each
//! named by a digest of the file's path; another user can neither write one nor, as long as the state root is closed to
//! others (`tenure doctor` looks), swap them. What the file's commands do, and what else lies in the project, is not covered:
//! the file says what is started, and that is what is allowed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenure::{paths, scope};
use tenure_sys::dir::{Dir, DirError};

use super::error::ConfigError;
use super::find::Source;

/// Directory of the records, below the state root.
const DIRECTORY: &str = "trust";

/// Version of the records' format.
const SCHEMA: u32 = 1;

/// A path has at most 4,096 bytes, JSON makes at most six of one, and the rest of a record is short.
const LONGEST: u64 = 32 * 1024;

/// A record: which file, and which content of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    schema: u32,
    path: String,
    sha256: String,
}

/// What is known about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// This content was trusted.
    Trusted,
    /// Other content was.
    Changed,
    /// Nothing was.
    Unknown,
}

/// The records below a state root.
#[derive(Debug, Clone)]
pub(crate) struct Trusted {
    directory: PathBuf,
}

impl Trusted {
    /// The records of this user.
    pub(crate) fn of_user() -> Result<Self, ConfigError> {
        Ok(Self::below(&paths::state_root().map_err(ConfigError::Root)?))
    }

    /// The records below `root`.
    pub(crate) fn below(root: &Path) -> Self {
        Self { directory: root.join(DIRECTORY) }
    }

    /// What is known about a file with this content. A record that cannot be read counts as none.
    pub(crate) fn standing(&self, source: &Source) -> Result<Standing, ConfigError> {
        let directory = match Dir::open_private(&self.directory) {
            Ok(directory) => directory,
            Err(DirError::Absent { .. }) => return Ok(Standing::Unknown),
            Err(error) => return Err(ConfigError::Trust(error)),
        };
        let bytes = directory.read(name(&source.path), LONGEST).map_err(|error| self.failed(error))?;
        let record: Option<Record> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(match record {
            Some(record) if record == Record::of(source) => Standing::Trusted,
            Some(record) if record.path == Record::of(source).path => Standing::Changed,
            Some(_) | None => Standing::Unknown,
        })
    }

    /// Refuses a file that may not start the worker `worker`.
    pub(crate) fn demand(&self, source: &Source, worker: &str) -> Result<(), ConfigError> {
        let changed = match self.standing(source)? {
            Standing::Trusted => return Ok(()),
            Standing::Changed => true,
            Standing::Unknown => false,
        };
        Err(ConfigError::Untrusted { name: worker.to_owned(), path: source.path.clone(), changed })
    }

    /// Allows a file with this content.
    pub(crate) fn allow(&self, source: &Source) -> Result<(), ConfigError> {
        let directory = Dir::create_private(&self.directory).map_err(ConfigError::Trust)?;
        let record = serde_json::to_vec(&Record::of(source)).expect("a record has only text and a number");
        directory.write_atomic(name(&source.path), &record).map_err(|error| self.failed(error))
    }

    /// Forgets the file at a path; whether something was known.
    pub(crate) fn revoke(&self, path: &Path) -> Result<bool, ConfigError> {
        match Dir::open_private(&self.directory) {
            Ok(directory) => directory.remove(name(path)).map_err(|error| self.failed(error)),
            Err(DirError::Absent { .. }) => Ok(false),
            Err(error) => Err(ConfigError::Trust(error)),
        }
    }

    fn failed(&self, source: std::io::Error) -> ConfigError {
        ConfigError::Trust(DirError::Other { path: self.directory.clone(), source })
    }
}

impl Record {
    fn of(source: &Source) -> Self {
        let sha256 = scope::fingerprint(source.text.as_bytes());
        Self { schema: SCHEMA, path: source.path.display().to_string(), sha256 }
    }
}

fn name(path: &Path) -> String {
    scope::digest(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::find::Level;
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new(path.into(), text.to_owned(), Level::Project)
    }

    #[test]
    fn trust_is_for_one_path_and_one_content() {
        let root = tempfile::tempdir().expect("a directory");
        let trusted = Trusted::below(root.path());
        let (file, changed) = (source("/p/tenure.toml", "a"), source("/p/tenure.toml", "b"));
        assert_eq!(trusted.standing(&file).expect("absent"), Standing::Unknown);
        trusted.allow(&file).expect("recorded");
        assert_eq!(trusted.standing(&file).expect("there"), Standing::Trusted);
        assert_eq!(trusted.standing(&changed).expect("there"), Standing::Changed);
        assert_eq!(trusted.standing(&source("/q/tenure.toml", "a")).expect("there"), Standing::Unknown);
        trusted.demand(&file, "w").expect("trusted");
        let refused = trusted.demand(&changed, "w").expect_err("changed");
        assert!(refused.to_string().contains("changed since it was trusted"), "{refused}");
        assert!(trusted.revoke(&file.path).expect("ours"));
        assert!(!trusted.revoke(&file.path).expect("ours"), "it is gone");
        assert_eq!(trusted.standing(&file).expect("there"), Standing::Unknown);
    }

    #[test]
    fn records_are_for_their_owner_alone_and_a_store_that_is_open_to_others_is_refused() {
        let root = tempfile::tempdir().expect("a directory");
        let trusted = Trusted::below(root.path());
        let file = source("/p/tenure.toml", "a");
        trusted.allow(&file).expect("recorded");
        let directory = root.path().join(DIRECTORY);
        let record = directory.join(name(&file.path));
        assert_eq!(fs::metadata(record).expect("there").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("ours");
        for refused in
            [trusted.standing(&file).map(drop), trusted.allow(&file), trusted.revoke(&file.path).map(drop)]
        {
            assert!(matches!(refused, Err(ConfigError::Trust(DirError::TooOpen { .. }))), "{refused:?}");
        }
    }
}
