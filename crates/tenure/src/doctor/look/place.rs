//! A directory by its path: whether it can be used, and what lies below it. Opened for reading at most; nothing is made.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tenure_sys::dir::{Dir, DirError};
use tenure_sys::filesystem::{self, FileSystem};

use crate::doctor::facts::{Access, Place, Read, Unread};

/// The directory at `path`, whether it is there or not.
pub(crate) fn place(path: &Path) -> Place {
    let access = match Dir::open_private(path) {
        Ok(dir) => Access::Private { writable: dir.is_writable() },
        Err(error) => access(path, &error),
    };
    Place { path: path.to_owned(), access, file_system: below(path) }
}

fn access(path: &Path, error: &DirError) -> Access {
    let why = || std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    match error {
        DirError::Absent { .. } => Access::Absent,
        DirError::NotOwned { owner, .. } => Access::NotOwned { owner: *owner },
        DirError::TooOpen { mode, .. } => Access::TooOpen { mode: *mode },
        DirError::NotDirectory { .. } => Access::NotDirectory,
        DirError::Denied { .. } => {
            // Its parent may show what the directory itself does not.
            let seen = fs::symlink_metadata(path).ok().map(|found| (found.mode() & 0o7777, found.uid()));
            Access::Denied { seen, why: why() }
        }
        DirError::ReadOnly { .. } | DirError::NoSpace { .. } | DirError::Other { .. } => {
            Access::Unusable { why: why() }
        }
    }
}

/// The file system of the path, or of the nearest directory above it that is there.
fn below(path: &Path) -> Read<FileSystem> {
    let mut first = None;
    for place in path.ancestors() {
        match filesystem::below(place) {
            Ok(found) => return Ok(found),
            Err(error) => first = first.or(Some(error)),
        }
    }
    let why = first.map_or_else(|| "it has no path".to_owned(), |error| error.to_string());
    Err(Unread::of(&format!("look at the file system of {}", path.display()), &why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_is_told_as_it_is() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("d");
        assert_eq!(place(&path).access, Access::Absent);
        assert!(place(&path).file_system.is_ok(), "that of the directory above");
        fs::create_dir(&path).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).expect("ours");
        assert_eq!(place(&path).access, Access::TooOpen { mode: 0o750 });
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("ours");
        assert_eq!(place(&path).access, Access::Private { writable: true });
        fs::write(root.path().join("f"), "").expect("made");
        assert_eq!(place(&root.path().join("f")).access, Access::NotDirectory);
    }
}
