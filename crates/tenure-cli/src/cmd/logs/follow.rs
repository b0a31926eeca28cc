//! Reading a file that grows: its last lines, then what is added, across rotations.
//!
//! Waits are the kernel's: a change in the directory, or the end of the reader of our output. The file is found by its
//! name in an open directory; when another one takes the name, the old one is read to its end first. Memory is
//! bounded by one part of the file and one line, however long the file is.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;

use tenure_sys::dir::{Dir, fstat};
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::watch::Watch;

use super::lines::{Lines, Sink};
use crate::answer::AnswerState;
use crate::output::failure::Failure;

/// Bytes read at a time; a log is read to its end in as many turns as it needs.
const PART: usize = 64 * 1024;

/// Older files of a name that are looked at: more than any description keeps.
const MOST_OLDER: u32 = 1000;

/// A file by its name, read to where it ended.
#[derive(Debug)]
pub(crate) struct Follower {
    dir: Dir,
    name: &'static str,
    file: Option<File>,
    lines: Lines,
}

/// Why reading ended.
#[derive(Debug)]
pub(crate) enum FollowError {
    /// The file cannot be read; a broken pipe is the reader of our own output, who has gone.
    Read(io::Error),
    /// The receiver of the lines that were read failed.
    Sink(Failure),
}

impl FollowError {
    /// The failure of a command that wanted to read `what`.
    pub(crate) fn into_failure(self, what: &str) -> Failure {
        match self {
            Self::Sink(failure) => failure,
            Self::Read(error) if error.kind() == io::ErrorKind::BrokenPipe => Failure::of_output(&error),
            Self::Read(error) => Failure::caused(AnswerState::StateUnusable, format!("read {what}"), &error),
        }
    }
}

impl From<io::Error> for FollowError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Failure> for FollowError {
    fn from(failure: Failure) -> Self {
        Self::Sink(failure)
    }
}

impl Follower {
    /// Follows the file of that name, whether or not it exists yet.
    pub(crate) fn new(dir: Dir, name: &'static str) -> Self {
        Self { dir, name, file: None, lines: Lines::default() }
    }

    /// Hands over the last `count` lines, older files of the name (`name.1`, `name.2`, …) included. What comes after
    /// them is left to [`Follower::follow`].
    pub(crate) fn last_lines(&mut self, count: usize, sink: Sink<'_, Failure>) -> Result<(), FollowError> {
        for Stretch { mut file, begin, end } in self.stretches(count)?.into_iter().rev() {
            file.seek(SeekFrom::Start(begin))?;
            read_on(&mut file, end.saturating_sub(begin), &mut self.lines, sink)?;
            // A last line without its end counts.
            self.lines.finish(sink)?;
            // The newest comes last.
            self.file = Some(file);
        }
        Ok(())
    }

