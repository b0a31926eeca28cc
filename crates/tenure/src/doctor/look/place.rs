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

/// Permission bits by which others may put something into a directory, or take it out.
const WRITABLE: u32 = 0o022;

/// Permission bit by which they may not take out what is another's.
const STICKY: u32 = 0o1000;

/// The directory at `path`, in which that of this host lies. Others may see that one, and the system may own it, as it
/// owns the directories above, as long as nobody else can put another in the place of ours.
pub(crate) fn root(path: &Path) -> Place {
    let found = place(path);
    let is_safe = match found.access {
        Access::TooOpen { mode } => mode & WRITABLE == 0,
        Access::NotOwned { owner: 0 } => fs::symlink_metadata(path)
            .is_ok_and(|seen| seen.mode() & WRITABLE == 0 || seen.mode() & STICKY != 0),
        Access::Private { .. }
        | Access::Absent
        | Access::NotOwned { .. }
        | Access::NotDirectory
        | Access::Denied { .. }
        | Access::Unusable { .. } => false,
    };
    if is_safe { Place { access: Access::Private { writable: true }, ..found } } else { found }
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

    #[test]
    fn a_root_may_be_seen_by_others_and_not_be_changed_by_them() {
        let above = tempfile::tempdir().expect("a directory");
        let path = above.path().join("root");
        fs::create_dir(&path).expect("made");
        let access = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
            root(&path).access
        };
        assert_eq!(access(0o755), Access::Private { writable: true });
        for mode in [0o777, 0o775, 0o1777] {
            assert_eq!(access(mode), Access::TooOpen { mode });
        }
    }
}
