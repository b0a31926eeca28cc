//! What has to pass before a change lands: format, lints, layers, docs, tests, in this order. The first step that fails
//! ends the run.

use crate::command::{announce, cargo, run};
use crate::failure::Failure;
use crate::tree::Tree;
use crate::workspace::Workspace;
use crate::{layers, limits, links, public, rows, setup};

/// Every step.
pub(crate) fn run_all() -> Result<(), Failure> {
    run(cargo(&["fmt", "--all", "--", "--check"]))?;
    run(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    layers_hold()?;
    docs_hold()?;
    test(&[])
}

/// Rooms import only earlier rooms, crates only lower crates, and files keep to their limits.
pub(crate) fn layers_hold() -> Result<(), Failure> {
    announce("layers");
    let workspace = Workspace::ask()?;
    let tree = Tree::read(&workspace.root)?;
    let mut findings = layers::findings(&tree, &workspace.packages);
    findings.extend(limits::findings(&tree));
    Failure::unless_clean("layers", findings)
}

/// The documentation builds without a warning, names all that the sources promise, and its links resolve.
pub(crate) fn docs_hold() -> Result<(), Failure> {
    let mut rustdoc = cargo(&["doc", "--workspace", "--no-deps"]);
    rustdoc.env("RUSTDOCFLAGS", "-D warnings");
    run(rustdoc)?;
    announce("docs: rows and links");
    let tree = Tree::read(&Workspace::ask()?.root)?;
    let mut findings = rows::findings(&tree);
    findings.extend(links::findings(&tree));
    findings.extend(public::findings(&tree));
    Failure::unless_clean("docs", findings)
}

/// Prints what the crate `tenure` shows to its users.
#[expect(clippy::print_stdout, reason = "the list is its result")]
pub(crate) fn show_public() -> Result<(), Failure> {
    let lines = public::list(&Tree::read(&Workspace::ask()?.root)?);
    for line in lines.map_err(|why| Failure::Findings { check: "public", findings: vec![why] })? {
        println!("{line}");
    }
    Ok(())
}

/// Installs what is missing and runs the tests; what they print, and their closing lines, go through.
pub(crate) fn test(words: &[String]) -> Result<(), Failure> {
    setup::install_missing()?;
    let mut command = cargo(&["test", "--workspace"]);
    command.args(words);
    run(command)
}
