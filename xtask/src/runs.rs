//! The long runs: builds a binary of `tenure-test` in release and runs it.
//!
//! The binary is run by the path that cargo reports and not through `cargo run`, which adds a library path to the
//! environment of whatever is measured below it.

use std::path::PathBuf;

use crate::command;
use crate::failure::Failure;
use crate::workspace;

/// Runs the binary `name` of `tenure-test` with these words.
pub(crate) fn long_run(name: &str, words: &[String]) -> Result<(), Failure> {
    let path = build("tenure-test", name)?;
    command::run(command::program(&path, words))
}

/// Runs the benchmarks against a `tenure` that was built on its own: built together with `tenure-test` it would have
/// the features that only tests ask for.
pub(crate) fn bench(words: &[String]) -> Result<(), Failure> {
    let tenure = build("tenure-cli", "tenure")?;
    let words = [&["--tenure".to_owned(), tenure.display().to_string()], words].concat();
    long_run("bench", &words)
}

fn build(package: &str, binary: &str) -> Result<PathBuf, Failure> {
    let format = "--message-format=json-render-diagnostics";
    let words = ["build", "--release", "--package", package, "--bin", binary, format];
    command::announce(&format!("cargo {}", words[..words.len() - 1].join(" ")));
    let messages = command::read(command::cargo(&words))?;
    workspace::executable_in(&messages, binary).ok_or_else(|| Failure::Answer {
        command: "cargo build".to_owned(),
        lacks: format!("the path of the executable `{binary}`"),
    })
}
