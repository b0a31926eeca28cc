//! Whether the project of a worker is gone: its file is missing, and that is proved.
//!
//! A path can be missing because a file system is not mounted. So the directory that would hold it must be there, be
//! readable and hold something: the directory on which nothing is mounted is empty most often, and the directories
//! below it are missing all at once. The root directory proves nothing, because mount points stand in it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::os_text;

/// What became of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProjectStanding {
    /// Its file is there.
    There,
    /// Its file, or the directory of it, was removed.
    Gone,
    /// The file is not found, for this reason, which may pass.
    Unproved(String),
}

/// What became of the project that this file describes.
pub(super) fn standing(file: &Path) -> ProjectStanding {
    match fs::symlink_metadata(file) {
        Ok(_) => return ProjectStanding::There,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return unproved(file, &format!("cannot be looked at: {error}")),
    }
    let Some(directory) = file.parent() else { return unproved(file, "has no directory") };
    let link = fs::symlink_metadata(directory).is_ok_and(|found| found.is_symlink());
    match fs::metadata(directory) {
        Ok(_) => holds_others(directory),
        Err(_) if link => unproved(directory, "is a link that leads nowhere"),
        Err(error) if error.kind() == ErrorKind::NotFound => match directory.parent() {
            Some(above) if above.parent().is_some() => holds_others(above),
            Some(_) | None => {
                unproved(directory, "stands in the root directory, where it may not be mounted")
            }
        },
        Err(error) => unproved(directory, &format!("cannot be looked at: {error}")),
    }
}

/// Whether a directory proves that something is missing in it.
fn holds_others(directory: &Path) -> ProjectStanding {
    match fs::read_dir(directory).map(|mut entries| entries.next().transpose()) {
        Ok(Ok(Some(_))) => ProjectStanding::Gone,
        Ok(Ok(None)) => unproved(directory, "is empty, as where a file system is not mounted"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            unproved(directory, "is missing too, as where a file system is not mounted")
        }
        Ok(Err(error)) | Err(error) => unproved(directory, &format!("cannot be read: {error}")),
    }
}

fn unproved(path: &Path, why: &str) -> ProjectStanding {
    ProjectStanding::Unproved(format!("{} {why}", os_text::shown(&os_text::text(path.as_os_str()))))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn why(file: &Path) -> String {
        match standing(file) {
            ProjectStanding::Unproved(why) => why,
            proved @ (ProjectStanding::There | ProjectStanding::Gone) => {
                panic!("{} is {proved:?}", file.display())
            }
        }
    }

    #[test]
    fn only_what_is_missing_among_others_is_gone() {
        let root = tempfile::tempdir().expect("a directory");
        let file = root.path().join("shop/tenure.toml");
        assert!(why(&file).ends_with("is empty, as where a file system is not mounted"));
        fs::create_dir_all(root.path().join("other/shop")).expect("made");
        assert_eq!(standing(&file), ProjectStanding::Gone);
        fs::create_dir(root.path().join("shop")).expect("made");
        assert!(why(&file).contains("shop is empty"));
        fs::write(root.path().join("shop/README"), "").expect("written");
        assert_eq!(standing(&file), ProjectStanding::Gone);
        symlink("nowhere", &file).expect("made");
        assert_eq!(standing(&file), ProjectStanding::There, "a link is something");
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_gone() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), "").expect("written");
        assert!(why(&at("above/shop/tenure.toml")).contains("above is missing too"));
        assert!(why(&at("file/tenure.toml")).contains("cannot be looked at"));
        symlink("nowhere", at("link")).expect("made");
        assert!(why(&at("link/tenure.toml")).contains("link is a link that leads nowhere"));
        symlink("loop", at("loop")).expect("made");
        assert!(why(&at("loop/shop/tenure.toml")).contains("cannot be looked at"));
        assert!(why(Path::new("/no-such-place/tenure.toml")).contains("stands in the root directory"));
    }
}
