//! What `/proc` shows of a process's memory: its arguments and its environment.
//!
//! During execve(2) a process shows neither for a moment: its old memory is gone, and the new one is not in place. The
//! kernel offers nothing to wait for, so the files are read again.

use std::os::unix::fs::FileExt;
use std::time::Duration;
use std::{fs, io, thread};

use crate::linux::machine::clock;

use super::{fields, path};

/// Room for one read; longer content is read again into more room.
const ROOM: usize = 128 * 1024;

/// How long an execve(2) may take before arguments and environment count as unknown.
const EXECUTING: Duration = Duration::from_millis(100);

/// A piece of a process's memory.
#[derive(Clone, Copy)]
struct MemoryPiece {
    file: &'static str,
    /// Field of `/proc/PID/stat` with the address of its beginning; the next field has that of its end.
    begins: usize,
}

const ARGUMENTS: MemoryPiece = MemoryPiece { file: "cmdline", begins: 48 };
const ENVIRONMENT: MemoryPiece = MemoryPiece { file: "environ", begins: 50 };

/// The arguments of a process, each with a zero byte behind it; `None` where it has none, has ended, or may not be
/// looked into.
pub(crate) fn arguments(pid: u32) -> Option<Vec<u8>> {
    read(pid, ARGUMENTS)
}

/// The environment with which a process was started, each entry with a zero byte behind it; `None` where it has none,
/// has ended, or may not be looked into.
pub(crate) fn environment(pid: u32) -> Option<Vec<u8>> {
    read(pid, ENVIRONMENT)
}

/// The value of a variable in the environment with which a process was started, where it begins with `prefix`; `None`
/// also as for [`environment`].
pub(crate) fn variable_of(pid: u32, key: &str, prefix: &str) -> Option<String> {
    let environ = environment(pid)?;
    let value_in = |entry: &[u8]| Some(entry.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?.to_vec());
    let mut values = environ.split(|byte| *byte == 0).filter_map(value_in);
    let value = values.find(|value| value.starts_with(prefix.as_bytes()))?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

fn read(pid: u32, piece: MemoryPiece) -> Option<Vec<u8>> {
    let until = clock::monotonic() + EXECUTING;
    loop {
        let bytes = read_once(pid, piece).ok()?;
        if !bytes.is_empty() {
            return Some(bytes);
        }
        match state_of(&fs::read(path(pid, "stat")).ok()?, piece)? {
            PieceState::Empty => return None,
            _ if clock::monotonic() > until => return None,
            // execve(2) put it in place after the read.
            PieceState::Filled => {}
            PieceState::NotInPlace => thread::yield_now(),
        }
    }
}

/// Reads by one system call: between two, the process could replace its memory.
fn read_once(pid: u32, piece: MemoryPiece) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path(pid, piece.file))?;
    let mut bytes = vec![0; ROOM];
    loop {
        let read = file.read_at(&mut bytes, 0)?;
        if read < bytes.len() {
            bytes.truncate(read);
            return Ok(bytes);
        }
        bytes.resize(bytes.len() * 2, 0);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PieceState {
    /// The piece is empty; or the process has no memory, such as a kernel thread or an ending process.
    Empty,
    NotInPlace,
    Filled,
}

/// Judges by fields 23 (size of the memory), 27 (where its code ends, which execve(2) sets last) and those of the
/// piece.
fn state_of(stat: &[u8], piece: MemoryPiece) -> Option<PieceState> {
    let field = |number: usize| fields(stat)?.nth(number - 3)?.parse::<u64>().ok();
    let (size, code) = (field(23)?, field(27)?);
    let is_empty = field(piece.begins)? == field(piece.begins + 1)?;
    Some(match (size, code) {
        (0, _) => PieceState::Empty,
        (_, 0) => PieceState::NotInPlace,
        _ if is_empty => PieceState::Empty,
        _ => PieceState::Filled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_counts_once_the_program_is_in_place() {
        let state = |size: u64, code: u64, begins: u64, ends: u64| {
            let stat = format!(
                "42 (a) R 7 42 41 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 123456 {size} 2 3 4 {code} \
                 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 {begins} {ends} 0"
            );
            state_of(stat.as_bytes(), ENVIRONMENT).expect("the line is whole")
        };
        assert_eq!(state(0, 0, 0, 0), PieceState::Empty);
        assert_eq!(state(4096, 0, 0, 0), PieceState::NotInPlace);
        assert_eq!(state(4096, 0, 9000, 9000), PieceState::NotInPlace);
        assert_eq!(state(4096, 5, 9000, 9000), PieceState::Empty);
        assert_eq!(state(4096, 5, 9000, 9100), PieceState::Filled);
    }

    #[test]
    fn what_is_read_at_once_is_what_is_there() {
        let own = std::process::id();
        let arguments = arguments(own).expect("it has some");
        assert_eq!(arguments, fs::read(path(own, "cmdline")).expect("it may be read"));
        assert_eq!(
            environment(own).unwrap_or_default(),
            fs::read(path(own, "environ")).expect("it may be read")
        );
    }
}
