//! Runs other programs and waits for them.
//!
//! No program gets an input: one that asked something would hang. What a program prints goes where the task's own
//! output goes, except where the task reads it.

#![expect(
    clippy::disallowed_methods,
    reason = "tenure-sys starts the project's processes; the gate depends on none of its crates"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// `cargo` of the toolchain that runs this task.
pub(crate) fn cargo<S: AsRef<std::ffi::OsStr>>(words: &[S]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words);
    command
}

/// `git` in the tree that this task was started in.
pub(crate) fn git(words: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(words);
    command
}

/// A program by name or path, without the library path that `cargo run` leaves in the environment: with it the
/// dynamic loader searches more directories, which would show in what is measured.
pub(crate) fn program(path: &Path, words: &[String]) -> Command {
    let mut command = Command::new(path);
    command.args(words).env_remove("LD_LIBRARY_PATH");
    command
}

/// Runs a command, shows its words first, and succeeds when it does.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    let words = words_of(&command);
    announce(&words);
    run_as(words, command)
}

/// Runs a command, tells of it by `words`, and succeeds when it does.
pub(crate) fn run_as(words: String, mut command: Command) -> Result<(), Failure> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|source| Failure::Start { command: words.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Failure::Ended { command: words, how: status.to_string() }) }
}

/// Runs a command and returns what it printed on stdout; its stderr is shown.
pub(crate) fn read(mut command: Command) -> Result<String, Failure> {
    let words = words_of(&command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Failure::Start { command: words.clone(), source })?;
    if !output.status.success() {
        return Err(Failure::Ended { command: words, how: output.status.to_string() });
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Failure::Answer { command: words, lacks: "text in UTF-8".to_owned() })
}

/// Whether a program of this name starts and answers its `--version`.
pub(crate) fn is_there(name: &str) -> bool {
    succeeds(&[name, "--version"])
}

/// Whether a command starts and succeeds; nothing of it is shown.
pub(crate) fn succeeds(words: &[&str]) -> bool {
    let Some((name, rest)) = words.split_first() else { return false };
    Command::new(name)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Prints which step begins.
pub(crate) fn announce(step: &str) {
    // A closed stdout must not end the task: the exit code still tells.
    drop(writeln!(std::io::stdout(), "xtask: {step}"));
}

fn words_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
