//! `cargo xtask programs`: installs the programs of `examples/programs`, restarts them under load, and writes the table of
//! `docs/guides/programs.md`.
//!
//! What brings a program is said by `programs --packages` of `tenure-test`. A program that cannot be had here is skipped,
//! and the table says why. Packages of npm are installed below `target/programs`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command;
use crate::failure::Failure;
use crate::runs;
use crate::setup;
use crate::workspace::Workspace;

/// The page with the table, from the root of the workspace.
const PAGE: &str = "docs/guides/programs.md";

/// What npm reads in the directory of an example.
const OF_NPM: [&str; 2] = ["package.json", ".npmrc"];

/// Measures every program and writes the page; with any of the program's own arguments, measures and prints.
pub(crate) fn run(words: &[String]) -> Result<(), Failure> {
    let root = Workspace::ask()?.root;
    let tenure = runs::build("tenure-cli", "tenure")?;
    // The clients wait for the programs, so these need no release build.
    let programs = runs::build_with(&[], "tenure-test", "programs")?;
    let modules = root.join("target/programs");
    let mut told = vec!["--tenure".to_owned(), shown(&tenure), "--modules".to_owned(), shown(&modules)];
    let wanted = [words, &["--packages".to_owned()]].concat();
    let rows = command::read(command::program(&programs, &wanted))?;
    let mut machine = Machine { root, modules, updated: false };
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).map_err(|_| not_understood())?;
        let name = row["name"].as_str().ok_or_else(not_understood)?;
        if let Err(why) = machine.bring(name, &row) {
            command::announce(&format!("{name} is skipped: {why}"));
            told.extend(["--skip".to_owned(), format!("{name}={why}")]);
        }
    }
    if words.is_empty() {
        told.extend(["--publish".to_owned(), shown(&machine.root.join(PAGE))]);
    }
    told.extend_from_slice(words);
    command::run_as("programs".to_owned(), command::program(&programs, &told))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn not_understood() -> Failure {
    Failure::Answer {
        command: "programs --packages".to_owned(),
        lacks: "a name and packages in each line".to_owned(),
    }
}

/// Where programs are installed.
struct Machine {
    root: PathBuf,
    modules: PathBuf,
    /// Whether the lists of packages have been read anew.
    updated: bool,
}

impl Machine {
    /// Installs what a program needs and is missing. An error is the reason, for the table.
    fn bring(&mut self, name: &str, row: &Value) -> Result<(), String> {
        let packages = row["debian"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for package in packages {
            self.debian(package)?;
        }
        if row["npm"] == true { self.npm(name) } else { Ok(()) }
    }

    fn debian(&mut self, package: &str) -> Result<(), String> {
        if command::succeeds(&[
            "sh",
            "-c",
            "dpkg-query -W -f '${db:Status-Status}' \"$0\" | grep -qx installed",
            package,
        ]) {
            return Ok(());
        }
        if !command::is_there("apt-get") {
            return Err(format!("this system has no apt-get for `{package}`"));
        }
        if !setup::is_root() {
            return Err(format!("only root can install `{package}`"));
        }
        if !self.updated {
            setup::apt_update().map_err(|_| "the lists of packages cannot be read".to_owned())?;
            self.updated = true;
        }
        if !command::succeeds(&["apt-cache", "show", package]) {
            return Err(format!("`{package}` is not in Debian's lists here"));
        }
        setup::apt_install(package).map_err(|_| format!("`{package}` cannot be installed"))
    }

    /// Installs what the example's `package.json` names, as whoever copies it has to.
    fn npm(&mut self, name: &str) -> Result<(), String> {
        if !command::is_there("npm") {
            self.debian("npm")?;
        }
        let (example, place) = (self.root.join("examples/programs").join(name), self.modules.join(name));
        let failed = |_| format!("{} cannot be written", place.display());
        fs::create_dir_all(&place).map_err(failed)?;
        for file in OF_NPM.iter().filter(|file| example.join(file).exists()) {
            fs::copy(example.join(file), place.join(file)).map_err(failed)?;
        }
        let words = ["--prefix", &shown(&place), "install", "--no-audit", "--no-fund", "--loglevel", "error"];
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let mut npm = command::program("npm".as_ref(), &words);
        npm.current_dir(&place);
        command::run(npm).map_err(|_| "npm cannot install its packages".to_owned())
    }
}
