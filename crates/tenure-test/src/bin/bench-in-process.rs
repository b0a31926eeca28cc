//! `bench-in-process RUNS`: the warm call in process, for `bench`, which sets this process's state root.

use std::process::ExitCode;

use tenure_core::{Scope, Spec, Standing};
use tenure_test::bench::warm;

fn main() -> ExitCode {
    let runs = std::env::args().nth(1).and_then(|runs| runs.parse().ok()).unwrap_or(1000);
    let Some(spec) = running_spec() else { return ExitCode::FAILURE };
    let row = warm::in_process(&warm::order(&spec), runs);
    print(&[row.what, row.median, row.against, row.pair].join("\t"));
    ExitCode::SUCCESS
}

/// The spec of the worker that is up, as it tells it.
fn running_spec() -> Option<Spec> {
    let scope = Scope::new("one", None).ok()?;
    let Standing::Serving(hello) = tenure_core::status(&scope).ok()? else { return None };
    let mut spec = Spec::of_command(hello.spec.command.clone(), hello.spec.cwd.clone());
    spec.listen.clone_from(&hello.spec.listen);
    spec.version.clone_from(&hello.version);
    Some(spec)
}

#[expect(clippy::print_stdout, reason = "the row is what this program is for")]
fn print(text: &str) {
    println!("{text}");
}
