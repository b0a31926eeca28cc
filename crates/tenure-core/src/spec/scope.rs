//! What "exactly one" is counted over: name and key of a worker, within one user, host and state root.
//!
//! Pure. Names become directory names, so they are checked here and nowhere else.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The environment variable with the cookie of a worker's tree, which every process of the tree carries.
pub const COOKIE_VARIABLE: &str = "TENURE_COOKIE";

/// Longest name or key: with a suffix and a temporary name it must stay below the 255 bytes of a directory entry.
const LONGEST: usize = 64;

/// A worker's name, with a key where several workers have the same name.
///
/// ```
/// use tenure::Scope;
///
/// let scope = Scope::new("web", Some(&Scope::project_key("/srv/shop".as_ref())))?;
/// assert_eq!((scope.name(), "web".parse::<Scope>()?.key()), ("web", None));
/// assert!("no spaces".parse::<Scope>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope {
    name: String,
    key: Option<String>,
}

/// A name or key that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "use {text:?} as a worker name: {why}; names and keys are 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or digit"
)]
#[non_exhaustive]
pub struct BadName {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Scope {
    /// The scope of `name`, or of `name` with `key`.
    pub fn new(name: &str, key: Option<&str>) -> Result<Self, BadName> {
        check(name)?;
        key.map_or(Ok(()), check)?;
        Ok(Self { name: name.to_owned(), key: key.map(str::to_owned) })
    }

    /// The key of a project: a digest of its directory. Two directories have different keys. With 64 bits, the chance
    /// of a clash among a million projects of one user is one in 37 million.
    #[must_use]
    pub fn project_key(directory: &Path) -> String {
        digest(directory.as_os_str().as_encoded_bytes())
    }

    /// The worker's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key, where there is one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The scope's id by the path of its state directory. HELLO has it, because it can be made without a look at a
    /// file. Cookies have the directory's own id instead ([`crate::record::directory_id`]), because a path may lead
    /// elsewhere.
    #[must_use]
    pub fn id(&self, directory: &Path) -> String {
        format!("{self}:{}", digest(directory.as_os_str().as_encoded_bytes()))
    }
}

/// The cookie of the program of generation `generation`: `<scope id>/<generation>/<session>/<child>`.
#[must_use]
pub fn program_cookie(scope_id: &str, generation: u64) -> String {
    format!("{scope_id}/{generation}/-/program")
}

/// The end of the cookie of a worker itself.
pub const WORKER: &str = "/-/worker";

/// The cookie of the worker of generation `generation`.
#[must_use]
pub fn worker_cookie(scope_id: &str, generation: u64) -> String {
    format!("{scope_id}/{generation}{WORKER}")
}

/// The beginning of every cookie of a scope, whatever its generation.
#[must_use]
pub fn cookie_prefix(scope_id: &str) -> String {
    format!("{scope_id}/")
}

/// The first 16 hexadecimal digits of SHA-256.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let full = Sha256::digest(bytes);
    let hex = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    full.iter().take(8).flat_map(|byte| [hex(byte >> 4), hex(*byte)]).collect()
}

/// All 64 hexadecimal digits of SHA-256: for content that an attacker must not be able to match.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> String {
    let hex = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    Sha256::digest(bytes).iter().flat_map(|byte| [hex(byte >> 4), hex(*byte)]).collect()
}

fn check(text: &str) -> Result<(), BadName> {
    let bad = |why| Err(BadName { text: text.to_owned(), why });
    if text.is_empty() {
        return bad("it is empty");
    }
    if text.len() > LONGEST {
        return bad("it is longer than 64 bytes");
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return bad("it does not begin with a letter or digit");
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        return bad("it has a character that is not allowed");
    }
    Ok(())
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            None => f.write_str(&self.name),
            Some(key) => write!(f, "{}@{key}", self.name),
        }
    }
}

impl FromStr for Scope {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        match text.split_once('@') {
            None => Self::new(text, None),
            Some((name, key)) => Self::new(name, Some(key)),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_what_it_prints() {
        for text in ["memory", "memory@0123abcd", "a.b-c_d@K"] {
            assert_eq!(text.parse::<Scope>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn names_that_could_leave_the_state_directory_are_refused() {
        for text in ["", "..", ".hidden", "a/b", "a b", "a@", "@k", "a@b@c", "ä", &"x".repeat(65)] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_id_differs_by_directory() {
        let scope: Scope = "memory".parse().expect("valid");
        assert_ne!(scope.id(Path::new("/a")), scope.id(Path::new("/b")));
        assert!(program_cookie(&scope.id(Path::new("/a")), 3).ends_with("/3/-/program"));
    }
}
