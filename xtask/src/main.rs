//! The gate of this workspace: `cargo xtask ci` and its parts, and the long runs (storm, inject, model, bench, programs,
//! fresh).
//!
//! It runs one task and reports each finding on a line of its own. It depends on no crate of the workspace, so that it
//! builds, and judges the sources, also when they do not build. Of the sources it changes one table of a page (`programs`).

#![forbid(unsafe_code)]

mod ci;
mod code_map;
mod command;
mod failure;
mod fresh;
mod layers;
mod limits;
mod links;
mod programs;
mod public;
mod rows;
mod runs;
mod setup;
mod source;
mod tree;
mod workspace;

use std::process::ExitCode;

use failure::Failure;

const USAGE: &str = "cargo xtask TASK
  ci             fmt, clippy, layers, docs, tests: what has to pass before a change lands
  layers         rooms import only earlier rooms, crates only lower crates, files keep to their size
  docs           rustdoc without warnings, a row for each kind, state, check and variable, links that resolve, and
                 crates/tenure/public.txt up to date
  public         prints what the crate `tenure` shows to its users, for crates/tenure/public.txt
  setup          installs what the tests need beyond the Rust toolchain (Debian packages, as root)
  test [ARGS]    setup, then `cargo test --workspace ARGS`
  storm [ARGS]   the long storm of launchers and crashes, in release
  inject [ARGS]  faults at every system call of launcher, host and successor, in release
  model [ARGS]   the model checker over the protocol's machines, in release
  bench [ARGS]   the figures of docs/performance.md, in release
  programs [ARGS] installs the programs of examples/programs and restarts them under load, in release; without
                 arguments it writes the table of docs/guides/programs.md; --only NAME, --json
  fresh [ARGS]   the README's two commands in a bare Debian tree, as root, with a network; takes minutes
                 --suite SUITE (default stable), --own-rust (the suite's own Rust), --keep (the tree stays)";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<(), Failure> {
    let Some((task, rest)) = words.split_first() else {
        return Err(Failure::Usage(USAGE.to_owned()));
    };
    match (task.as_str(), rest) {
        ("ci", []) => ci::run_all(),
        ("layers", []) => ci::layers_hold(),
        ("docs", []) => ci::docs_hold(),
        ("public", []) => ci::show_public(),
        ("setup", []) => setup::install_missing(),
        ("test", rest) => ci::test(rest),
        ("storm" | "inject", rest) => runs::recorded_run(task, rest),
        ("model", rest) => runs::model(rest),
        ("bench", rest) => runs::bench(rest),
        ("programs", rest) => programs::run(rest),
        ("fresh", rest) => fresh::run(rest),
        _ => Err(Failure::Usage(format!("unknown task `{}`\n{USAGE}", words.join(" ")))),
    }
}
