//! Where configuration is: `tenure.toml` upward from a directory, then the user's files, then the system's.
//!
//! Reads files and does not interpret them. The home comes from the list of users and not from `HOME`, so that two
//! sessions of one user find the same files.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tenure_sys::{dir, user};

use super::error::{ConfigError, SourcePlace, USER_VARIABLE};

/// Name of a project's file.
pub(crate) const PROJECT_FILE: &str = "tenure.toml";

/// The system's directory.
const SYSTEM_DIRECTORY: &str = "/etc/tenure";

/// Longest description read, in bytes: a thousand workers fit, and a file that was named by mistake costs little.
const LONGEST: u64 = 1024 * 1024;

/// Initial buffer in bytes: a usual description fits and is read at once.
const USUAL: usize = 8 * 1024;

/// Who decides the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The machine's.
    System,
    /// The user's own.
    User,
    /// Found upward from the working directory.
    Project,
    /// Named on the command line.
    Given,
}

impl Level {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Project => "project",
            Self::Given => "given",
        }
    }
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Who decides its content.
    pub(crate) level: Level,
    /// Where its text begins when the text of all files of a call is numbered through.
    pub(crate) base: usize,
    /// The positions of its line ends, computed when a line is first asked for.
    ends: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// A file with this text.
    pub(crate) fn new(path: PathBuf, text: String, level: Level) -> Self {
        Self { path, text, level, base: 0, ends: OnceLock::new() }
    }

    /// The directory that relative paths in it start from.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// The place of a position in its own text.
    pub(crate) fn place(&self, position: usize) -> SourcePlace {
        let ends = self.ends.get_or_init(|| self.text.match_indices('\n').map(|(at, _)| at).collect());
        SourcePlace { path: self.path.clone(), line: Some(ends.partition_point(|end| *end < position) + 1) }
    }
}

/// The directory that a call starts from, without links in its path: project keys are made from it.
pub(crate) fn here(directory: Option<&Path>) -> Result<PathBuf, ConfigError> {
    match directory {
        Some(directory) => fs::canonicalize(directory).map_err(|source| {
            if directory.is_relative() && is_gone(&std::env::current_dir()) {
                ConfigError::DirectoryGone
            } else {
                ConfigError::Read { path: directory.to_owned(), source }
            }
        }),
        None => match std::env::current_dir() {
            gone if is_gone(&gone) => Err(ConfigError::DirectoryGone),
            found => found.map_err(ConfigError::Directory),
        },
    }
}

