//! Where configuration is: `tenure.toml` upward from a directory, then the user's files, then the system's.
//!
//! Reads files; what is in them is understood elsewhere. The home comes from the list of users and not from `HOME`: two
//! sessions of one user find the same files.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tenure_sys::user;

use super::error::ConfigError;

/// Name of a project's file.
pub(crate) const PROJECT_FILE: &str = "tenure.toml";

/// Variable that names another directory for the user's files.
pub(crate) const USER_VARIABLE: &str = "TENURE_CONFIG_DIR";

/// The system's directory.
const SYSTEM_DIRECTORY: &str = "/etc/tenure";

/// Longest description read, in bytes: a thousand workers fit, and a file that was named by mistake costs little.
const LONGEST: u64 = 1024 * 1024;

/// Whose word a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Found upward from the working directory.
    Project,
    /// The user's own.
    User,
    /// The machine's.
    System,
    /// Named on the command line.
    Given,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its absolute path.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
    /// Whose word it is.
    pub(crate) level: Level,
}

impl Source {
    /// The directory that relative paths in it start from.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

/// The nearest project file at or above `here`.
pub(crate) fn project(here: &Path) -> Result<Option<Source>, ConfigError> {
    for directory in here.ancestors() {
        let path = directory.join(PROJECT_FILE);
        if let Some(text) = read(&path)? {
            return Ok(Some(Source { path, text, level: Level::Project }));
        }
    }
    Ok(None)
}

/// The user's files, sorted by name; none where no home is known.
pub(crate) fn user() -> Result<Vec<Source>, ConfigError> {
    user_directory().map_or_else(|| Ok(Vec::new()), |directory| files(&directory, Level::User))
}

/// The system's files, sorted by name.
pub(crate) fn system() -> Result<Vec<Source>, ConfigError> {
    files(Path::new(SYSTEM_DIRECTORY), Level::System)
}

/// The file that the command line names.
pub(crate) fn given(here: &Path, file: &Path) -> Result<Source, ConfigError> {
    let path = fs::canonicalize(here.join(file))
        .map_err(|source| ConfigError::Read { path: here.join(file), source })?;
    match read(&path)? {
        Some(text) => Ok(Source { path, text, level: Level::Given }),
        None => Err(ConfigError::Read { path, source: io::ErrorKind::NotFound.into() }),
    }
}

/// Every place that is looked at from `here`, for messages.
pub(crate) fn places(here: &Path) -> Vec<String> {
    let mut places = vec![format!("{PROJECT_FILE} in {} and above", here.display())];
    places.extend(user_directory().map(|directory| format!("{}/*.toml", directory.display())));
    places.push(format!("{SYSTEM_DIRECTORY}/*.toml"));
    places
}

fn user_directory() -> Option<PathBuf> {
    match std::env::var_os(USER_VARIABLE).filter(|value| !value.is_empty()) {
        Some(named) => Some(PathBuf::from(named)),
        None => Some(user::home_of(user::effective_uid()).ok()?.join(".config/tenure")),
    }
}

fn files(directory: &Path, level: Level) -> Result<Vec<Source>, ConfigError> {
    let unreadable = |source| ConfigError::Read { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension() == Some(OsStr::new("toml")) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        if let Some(text) = read(&path)? {
            sources.push(Source { path, text, level });
        }
    }
    Ok(sources)
}

fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    match fs::File::open(path).and_then(text) {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
    }
}

/// The text of a source, as long as it is one that a person may have written.
pub(crate) fn text(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    if source.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {LONGEST} bytes"),
        ));
    }
    Ok(text)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_refused() {
        assert_eq!(text(&b"a"[..]).expect("short"), "a");
        let longest = usize::try_from(LONGEST).expect("small");
        assert!(text(vec![b'#'; longest].as_slice()).is_ok());
        assert_eq!(text(io::repeat(b'#')).expect_err("endless").kind(), io::ErrorKind::FileTooLarge);
    }
}
