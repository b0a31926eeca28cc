//! Answers that are known already: for which question, and by what evidence they still hold.
//!
//! The file `version.json` in the scope's directory. The file only saves time: where it is missing, damaged or cannot
//! be written, the command runs once more. A file of a newer format is left alone. An answer holds while the program
//! and each declared input are the same files with the same times, so after a change of one of these files the command
//! runs again, whatever the content. Times alone cannot tell two changes within one tick of the file system's clock
//! apart; an answer that depends on a file that was changed within the last tick is not kept.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::spec::version::Version;
use serde::{Deserialize, Serialize};
use tenure_sys::discard::best_effort;

use crate::spec::environment::Variables;
use crate::spec::{program, scope};
use crate::store::paths::{StateDir, file};

use super::error::VersionError;
use super::stated::{VersionCommand, VersionPattern};

/// Format of the file.
const SCHEMA: u32 = 1;

/// Answers kept: launchers of one scope that find another program, or are configured differently, have one each.
const KEPT: usize = 8;

/// Largest file read.
const LARGEST: u64 = 1024 * 1024;

/// A tick of the clock with which the kernel stamps files: 10 ms at 100 Hz (`current_time`, fs/inode.c), doubled.
const TICK_MS: i64 = 20;

/// The tick of file systems that keep whole seconds, or two of them (FAT).
const COARSE_TICK_MS: i64 = 2000;

/// Which command is asked, where, and with which variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) command: Vec<String>,
    #[serde(with = "crate::os_text::path")]
    pub(super) cwd: PathBuf,
    #[serde(with = "crate::os_text::path")]
    pub(super) program: PathBuf,
    #[serde(with = "crate::os_text::paths")]
    pub(super) inputs: Vec<PathBuf>,
    /// A digest of the variables that it gets: their values may be secrets. An answer that was kept without this digest
    /// is not used, because the variables that it depends on are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<String>,
    /// Another pattern finds another version in the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pattern: Option<VersionPattern>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) stderr: bool,
}

impl Question {
    /// Finds the program as the worker would, whose variables are `variables`.
    pub(super) fn of(
        asked: &VersionCommand,
        cwd: &Path,
        variables: &Variables,
    ) -> Result<Self, VersionError> {
        let Some(name) = asked.command.first().filter(|name| !name.is_empty()) else {
            return Err(VersionError::NoCommand);
        };
        let path = variables.get("PATH").map(String::as_str);
        let program = program::resolve(name, cwd, path)
            .map_err(|source| VersionError::NotFound { command: asked.command.join(" "), source })?;
        let (command, inputs) = (asked.command.clone(), asked.inputs.clone());
        let bytes = serde_json::to_vec(variables).expect("names and values are text");
        let environment = Some(scope::digest(&bytes));
        let (pattern, stderr) = (asked.pattern.clone(), asked.stderr);
        Ok(Self { command, cwd: cwd.to_owned(), program, inputs, environment, pattern, stderr })
    }

    /// The command as it was asked for.
    pub(super) fn asked(&self) -> VersionCommand {
        let Self { command, inputs, pattern, stderr, .. } = self.clone();
        VersionCommand { command, inputs, pattern, stderr }
    }

    /// The command, for messages.
    pub(super) fn shown(&self) -> String {
        self.command.join(" ")
    }
}

/// What a file is without reading it. The time of change cannot be set, so every write shows in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ChangeStamp {
    dev: u64,
    ino: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

/// How everything looked that an answer depends on. A file that is missing is a state like any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Evidence {
    program: Option<ChangeStamp>,
    inputs: Vec<Option<ChangeStamp>>,
}

impl Evidence {
    /// Looks at all of it. `None` where a part cannot be looked at, because then no answer can be known to hold.
    pub(super) fn of(question: &Question) -> Option<Self> {
        let inputs = question.inputs.iter().map(|input| stamp(&question.cwd.join(input)));
        Some(Self { program: stamp(&question.program).ok()?, inputs: inputs.collect::<Result<_, _>>().ok()? })
    }

    /// Whether a change between `begin` and `end` (milliseconds of the wall clock) would show as a difference from
    /// this.
    pub(super) fn shows_changes(&self, begin: u64, end: u64) -> bool {
        let all = self.inputs.iter().chain([&self.program]);
        all.flatten().all(|stamp| {
            let tick = if stamp.changed.1 == 0 { COARSE_TICK_MS } else { TICK_MS };
            let changed = stamp.changed.0.saturating_mul(1000).saturating_add(stamp.changed.1 / 1_000_000);
            let at = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
            // A time in the future comes from a clock that was set back. It differs from every time that is stamped
            // now.
            changed < at(begin).saturating_sub(tick) || changed > at(end).saturating_add(tick)
        })
    }
}

/// The stamp of a file; `None` where there is none.
fn stamp(path: &Path) -> io::Result<Option<ChangeStamp>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(ChangeStamp {
            dev: found.dev(),
            ino: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct CachedVersions {
    schema_version: u32,
    answers: Vec<CachedAnswer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CachedAnswer {
    question: Question,
    evidence: Evidence,
    version: Version,
}

#[derive(Deserialize)]
struct CacheFormat {
    schema_version: u32,
}

/// The answer that is known and still holds.
pub(super) fn find(state: &StateDir, question: &Question) -> Option<Version> {
    let CacheRead::Known(known) = read(state) else { return None };
    let answer = known.answers.into_iter().find(|answer| answer.question == *question)?;
    (Evidence::of(question)? == answer.evidence).then_some(answer.version)
}

/// Keeps an answer. A file that cannot be written, or has a newer format, keeps what it has.
pub(super) fn keep(state: &StateDir, question: &Question, evidence: Evidence, version: &Version) {
    let mut answers = match read(state) {
        CacheRead::Known(known) => known.answers,
        CacheRead::Nothing => Vec::new(),
        CacheRead::Newer => return,
    };
    answers.retain(|answer| answer.question != *question);
    answers.push(CachedAnswer { question: question.clone(), evidence, version: version.clone() });
    let surplus = answers.len().saturating_sub(KEPT);
    answers.drain(..surplus);
    // A path that is not text is not kept.
    if let Ok(bytes) = serde_json::to_vec(&CachedVersions { schema_version: SCHEMA, answers }) {
        best_effort(state.dir().replace(file::VERSION, &bytes));
    }
}

enum CacheRead {
    Known(CachedVersions),
    Nothing,
    Newer,
}

fn read(state: &StateDir) -> CacheRead {
    let Ok(Some(bytes)) = state.dir().read(file::VERSION, LARGEST) else { return CacheRead::Nothing };
    match serde_json::from_slice::<CachedVersions>(&bytes) {
        Ok(known) if known.schema_version <= SCHEMA => CacheRead::Known(known),
        Ok(_) => CacheRead::Newer,
        Err(_) => match serde_json::from_slice::<CacheFormat>(&bytes) {
            Ok(format) if format.schema_version > SCHEMA => CacheRead::Newer,
            Ok(_) | Err(_) => CacheRead::Nothing,
        },
    }
}

#[cfg(test)]
mod tests;
