//! Which project files may start programs: a record for each, with a digest of every content that was shown and
//! allowed.
//!
//! A cloned repository brings its own file, and a hook that calls `ensure` in it must not run what nobody looked at. So
//! trust is for content: any changed byte needs it again. What a person has allowed stays so when he allows the next
//! content: the version of before is what `pin` and a failed upgrade go back to. Taking trust back takes all of it. The
//! records lie in a private directory of the state root, each named by a digest of the file's path; another user can
//! neither write one nor, as long as the state root is closed to others (`tenure doctor` looks), swap them. What the
//! file's commands do, and what else lies in the project, is not covered: the file says what is started, and that is
//! what is allowed. It is asked when a file is read, and again when an offer that came from one is to be started.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure_sys::dir::{Dir, DirError, exposed};
use tenure_sys::lock::{self, FileLock, LockWait};

use crate::spec::origin::Origin;
use crate::spec::scope;
use crate::store::paths::{self, PathsError};

/// Directory of the records, below the state root.
const DIRECTORY: &str = "trust";

/// Version of the records' format. A reader of before `earlier` was kept overlooks it, and trusts the latest content
/// alone.
const SCHEMA: u32 = 1;

/// A path has at most 4,096 bytes, JSON makes at most six of one, and the rest of a record is short.
const LONGEST: u64 = 32 * 1024;

/// Contents that are trusted beside the latest one: far more than there are offers to go back to.
const KEPT_EARLIER: usize = 15;

/// The longest wait for whoever writes a record: he only reads one file and writes it.
const WRITERS: Duration = Duration::from_secs(10);

/// A record: which file, and which contents of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TrustRecord {
    schema: u32,
    path: String,
    /// The content that was trusted last.
    sha256: String,
    /// Those that were trusted before it and never taken back, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<String>,
}

/// What is known about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustStanding {
    /// This content was trusted, and that was not taken back.
    Trusted,
    /// Only other content was.
    Changed,
    /// Nothing was.
    Unknown,
}

/// The records below a state root.
#[derive(Debug, Clone)]
pub struct TrustStore {
    directory: PathBuf,
}

impl TrustStore {
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
    pub fn standing(&self, path: &Path, content: &[u8]) -> Result<TrustStanding, DirError> {
        self.standing_of(path, &scope::fingerprint(content))
    }

    fn standing_of(&self, path: &Path, sha256: &str) -> Result<TrustStanding, DirError> {
        let directory = match Dir::open_private(&self.directory) {
            Ok(directory) => directory,
            Err(DirError::Absent { .. }) => return Ok(TrustStanding::Unknown),
            Err(error) => return Err(error),
        };
        Ok(match self.record(&directory, path)? {
            Some(record) if record.has(sha256) => TrustStanding::Trusted,
            Some(_) => TrustStanding::Changed,
            None => TrustStanding::Unknown,
        })
    }

    /// The record of the file at `path`; one that cannot be read, or is of another file or format, is none.
    fn record(&self, directory: &Dir, path: &Path) -> Result<Option<TrustRecord>, DirError> {
        let bytes = match directory.read(name(path), LONGEST) {
            // Others could have written it: it says nothing.
            Err(error) if exposed::is_exposed(&error) => None,
            read => read.map_err(|error| self.failed(error))?,
        };
        let record: Option<TrustRecord> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(record.filter(|record| record.schema == SCHEMA && record.path == shown(path)))
    }

