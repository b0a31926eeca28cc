//! What a long run keeps of itself: one line of JSON for each finished trial, so that a run that was cut off goes on where
//! it was, and runs of other days can be added up.
//!
//! A line is written at once and whole: a kill at any moment costs the trial under way and no other. Each line names the
//! commit that was built, and whether the tree had changes beside it. Lines of several origins stand in one file only
//! where somebody asked for that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tenure_core::deadline::wall_millis;
use tenure_core::utc;
use tenure_sys::lock::{self, FileLock, TryLock};

/// What was tried: trials of one origin may be added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The commit that was built.
    pub commit: String,
    /// Whether the tree had changes that are in no commit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
    /// The settings of the run, in words; empty where there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub settings: String,
}

/// One line: what was found, of what and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line<T> {
    /// What was tried.
    #[serde(flatten)]
    pub origin: Origin,
    /// The day on which it ended, in UTC.
    pub day: String,
    /// What was found.
    pub found: T,
}

/// Why a record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The kernel says no.
    #[error("failed to read or write {path}: {source}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what a run writes.
    #[error(
        "{path}:{line} is no line of a record: {source}; delete it, and what it stood for is tried again"
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The file holds trials of something else.
    #[error(
        "{path} holds trials of {theirs}, and this run is of {ours}; name another file with --into, or say --mix to keep both in this one"
    )]
    Mixed {
        /// Which file.
        path: PathBuf,
        /// Of what.
        theirs: Box<Origin>,
        /// What runs.
        ours: Box<Origin>,
    },
    /// Two runs cannot share a file: each would repeat the other's trials.
    #[error("another run writes to {path}; let it end, or name another file with --into")]
    Busy {
        /// Which file.
        path: PathBuf,
    },
}

/// A record that a run writes to; nobody else does meanwhile.
#[derive(Debug)]
pub struct Record<T> {
    file: FileLock,
    path: PathBuf,
    origin: Origin,
    lines: Vec<Line<T>>,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.commit)?;
        f.write_str(if self.changed { " with changes" } else { "" })?;
        if self.settings.is_empty() { Ok(()) } else { write!(f, " ({})", self.settings) }
    }
}

impl<T: Serialize + DeserializeOwned> Record<T> {
    /// Opens the file, or begins it. A line that a kill or a full disk cut short is taken away. Unless `mix`, a file that
    /// holds trials of another origin is refused.
    pub fn open(path: &Path, origin: Origin, mix: bool) -> Result<Self, RecordError> {
        let unusable = |source| RecordError::Unusable { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(unusable)?;
        let TryLock::Taken(file) = lock::try_lock(file).map_err(unusable)? else {
            return Err(RecordError::Busy { path: path.to_owned() });
        };
        let mut text = String::new();
        file.file().read_to_string(&mut text).map_err(unusable)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.file().set_len(whole as u64).map_err(unusable)?;
        }
        let lines: Vec<Line<T>> = parse(path, &text[..whole])?;
        if let Some(other) = lines.iter().find(|line| line.origin != origin && !mix) {
            let (path, theirs) = (path.to_owned(), Box::new(other.origin.clone()));
            return Err(RecordError::Mixed { path, theirs, ours: Box::new(origin) });
        }
        Ok(Self { file, path: path.to_owned(), origin, lines })
    }

    /// Adds what a trial found; it is on the disk when this returns.
    pub fn add(&mut self, found: T) -> Result<(), RecordError> {
        let line = Line { origin: self.origin.clone(), day: today(), found };
        let text = json(&line) + "\n";
        let mut file = self.file.file();
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        written.map_err(|source| RecordError::Unusable { path: self.path.clone(), source })?;
        self.lines.push(line);
        Ok(())
    }

    /// All that was found so far, also by runs before this one.
    #[must_use]
    pub fn lines(&self) -> &[Line<T>] {
        &self.lines
    }
}

