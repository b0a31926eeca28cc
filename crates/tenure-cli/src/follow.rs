//! Reading a file that grows: its last lines, then what is added, across rotations.
//!
//! Waits are the kernel's: a change in the directory, or the end of the reader of our output. The file is found by its
//! name in an open directory; when another one takes the name, the old one is read to its end first.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;

use tenure_sys::dir::{Dir, fstat};
use tenure_sys::poll::{self, Interest, Want};
use tenure_sys::watch::Watch;

/// Bytes read at a time; a log is read to its end in as many turns as it needs.
const PART: u64 = 64 * 1024;

/// A file by its name, read to where it ended.
#[derive(Debug)]
pub(crate) struct Follower {
    dir: Dir,
    name: &'static str,
    file: Option<File>,
    partial: Vec<u8>,
}

impl Follower {
    /// Follows the file of that name, whether or not it exists yet.
    pub(crate) fn new(dir: Dir, name: &'static str) -> Self {
        Self { dir, name, file: None, partial: Vec::new() }
    }

    /// The last `count` lines, older files of the name (`name.1`, `name.2`, …) included. What comes after them is left to
    /// [`Follower::follow`].
    pub(crate) fn last_lines(&mut self, count: usize) -> io::Result<Vec<Vec<u8>>> {
        self.file = open(&self.dir, self.name)?;
        let mut lines = match &mut self.file {
            Some(file) => last_lines(file, count)?,
            None => Vec::new(),
        };
        let mut older = 1_u32;
        while lines.len() < count {
            let Some(mut file) = open(&self.dir, &format!("{}.{older}", self.name))? else { break };
            let mut before = last_lines(&mut file, count - lines.len())?;
            before.append(&mut lines);
            lines = before;
            older += 1;
        }
        Ok(lines)
    }

    /// Hands over every line that is added from now on. Ends with the error of `sink`, or when the reader of stdout goes.
    pub(crate) fn follow<E>(
        &mut self,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<io::Result<()>, E> {
        let watch = match Watch::of(&self.dir) {
            Ok(watch) => watch,
            Err(error) => return Ok(Err(error)),
        };
        let stdout = io::stdout();
        loop {
            watch.drain();
            match self.added() {
                Ok(lines) => lines.iter().try_for_each(|line| sink(line))?,
                Err(error) => return Ok(Err(error)),
            }
            let mut waiting =
                [Interest::new(watch.as_fd(), Want::Read), Interest::new(stdout.as_fd(), Want::Nothing)];
            if let Err(error) = poll::wait(&mut waiting, None) {
                return Ok(Err(error));
            }
            if waiting[1].hangup() {
                return Ok(Err(io::ErrorKind::BrokenPipe.into()));
            }
        }
    }

    /// The whole lines added since the last look.
    fn added(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        loop {
            let moved_on = self.is_another_file()?;
            if let Some(file) = &mut self.file {
                rewind_if_cut(file)?;
                file.read_to_end(&mut self.partial)?;
                split(&mut self.partial, &mut lines);
            }
            if !moved_on {
                return Ok(lines);
            }
            self.file = open(&self.dir, self.name)?;
            lines.extend((!self.partial.is_empty()).then(|| std::mem::take(&mut self.partial)));
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

/// Takes the whole lines out of `bytes`.
fn split(bytes: &mut Vec<u8>, lines: &mut Vec<Vec<u8>>) {
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return };
    let rest = bytes.split_off(end + 1);
    let whole = std::mem::replace(bytes, rest);
    lines.extend(whole[..end].split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
}

/// The last `count` lines of a file, which is left at its end. A last line without its end counts.
fn last_lines(file: &mut File, count: usize) -> io::Result<Vec<Vec<u8>>> {
    let length = file.seek(SeekFrom::End(0))?;
    let (mut begin, mut text) = (length, Vec::new());
    // One more line end than lines: the one before the first of them.
    let mut ends = 0;
    while begin > 0 && ends <= count {
        let size = PART.min(begin);
        begin -= size;
        file.seek(SeekFrom::Start(begin))?;
        let mut part = Vec::new();
        Read::by_ref(file).take(size).read_to_end(&mut part)?;
        ends += part.split(|byte| *byte == b'\n').count() - 1;
        part.append(&mut text);
        text = part;
    }
    file.seek(SeekFrom::Start(length))?;
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    if text.is_empty() && length == 0 {
        return Ok(Vec::new());
    }
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.drain(..lines.len().saturating_sub(count));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Logs {
        _temporary: tempfile::TempDir,
        dir: Dir,
    }

    fn logs() -> Logs {
        let temporary = tempfile::tempdir().expect("a directory");
        let dir = Dir::create_private(&temporary.path().join("logs")).expect("private");
        Logs { _temporary: temporary, dir }
    }

    fn write(dir: &Dir, name: &str, text: &str) {
        dir.open_append(name).and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
    }

    fn follower(logs: &Logs) -> Follower {
        Follower::new(Dir::open_private(logs.dir.path()).expect("opened"), "a")
    }

    fn text(lines: Vec<Vec<u8>>) -> Vec<String> {
        lines.into_iter().map(|line| String::from_utf8(line).expect("text")).collect()
    }

    #[test]
    fn the_last_lines_reach_into_rotated_files() {
        let logs = logs();
        write(&logs.dir, "a.1", "1\n2\n");
        write(&logs.dir, "a", "3\n4");
        assert_eq!(text(follower(&logs).last_lines(3).expect("read")), ["2", "3", "4"]);
        assert_eq!(text(follower(&logs).last_lines(1).expect("read")), ["4"]);
        assert_eq!(text(follower(&logs).last_lines(9).expect("read")), ["1", "2", "3", "4"]);
        assert!(follower(&logs).last_lines(0).expect("read").is_empty());
    }

    #[test]
    fn a_long_log_is_read_from_its_end() {
        let logs = logs();
        let long: Vec<String> = (0..40_000).map(|number| format!("line {number}")).collect();
        write(&logs.dir, "a", &format!("{}\n", long.join("\n")));
        let lines = text(follower(&logs).last_lines(20_000).expect("read"));
        assert_eq!((lines.len(), lines[0].as_str()), (20_000, "line 20000"));
    }

    #[test]
    fn what_is_added_is_followed_across_a_rotation() {
        let logs = logs();
        write(&logs.dir, "a", "1\n");
        let mut follower = follower(&logs);
        assert_eq!(text(follower.last_lines(9).expect("read")), ["1"]);
        write(&logs.dir, "a", "2\nha");
        assert_eq!(text(follower.added().expect("read")), ["2"]);
        write(&logs.dir, "a", "lf\n");
        logs.dir.rename("a", "a.1").expect("renamed");
        write(&logs.dir, "a", "new\n");
        assert_eq!(text(follower.added().expect("read")), ["half", "new"]);
        assert!(follower.added().expect("read").is_empty());
    }

    #[test]
    fn a_file_that_comes_later_is_read_from_its_start() {
        let logs = logs();
        let mut follower = follower(&logs);
        assert!(follower.last_lines(9).expect("read").is_empty());
        write(&logs.dir, "a", "1\n");
        assert_eq!(text(follower.added().expect("read")), ["1"]);
    }
}
