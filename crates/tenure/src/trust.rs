//! Which project files may start programs: a record for each, with a digest of the very content that was shown.
//!
//! A cloned repository brings its own file, and a hook that calls `ensure` in it must not run what nobody looked at. So
//! trust is for content: any changed byte needs it again. The records lie in a private directory of the state root, each
//! named by a digest of the file's path; another user can neither write one nor, as long as the state root is closed to
//! others (`tenure doctor` looks), swap them. What the file's commands do, and what else lies in the project, is not covered:
//! the file says what is started, and that is what is allowed. It is asked when a file is read, and again when an offer that
//! came from one is to be started.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenure_sys::dir::{Dir, DirError, exposed};

use crate::origin::Origin;
use crate::paths::{self, PathsError};
use crate::scope;

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
pub enum Standing {
    /// This content was trusted.
    Trusted,
    /// Other content was.
    Changed,
    /// Nothing was.
    Unknown,
}

/// The records below a state root.
#[derive(Debug, Clone)]
pub struct Trusted {
    directory: PathBuf,
}

impl Trusted {
    /// The records of this user.
    pub fn of_user() -> Result<Self, PathsError> {
        Ok(Self::below(&paths::state_root()?))
    }

    /// The records below `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { directory: root.join(DIRECTORY) }
    }

    /// What is known about the file at `path` with this content. A record that cannot be read counts as none.
    pub fn standing(&self, path: &Path, content: &[u8]) -> Result<Standing, DirError> {
        self.standing_of(path, &scope::fingerprint(content))
    }

    fn standing_of(&self, path: &Path, sha256: &str) -> Result<Standing, DirError> {
        let directory = match Dir::open_private(&self.directory) {
            Ok(directory) => directory,
            Err(DirError::Absent { .. }) => return Ok(Standing::Unknown),
            Err(error) => return Err(error),
        };
        let bytes = match directory.read(name(path), LONGEST) {
            // Others could have written it: it says nothing.
            Err(error) if exposed::is_exposed(&error) => None,
            read => read.map_err(|error| self.failed(error))?,
        };
        let record: Option<Record> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let asked = Record::of(path, sha256.to_owned());
        Ok(match record {
            Some(record) if record == asked => Standing::Trusted,
            Some(record) if record.path == asked.path => Standing::Changed,
            Some(_) | None => Standing::Unknown,
        })
    }

    /// Whether what was offered from `origin` may be started now. Trust that cannot be read is none.
    #[must_use]
    pub fn allows(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Call | Origin::File { .. } => true,
            Origin::Project { path, sha256 } => {
                self.standing_of(path, sha256).is_ok_and(|standing| standing == Standing::Trusted)
            }
        }
    }

    /// Allows a file with this content.
    ///
    /// # Panics
    /// Never: a record has only text and a number, which can always be written.
    pub fn allow(&self, path: &Path, content: &[u8]) -> Result<(), DirError> {
        let directory = Dir::create_private(&self.directory)?;
        let record = Record::of(path, scope::fingerprint(content));
        let record = serde_json::to_vec(&record).expect("a record has only text and a number");
        directory.write_atomic(name(path), &record).map_err(|error| self.failed(error))
    }

    /// Forgets the file at a path; whether something was known.
    pub fn revoke(&self, path: &Path) -> Result<bool, DirError> {
        match Dir::open_private(&self.directory) {
            Ok(directory) => directory.remove(name(path)).map_err(|error| self.failed(error)),
            Err(DirError::Absent { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn failed(&self, source: std::io::Error) -> DirError {
        DirError::Other { path: self.directory.clone(), source }
    }
}

impl Record {
    fn of(path: &Path, sha256: String) -> Self {
        Self { schema: SCHEMA, path: path.display().to_string(), sha256 }
    }
}

fn name(path: &Path) -> String {
    scope::digest(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn trust_is_for_one_path_and_one_content() {
        let root = tempfile::tempdir().expect("a directory");
        let trusted = Trusted::below(root.path());
        let (file, other) = (Path::new("/p/tenure.toml"), Path::new("/q/tenure.toml"));
        assert_eq!(trusted.standing(file, b"a").expect("absent"), Standing::Unknown);
        trusted.allow(file, b"a").expect("recorded");
        assert_eq!(trusted.standing(file, b"a").expect("there"), Standing::Trusted);
        assert_eq!(trusted.standing(file, b"b").expect("there"), Standing::Changed);
        assert_eq!(trusted.standing(other, b"a").expect("there"), Standing::Unknown);
        assert!(trusted.revoke(file).expect("ours"));
        assert!(!trusted.revoke(file).expect("ours"), "it is gone");
        assert_eq!(trusted.standing(file, b"a").expect("there"), Standing::Unknown);
    }

    #[test]
    fn an_offer_may_be_started_as_long_as_the_content_that_it_came_from_is_trusted() {
        let root = tempfile::tempdir().expect("a directory");
        let trusted = Trusted::below(root.path());
        let path = PathBuf::from("/p/tenure.toml");
        let origin = Origin::Project { path: path.clone(), sha256: scope::fingerprint(b"a") };
        assert!(trusted.allows(&Origin::Call) && trusted.allows(&Origin::File { path: path.clone() }));
        assert!(!trusted.allows(&origin), "nobody has looked at it");
        trusted.allow(&path, b"a").expect("recorded");
        assert!(trusted.allows(&origin));
        trusted.allow(&path, b"b").expect("recorded");
        assert!(!trusted.allows(&origin), "other content is trusted now");
    }

    #[test]
    fn records_are_for_their_owner_alone_and_a_store_that_is_open_to_others_is_refused() {
        let root = tempfile::tempdir().expect("a directory");
        let trusted = Trusted::below(root.path());
        let file = Path::new("/p/tenure.toml");
        trusted.allow(file, b"a").expect("recorded");
        let directory = root.path().join(DIRECTORY);
        let record = directory.join(name(file));
        assert_eq!(fs::metadata(record).expect("there").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("ours");
        for refused in [
            trusted.standing(file, b"a").map(drop),
            trusted.allow(file, b"a"),
            trusted.revoke(file).map(drop),
        ] {
            assert!(matches!(refused, Err(DirError::TooOpen { .. })), "{refused:?}");
        }
        let origin = Origin::Project { path: file.to_owned(), sha256: scope::fingerprint(b"a") };
        assert!(!trusted.allows(&origin), "what others could have written allows nothing");
    }
}
