//! Which project files may start programs: one record for each file, with a digest of every content that a person has
//! trusted.
//!
//! A cloned repository brings its own file, and a hook that calls `ensure` in it must not run what nobody has looked
//! at. So trust is for content: a change of any byte needs new trust. Trusting the next content does not end the trust
//! in the content before, to which `pin` and a failed upgrade go back. Revoking trust revokes it for every content of
//! the file. The records are in a private directory of the state root, each named by a digest of the file's path.
//! Another user cannot write a record; nor swap two, as long as the state root is closed to others, which `tenure
//! doctor` checks. Trust does not cover what the file's commands do, or other files of the project: it covers which
//! commands are started. It is checked when a file is read, and again when an offer of such a file is to be started.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure_sys::dir::{Dir, DirError, exposed};
use tenure_sys::lock::{self, FileLock, LockWait};

use crate::os_text;
use crate::spec::origin::Origin;
use crate::spec::scope;
use crate::store::paths::{self, PathsError};

/// Directory of the records, below the state root.
const DIRECTORY: &str = "trust";

/// Format version of the records. A reader that does not know `earlier` trusts the latest content alone.
const SCHEMA: u32 = 1;

/// Longest record in bytes: a path has at most 4,096, JSON makes at most six of one, and the rest is short.
const LONGEST: u64 = 32 * 1024;

/// Earlier contents that stay trusted: far more than there are offers to go back to.
const KEPT_EARLIER: usize = 15;

/// Longest wait for another writer, who only reads and writes one file.
const WRITERS: Duration = Duration::from_secs(10);

/// The trust in one file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TrustRecord {
    schema: u32,
    path: String,
    /// Digest of the content that was trusted last.
    sha256: String,
    /// Digests of the contents that were trusted before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<String>,
}

/// Whether a file with some content is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustStanding {
    /// This content is trusted.
    Trusted,
    /// Only other content of the file is trusted.
    Changed,
    /// No content of the file is trusted.
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

    /// Whether the file at `path` with this content is trusted. A record that cannot be read counts as missing.
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

    /// The record of the file at `path`. A record that cannot be read, or is of another file or format, counts as
    /// missing.
    fn record(&self, directory: &Dir, path: &Path) -> Result<Option<TrustRecord>, DirError> {
        let bytes = match directory.read(name(path), LONGEST) {
            // Others could have written it, so it proves nothing.
            Err(error) if exposed::is_exposed(&error) => None,
            read => read.map_err(|error| self.failed(error))?,
        };
        let record: Option<TrustRecord> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(record.filter(|record| record.schema == SCHEMA && record.path == shown(path)))
    }

    /// Whether an offer from `origin` may be started now. Trust that cannot be read counts as missing.
    #[must_use]
    pub fn allows(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Call | Origin::File { .. } => true,
            Origin::Project { path, sha256 } => {
                self.standing_of(path, sha256).is_ok_and(|standing| standing == TrustStanding::Trusted)
            }
        }
    }

    /// Trusts a file with this content, beside the contents that were trusted before.
    ///
    /// # Panics
    /// Never: a record has only text and a number, which can always be written.
    pub fn allow(&self, path: &Path, content: &[u8]) -> Result<(), DirError> {
        let directory = Dir::create_private(&self.directory)?;
        // Without the lock, trust that another process revokes meanwhile would come back with this write.
        let _alone = self.alone(&directory)?;
        let before = self.record(&directory, path)?;
        let record = TrustRecord::of(path, scope::fingerprint(content), before);
        let record = serde_json::to_vec(&record).expect("a record has only text and a number");
        directory.write_atomic(name(path), &record).map_err(|error| self.failed(error))
    }

    /// Revokes the trust in every content of the file at `path`. `false`: there was none.
    pub fn revoke(&self, path: &Path) -> Result<bool, DirError> {
        let directory = match Dir::open_private(&self.directory) {
            Ok(directory) => directory,
            Err(DirError::Absent { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let _alone = self.alone(&directory)?;
        directory.remove(name(path)).map_err(|error| self.failed(error))
    }

    /// Takes the lock that keeps other writers of records out.
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
    /// The record `before` with a content that is trusted now.
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

/// The path as it stands in a record.
fn shown(path: &Path) -> String {
    os_text::text(path.as_os_str())
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