/// The lines of a file that nobody writes to; none where there is no such file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<Line<T>>, RecordError> {
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(RecordError::Unusable { path: path.to_owned(), source }),
    }
}

/// The text of a file with these lines.
#[must_use]
pub fn text<T: Serialize>(lines: &[Line<T>]) -> String {
    lines.iter().map(|line| json(line) + "\n").collect()
}

/// Writes a file whole: whoever reads it meanwhile finds the one before.
pub fn replace(path: &Path, text: &str) -> Result<(), RecordError> {
    let beside = path.with_extension("new");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&beside, path)
    });
    written.map_err(|source| RecordError::Unusable { path: path.to_owned(), source })
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<Vec<Line<T>>, RecordError> {
    let line = |(index, line)| {
        let malformed = |source| RecordError::Malformed { path: path.to_owned(), line: index + 1, source };
        serde_json::from_str(line).map_err(malformed)
    };
    text.lines().enumerate().map(line).collect()
}

fn json<T: Serialize>(line: &Line<T>) -> String {
    serde_json::to_string(line).expect("what a run finds has text for its keys")
}

/// The day in UTC, as `2026-11-27`.
fn today() -> String {
    day(wall_millis() / DAY)
}

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// The day so many days after 1970-01-01.
fn day(since_1970: u64) -> String {
    utc::text(since_1970 * DAY).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(commit: &str) -> Origin {
        Origin { commit: commit.to_owned(), changed: false, settings: String::new() }
    }

    fn open(path: &Path, commit: &str, mix: bool) -> Result<Record<u32>, RecordError> {
        Record::open(path, origin(commit), mix)
    }

    fn found(record: &Record<u32>) -> Vec<u32> {
        record.lines().iter().map(|line| line.found).collect()
    }

    #[test]
    fn a_run_that_was_cut_off_goes_on_with_all_but_the_line_that_was_cut() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run.jsonl");
        let mut record = open(&path, "a", false).expect("a record");
        record.add(1).and_then(|()| record.add(2)).expect("two lines");
        drop(record);
        let whole = fs::read_to_string(&path).expect("a file");
        fs::write(&path, &whole[..whole.len() - 4]).expect("the second is cut");
        let mut record = open(&path, "a", false).expect("the record");
        assert_eq!(found(&record), [1]);
        record.add(3).expect("a line");
        assert_eq!(read::<u32>(&path).expect("the file").len(), 2);
    }

    #[test]
    fn a_line_that_no_run_has_written_is_told_with_its_place_and_the_remedy() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run.jsonl");
        open(&path, "a", false).and_then(|mut record| record.add(1)).expect("a line");
        let whole = fs::read_to_string(&path).expect("a file");
        fs::write(&path, format!("{whole}<<<<<<<\n")).expect("a file");
        let error = open(&path, "a", false).expect_err("no record").to_string();
        assert!(error.contains("run.jsonl:2 is no line") && error.contains("delete it"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("a file").lines().count(), 2, "nothing is lost");
    }

    #[test]
    fn trials_of_two_commits_are_kept_in_one_file_only_by_request() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run.jsonl");
        open(&path, "a", false).and_then(|mut record| record.add(1)).expect("a line");
        let error = open(&path, "b", false).expect_err("mixed").to_string();
        assert!(error.contains("trials of a, and this run is of b"), "{error}");
        let mut record = open(&path, "b", true).expect("mixed by request");
        record.add(2).expect("a line");
        let commits = record.lines().iter().map(|line| line.origin.commit.as_str());
        assert_eq!(commits.collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn two_runs_do_not_share_a_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run.jsonl");
        let _first = open(&path, "a", false).expect("a record");
        assert!(matches!(open(&path, "a", false), Err(RecordError::Busy { .. })));
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(
            [0, 19_782, 19_783, 20_454, 20_784].map(day),
            ["1970-01-01", "2024-02-29", "2024-03-01", "2026-01-01", "2026-11-27"]
        );
    }
}