    /// Whether what was offered from `origin` may be started now. Trust that cannot be read is none.
    #[must_use]
    pub fn allows(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Call | Origin::File { .. } => true,
            Origin::Project { path, sha256 } => {
                self.standing_of(path, sha256).is_ok_and(|standing| standing == TrustStanding::Trusted)
            }
        }
    }

    /// Allows a file with this content, beside the contents that were allowed before.
    ///
    /// # Panics
    /// Never: a record has only text and a number, which can always be written.
    pub fn allow(&self, path: &Path, content: &[u8]) -> Result<(), DirError> {
        let directory = Dir::create_private(&self.directory)?;
        // What one person takes back meanwhile must not come back with what another one adds.
        let _alone = self.alone(&directory)?;
        let before = self.record(&directory, path)?;
        let record = TrustRecord::of(path, scope::fingerprint(content), before);
        let record = serde_json::to_vec(&record).expect("a record has only text and a number");
        directory.write_atomic(name(path), &record).map_err(|error| self.failed(error))
    }

    /// Forgets the file at a path, with every content of it; whether something was known.
    pub fn revoke(&self, path: &Path) -> Result<bool, DirError> {
        let directory = match Dir::open_private(&self.directory) {
            Ok(directory) => directory,
            Err(DirError::Absent { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let _alone = self.alone(&directory)?;
        directory.remove(name(path)).map_err(|error| self.failed(error))
    }

    /// Keeps other writers of records out.
    fn alone(&self, directory: &Dir) -> Result<FileLock, DirError> {
        let own = directory.as_fd().try_clone_to_owned().map_err(|error| self.failed(error))?;
        match lock::lock_within(own.into(), WRITERS).map_err(|error| self.failed(error))? {
            LockWait::Taken(lock) => Ok(lock),
            LockWait::TimedOut => {
                Err(self.failed(io::Error::other("another process has held it for too long")))
            }
        }
    }

    fn failed(&self, source: io::Error) -> DirError {
        DirError::Other { path: self.directory.clone(), source }
    }
}

impl TrustRecord {
    /// The record of a content that is trusted now, where `before` was the record.
    fn of(path: &Path, sha256: String, before: Option<Self>) -> Self {
        let known = before.into_iter().flat_map(|before| before.earlier.into_iter().chain([before.sha256]));
        let mut earlier: Vec<String> = known.filter(|known| *known != sha256).collect();
        let surplus = earlier.len().saturating_sub(KEPT_EARLIER);
        earlier.drain(..surplus);
        Self { schema: SCHEMA, path: shown(path), sha256, earlier }
    }

    fn has(&self, sha256: &str) -> bool {
        self.earlier.iter().chain([&self.sha256]).any(|known| known == sha256)
    }
}

/// The path as a record has it.
fn shown(path: &Path) -> String {
    path.display().to_string()
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
        let trusted = TrustStore::below(root.path());
        let (file, other) = (Path::new("/p/tenure.toml"), Path::new("/q/tenure.toml"));
        assert_eq!(trusted.standing(file, b"a").expect("absent"), TrustStanding::Unknown);
        trusted.allow(file, b"a").expect("recorded");
        assert_eq!(trusted.standing(file, b"a").expect("there"), TrustStanding::Trusted);
        assert_eq!(trusted.standing(file, b"b").expect("there"), TrustStanding::Changed);
        assert_eq!(trusted.standing(other, b"a").expect("there"), TrustStanding::Unknown);
        assert!(trusted.revoke(file).expect("ours"));
        assert!(!trusted.revoke(file).expect("ours"), "it is gone");
        assert_eq!(trusted.standing(file, b"a").expect("there"), TrustStanding::Unknown);
    }

    #[test]
    fn an_offer_may_be_started_as_long_as_the_content_that_it_came_from_is_trusted() {
        let root = tempfile::tempdir().expect("a directory");
        let trusted = TrustStore::below(root.path());
        let path = PathBuf::from("/p/tenure.toml");
        let origin = Origin::Project { path: path.clone(), sha256: scope::fingerprint(b"a") };
        assert!(trusted.allows(&Origin::Call) && trusted.allows(&Origin::File { path: path.clone() }));
        assert!(!trusted.allows(&origin), "nobody has looked at it");
        trusted.allow(&path, b"a").expect("recorded");
        assert!(trusted.allows(&origin));
        trusted.allow(&path, b"b").expect("recorded");
        assert!(trusted.allows(&origin), "nobody has taken that back");
        trusted.revoke(&path).expect("ours");
        trusted.allow(&path, b"b").expect("recorded");
        assert!(!trusted.allows(&origin), "only what is trusted since then is");
    }

    #[test]
    fn the_last_sixteen_contents_that_were_allowed_are_trusted_and_revoking_takes_all_of_them() {
        let root = tempfile::tempdir().expect("a directory");
        let trusted = TrustStore::below(root.path());
        let file = Path::new("/p/tenure.toml");
        let standing = |content: u8| trusted.standing(file, &[content]).expect("there");
        for content in 0..20 {
            trusted.allow(file, &[content]).expect("recorded");
        }
        // Once more: it is the latest again, and takes no second place.
        trusted.allow(file, &[4]).expect("recorded");
        let known: Vec<u8> = (0..20).filter(|content| standing(*content) == TrustStanding::Trusted).collect();
        assert_eq!(known, (4..20).collect::<Vec<u8>>());
        assert_eq!((standing(3), standing(99)), (TrustStanding::Changed, TrustStanding::Changed));
        trusted.revoke(file).expect("ours");
        assert!((0..20).all(|content| standing(content) == TrustStanding::Unknown));
    }

    #[test]
    fn a_record_from_before_contents_were_kept_is_read_and_so_is_the_one_of_now_by_its_readers() {
        #[derive(Deserialize)]
        struct Before {
            schema: u32,
            sha256: String,
        }
        let root = tempfile::tempdir().expect("a directory");
        let trusted = TrustStore::below(root.path());
        let file = Path::new("/p/tenure.toml");
        trusted.allow(file, b"other").expect("recorded");
        let record = root.path().join(DIRECTORY).join(name(file));
        let (a, b) = (scope::fingerprint(b"a"), scope::fingerprint(b"b"));
        fs::write(&record, format!(r#"{{"schema":1,"path":"/p/tenure.toml","sha256":"{a}"}}"#))
            .expect("ours");
        assert_eq!(trusted.standing(file, b"a").expect("there"), TrustStanding::Trusted);
        assert_eq!(trusted.standing(file, b"other").expect("there"), TrustStanding::Changed);
        trusted.allow(file, b"b").expect("recorded");
        assert_eq!(trusted.standing(file, b"a").expect("there"), TrustStanding::Trusted);
        let before: Before = serde_json::from_slice(&fs::read(&record).expect("ours")).expect("it reads");
        assert_eq!((before.schema, before.sha256), (1, b), "it knows the latest, and refuses the rest");
    }

    #[test]
    fn a_newer_format_allows_nothing() {
        let root = tempfile::tempdir().expect("a directory");
        let trusted = TrustStore::below(root.path());
        let file = Path::new("/p/tenure.toml");
        trusted.allow(file, b"a").expect("recorded");
        let record = root.path().join(DIRECTORY).join(name(file));
        let text = fs::read_to_string(&record).expect("ours").replace("\"schema\":1", "\"schema\":2");
        fs::write(&record, text).expect("ours");
        assert_ne!(trusted.standing(file, b"a").expect("there"), TrustStanding::Trusted);
    }

    #[test]
    fn records_are_for_their_owner_alone_and_a_store_that_is_open_to_others_is_refused() {
        let root = tempfile::tempdir().expect("a directory");
        let trusted = TrustStore::below(root.path());
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
