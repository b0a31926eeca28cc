//! What a worker reports of itself, as documents and lines show it.
//!
//! Pure. All commands use these words.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use tenure_core::deadline::Moment;
use tenure_core::os_text::PathText;
use tenure_core::protocol::ends::UnaskedEnd;
use tenure_core::protocol::wire::{App, AppState, Asker, Endpoint, Hello, Probation, ProgramStatus};
use tenure_core::spec::Listen;
use tenure_core::{Scope, Standing, Version};

use crate::answer::AnswerState;
use crate::output::render::printable;

/// The part of an account that every document of a worker has.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerIdentity<'hello> {
    pub(crate) name: &'hello str,
    pub(crate) key: Option<&'hello str>,
    pub(crate) pid: Option<u32>,
    /// The activation.
    pub(crate) generation: Option<u64>,
    /// The version that it was started as.
    pub(crate) version: Option<&'hello Version>,
    pub(crate) endpoints: &'hello [Endpoint],
    pub(crate) app: Option<&'hello App>,
}

impl<'hello> WorkerIdentity<'hello> {
    /// Of a worker that has answered, or of a scope in which none has.
    pub(crate) fn of(scope: &'hello Scope, hello: Option<&'hello Hello>) -> Self {
        Self {
            name: scope.name(),
            key: scope.key(),
            pid: hello.map(|hello| hello.identity.pid),
            generation: hello.map(|hello| hello.generation),
            version: hello.map(|hello| &hello.version),
            endpoints: hello.map_or(&[], |hello| &hello.endpoints),
            app: hello.map(|hello| &hello.app),
        }
    }
}

/// All that `status` tells of a worker that answers.
#[derive(Debug, Serialize)]
pub(crate) struct Details<'hello> {
    build: &'hello str,
    instance: &'hello str,
    worker_path: &'hello str,
    uptime_ms: u64,
    started_by: &'hello Asker,
    draining: bool,
    command: &'hello [String],
    cwd: PathText<'hello>,
    program: Option<&'hello ProgramStatus>,
    content: Option<&'hello str>,
    source_changed: bool,
}

impl<'hello> Details<'hello> {
    /// Of this worker.
    pub(crate) fn of(hello: &'hello Hello) -> Self {
        Self {
            build: &hello.build,
            instance: &hello.instance,
            worker_path: &hello.worker_path,
            uptime_ms: hello.uptime_ms,
            started_by: &hello.started_by,
            draining: hello.draining,
            command: &hello.spec.command,
            cwd: PathText(&hello.spec.cwd),
            program: hello.program.as_ref(),
            content: hello.content.as_deref(),
            source_changed: hello.source_changed,
        }
    }
}

/// The answer state that stands for what was observed.
pub(crate) fn state_of(standing: &Standing) -> AnswerState {
    match standing {
        Standing::Serving(_) => AnswerState::Up,
        Standing::NotServing(hello) if !hello.draining && hello.app.state == AppState::Booting => {
            AnswerState::Booting
        }
        Standing::Down => AnswerState::Down,
        Standing::Silent { booting: true, .. } => AnswerState::Booting,
        Standing::Silent { booting: false, .. } => AnswerState::Wedged,
        Standing::Denied(_) => AnswerState::Denied,
        Standing::Foreign(_) => AnswerState::NotOurs,
        Standing::NotServing(_) | _ => AnswerState::Unhealthy,
    }
}

/// Why the worker is in its state, where the state does not say so.
pub(crate) fn reason_of(standing: &Standing) -> Option<String> {
    match standing {
        Standing::Serving(hello) | Standing::NotServing(hello) => reason(hello),
        Standing::Silent { who, .. } if who.is_empty() => {
            Some("a process that cannot be identified holds its socket and does not answer".to_owned())
        }
        Standing::Silent { who, .. } => Some(who.join("; ")),
        Standing::Denied(why) | Standing::Foreign(why) => Some(why.clone()),
        Standing::Down | _ => None,
    }
}

/// `ended by itself and gave up after 40s of service: …, 3m ago`; an end before the last boot has no age.
pub(crate) fn ended(end: &UnaskedEnd, now: &Moment) -> String {
    let ago = (end.at.boot == now.boot).then(|| format!("{} ago ", age(now.ms.saturating_sub(end.at.ms))));
    printable(&format!("{}it {}", ago.unwrap_or_default(), end.line()))
}

fn reason(hello: &Hello) -> Option<String> {
    if hello.draining {
        return Some("it has announced its end".to_owned());
    }
    let stalled = hello.app.stalled_for_ms.map(|ms| format!("its app has not answered for {ms} ms"));
    let word = match hello.app.state {
        AppState::Ready => return stalled,
        AppState::Booting => {
            let not_ready = hello.app.not_ready.as_ref().map(|told| printable(&told.line_with_time()));
            let all = hello.app.reason.clone().into_iter().chain(not_ready).collect::<Vec<_>>().join("; ");
            return Some(all).filter(|all| !all.is_empty()).or(stalled);
        }
        AppState::Degraded => "degraded",
        AppState::BackOff => "backing off",
        AppState::Failed => "failed",
        _ => "not serving",
    };
    let why = hello.app.reason.as_deref().unwrap_or("the app gives no reason");
    // Only a check that fails has a time.
    let failed =
        hello.app.checks.iter().find(|check| !check.ok).filter(|_| hello.app.state == AppState::Degraded);
    let since = failed.and_then(|check| check.failing_for_ms).map(|ms| format!(" for {}", age(ms)));
    Some(format!("{word}{}: {}", since.unwrap_or_default(), printable(why)))
}