    /// Hands over every line to each sink in turn, older files included. The files are opened once, and each pass reads
    /// the same bytes of them. What comes after is left to [`Follower::follow`].
    pub(crate) fn every_line(&mut self, passes: &mut [Sink<'_, Failure>]) -> Result<(), FollowError> {
        let mut whole = self.whole()?;
        for sink in passes {
            for Stretch { file, begin, end } in whole.iter_mut().rev() {
                file.seek(SeekFrom::Start(*begin))?;
                read_on(file, end.saturating_sub(*begin), &mut self.lines, sink)?;
                self.lines.finish(sink)?;
            }
        }
        self.file = whole.into_iter().next().map(|newest| newest.file);
        Ok(())
    }

    /// Every file as it is now, the newest first.
    fn whole(&self) -> io::Result<Vec<Stretch>> {
        let mut whole = Vec::new();
        for age in 0..=MOST_OLDER {
            match open(&self.dir, &self.aged(age))? {
                Some(file) => {
                    let end = file.metadata()?.len();
                    whole.push(Stretch { file, begin: 0, end });
                }
                None if age == 0 => {}
                None => break,
            }
        }
        Ok(whole)
    }

    /// The name of the file that was rotated so many times.
    fn aged(&self, age: u32) -> String {
        if age == 0 { self.name.to_owned() } else { format!("{}.{age}", self.name) }
    }

    /// Where the last `count` lines are, the newest file first.
    fn stretches(&self, count: usize) -> io::Result<Vec<Stretch>> {
        let mut stretches = Vec::new();
        let mut left = count;
        for age in 0..=MOST_OLDER {
            match open(&self.dir, &self.aged(age))? {
                Some(mut file) => {
                    let (begin, end, found) = last_lines(&mut file, left)?;
                    left -= found;
                    stretches.push(Stretch { file, begin, end });
                }
                // What is rotated at this moment has an older file and no newest one.
                None if age == 0 => {}
                None => break,
            }
            if left == 0 {
                break;
            }
        }
        Ok(stretches)
    }

    /// Hands over every line that is added from now on. Returns only with an error: of `sink`, or when the reader of
    /// stdout has gone.
    pub(crate) fn follow(&mut self, sink: Sink<'_, Failure>) -> Result<Infallible, FollowError> {
        let watch = Watch::of(&self.dir)?;
        let stdout = io::stdout();
        loop {
            watch.drain();
            self.added(sink)?;
            let mut waiting = [
                Interest::new(watch.as_fd(), Readiness::Read),
                Interest::new(stdout.as_fd(), Readiness::Nothing),
            ];
            poll::wait(&mut waiting, None)?;
            if waiting[1].hangup() {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
            }
        }
    }

    /// The whole lines added since the last look.
    fn added(&mut self, sink: Sink<'_, Failure>) -> Result<(), FollowError> {
        loop {
            let moved_on = self.is_another_file()?;
            if let Some(file) = &mut self.file {
                rewind_if_cut(file)?;
                read_on(file, u64::MAX, &mut self.lines, sink)?;
            }
            if !moved_on {
                return Ok(());
            }
            self.file = open(&self.dir, self.name)?;
            self.lines.finish(sink)?;
        }
    }

    /// Whether the name leads to another file than the one that is open.
    fn is_another_file(&self) -> io::Result<bool> {
        let named = self.dir.stat(self.name)?.map(|stat| (stat.dev, stat.ino));
        let open = match &self.file {
            Some(file) => Some(fstat(file.as_fd()).map(|stat| (stat.dev, stat.ino))?),
            None => None,
        };
        Ok(named.is_some() && named != open)
    }
}

/// A part of a file that is to be handed over.
struct Stretch {
    file: File,
    begin: u64,
    end: u64,
}

/// Reads on, at most so many bytes.
fn read_on(
    file: &mut File,
    mut left: u64,
    lines: &mut Lines,
    sink: Sink<'_, Failure>,
) -> Result<(), FollowError> {
    let mut part = vec![0; PART];
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(PART).min(PART);
        match file.read(&mut part[..room]) {
            Ok(0) => break,
            Ok(count) => {
                left -= count as u64;
                lines.feed(&part[..count], sink)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn open(dir: &Dir, name: &str) -> io::Result<Option<File>> {
    match dir.open_read(name) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file that is shorter than what was read of it was emptied: all of it is new.
fn rewind_if_cut(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() < file.stream_position()? {
        file.rewind()?;
    }
    Ok(())
}

/// Where the last `count` lines of a file begin and end, and how many they are. A last line without its end counts.
/// Read from the end, part by part, and nothing is kept.
fn last_lines(file: &mut File, count: usize) -> io::Result<(u64, u64, usize)> {
    let length = file.seek(SeekFrom::End(0))?;
    if length == 0 || count == 0 {
        return Ok((length, length, 0));
    }
    let (mut begin, mut found) = (length, 0);
    let mut part = vec![0; PART];
    while begin > 0 {
        let size = usize::try_from(begin).unwrap_or(PART).min(PART);
        begin -= size as u64;
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut part[..size])?;
        for (at, _) in part[..size].iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = begin + at as u64 + 1;
            // The end of the last line begins no other.
            if after == length {
                continue;
            }
            found += 1;
            if found == count {
                return Ok((after, length, found));
            }
        }
    }
    Ok((0, length, found + 1))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::lines::LinePiece;
    use super::*;

    struct FollowedLogs {
        _temporary: tempfile::TempDir,
        dir: Dir,
    }

    fn logs() -> FollowedLogs {
        let temporary = tempfile::tempdir().expect("a directory");
        let dir = Dir::create_private(&temporary.path().join("logs")).expect("private");
        FollowedLogs { _temporary: temporary, dir }
    }

    fn write(dir: &Dir, name: &str, text: &str) {
        dir.open_append(name).and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
    }

    fn follower(logs: &FollowedLogs) -> Follower {
        Follower::new(Dir::open_private(logs.dir.path()).expect("opened"), "a")
    }

    /// What is handed over, line by line.
    fn lines(read: impl FnOnce(Sink<'_, Failure>) -> Result<(), FollowError>) -> Vec<String> {
        let mut lines = Vec::new();
        let mut sink = |piece: LinePiece<'_>| {
            lines.push(String::from_utf8(piece.bytes.to_vec()).expect("text"));
            Ok(())
        };
        read(&mut sink).expect("read");
        lines
    }

    fn last(follower: &mut Follower, count: usize) -> Vec<String> {
        lines(|sink| follower.last_lines(count, sink))
    }

    fn added(follower: &mut Follower) -> Vec<String> {
        lines(|sink| follower.added(sink))
    }

    #[test]
    fn the_last_lines_reach_into_rotated_files() {
        let logs = logs();
        write(&logs.dir, "a.1", "1\n2\n");
        write(&logs.dir, "a", "3\n4");
        assert_eq!(last(&mut follower(&logs), 3), ["2", "3", "4"]);
        assert_eq!(last(&mut follower(&logs), 1), ["4"]);
        assert_eq!(last(&mut follower(&logs), 9), ["1", "2", "3", "4"]);
        assert!(last(&mut follower(&logs), 0).is_empty());
    }

    #[test]
    fn every_line_is_read_again_in_the_same_order() {
        let logs = logs();
        write(&logs.dir, "a.2", "1\n");
        write(&logs.dir, "a.1", "2\n");
        write(&logs.dir, "a", "3\n4");
        let (mut count, mut lines) = (0, Vec::new());
        let mut counting = |_: LinePiece<'_>| {
            count += 1;
            Ok(())
        };
        let mut reading = |piece: LinePiece<'_>| {
            lines.push(piece.bytes.to_vec());
            Ok(())
        };
        let mut follower = follower(&logs);
        follower.every_line(&mut [&mut counting, &mut reading]).expect("read");
        assert_eq!((count, lines.concat()), (4, b"1234".to_vec()));
        write(&logs.dir, "a", "\n5\n");
        assert_eq!(added(&mut follower), ["", "5"]);
    }

    #[test]
    fn a_long_log_is_read_from_its_end() {
        let logs = logs();
        let long: Vec<String> = (0..40_000).map(|number| format!("line {number}")).collect();
        write(&logs.dir, "a", &format!("{}\n", long.join("\n")));
        let lines = last(&mut follower(&logs), 20_000);
        assert_eq!((lines.len(), lines[0].as_str()), (20_000, "line 20000"));
    }

    #[test]
    fn what_is_added_is_followed_across_a_rotation() {
        let logs = logs();
        write(&logs.dir, "a", "1\n");
        let mut follower = follower(&logs);
        assert_eq!(last(&mut follower, 9), ["1"]);
        write(&logs.dir, "a", "2\nha");
        assert_eq!(added(&mut follower), ["2"]);
        write(&logs.dir, "a", "lf\n");
        logs.dir.rename("a", "a.1").expect("renamed");
        write(&logs.dir, "a", "new\n");
        assert_eq!(added(&mut follower), ["half", "new"]);
        assert!(added(&mut follower).is_empty());
    }

    #[test]
    fn a_file_that_comes_later_is_read_from_its_start() {
        let logs = logs();
        let mut follower = follower(&logs);
        assert!(last(&mut follower, 9).is_empty());
        write(&logs.dir, "a", "1\n");
        assert_eq!(added(&mut follower), ["1"]);
    }

    #[test]
    fn a_log_without_a_line_end_is_one_line_however_long() {
        let logs = logs();
        let part = "x".repeat(1 << 20);
        for _ in 0..40 {
            write(&logs.dir, "a", &part);
        }
        let pieces = last(&mut follower(&logs), 3);
        assert_eq!(pieces.iter().map(String::len).sum::<usize>(), 40 << 20);
        assert!(pieces.iter().all(|piece| piece.len() < 2 << 20));
    }

    #[test]
    fn a_socket_in_the_place_of_a_log_is_named() {
        let logs = logs();
        let _other = tenure_sys::socket::bind_unix(&logs.dir, "a", 1).expect("binds");
        let refused = follower(&logs).last_lines(1, &mut |_| Ok(())).expect_err("refused");
        let causes = refused.into_failure("the log").body.causes.concat();
        assert!(causes.ends_with("/a is a socket, and no regular file"), "{causes}");
    }
}
