//! A worker's account of itself as lines for people. Pure.

use tenure_core::os_text::{self, shell};
use tenure_core::protocol::wire::Hello;

use crate::output::account;
use crate::output::render::printable;

/// A label and what it says.
pub(super) type StatusLine = (&'static str, String);

/// Who it is, and since when.
pub(super) fn worker(lines: &mut Vec<StatusLine>, hello: &Hello) {
    let version = account::version_or_build(hello);
    match (version, account::says_other(hello)) {
        (Some(version), Some(says)) => lines.push(("version", format!("{version} (app says it is {says})"))),
        (None, Some(says)) => lines.push(("version", format!("none stated (app says it is {says})"))),
        (Some(version), None) => lines.push(("version", version)),
        (None, None) => {}
    }
    lines.push(("generation", hello.generation.to_string()));
    lines.push(("pid", account::pid(hello)));
    lines.push(("up", account::age(hello.uptime_ms)));
    lines.extend(hello.probation.as_ref().map(|probation| ("probation", account::probation(probation))));
    for endpoint in &hello.endpoints {
        lines.push(("endpoint", format!("{} {}", endpoint.name, printable(&endpoint.address.to_string()))));
    }
}

/// Its checks and its program.
pub(super) fn program(lines: &mut Vec<StatusLine>, hello: &Hello, verbose: bool) {
    for check in hello.app.checks.iter().filter(|check| verbose || !check.ok) {
        let word = if check.ok { "passes" } else { "fails" };
        let since = check.failing_for_ms.map(|ms| format!(" for {}", account::age(ms))).unwrap_or_default();
        let detail = printable(&check.detail);
        lines.push((
            "check",
            format!(
                "{} {word}{since}{}",
                check.name,
                if detail.is_empty() { detail } else { format!(": {detail}") }
            ),
        ));
    }
    if let Some(program) = &hello.program {
        let pid = program.identity.as_ref().map_or_else(|| "not running".to_owned(), ToString::to_string);
        let exit = program.last_exit.as_ref().map(|exit| format!(", last ended with {exit}"));
        let times = if program.starts == 1 { "once".to_owned() } else { format!("{} times", program.starts) };
        lines.push(("program", format!("{pid}, started {times}{}", exit.unwrap_or_default())));
        lines.extend(program.last_end.as_ref().map(|end| ("last end", printable(&end.line()))));
    }
    lines.push(("started by", account::asker(&hello.started_by)));
}

/// Where the worker comes from, for --verbose.
pub(super) fn origin(lines: &mut Vec<StatusLine>, hello: &Hello) {
    if !hello.spec.command.is_empty() {
        lines.push(("command", shell::line(&hello.spec.command)));
    }
    lines.push(("directory", printable(&os_text::text(hello.spec.cwd.as_os_str()))));
    lines.push(("kept by", printable(&format!("{} (tenure {})", hello.worker_path, hello.build))));
    lines.push(("instance", hello.instance.clone()));
}