/// `pid 123, generation 4, version 1.2.0, http 127.0.0.1:4312`.
pub(crate) fn line(hello: &Hello) -> String {
    format!("pid {}, {}", pid(hello), activation(hello))
}

/// The pid of the worker. In another pid namespace the number would name another process, or none, and is marked.
pub(crate) fn pid(hello: &Hello) -> String {
    let elsewhere = if hello.identity.is_foreign() { " of another pid namespace" } else { "" };
    format!("{}{elsewhere}", hello.identity.pid)
}

/// The same without the pid. A worker without a version has none to show.
pub(crate) fn activation(hello: &Hello) -> String {
    let mut line = format!("generation {}", hello.generation);
    if let Some(version) = version_in_words(hello) {
        append(&mut line, format_args!(", {version}"));
    }
    for Endpoint { name, address, .. } in &hello.endpoints {
        append(&mut line, format_args!(", {name} {}", printable(&address.to_string())));
    }
    line
}

/// The version that it was started as; a worker without one has none to show.
pub(crate) fn version(hello: &Hello) -> Option<String> {
    (hello.version != Version::new(0, 0, 0)).then(|| hello.version.to_string())
}

/// The version that it was started as, or that this is a build.
pub(crate) fn version_or_build(hello: &Hello) -> Option<String> {
    let version = version(hello)?;
    Some(if hello.version.is_build() {
        format!("none: {version} is a build, which has no order")
    } else {
        version
    })
}

/// `version 1.2.3`, or that it is a build.
fn version_in_words(hello: &Hello) -> Option<String> {
    let version = version(hello)?;
    Some(if hello.version.is_build() {
        format!("build {version} (no order)")
    } else {
        format!("version {version}")
    })
}

/// What the app itself says it is, where that is not what it was started as.
pub(crate) fn says_other(hello: &Hello) -> Option<&Version> {
    hello.app.version.as_ref().filter(|says| **says != hello.version)
}

/// The address of a listener as it is described: an empty path has no name yet.
pub(crate) fn wanted_address(listen: &Listen) -> String {
    match listen.address.unix() {
        Some(path) if path.as_os_str().is_empty() => "a path of its own".to_owned(),
        Some(_) | None => printable(&listen.address.to_string()),
    }
}

/// `http 127.0.0.1:4312`, and so on for each.
pub(crate) fn endpoints(hello: &Hello) -> String {
    let shown = hello
        .endpoints
        .iter()
        .map(|Endpoint { name, address, .. }| format!("{name} {}", printable(&address.to_string())));
    shown.collect::<Vec<_>>().join(", ")
}

/// `since 3s, 7s left; if it fails, version 1.0.0 serves again`.
pub(crate) fn probation(probation: &Probation) -> String {
    let since = probation.for_ms.map(|ms| format!("since {}, ", age(ms))).unwrap_or_default();
    format!("{since}{} left; if it fails, version {} serves again", age(probation.left_ms), probation.before)
}

/// `pid 7 (tenure ensure memory)`: where the program lies is in the document.
pub(crate) fn asker(by: &Asker) -> String {
    let (program, rest) = by.command.split_once(' ').unwrap_or((&by.command, ""));
    let program = program.rsplit('/').next().unwrap_or(program);
    match program {
        "" => format!("pid {}", by.pid),
        program => format!("pid {} ({})", by.pid, printable(format!("{program} {rest}").trim_end())),
    }
}

/// A measured time: microseconds below a millisecond, milliseconds below ten seconds, seconds beyond.
pub(crate) fn measured(time: Duration) -> String {
    match time {
        short if short < Duration::from_millis(1) => format!("{} µs", short.as_micros()),
        middle if middle < Duration::from_secs(10) => format!("{} ms", middle.as_millis()),
        long => format!("{:.1} s", long.as_secs_f64()),
    }
}

/// A measured time in a document: whole microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// An age in its two largest units.
pub(crate) fn age(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        (_, _, _) => format!("{days}d {hours}h"),
    }
}

fn append(line: &mut String, more: std::fmt::Arguments<'_>) {
    line.write_fmt(more).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_is_told_without_the_directory_of_the_program() {
        let by = |command: &str| Asker::of(7, command);
        assert_eq!(asker(&by("/usr/bin/tenure ensure a/b")), "pid 7 (tenure ensure a/b)");
        assert_eq!([asker(&by("hook")), asker(&by(""))], ["pid 7 (hook)", "pid 7"]);
    }

    #[test]
    fn times_have_the_unit_that_a_person_would_choose() {
        assert_eq!(measured(Duration::from_micros(412)), "412 µs");
        assert_eq!(measured(Duration::from_millis(43)), "43 ms");
        assert_eq!(measured(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!([900, 61_000, 7_380_000, 90_000_000].map(age), ["0s", "1m 1s", "2h 3m", "1d 1h"]);
    }
}
