//! `tenure status` and `tenure list`: what stands, by the workers' own answers. Starts and changes nothing.

use std::fmt::Write;

use serde::Serialize;
use tenure::wire::Hello;
use tenure::{Error, Standing};

use crate::account::{self, Details, Identity};
use crate::answer::State;
use crate::call::Call;
use crate::config::{self, Target};
use crate::failure::Failure;
use crate::render::{self, SCHEMA, printable};
use crate::words;

/// The document of one worker.
#[derive(Debug, Serialize)]
struct One<'a> {
    schema_version: u32,
    #[serde(flatten)]
    row: Row<'a>,
    #[serde(flatten)]
    details: Option<Details<'a>>,
}

/// The document of several workers.
#[derive(Debug, Serialize)]
struct Many<'a> {
    schema_version: u32,
    workers: Vec<Row<'a>>,
}

/// A worker among several.
#[derive(Debug, Serialize)]
struct Row<'a> {
    state: State,
    #[serde(flatten)]
    worker: Identity<'a>,
    reason: Option<String>,
}

/// A scope, and what stands there.
struct Seen {
    target: Target,
    standing: Result<Standing, Error>,
}

impl Seen {
    fn of(target: Target) -> Self {
        let standing = tenure::status(&target.scope);
        Self { target, standing }
    }

    fn state(&self) -> State {
        match &self.standing {
            Ok(standing) => account::state_of(standing),
            Err(error) => State::of_kind(error.kind()),
        }
    }

    fn hello(&self) -> Option<&Hello> {
        self.standing.as_ref().ok().and_then(account::hello_of)
    }

    fn reason(&self) -> Option<String> {
        match &self.standing {
            Ok(standing) => account::reason_of(standing),
            Err(error) => Some(format!("failed to {error}")),
        }
    }

    fn row(&self) -> Row<'_> {
        Row {
            state: self.state(),
            worker: Identity::of(&self.target.scope, self.hello()),
            reason: self.reason(),
        }
    }
}

/// Tells of one worker, or of all that are configured here; the exit code is that of the first that does not serve.
pub(crate) fn run(call: &Call, words: &words::Status) -> Result<u8, Failure> {
    let Some(name) = &words.name else {
        let targets = config::all(&call.here()?, &words.by)?;
        if targets.is_empty() {
            return Err(Failure::new(
                State::NotConfigured,
                "find a worker to tell of: none is configured here",
            )
            .hint("`tenure status NAME` asks for one, `tenure list` shows all that ever ran here"));
        }
        let seen: Vec<Seen> = targets.into_iter().map(Seen::of).collect();
        tell_all(call, &seen)?;
        return Ok(seen.iter().map(|seen| seen.state().exit()).find(|code| *code != 0).unwrap_or(0));
    };
    let seen = Seen::of(call.named(name, &words.by)?);
    if let Err(error) = &seen.standing {
        return Err(Call::failed(error, &seen.target.called));
    }
    tell(call, &seen)?;
    Ok(seen.state().exit())
}

/// Tells of every worker that has state on this host; 0 whatever their state.
pub(crate) fn list(call: &Call) -> Result<u8, Failure> {
    let listed = tenure::list().map_err(|error| Call::failed(&error, "NAME"))?;
    let seen = listed.into_iter().map(|(scope, standing)| Seen { target: Target::whole(scope), standing });
    let seen: Vec<Seen> = seen.collect();
    tell_all(call, &seen)?;
    Ok(0)
}

fn tell(call: &Call, seen: &Seen) -> Result<(), Failure> {
    if call.screen.wants_json() {
        let details = seen.hello().map(Details::of);
        return render::document(&One { schema_version: SCHEMA, row: seen.row(), details });
    }
    let mut text = format!("{}: {}", seen.target.called, seen.state().word());
    if let Some(hello) = seen.hello() {
        line(&mut text, format_args!(", {}, up {}\n", account::line(hello), account::age(hello.uptime_ms)));
    } else {
        text.push('\n');
    }
    if let Some(reason) = seen.reason() {
        line(&mut text, format_args!("  {reason}\n"));
    }
    if let Some(hello) = seen.hello() {
        details(&mut text, hello, call.screen.is_verbose());
    }
    if call.screen.is_quiet() { Ok(()) } else { render::text(&text) }
}

fn details(text: &mut String, hello: &Hello, verbose: bool) {
    if let Some(program) = &hello.program {
        let pid = program.identity.as_ref().map_or_else(|| "not running".to_owned(), ToString::to_string);
        line(text, format_args!("  program: {pid}, started {}", times(program.starts)));
        if let Some(exit) = &program.last_exit {
            line(text, format_args!(", last ended with {exit}"));
        }
        text.push('\n');
    }
    for check in hello.app.checks.iter().filter(|check| verbose || !check.ok) {
        let word = if check.ok { "passes" } else { "fails" };
        line(text, format_args!("  check {} {word}: {}\n", check.name, printable(&check.detail)));
    }
    if verbose {
        line(text, format_args!("  command: {}\n", hello.spec.command.join(" ")));
        line(text, format_args!("  directory: {}\n", hello.spec.cwd.display()));
        line(text, format_args!("  started by: {}\n", account::asker(&hello.started_by)));
        line(text, format_args!("  kept by: {} (tenure {})\n", hello.worker_path, hello.build));
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn tell_all(call: &Call, seen: &[Seen]) -> Result<(), Failure> {
    if call.screen.wants_json() {
        let workers = seen.iter().map(Seen::row).collect();
        return render::document(&Many { schema_version: SCHEMA, workers });
    }
    if call.screen.is_quiet() {
        return Ok(());
    }
    if seen.is_empty() {
        call.screen.said("no worker ever ran here; `tenure ensure NAME -- CMD…` starts one");
        return Ok(());
    }
    render::text(&table(seen))
}

fn table(seen: &[Seen]) -> String {
    let mut rows =
        vec![["WORKER", "STATE", "PID", "GENERATION", "VERSION", "UP", "ENDPOINTS"].map(str::to_owned)];
    for seen in seen {
        let hello = seen.hello();
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let endpoints = hello.map(|hello| {
            let endpoints =
                hello.endpoints.iter().map(|endpoint| format!("{} {}", endpoint.name, endpoint.tcp));
            endpoints.collect::<Vec<_>>().join(", ")
        });
        rows.push([
            seen.target.scope.to_string(),
            seen.state().word().to_owned(),
            shown(hello.map(|hello| hello.identity.pid.to_string())),
            shown(hello.map(|hello| hello.generation.to_string())),
            shown(hello.map(|hello| hello.version.to_string())),
            shown(hello.map(|hello| account::age(hello.uptime_ms))),
            shown(endpoints.filter(|endpoints| !endpoints.is_empty())),
        ]);
    }
    account::columns(&rows)
}

fn line(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("writing to a string cannot fail");
}
