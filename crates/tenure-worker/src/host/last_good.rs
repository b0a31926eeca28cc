//! What a program that serves was made of, so that it is started again only if it would be the same one.
//!
//! Its files count by what the file system says of them ([`tenure_core::spec::made`]), and its build, where the spec
//! names one, by its content. Files that a program loads by itself are not known here: they belong into `build`.

use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_core::spec::{Spec, build, made};

/// Longest reading of a build: as long as the reading bounds itself.
const READING: Duration = Duration::from_secs(10);

/// What a start of a program was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastGood {
    files: made::ProgramFiles,
    /// Digest of its build, where it has one that can be read.
    content: Option<String>,
}

impl LastGood {
    /// Looks before a start. `path` is the PATH that the program is searched in; `content` the digest of its build.
    pub(super) fn of(spec: &Spec, path: Option<&str>, content: Option<String>) -> Self {
        Self { files: made::ProgramFiles::of(spec, path), content }
    }

    /// What a start would be made of now that this one was not; `None` where it would be the same.
    pub(super) fn changed(&self, spec: &Spec, path: Option<&str>) -> Option<String> {
        if let Some(file) = self.files.changed(spec, path) {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_build_counts_by_its_content() {
        let root = tempfile::tempdir().expect("a directory");
        let written = |text: &str| fs::write(root.path().join("a.js"), text).expect("a file");
        written("one");
        let mut spec = Spec::of_command(vec!["sh".to_owned()], root.path().to_owned());
        spec.build = vec!["*.js".to_owned()];
        let path = Some("/bin:/usr/bin");
        let stage = Deadline::start(READING).stage("build").expect("time");
        let digest = build::digest(root.path(), &spec.build, stage).expect("a build");
        let made = LastGood::of(&spec, path, Some(digest));
        written("one");
        assert_eq!(made.changed(&spec, path), None, "written again as it was");
        written("two");
        assert_eq!(made.changed(&spec, path), Some("its build (*.js)".to_owned()));
    }
}
