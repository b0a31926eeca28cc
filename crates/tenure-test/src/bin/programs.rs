//! `programs --tenure PATH`: restarts the programs of `examples/programs` under load, and prints the table of
//! `docs/guides/programs.md`. `--help` names its arguments. It installs nothing: `cargo xtask programs` does.

use std::any::Any;
use std::error::Error;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tenure_test::args;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::page;
use tenure_test::programs::catalog::{PROGRAMS, Packages, Program};
use tenure_test::programs::example::Example;
use tenure_test::programs::report::{self, Outcome};
use tenure_test::programs::trial::Trial;

/// The name of the table in its page.
const TABLE: &str = "programs";

/// Restarts real programs under load
#[derive(Parser)]
struct Args {
    /// Run nothing: print what brings each program, one JSON document a line
    #[arg(long)]
    packages: bool,
    /// The executable that keeps them
    #[arg(long, value_name = "PATH", required_unless_present = "packages")]
    tenure: Option<PathBuf>,
    /// Only this program; may be given more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Do not run this program, and say why in the table
    #[arg(long, value_name = "NAME=WHY", value_parser = reason)]
    skip: Vec<(String, String)>,
    /// Where `NAME/node_modules` has the packages of npm for each program
    #[arg(long, value_name = "DIR", default_value = "target/programs")]
    modules: PathBuf,
    /// Clients, each with a new connection for every request
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Restarts of each program
    #[arg(long, default_value_t = 5)]
    restarts: u64,
    /// Print a JSON document for each program instead of the table
    #[arg(long)]
    json: bool,
    /// Write the table into this page
    #[arg(long, value_name = "PAGE", conflicts_with = "only")]
    publish: Option<PathBuf>,
}

fn main() -> ExitCode {
    args::exit_code(run(&Args::parse()))
}

/// Whether every program that was run could be restarted.
fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let unknown = args.only.iter().find(|name| PROGRAMS.iter().all(|program| program.name != **name));
    if let Some(name) = unknown {
        return Err(format!("there is no example `{name}`: `--packages` lists all").into());
    }
    let is_wanted =
        |program: &&Program| args.only.is_empty() || args.only.iter().any(|name| name == program.name);
    let wanted = PROGRAMS.iter().filter(is_wanted);
    let Some(tenure) = args.tenure.as_deref().filter(|_| !args.packages) else {
        wanted.for_each(|program| args::print(&format!("{}\n", needs(program))));
        return Ok(true);
    };
    let tenure = tenure.canonicalize()?;
    let mut outcomes = Vec::new();
    for program in wanted {
        let outcome = outcome(args, &tenure, program);
        if args.json {
            args::print(&format!("{}\n", serde_json::to_string(&outcome)?));
        }
        outcomes.push(outcome);
    }
    let table = report::table(&outcomes, args.clients, args.restarts);
    if !args.json {
        args::print(&table);
    }
    if let Some(page) = &args.publish {
        page::write_table(page, TABLE, &table)?;
    }
    Ok(outcomes.iter().all(|outcome| outcome.broken.is_none()))
}

fn needs(program: &Program) -> serde_json::Value {
    match program.comes_with {
        Packages::Debian(packages) => serde_json::json!({ "name": program.name, "debian": packages }),
        Packages::Npm => serde_json::json!({ "name": program.name, "debian": ["nodejs"], "npm": true }),
    }
}

fn outcome(args: &Args, tenure: &Path, program: &'static Program) -> Outcome {
    if let Some((_, why)) = args.skip.iter().find(|(name, _)| name == program.name) {
        return Outcome::skipped(program, why);
    }
    let tried = panic::catch_unwind(AssertUnwindSafe(|| {
        let sandbox = Sandbox::new(&tenure.display().to_string());
        sandbox.be_this_machine();
        let example = Example::new(sandbox, program);
        if matches!(program.comes_with, Packages::Npm) {
            let modules = args.modules.join(program.name).canonicalize();
            example.with_modules(&modules.expect("its packages are installed"));
        }
        let trial = Trial::run(&example, program, args.clients, args.restarts);
        example.call("stop").expect(0);
        trial
    }));
    match tried {
        Ok(trial) => Outcome::measured(program, &trial),
        Err(panic) => Outcome::broken(program, &words_of(panic.as_ref())),
    }
}

/// What a panic said; its place and its words are on stderr already.
fn words_of(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    owned.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}

fn reason(text: &str) -> Result<(String, String), String> {
    let (name, why) = text.split_once('=').ok_or("write NAME=WHY")?;
    Ok((name.to_owned(), why.to_owned()))
}
