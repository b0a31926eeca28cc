//! The files that a program is started from, as far as its command names them, compared without being read.
//!
//! These are the program file and the first argument that names a file, which is the script of an interpreter. Later
//! arguments are not counted: they are often files that the script writes (a database, a log), and each start would
//! look like another program. A file counts as the same while its inode, its size and its modification time are the
//! same. What a program loads by itself is not known here.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::os_text;
use crate::spec::{Spec, program};

/// The files of one start of a program: the program first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProgramFiles(Vec<Part>);

/// One file of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    #[serde(with = "crate::os_text::path")]
    path: PathBuf,
    /// None where the file is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stamp: Option<FileStamp>,
}

/// What identifies a file without reading it. The device number is left out: it may change with a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct FileStamp {
    inode: u64,
    size: u64,
    /// Seconds since the Unix epoch, and the nanoseconds of that second.
    modified_s: i64,
    modified_ns: i64,
}

impl ProgramFiles {
    /// The files of a start of `spec` now. `path` is the PATH in which the program is searched.
    #[must_use]
    pub fn of(spec: &Spec, path: Option<&str>) -> Self {
        let part = |path: PathBuf| Part { stamp: stamp(&path), path };
        Self(files(spec, path).into_iter().map(part).collect())
    }

    /// The first file that has changed; `None` where all are the same. Where PATH now leads to another file of the
    /// program's name, that file has changed.
    #[must_use]
    pub fn changed(&self, spec: &Spec, path: Option<&str>) -> Option<PathBuf> {
        let now = files(spec, path);
        let (was, is) = (self.0.first().map(|part| &part.path), now.first());
        if was != is {
            return Some(is.or(was).cloned().unwrap_or_default());
        }
        self.0.iter().find(|part| stamp(&part.path) != part.stamp).map(|part| part.path.clone())
    }

    /// Whether nothing is known: records leave it out then.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }
}

fn files(spec: &Spec, path: Option<&str>) -> Vec<PathBuf> {
    let mut words = spec.command.iter();
    let name = words.next().map_or("", String::as_str);
    let script = words.map(|word| spec.cwd.join(&*os_text::os(word))).find(|file| file.is_file());
    program::resolve(name, &spec.cwd, path).ok().into_iter().chain(script).collect()
}

fn stamp(file: &Path) -> Option<FileStamp> {
    let found = fs::metadata(file).ok()?;
    Some(FileStamp {
        inode: found.ino(),
        size: found.size(),
        modified_s: found.mtime(),
        modified_ns: found.mtime_nsec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(directory: &Path, words: &[&str]) -> Spec {
        Spec::of_command(words.iter().map(|&word| word.to_owned()).collect(), directory.to_owned())
    }

    fn written(directory: &Path, name: &str, text: &str) {
        fs::write(directory.join(name), text).expect("a file");
    }

    const PATH: Option<&str> = Some("/bin:/usr/bin");

    #[test]
    fn a_program_whose_files_are_the_same_is_the_same() {
        let root = tempfile::tempdir().expect("a directory");
        written(root.path(), "app.py", "one");
        let spec = spec(root.path(), &["sh", "-x", "app.py", "--port", "0"]);
        let made = ProgramFiles::of(&spec, PATH);
        assert_eq!(made.0.len(), 2);
        assert_eq!(made.changed(&spec, PATH), None);
        let record = serde_json::to_string(&made).expect("it writes");
        assert_eq!(serde_json::from_str::<ProgramFiles>(&record).expect("it reads"), made);
    }

    #[test]
    fn a_script_that_was_replaced_written_or_removed_is_named() {
        let root = tempfile::tempdir().expect("a directory");
        let spec = spec(root.path(), &["sh", "app.py"]);
        let named = Some(root.path().join("app.py"));
        for change in ["replaced", "written", "removed"] {
            written(root.path(), "app.py", "one");
            let made = ProgramFiles::of(&spec, PATH);
            written(root.path(), "new.py", "one");
            match change {
                "replaced" => fs::rename(root.path().join("new.py"), root.path().join("app.py")),
                "written" => fs::write(root.path().join("app.py"), "longer"),
                _ => fs::remove_file(root.path().join("app.py")),
            }
            .expect("a change");
            assert_eq!(made.changed(&spec, PATH), named, "{change}");
        }
    }

    #[test]
    fn what_a_script_is_given_to_write_does_not_count() {
        let root = tempfile::tempdir().expect("a directory");
        written(root.path(), "app.py", "one");
        written(root.path(), "app.db", "");
        let spec = spec(root.path(), &["sh", "app.py", "app.db"]);
        let made = ProgramFiles::of(&spec, PATH);
        written(root.path(), "app.db", "rows");
        assert_eq!(made.changed(&spec, PATH), None);
    }

    #[test]
    fn a_program_that_is_found_elsewhere_now_is_another_one() {
        let root = tempfile::tempdir().expect("a directory");
        let spec = spec(root.path(), &["sh"]);
        let made = ProgramFiles::of(&spec, PATH);
        fs::copy("/bin/sh", root.path().join("sh")).expect("a copy");
        let path = format!("{}:/bin", root.path().display());
        assert_eq!(made.changed(&spec, Some(&path)), Some(root.path().join("sh")));
        assert!(made.changed(&spec, Some("/nowhere")).is_some());
    }
}
