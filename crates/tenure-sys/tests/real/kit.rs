//! Starts what the tests need, and ends it when a test is over.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_sys::dir::Dir;
use tenure_sys::process::ProcessHandle;
use tenure_sys::spawn::{self, Child, Launch, Stream};

/// Longer than anything takes here; reached only where something is broken.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// The variable that turns a test of [`crate::roles`] from an empty one into a process of its own.
pub(crate) const ROLE: &str = "TENURE_SYS_ROLE";

/// A child that is ended with the test.
pub(crate) struct Started {
    pub(crate) child: Child,
    /// The end of its standard input; dropping it lets it go on.
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: BufReader<File>,
}

impl Started {
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("output is text");
        line.trim_end().to_owned()
    }

    /// Reads on to the line that begins like this, past what a test harness prints.
    pub(crate) fn line_with(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            let count = self.stdout.read_line(&mut line).expect("output is text");
            assert_ne!(count, 0, "ended before it said {start:?}");
            if let Some(at) = line.find(start) {
                return line[at + start.len()..].trim().to_owned();
            }
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.child.kill().expect("a child can be ended");
        self.child.wait().expect("a child can be waited for");
    }
}

/// A process that is nobody's child, ended with the test.
pub(crate) struct Ended(pub(crate) ProcessHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.signal(tenure_sys::process::Signal::Kill).expect("an own process can be ended");
        assert!(self.0.wait_ended(Some(LONG)).expect("a handle can be waited for"));
    }
}

pub(crate) fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

pub(crate) fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(key, value)| (OsString::from(key), OsString::from(value))).collect()
}

/// The environment of a shell that finds its programs.
pub(crate) fn with_path(more: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let mut all = variables(&[("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")]);
    all.extend(variables(more));
    all
}

/// Starts a program between two pipes.
pub(crate) fn start(launch: &Launch<'_>) -> Started {
    let (read_in, write_in) = tenure_sys::pipe::pipe().expect("a pipe");
    let (read_out, write_out) = tenure_sys::pipe::pipe().expect("a pipe");
    let streams = Launch {
        stdin: Stream::Fd(read_in.as_fd()),
        stdout: Stream::Fd(write_out.as_fd()),
        stderr: Stream::Inherit,
        ..*launch
    };
    let child = spawn::child(&streams).expect("the program starts");
    Started { child, stdin: Some(write_in), stdout: BufReader::new(File::from(read_out)) }
}

/// Starts a shell script between two pipes.
pub(crate) fn shell(script: &str) -> Started {
    let (args, env) = (words(&["-c", script]), with_path(&[]));
    start(&Launch { args: &args, env: &env, ..Launch::new(Path::new("/bin/sh"), Path::new("/")) })
}

/// Starts this test program again as one of its roles, with descriptors from 3 on.
pub(crate) fn role(name: &str, argument: &str, fds: &[BorrowedFd<'_>]) -> Started {
    role_under(&[], name, argument, fds)
}

/// The same, by way of a program that becomes it, such as `unshare` with its options.
pub(crate) fn role_under(wrap: &[&str], name: &str, argument: &str, fds: &[BorrowedFd<'_>]) -> Started {
    let own = std::env::current_exe().expect("a program has a path");
    let mut args = words(wrap);
    args.push(own.into());
    args.extend(words(&["--exact", &format!("roles::{name}"), "--nocapture", "--test-threads=1"]));
    let program = which(&args.remove(0));
    let env = with_path(&[(ROLE, argument)]);
    start(&Launch { args: &args, env: &env, fds, ..Launch::new(&program, Path::new("/")) })
}

/// A private directory that is removed with the test.
pub(crate) fn sandbox() -> (tempfile::TempDir, Dir) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let dir = Dir::create_private(&place.path().join("private")).expect("a private directory");
    (place, dir)
}

/// Says why a test that needs more than it has does nothing.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so in the output")]
pub(crate) fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// Whether namespaces of these kinds (`words`, from `unshare` on) can be made here; if not, a line says what is skipped.
pub(crate) fn can(words: &[&str]) -> bool {
    let args: Vec<OsString> = words[1..].iter().copied().chain(["true"]).map(OsString::from).collect();
    let env = with_path(&[]);
    let program = which(&words[0].into());
    let launch = Launch { args: &args, env: &env, ..Launch::new(&program, Path::new("/")) };
    let made = spawn::child(&launch).is_ok_and(|child| child.wait().is_ok_and(|end| end.code == Some(0)));
    if !made {
        skipped(&format!("{} is not permitted here", words.join(" ")));
    }
    made
}

pub(crate) fn is_root() -> bool {
    tenure_sys::user::effective_uid() == 0
}

/// A program by its path, or by its name where the system keeps its own.
fn which(name: &OsString) -> PathBuf {
    let places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| PathBuf::from(name))
}
