//! `tenure trust`: shows what a project's file would start, and allows it, for as long as not one byte of it changes.

use std::path::Path;

use serde::Serialize;

use crate::answer::State;
use crate::args;
use crate::cmd::call::Call;
use crate::config::{self, Level, PROJECT_FILE, Places, Plan, Source, Trusted, word};
use crate::output::failure::Failure;
use crate::output::render::{self, SCHEMA, printable};

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema_version: u32,
    state: State,
    path: &'a Path,
    workers: Vec<Worker<'a>>,
}

/// What the file may start.
#[derive(Debug, Serialize)]
struct Worker<'a> {
    name: &'a str,
    command: &'a [String],
    version_command: Option<&'a [String]>,
    check_commands: &'a [Vec<String>],
    preflight_command: Option<&'a [String]>,
    sets: &'a [String],
}

impl<'a> Worker<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self {
            name: &plan.name,
            command: &plan.command,
            version_command: plan.version.as_deref(),
            check_commands: &plan.checks,
            preflight_command: plan.preflight.as_deref(),
            sets: &plan.sets,
        }
    }
}

/// Allows a project's file to start what it describes, or takes that back; the exit code.
pub(crate) fn run(call: &Call, words: &args::Trust) -> Result<u8, Failure> {
    let mut places = call.places()?;
    if let Some(directory) = &words.directory {
        places.here = config::here(Some(&places.here.join(directory)))?;
    }
    if words.revoke { revoke(call, &places) } else { allow(call, &places) }
}

fn allow(call: &Call, places: &Places) -> Result<u8, Failure> {
    let sources = places.found()?;
    let Some(source) = sources.first().filter(|source| source.level == Level::Project) else {
        return Err(none(places));
    };
    let plans = config::plans(&sources)?;
    Trusted::of_user()?.allow(source)?;
    tell(call, State::Trusted, &source.path, &plans)?;
    call.screen.said(&told(source, &plans));
    Ok(State::Trusted.exit())
}

fn revoke(call: &Call, places: &Places) -> Result<u8, Failure> {
    // The file may be gone, or not be understood any more: what is forgotten is its path.
    let path = match places.project() {
        Ok(Some(source)) => source.path,
        Ok(None) | Err(_) => places.here.join(PROJECT_FILE),
    };
    let known = Trusted::of_user()?.revoke(&path)?;
    tell(call, State::Revoked, &path, &[])?;
    let again = if known { "may start nothing any more" } else { "was not trusted" };
    let shown = printable(&path.display().to_string());
    call.screen.said(&format!("{shown} {again}; a worker that runs goes on until `tenure stop`"));
    Ok(State::Revoked.exit())
}

fn tell(call: &Call, state: State, path: &Path, plans: &[Plan]) -> Result<(), Failure> {
    if !call.screen.wants_json() {
        return Ok(());
    }
    let workers = plans.iter().map(Worker::of).collect();
    render::document(&Document { schema_version: SCHEMA, state, path, workers })
}

fn told(source: &Source, plans: &[Plan]) -> String {
    let mut lines = vec![format!("{} is trusted, as it is now; it may start", source.path.display())];
    for plan in plans {
        lines.push(format!("  {}: {}", plan.name, plan.command.join(" ")));
        lines.extend(
            plan.version.iter().map(|words| format!("    asks for its version: {}", words.join(" "))),
        );
        lines.extend(plan.checks.iter().map(|words| format!("    checks it with: {}", words.join(" "))));
        let preflight = plan.preflight.iter();
        lines.extend(preflight.map(|words| format!("    runs before it takes over: {}", words.join(" "))));
        if !plan.sets.is_empty() {
            lines.push(format!("    sets: {}", plan.sets.join(", ")));
        }
    }
    if plans.is_empty() {
        lines.push("  nothing: it describes no worker".to_owned());
    }
    let directory = word(source.directory());
    lines.push(format!(
        "any change of the file needs this again; `tenure trust {directory} --revoke` takes back this and every earlier content"
    ));
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

fn none(places: &Places) -> Failure {
    let message =
        format!("find a file to trust: there is no {PROJECT_FILE} in {} or above", places.here.display());
    Failure::new(State::NotConfigured, message)
        .hint("`tenure init` writes one; files of yours and files given with --config need no trust")
}
