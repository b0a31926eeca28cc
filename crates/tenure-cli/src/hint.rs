//! The remedy for each kind of failure: the next command to type, or what to change.
//!
//! Pure. Every kind of the library has one, written for the scope that failed.

use tenure::{Error, ErrorKind};

/// The remedy for a failure of the library while it worked for `name`, the worker as the caller called it.
pub(crate) fn of(error: &Error, name: &str) -> String {
    if let Some(remedy) = error.os_error().and_then(of_system) {
        return remedy.to_owned();
    }
    match error.kind() {
        ErrorKind::Denied => format!(
            "allow this process to use the state directory and to connect to the socket in it; outside of the sandbox `tenure status {name}` tells what stands"
        ),
        ErrorKind::StateUnusable => {
            "make the directory yours and private (chmod 700), or name another one in TENURE_STATE_DIR"
                .to_owned()
        }
        ErrorKind::RecordUnusable => format!(
            "use the tenure that wrote the record; a damaged one may be moved aside once `tenure status {name}` says that nothing runs"
        ),
        ErrorKind::NotOurs => {
            "two state directories meet at one socket: look at TENURE_STATE_DIR on both sides".to_owned()
        }
        ErrorKind::ClientTooOld => "update this tenure; the worker is newer and stays".to_owned(),
        ErrorKind::SpecConflict => format!(
            "`tenure restart {name}` takes the description given here; a raised `version` replaces the worker by itself; another name or --key keeps both"
        ),
        ErrorKind::SpawnFailed => match error.stage() {
            Some("program") => format!(
                "check `command`, `cwd` and PATH, and what the program needs; `tenure logs {name}` shows all that it wrote"
            ),
            Some("listen") => "free the address, or choose another one in `listen`".to_owned(),
            Some(_) | None => {
                format!("`tenure logs {name} --boot` and `tenure logs {name}` show what it wrote")
            }
        },
        ErrorKind::SpawnSuppressed => format!(
            "repair the cause, then `tenure restart {name}` tries at once{}",
            error
                .retry_after()
                .map(|wait| format!("; `tenure ensure {name}` tries again in {} s", wait.as_secs() + 1))
                .unwrap_or_default()
        ),
        ErrorKind::Recursion => {
            "do not ask for a worker from inside of it; if this process is no part of it, unset TENURE_COOKIE"
                .to_owned()
        }
        ErrorKind::Wedged => {
            format!("`tenure status {name}` names the process; end or resume it, then try again")
        }
        ErrorKind::GateHeld => {
            format!(
                "wait for the process that holds the gate, or end it; `tenure events {name}` tells what it did"
            )
        }
        ErrorKind::TimedOut => format!("give it more time with --timeout, or see `tenure status {name}`"),
        ErrorKind::Survivor => "end the process that is named, then `tenure stop` again".to_owned(),
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

/// The remedy for what the system lacks, whoever ran into it. The numbers are those of asm-generic/errno-base.h and
/// errno.h, the same on every architecture that is built for.
fn of_system(error: i32) -> Option<&'static str> {
    match error {
        // ENFILE, EMFILE
        23 | 24 => Some("raise the limit of open files (`ulimit -n`), or close some"),
        // ENOSPC, EDQUOT
        28 | 122 => Some("make room where the state directory is, or name another one in TENURE_STATE_DIR"),
        // EROFS
        30 => Some("make the file system writable, or name another directory in TENURE_STATE_DIR"),
        _ => None,
    }
}
