//! The remedy for each kind of failure: the next command to type, or what to change.
//!
//! Pure. Every kind of the library has one, written for the scope that failed.

use std::path::Path;
use std::time::Duration;

use tenure_core::{Error, ErrorKind, Version};

use crate::config::word;

/// The remedy for a failure of the library while it worked for `name`, the worker as the caller called it.
pub(crate) fn of(error: &Error, name: &str) -> String {
    if let Some(remedy) = error.os_error().and_then(of_system) {
        return remedy.to_owned();
    }
    if let Some(path) = error.in_the_way() {
        return format!(
            "`mv {0} {0}.aside` moves it out of the way; nothing of it is used or deleted",
            word(path)
        );
    }
    if let Some(file) = error.untrusted_file() {
        return of_trust(file, error.stage(), name);
    }
    if error.kind() == ErrorKind::UnknownVersion {
        return of_version(error.known_versions(), error.stage(), name);
    }
    if error.kind() == ErrorKind::GateHeld && error.stage() == Some("upgrade") {
        return of_upgrade(name);
    }
    of_kind(error.kind(), error.stage(), error.retry_after(), name)
}

/// The remedy for what a project's file offered.
const UNTRUSTED: &str = "read that file; `tenure trust`, typed in its directory, allows what it says now";

fn of_kind(kind: ErrorKind, stage: Option<&str>, retry_after: Option<Duration>, name: &str) -> String {
    match kind {
        ErrorKind::Denied => of_denial(stage, name),
        ErrorKind::StateUnusable => {
            "make the directory yours and private (`tenure doctor --fix`), or name another one in TENURE_STATE_DIR"
                .to_owned()
        }
        ErrorKind::RecordTooNew => {
            "use the newer tenure that wrote the record, or install this one anew".to_owned()
        }
        ErrorKind::RecordUnusable => format!(
            "`tenure doctor {name}` shows what is wrong with it; a damaged one may be moved aside once `tenure status {name}` says that nothing runs"
        ),
        ErrorKind::NotOurs => {
            "two state directories meet at one socket: look at TENURE_STATE_DIR on both sides".to_owned()
        }
        ErrorKind::ClientTooOld => "update this tenure; the worker is newer and stays".to_owned(),
        ErrorKind::SpecConflict => format!(
            "`tenure restart {name}` takes the description given here; a raised `version` replaces the worker by itself; another name or --key keeps both"
        ),
        ErrorKind::VersionDisagrees => format!(
            "make what the worker is started as and what it says agree, then `tenure restart {name}`; `--version` with what it says uses it as it is"
        ),
        ErrorKind::UnknownVersion => of_version(&[], stage, name),
        ErrorKind::VersionPinned => format!("`tenure unpin {name}` releases it; then it can be forgotten"),
        ErrorKind::Untrusted => UNTRUSTED.to_owned(),
        ErrorKind::HeldDown => format!("`tenure start {name}` starts it again"),
        ErrorKind::LimitTooLow => of_limit(name),
        ErrorKind::Survivor => of_survivor(stage),
        ErrorKind::SpawnFailed => of_start(stage, name),
        ErrorKind::SpawnSuppressed => format!(
            "repair the cause, then `tenure restart {name}` tries at once{}",
            retry_after
                .map(|wait| format!("; `tenure ensure {name}` tries again in {} s", wait.as_secs() + 1))
                .unwrap_or_default()
        ),
        ErrorKind::Recursion => {
            "do not ask for a worker from inside of it; if this process is no part of it, unset TENURE_COOKIE"
                .to_owned()
        }
        ErrorKind::Wedged
        | ErrorKind::GateHeld
        | ErrorKind::TimedOut
        | ErrorKind::StillUnusable
        | ErrorKind::RestartUnproved
        | ErrorKind::Bug
        | _ => of_what_stands(kind, name),
    }
}

/// The remedy where something stands in the way, or does not stand as it should.
fn of_what_stands(kind: ErrorKind, name: &str) -> String {
    match kind {
        ErrorKind::Wedged => {
            format!("`tenure status {name}` names the process; end or resume it, then try again")
        }
        ErrorKind::GateHeld => {
            format!("wait for the holder of the gate, or end it; `tenure events {name}` tells what it did")
        }
        ErrorKind::TimedOut => format!(
            "give it more time with --timeout (a worker that stands still is ended after 10s of silence), or see `tenure status {name}`"
        ),
        ErrorKind::StillUnusable => format!("`tenure logs {name}` shows why the new worker does not serve"),
        ErrorKind::RestartUnproved => {
            format!("`tenure status {name}` and `tenure logs {name}` tell what stands now")
        }
        ErrorKind::Bug | _ => {
            "this is a fault of tenure itself; please report it with the output of `tenure version --json`"
                .to_owned()
        }
    }
}

/// The remedy where something of the previous program lives.
fn of_survivor(stage: Option<&str>) -> String {
    if stage == Some("pid namespace") {
        return "run the same command where that worker was started (inside or outside of a container), or end that container"
            .to_owned();
    }
    "end the process that is named, or that the printed command finds, and try again".to_owned()
}

/// The remedy where a new worker boots to take the place of another one: nobody is to be ended for that.
fn of_upgrade(name: &str) -> String {
    format!(
        "the same command with a longer --timeout waits for it; `tenure status {name}` tells what serves, `tenure events {name}` what goes on"
    )
}

