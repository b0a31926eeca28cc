//! What a program that serves was made of, so that it is started again only if it would be the same one.
//!
//! Looked at: the program file, the script among its arguments, and the build where the spec names one. A file is the same
//! while its inode, size and time of change of content are; nothing is read but a build. What a program loads by itself is
//! not known here and belongs into `build`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use tenure::build;
use tenure::deadline::Deadline;
use tenure::program;
use tenure::spec::Spec;

/// Longest reading of a build: as long as the reading bounds itself.
const READING: std::time::Duration = std::time::Duration::from_secs(10);

/// What a start of a program was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// The program first.
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// Digest of its build, where it has one that can be read.
    content: Option<String>,
}

/// What a file is, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Made {
    /// Looks before a start. `path` is the PATH that the program is searched in; `content` the digest of its build.
    pub(super) fn of(spec: &Spec, path: Option<&str>, content: Option<String>) -> Self {
        let files = files(spec, path).into_iter().map(|file| {
            let stamp = stamp(&file);
            (file, stamp)
        });
        Self { files: files.collect(), content }
    }

    /// What a start would be made of now that this one was not; `None` where it would be the same.
    pub(super) fn changed(&self, spec: &Spec, path: Option<&str>) -> Option<String> {
        let now = files(spec, path);
        let program = |files: &mut dyn Iterator<Item = &PathBuf>| files.next().cloned();
        let (was, is) = (program(&mut self.files.iter().map(|(file, _)| file)), program(&mut now.iter()));
        if was != is {
            // Another file of the same name comes first in PATH now, or none does.
            let shown = is.or(was).unwrap_or_default();
            return Some(shown.display().to_string());
        }
        let other = self.files.iter().find(|(file, was)| stamp(file) != *was);
        if let Some((file, _)) = other {
            return Some(file.display().to_string());
        }
        let was = self.content.as_ref()?;
        let stage = Deadline::start(READING).stage("build").ok()?;
        match build::digest(&spec.cwd, &spec.build, stage) {
            Ok(is) if is == *was => None,
            Ok(_) | Err(_) => Some(format!("its build ({})", spec.build.join(", "))),
        }
    }
}

/// The program, and the first of its arguments that names a file: of an interpreter that is the script. Those after it are
/// the script's own and often what it writes (a database, a log), which would keep it from being started again.
fn files(spec: &Spec, path: Option<&str>) -> Vec<PathBuf> {
    let mut words = spec.command.iter();
    let name = words.next().map_or("", String::as_str);
    let script = words.map(|word| spec.cwd.join(word)).find(|file| file.is_file());
    program::resolve(name, &spec.cwd, path).ok().into_iter().chain(script).collect()
}

fn stamp(file: &std::path::Path) -> Option<Stamp> {
    let found = fs::metadata(file).ok()?;
    Some(Stamp {
        dev: found.dev(),
        ino: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
        let made = Made::of(&spec, PATH, None);
        assert_eq!(made.files.len(), 2);
        assert_eq!(made.changed(&spec, PATH), None);
    }

    #[test]
    fn a_script_that_was_replaced_written_or_removed_is_named() {
        let root = tempfile::tempdir().expect("a directory");
        let spec = spec(root.path(), &["sh", "app.py"]);
        let named = Some(root.path().join("app.py").display().to_string());
        for change in ["replaced", "written", "removed"] {
            written(root.path(), "app.py", "one");
            let made = Made::of(&spec, PATH, None);
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
        let made = Made::of(&spec, PATH, None);
        written(root.path(), "app.db", "rows");
        assert_eq!(made.changed(&spec, PATH), None);
    }

    #[test]
    fn a_program_that_is_found_elsewhere_now_is_another_one() {
        let root = tempfile::tempdir().expect("a directory");
        let spec = spec(root.path(), &["sh"]);
        let made = Made::of(&spec, PATH, None);
        fs::copy("/bin/sh", root.path().join("sh")).expect("a copy");
        let path = format!("{}:/bin", root.path().display());
        assert_eq!(made.changed(&spec, Some(&path)), Some(root.path().join("sh").display().to_string()));
        assert!(made.changed(&spec, Some("/nowhere")).is_some());
    }

    #[test]
    fn a_build_counts_by_its_content() {
        let root = tempfile::tempdir().expect("a directory");
        written(root.path(), "a.js", "one");
        let mut spec = spec(root.path(), &["sh"]);
        spec.build = vec!["*.js".to_owned()];
        let stage = Deadline::start(READING).stage("build").expect("time");
        let digest = build::digest(root.path(), &spec.build, stage).expect("a build");
        let made = Made::of(&spec, PATH, Some(digest));
        written(root.path(), "a.js", "one");
        assert_eq!(made.changed(&spec, PATH), None, "written again as it was");
        written(root.path(), "a.js", "two");
        assert_eq!(made.changed(&spec, PATH), Some("its build (*.js)".to_owned()));
    }
}
