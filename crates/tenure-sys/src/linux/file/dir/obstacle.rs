//! Errors that name what stands in the place of our file, socket or directory, by its whole path and kind, so that a
//! person can move it away.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use rustix::fs::FileType;

/// Something of another kind stands where a file or a socket should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is {kind}, and no {wanted}", path.display())]
pub struct InTheWay {
    /// Where it stands.
    pub path: PathBuf,
    /// What it is, in words.
    pub kind: &'static str,
    /// What should be there.
    pub wanted: &'static str,
}

impl From<InTheWay> for io::Error {
    fn from(found: InTheWay) -> Self {
        Self::new(io::ErrorKind::InvalidInput, found)
    }
}

/// What a file is, in words.
#[must_use]
pub fn kind_of(found: &std::fs::Metadata) -> &'static str {
    word(FileType::from_raw_mode(std::os::unix::fs::MetadataExt::mode(found)))
}

/// A kind in words.
pub(super) fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a link",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of an unknown kind",
    }
}

/// Why a path leads to no directory: its first part that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// That part.
    pub path: PathBuf,
    /// What it is, in words.
    pub kind: &'static str,
    /// Where it leads, if it is a link.
    pub leads: Option<PathBuf>,
    /// Whether there is a directory behind that link, which is not followed in the last place.
    pub hides: bool,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.path.display(), self.kind)?;
        match &self.leads {
            Some(target) if self.hides => write!(f, " to {}, which is not followed here", target.display()),
            Some(target) if target.exists() => {
                write!(f, " to {}, which is not a directory", target.display())
            }
            Some(target) => write!(f, " to {}, where there is nothing", target.display()),
            None => f.write_str(", and not a directory"),
        }
    }
}

impl Blocker {
    /// The first part of an absolute path that is no directory. A link in the last place counts as no directory.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let mut parts: Vec<&Path> = path.ancestors().collect();
        parts.reverse();
        for part in parts {
            let found = fs::symlink_metadata(part).ok()?;
            let kind = kind_of(&found);
            if found.is_symlink() {
                let hides = fs::metadata(part).is_ok_and(|behind| behind.is_dir());
                if hides && part != path {
                    continue;
                }
                let target = fs::read_link(part).ok()?;
                let leads = Some(part.parent().unwrap_or(Path::new("/")).join(target));
                return Some(Self { path: part.to_owned(), kind, leads, hides });
            }
            if !found.is_dir() {
                return Some(Self { path: part.to_owned(), kind, leads: None, hides: false });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_that_is_no_directory_is_named() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("d")).expect("made");
        fs::write(at("f"), "").expect("made");
        for (link, target) in [("to-d", "d"), ("to-f", "f"), ("to-none", "none")] {
            std::os::unix::fs::symlink(target, at(link)).expect("made");
        }
        let told = |name: &str| {
            let found = Blocker::of(&at(name));
            found.map(|found| found.to_string().replace(&*root.path().to_string_lossy(), ""))
        };
        assert_eq!(told("d"), None);
        assert_eq!(told("to-d/x"), None, "links above are followed");
        assert_eq!(told("f/a/b").as_deref(), Some("/f is a regular file, and not a directory"));
        assert_eq!(told("to-d").as_deref(), Some("/to-d is a link to /d, which is not followed here"));
        assert_eq!(told("to-f/a").as_deref(), Some("/to-f is a link to /f, which is not a directory"));
        assert_eq!(told("to-none/a").as_deref(), Some("/to-none is a link to /none, where there is nothing"));
    }
}