/// Whether the working directory was removed: it has no path then, as getcwd(2) says.
fn is_gone(current: &io::Result<PathBuf>) -> bool {
    current.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Where files are looked for.
#[derive(Debug, Clone)]
pub(crate) struct ConfigPlaces {
    /// From here upward: the project's. None where the working directory was removed: it has no path then, and nothing
    /// stands above it.
    pub(crate) here: Option<PathBuf>,
    /// The user's directory; none where no home is known.
    pub(crate) user: Option<PathBuf>,
    pub(crate) system: PathBuf,
}

impl ConfigPlaces {
    /// The places of a call that starts from `here`.
    pub(crate) fn of(here: Option<PathBuf>) -> Result<Self, ConfigError> {
        let user = user_directory(std::env::var_os(USER_VARIABLE))?;
        Ok(Self { here, user, system: PathBuf::from(SYSTEM_DIRECTORY) })
    }

    /// The user's and the system's places alone.
    pub(crate) fn without_project(&self) -> Self {
        Self { here: None, ..self.clone() }
    }

    /// Whether a file is one of the user or of the system.
    pub(crate) fn is_of_user_or_system(&self, path: &Path) -> bool {
        let directory = path.parent();
        directory.is_some() && (directory == self.user.as_deref() || directory == Some(self.system.as_path()))
    }

    /// The directory to start from, for what cannot do without it.
    pub(crate) fn here(&self) -> Result<&Path, ConfigError> {
        self.here.as_deref().ok_or(ConfigError::DirectoryGone)
    }

    /// A path as the call names it.
    pub(crate) fn absolute(&self, path: &Path) -> Result<PathBuf, ConfigError> {
        if path.is_absolute() { Ok(path.to_owned()) } else { Ok(self.here()?.join(path)) }
    }

    /// The directory to start from, and those above it.
    fn upward(&self) -> impl Iterator<Item = &Path> {
        self.here.iter().flat_map(|here| here.ancestors())
    }

    /// The nearest project file at or above the directory to start from. One of another user is passed over, be it
    /// broken or locked: anybody may put one into a directory above ours, and nobody else says what our workers are.
    pub(crate) fn project(&self) -> Result<Option<SourceFile>, ConfigError> {
        // A call from inside of them finds the user's files as the user's.
        let others = [self.user.as_deref(), Some(self.system.as_path())];
        for directory in self.upward().filter(|directory| !others.contains(&Some(directory))) {
            let path = directory.join(PROJECT_FILE);
            // Most often there is none, and whose it is need not be asked.
            match read(&path) {
                Ok(None) => {}
                Ok(Some(_)) | Err(_) if stranger(&path).is_some() => {}
                Ok(Some(text)) => return Ok(Some(SourceFile::new(path, text, Level::Project))),
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }

    /// The nearest project file of another user, and that user.
    pub(crate) fn strangers(&self) -> Option<(PathBuf, u32)> {
        let mut paths = self.upward().map(|directory| directory.join(PROJECT_FILE));
        paths.find_map(|path| stranger(&path).map(|owner| (path, owner)))
    }

    /// Every file that is found, each read once: the project's, the user's and the system's sorted by name.
    pub(crate) fn found(&self) -> Result<Vec<SourceFile>, ConfigError> {
        let (sources, faults) = self.found_all();
        faults.into_iter().next().map_or(Ok(sources), Err)
    }

    /// Every file that is found and can be read, and what cannot.
    pub(crate) fn found_all(&self) -> (Vec<SourceFile>, Vec<ConfigError>) {
        let (mut sources, mut faults) = (Vec::new(), Vec::new());
        match self.project() {
            Ok(project) => sources.extend(project),
            Err(fault) => faults.push(fault),
        }
        let directories = [(self.user.as_deref(), Level::User), (Some(self.system.as_path()), Level::System)];
        for (directory, level) in directories {
            let paths = directory.map_or_else(|| Ok(Vec::new()), files).unwrap_or_else(|fault| {
                faults.push(fault);
                Vec::new()
            });
            for path in paths {
                match read(&path) {
                    Ok(text) => sources.extend(text.map(|text| SourceFile::new(path, text, level))),
                    Err(fault) => faults.push(fault),
                }
            }
        }
        let mut base = 0;
        for source in &mut sources {
            source.base = base;
            base += source.text.len() + 1;
        }
        (sources, faults)
    }

    /// The file that the command line names.
    pub(crate) fn given(&self, file: &Path) -> Result<SourceFile, ConfigError> {
        let named = self.absolute(file)?;
        let failed = |source| ConfigError::Read { path: named.clone(), source };
        // Opened first: the links to pipes in /proc lead nowhere by name.
        let text = dir::open_regular(&named).and_then(text).map_err(failed)?;
        Ok(SourceFile::new(fs::canonicalize(&named).map_err(failed)?, text, Level::Given))
    }

    /// Every place that is looked at, for messages.
    pub(crate) fn looked_at(&self) -> Vec<String> {
        let mut places = match &self.here {
            Some(here) => vec![format!("{PROJECT_FILE} in {} and above", here.display())],
            None => vec![format!("no {PROJECT_FILE}, because the current directory was removed")],
        };
        places.extend(self.upward().map(|directory| directory.join(PROJECT_FILE)).filter_map(|path| {
            Some(format!("not {}, which belongs to uid {}", path.display(), stranger(&path)?))
        }));
        places.extend(self.fixed_places());
        places
    }

    /// The places of it that are the same for every directory.
    pub(crate) fn fixed_places(&self) -> Vec<String> {
        let directories = self.user.iter().chain([&self.system]);
        directories.map(|directory| format!("{}/*.toml", directory.display())).collect()
    }
}

/// The user whose file, or whose link to one, stands at a path, where that is neither the caller nor root.
fn stranger(path: &Path) -> Option<u32> {
    let own = user::effective_uid();
    let named = fs::symlink_metadata(path).ok()?;
    let found = if named.is_symlink() { fs::metadata(path).ok() } else { None };
    let owners = [named.uid()].into_iter().chain(found.map(|found| found.uid()));
    owners.into_iter().find(|owner| *owner != own && *owner != 0)
}

/// The user's directory. A relative one would make what lies in the working directory the user's own word.
fn user_directory(named: Option<OsString>) -> Result<Option<PathBuf>, ConfigError> {
    let Some(named) = named.filter(|value| !value.is_empty()).map(PathBuf::from) else {
        return Ok(user::home_of(user::effective_uid()).ok().map(|home| home.join(".config/tenure")));
    };
    if named.is_absolute() {
        return Ok(Some(named));
    }
    let message = format!("{} is not an absolute path", named.display());
    Err(ConfigError::Variable { name: USER_VARIABLE, message })
}

/// The files of a directory, sorted by name.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
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
    Ok(paths)
}

/// The text of a file; `None` if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    match dir::open_regular(path).and_then(text) {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
    }
}

/// The text of a source, as long as it is one that a person may have written.
pub(crate) fn text(source: impl Read) -> io::Result<String> {
    let mut text = String::with_capacity(USUAL);
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
    fn the_users_directory_does_not_depend_on_where_a_call_is_made() {
        let of = |named: &str| user_directory(Some(named.into()));
        assert_eq!(of("/c").expect("absolute"), Some(PathBuf::from("/c")));
        for relative in ["c", "./c", "../c"] {
            assert!(matches!(of(relative), Err(ConfigError::Variable { .. })), "{relative}");
        }
        assert_eq!(of("").expect("unset"), user_directory(None).expect("unset"));
    }

    #[test]
    fn what_never_ends_is_refused() {
        assert_eq!(text(&b"a"[..]).expect("short"), "a");
        let longest = usize::try_from(LONGEST).expect("small");
        assert!(text(vec![b'#'; longest].as_slice()).is_ok());
        assert_eq!(text(io::repeat(b'#')).expect_err("endless").kind(), io::ErrorKind::FileTooLarge);
    }
}
