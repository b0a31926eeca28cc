//! A directory by its path: whether it can be used, and what lies below it. Opened for reading at most; nothing is
//! made.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tenure_sys::dir::{Dir, DirError};
use tenure_sys::filesystem::{self, FileSystem};

use crate::facts::{Access, DirectoryFacts, Gathered, Unread};

/// The directory at `path`, whether it is there or not.
pub(crate) fn inspect(path: &Path) -> DirectoryFacts {
    let access = match Dir::open_private(path) {
        Ok(dir) => Access::Private { writable: dir.is_writable() },
        Err(error) => access(path, &error),
    };
    DirectoryFacts { path: path.to_owned(), leads: None, access, file_system: file_system_of(path) }
}

/// Permission bits by which others may put something into a directory, or take it out.
const WRITABLE: u32 = 0o022;

/// Permission bit with which others may not take out what is not theirs.
const STICKY: u32 = 0o1000;

/// The root of all state at `path`, in which the directory of this host lies. Others may look into the root, and the
/// system may own it, as it owns the directories above, as long as nobody else can put another directory in the place
/// of ours.
pub(crate) fn inspect_root(path: &Path) -> DirectoryFacts {
    let leads = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let leads = if leads { fs::canonicalize(path).ok() } else { None };
    // The link is followed wherever something below it is opened.
    let found = inspect(leads.as_deref().unwrap_or(path));
    let found = DirectoryFacts { path: path.to_owned(), leads, ..found };
    let is_unchanged_by_others = || {
        fs::symlink_metadata(found.real())
            .is_ok_and(|seen| seen.mode() & WRITABLE == 0 || seen.mode() & STICKY != 0)
    };
    let is_safe = matches!(found.access, Access::TooOpen { mode } if mode & WRITABLE == 0)
        || (found.access == Access::NotOwned { owner: 0 } && is_unchanged_by_others());
    if is_safe { DirectoryFacts { access: Access::Private { writable: true }, ..found } } else { found }
}

fn access(path: &Path, error: &DirError) -> Access {
    let why = || std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    match error {
        DirError::Absent { .. } => Access::Absent,
        DirError::NotOwned { owner, .. } => Access::NotOwned { owner: *owner },
        DirError::TooOpen { mode, .. } => Access::TooOpen { mode: *mode },
        DirError::NotDirectory(blocker) => Access::NotDirectory(blocker.clone()),
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
fn file_system_of(path: &Path) -> Gathered<FileSystem> {
    let mut first = None;
    for above in path.ancestors() {
        match filesystem::below(above) {
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
        assert_eq!(inspect(&path).access, Access::Absent);
        assert!(inspect(&path).file_system.is_ok(), "that of the directory above");
        fs::create_dir(&path).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).expect("ours");
        assert_eq!(inspect(&path).access, Access::TooOpen { mode: 0o750 });
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("ours");
        assert_eq!(inspect(&path).access, Access::Private { writable: true });
        fs::write(root.path().join("f"), "").expect("made");
        assert!(matches!(inspect(&root.path().join("f")).access, Access::NotDirectory(_)));
    }

    #[test]
    fn a_root_that_is_a_link_is_the_directory_that_it_leads_to() {
        let above = tempfile::tempdir().expect("a directory");
        let real = above.path().canonicalize().expect("there").join("real");
        let link = above.path().join("root");
        std::os::unix::fs::symlink(&real, &link).expect("made");
        let Access::NotDirectory(blocker) = inspect_root(&link).access else {
            unreachable!("it leads nowhere")
        };
        assert_eq!((blocker.path, blocker.hides), (link.clone(), false));
        fs::create_dir(&real).expect("made");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o700)).expect("ours");
        let found = inspect_root(&link);
        assert_eq!((found.real(), found.path.as_path()), (real.as_path(), link.as_path()));
        assert_eq!(found.access, Access::Private { writable: true });
        fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).expect("ours");
        assert_eq!(inspect_root(&link).access, Access::TooOpen { mode: 0o777 });
    }

    #[test]
    fn a_root_may_be_seen_by_others_and_not_be_changed_by_them() {
        let above = tempfile::tempdir().expect("a directory");
        let path = above.path().join("root");
        fs::create_dir(&path).expect("made");
        let access = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
            inspect_root(&path).access
        };
        assert_eq!(access(0o755), Access::Private { writable: true });
        for mode in [0o777, 0o775, 0o1777] {
            assert_eq!(access(mode), Access::TooOpen { mode });
        }
    }
}
