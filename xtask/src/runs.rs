//! The long runs: builds a binary of `tenure-test` or `tenure-model` in release, and runs it.
//!
//! The binary is run by the path that cargo reports, because `cargo run` adds a library path to the environment of what
//! is measured.

use std::path::PathBuf;

use crate::command;
use crate::failure::Failure;
use crate::workspace;

/// The sources of a build: other changes do not affect it.
const BUILT: [&str; 4] = ["crates", "Cargo.toml", "Cargo.lock", ".cargo"];

/// Runs the binary `name` of `tenure-test`, which keeps a record. If git knows, it is told the last commit that changed
/// what is built, and whether there are uncommitted changes. A leading `--` is dropped.
pub(crate) fn recorded_run(name: &str, words: &[String]) -> Result<(), Failure> {
    let own = match words {
        [first, rest @ ..] if first == "--" => rest,
        all => all,
    };
    let mut told = own.to_vec();
    let about = |words: &[&'static str]| read_git(&[words, &["--"], &BUILT].concat());
    if let Ok(commit) = about(&["log", "-1", "--abbrev=10", "--format=%h"]) {
        told.extend(["--commit".to_owned(), commit]);
        told.extend((!about(&["status", "--porcelain"])?.is_empty()).then(|| "--changed".to_owned()));
    }
    long_run(name, &told)
}

fn read_git(words: &[&str]) -> Result<String, Failure> {
    Ok(command::read(command::git(words))?.trim().to_owned())
}

/// Runs the binary `name` of `tenure-test` with these words.
fn long_run(name: &str, words: &[String]) -> Result<(), Failure> {
    let path = build("tenure-test", name)?;
    command::run(command::program(&path, words))
}

/// Runs the model checker.
pub(crate) fn model(words: &[String]) -> Result<(), Failure> {
    command::run(command::program(&build("tenure-model", "model")?, words))
}

/// The platform whose C library queries no processor features at start.
const MUSL: &str = "x86_64-unknown-linux-musl";

/// Runs the benchmarks against a `tenure` that was built separately: built together with `tenure-test` it would have
/// features that are for tests only. Where the toolchain can build for musl, that `tenure` is measured too.
pub(crate) fn bench(words: &[String]) -> Result<(), Failure> {
    let tenure = build("tenure-cli", "tenure")?;
    let mut words = [&["--tenure".to_owned(), tenure.display().to_string()], words].concat();
    match build_for(MUSL, "tenure-cli", "tenure") {
        Ok(musl) => words.extend(["--musl".to_owned(), musl.display().to_string()]),
        Err(_) => command::announce(&format!(
            "the start of a {MUSL} build is not measured: `rustup target add {MUSL}` makes it possible"
        )),
    }
    long_run("bench", &words)
}

/// The path of a binary, built in release.
pub(crate) fn build(package: &str, binary: &str) -> Result<PathBuf, Failure> {
    build_with(&["--release"], package, binary)
}

/// The same, for another platform.
fn build_for(platform: &str, package: &str, binary: &str) -> Result<PathBuf, Failure> {
    build_with(&["--release", "--target", platform], package, binary)
}

/// The path of a binary, built with these flags.
pub(crate) fn build_with(flags: &[&str], package: &str, binary: &str) -> Result<PathBuf, Failure> {
    // All binaries of the package: the long runs start the others too, which must be of the same build.
    let mut words = [&["build", "--package", package, "--bins"], flags].concat();
    command::announce(&format!("cargo {}", words.join(" ")));
    words.push("--message-format=json-render-diagnostics");
    let messages = command::read(command::cargo(&words))?;
    workspace::executable_in(&messages, binary).ok_or_else(|| Failure::Answer {
        command: "cargo build".to_owned(),
        lacks: format!("the path of the executable `{binary}`"),
    })
}