/// The remedy for what the system does not let this process do.
fn of_denial(stage: Option<&str>, name: &str) -> String {
    if stage == Some("pid namespace") {
        return format!(
            "`tenure stop {name}` asks it to end, from here too, and the next `tenure ensure {name}` starts it here; or do this where the worker runs"
        );
    }
    if stage == Some("network namespace") {
        return format!(
            "do this where the worker runs; or `tenure stop {name}`, and the next `tenure ensure {name}` starts it here"
        );
    }
    format!(
        "allow this process to use the state directory and to connect to the socket in it; outside of the sandbox `tenure status {name}` tells what stands"
    )
}

/// The remedy for a version that nobody has offered: those that somebody has.
fn of_version(known: &[Version], stage: Option<&str>, name: &str) -> String {
    let word = if stage == Some("forget") { "forget" } else { "pin" };
    let known = match known {
        [] => "no version is on record".to_owned(),
        [only] => format!("only {only} is on record: `tenure {word} {name} {only}`"),
        all => {
            let typed: Vec<String> =
                all.iter().map(|version| format!("`tenure {word} {name} {version}`")).collect();
            format!("on record are {}", typed.join(", "))
        }
    };
    if word == "forget" {
        return format!("{known}; what is not on offer needs no taking back");
    }
    format!(
        "{known}; `tenure restart {name} --version V` (and `-- CMD…` where nothing describes the worker) puts V on record and starts the highest again; then it can be pinned"
    )
}

/// The remedy for a limit that this process would hand on.
fn of_limit(name: &str) -> String {
    format!(
        "raise the limit that is named, or call `tenure ensure {name}` from where it is higher; nothing was started, and nothing is held against the version"
    )
}

/// The remedy for what a project's file offered and nobody trusts any more: it may be typed anywhere.
fn of_trust(file: &Path, stage: Option<&str>, name: &str) -> String {
    let directory = word(file.parent().unwrap_or(Path::new("/")));
    let trust = format!("`tenure trust {directory}` shows what the file would start, and allows it");
    match stage {
        Some("pin") => format!("{trust}; `tenure unpin {name}` releases the version"),
        // Trust in what the file says now would not bring the version back.
        Some("pin of other content") => {
            format!("the file says something else now; `tenure unpin {name}` releases the version")
        }
        Some("other content") => format!(
            "the file says something else now: put back what it said then, and `tenure trust {directory}` allows it; `tenure status {name}` tells what is on offer"
        ),
        Some(_) | None => trust,
    }
}

/// The remedy for a start that failed at that stage.
fn of_start(stage: Option<&str>, name: &str) -> String {
    match stage {
        Some("program") => format!(
            "check `command`, `cwd` and PATH, and what the program needs; `tenure logs {name}` shows all that it wrote"
        ),
        Some("listen") => "free the address, or choose another one in `listen`".to_owned(),
        Some(_) | None => format!("`tenure logs {name} --boot` and `tenure logs {name}` show what it wrote"),
    }
}

/// The remedy for what the system lacks, whoever ran into it. The numbers are those of asm-generic/errno-base.h and
/// errno.h, the same on every architecture that is built for.
fn of_system(error: i32) -> Option<&'static str> {
    match error {
        // ENFILE, EMFILE
        23 | 24 => Some("raise the limit of open files (`ulimit -n`), or close some"),
        // EFBIG
        27 => Some("raise the limit on the size of files (`ulimit -f`), or call from where it is higher"),
        // ENOSPC, EDQUOT
        28 | 122 => Some("make room where the state directory is, or name another one in TENURE_STATE_DIR"),
        // EROFS
        30 => Some("make the file system writable, or name another directory in TENURE_STATE_DIR"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn every_kind_has_a_remedy() {
        let mut remedies = String::new();
        for kind in ErrorKind::ALL {
            let remedy = of_kind(kind, None, None, "web");
            assert!(!remedy.is_empty() && !remedy.ends_with('.'), "{kind:?}");
            assert_eq!(
                remedy.contains("fault of tenure"),
                kind == ErrorKind::Bug,
                "{kind:?} has none of its own"
            );
            writeln!(remedies, "{kind:?}: {remedy}").expect("a string takes all");
        }
        let mut insta = insta::Settings::clone_current();
        insta.set_snapshot_path("../../tests/words/snapshots");
        insta.bind(|| insta::assert_snapshot!(remedies));
    }

    #[test]
    fn a_program_and_an_address_have_remedies_of_their_own() {
        let of_stage = |stage| of_kind(ErrorKind::SpawnFailed, Some(stage), None, "web");
        assert!(of_stage("program").contains("PATH") && of_stage("listen").contains("address"));
    }

    #[test]
    fn the_versions_that_are_known_are_told_with_what_to_type() {
        let known: Vec<Version> = ["1.0.0", "2.0.0"].map(|one| one.parse().expect("a version")).into();
        let pin = of_version(&known, Some("pin"), "web");
        assert!(pin.starts_with("on record are `tenure pin web 1.0.0`, `tenure pin web 2.0.0`; "), "{pin}");
        let forget = of_version(&known[..1], Some("forget"), "web");
        assert!(forget.starts_with("only 1.0.0 is on record: `tenure forget web 1.0.0`; "), "{forget}");
        assert!(!forget.contains("restart"), "{forget}");
        assert!(of_version(&[], None, "web").starts_with("no version is on record; "));
    }

    #[test]
    fn a_wait_is_told_where_it_is_known() {
        let remedy = of_kind(ErrorKind::SpawnSuppressed, None, Some(Duration::from_millis(2500)), "web");
        assert!(remedy.ends_with("`tenure ensure web` tries again in 3 s"), "{remedy}");
    }
}
