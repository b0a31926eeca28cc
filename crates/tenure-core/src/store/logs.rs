//! The log files of a scope: opened for appending, read from the end.
//!
//! `logs/worker.log` (the boot log) has the output of a host, and of an embedded worker; `logs/output.log` has the
//! output of a program. The worker rotates a log while it writes to it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};
use tenure_sys::dir::{Dir, DirError};

use crate::store::paths::{StateDir, file};
use crate::store::stamp::Stamp;

/// Size at which a launcher moves the boot log aside before it starts a worker.
const ROTATE_AT: u64 = 1_000_000;

/// Last lines of a log that an error brings: enough for the head of a stack trace, few enough to read.
const TAIL_LINES: usize = 20;

/// Bytes read to find these lines.
const TAIL_BYTES: u64 = 16 * 1024;

/// Bytes of each line that are told: a program may write its whole state into one line.
const LONGEST_LINE: usize = 1024;

/// Lengths of the logs at one moment: later lines belong to what was started later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPositions {
    boot: u64,
    output: u64,
}

/// The directory of logs, made where it is missing.
pub fn directory(state: &StateDir) -> io::Result<Dir> {
    state.dir().child_private(file::LOGS).map_err(|error| match error {
        DirError::Other { source, .. } | DirError::Denied { source, .. } => source,
        DirError::Absent { .. }
        | DirError::NotOwned { .. }
        | DirError::TooOpen { .. }
        | DirError::NotDirectory(_)
        | DirError::ReadOnly { .. }
        | DirError::NoSpace { .. } => io::Error::other(error),
    })
}

/// Opens the boot log for appending. A log that has grown too large is moved aside first.
pub fn open_boot_log(state: &StateDir) -> io::Result<File> {
    let logs = directory(state)?;
    if logs.stat(file::BOOT_LOG)?.is_some_and(|stat| stat.len > ROTATE_AT) {
        logs.rename(file::BOOT_LOG, format!("{}.1", file::BOOT_LOG))?;
    }
    logs.open_append(file::BOOT_LOG)
}

/// Where the logs end now.
#[must_use]
pub fn positions(state: &StateDir) -> LogPositions {
    let Ok(logs) = directory(state) else { return LogPositions::default() };
    let length = |name| logs.stat(name).ok().flatten().map_or(0, |stat| stat.len);
    LogPositions { boot: length(file::BOOT_LOG), output: length(file::OUTPUT_LOG) }
}

/// The last lines written after these positions: those of the worker, then those of its program.
#[must_use]
pub fn tail_since(state: &StateDir, since: LogPositions) -> Vec<String> {
    let Ok(logs) = directory(state) else { return Vec::new() };
    let mut lines = tail(&logs, file::BOOT_LOG, since.boot);
    lines.extend(tail(&logs, file::OUTPUT_LOG, since.output));
    lines.drain(..lines.len().saturating_sub(TAIL_LINES));
    lines
}

/// The last lines that the program has written since `since`.
#[must_use]
pub fn output_since(state: &StateDir, since: LogPositions) -> Vec<String> {
    directory(state).map(|logs| tail(&logs, file::OUTPUT_LOG, since.output)).unwrap_or_default()
}

fn tail(logs: &Dir, name: &str, since: u64) -> Vec<String> {
    let read = || -> io::Result<Vec<String>> {
        let mut file = logs.open_read(name)?;
        let length = file.seek(SeekFrom::End(0))?;
        // A log shorter than this position was rotated, so all of it is new.
        let since = if length < since { 0 } else { since };
        let begin = since.max(length.saturating_sub(TAIL_BYTES));
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(words(&bytes, begin > since))
    };
    read().unwrap_or_default()
}

/// The lines without their stamps. Of a first line that is cut, there may be half a stamp: such a line is left out, unless
/// it is all that there is.
fn words(bytes: &[u8], cut: bool) -> Vec<String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').filter(|end| cut && end + 1 < bytes.len());
    let whole = &bytes[end.map_or(0, |end| end + 1)..];
    let lines = whole.split_inclusive(|byte| *byte == b'\n').map(|line| Stamp::split(line).1);
    let text = |line: &[u8]| String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']).to_owned();
    lines.map(text).map(shortened).collect()
}

fn shortened(line: String) -> String {
    if line.len() <= LONGEST_LINE {
        return line;
    }
    let end = (0..=LONGEST_LINE).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", line.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_the_programs_own() {
        let log = b"old\n2025-12-31T23:59:59.999Z g12 new\r\n2025-12-31T23:59:59.999Z g12 \n";
        assert_eq!(words(log, false), ["old", "new", ""]);
        assert_eq!(words(log, true), ["new", ""]);
        assert_eq!(words(b"all of it", true), ["all of it"]);
    }
}
