//! The remedy of a failure: the next command to type, or what to change.
//!
//! Pure. Every kind of the library has one in its row; here are those that depend on more than the kind.

use std::path::Path;
use std::time::Duration;

use tenure_core::error::stage;
use tenure_core::os_text::shell::word;
use tenure_core::{Error, ErrorKind, ErrorRow, Version};

use crate::config::{self, ScopeTarget};

/// The remedy for a failure of the library, as it is typed where the call for that worker was made. Without a worker NAME
/// stands for one.
pub(crate) fn of(error: &Error, target: Option<&ScopeTarget>) -> String {
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
        return of_trust(file, error.stage(), target);
    }
    let remedy = error.not_ready().and_then(|told| told.remedy.as_deref());
    match (error.kind(), error.retry_after()) {
        (ErrorKind::SpawnFailed | ErrorKind::RestartUnproved, _) if let Some(remedy) = remedy => {
            remedy.to_owned()
        }
        (ErrorKind::SpawnSuppressed, Some(wait)) if let Some(remedy) = remedy => {
            format!("{remedy}; {}", again(wait, target))
        }
        (ErrorKind::UnknownVersion, _) => of_version(error.known_versions(), error.stage(), target),
        (ErrorKind::SpawnSuppressed, Some(wait)) => of_wait(wait, target),
        (kind, _) => of_stage(kind, error.stage(), target),
    }
}

/// What to do where no directory for the state of workers can be found.
const STATE_ROOT: &str = "name a directory of your own by its whole path in TENURE_STATE_DIR";

/// The remedy for a failure of that kind, at that stage.
fn of_stage(kind: ErrorKind, stage: Option<&str>, target: Option<&ScopeTarget>) -> String {
    let hint = match (kind, stage) {
        (ErrorKind::Denied, Some(stage::PID_NAMESPACE)) => {
            "`tenure stop NAME` asks it to end, from here too, and the next `tenure ensure NAME` starts it here; or do this where the worker runs"
        }
        (ErrorKind::Denied, Some(stage::NETWORK_NAMESPACE)) => {
            "do this where the worker runs; or `tenure stop NAME`, and the next `tenure ensure NAME` starts it here"
        }
        (ErrorKind::Survivor, Some(stage::PID_NAMESPACE)) => {
            "run the same command where that worker was started (inside or outside of a container), or end that container"
        }
        (ErrorKind::SpawnFailed, Some(stage::PROGRAM)) => {
            "check `command`, `cwd` and PATH, and what the program needs; `tenure logs NAME` shows all that it wrote"
        }
        (ErrorKind::OtherApp, Some(stage::NAMELESS_APP)) => {
            "another name, or --key, keeps both; `tenure restart NAME` takes the name over; two installations of one plugin share a worker once both have the same `app`"
        }
        (ErrorKind::StateUnusable, Some(stage::ROOT)) => STATE_ROOT,
        (ErrorKind::SpawnFailed, Some(stage::LISTEN)) => {
            "free the address, or choose another one in `listen`"
        }
        (ErrorKind::SpawnFailed, Some(stage::LISTEN_PATH)) => {
            "mend what is wrong with the path, or choose another one in `listen`"
        }
        // A new worker boots to take the place of another one: nobody is to be ended for that.
        (ErrorKind::GateHeld, Some(stage::UPGRADE)) => {
            "the same command with a longer --timeout waits for it; `tenure status NAME` shows which worker serves, `tenure events NAME` what happens"
        }
        _ => ErrorRow::of(kind).hint,
    };
    typed(hint, target)
}

/// The remedy with its commands, in backquotes, as they are typed for that worker.
pub(crate) fn typed(remedy: &str, target: Option<&ScopeTarget>) -> String {
    let Some(target) = target else { return remedy.to_owned() };
    let command = |(at, part): (usize, &str)| {
        if at % 2 == 0 {
            return part.replace("NAME", &target.display_name);
        }
        let named = part.strip_prefix("tenure ").and_then(|words| words.split_once(" NAME"));
        named.map_or_else(|| format!("`{part}`"), |(verb, rest)| target.command(verb, rest.trim_start()))
    };
    remedy.split('`').enumerate().map(command).collect()
}

/// The remedy for a start that is held back for that long.
fn of_wait(wait: Duration, target: Option<&ScopeTarget>) -> String {
    format!("{}; {}", of_stage(ErrorKind::SpawnSuppressed, None, target), again(wait, target))
}

fn again(wait: Duration, target: Option<&ScopeTarget>) -> String {
    format!("{} tries again in {} s", typed("`tenure ensure NAME`", target), wait.as_secs() + 1)
}

/// The remedy for a version that nobody has offered: it names the versions on record.
fn of_version(known: &[Version], stage: Option<&str>, target: Option<&ScopeTarget>) -> String {
    let word = if stage == Some(stage::FORGET) { "forget" } else { "pin" };
    // A build can be forgotten, and not pinned.
    let known: Vec<&Version> = known.iter().filter(|known| word == "forget" || !known.is_build()).collect();
    let command = |version: &Version| typed(&format!("`tenure {word} NAME {version}`"), target);
    let is_empty = known.is_empty();
    let known = match known.as_slice() {
        [] => "no version is on record".to_owned(),
        [only] => format!("only {only} is on record: {}", command(only)),
        all => {
            let typed: Vec<String> = all.iter().map(|version| command(version)).collect();
            format!("on record are {}", typed.join(", "))
        }
    };
    if word == "forget" {
        return format!("{known}; a version that is not on offer need not be forgotten");
    }
    if is_empty {
        return format!("{known}: a call of `ensure` with that version offers it, and then it can be pinned");
    }
    format!("{known}; {}", of_stage(ErrorKind::UnknownVersion, stage, target))
}

/// The remedy for an offer of a project's file that is not trusted any more. It works from any directory.
fn of_trust(file: &Path, stage: Option<&str>, target: Option<&ScopeTarget>) -> String {
    let directory = word(file.parent().unwrap_or(Path::new("/")));
    let trust = config::trust_remedy(file);
    let command = |words: &str| typed(&format!("`tenure {words} NAME`"), target);
    match stage {
        Some(stage::PIN) => format!("{trust}; {} releases the version", command("unpin")),
        // Trust in what the file says now would not bring the version back.
        Some(stage::PIN_OF_OTHER_CONTENT) => {
            format!("the content of the file has changed; {} releases the version", command("unpin"))
        }
        Some(stage::OTHER_CONTENT) => format!(
            "the content of the file has changed: restore the earlier content, and `tenure trust {directory}` allows it; {} shows what is on offer",
            command("status")
        ),
        Some(_) | None => trust,
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

    fn web() -> ScopeTarget {
        ScopeTarget::found("web")
    }

    #[test]
    fn every_kind_has_a_remedy() {
        let mut remedies = String::new();
        for kind in ErrorKind::ALL {
            let remedy = of_stage(kind, None, Some(&web()));
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
        let remedy = |stage| of_stage(ErrorKind::SpawnFailed, Some(stage), Some(&web()));
        assert!(remedy("program").contains("PATH") && remedy("listen").contains("address"));
    }

    #[test]
    fn the_versions_that_are_known_are_told_with_what_to_type() {
        let known: Vec<Version> = ["1.0.0", "2.0.0"].map(|one| one.parse().expect("a version")).into();
        let pin = of_version(&known, Some(stage::PIN), Some(&web()));
        assert!(pin.starts_with("on record are `tenure pin web 1.0.0`, `tenure pin web 2.0.0`; "), "{pin}");
        let forget = of_version(&known[..1], Some(stage::FORGET), Some(&web()));
        assert!(forget.starts_with("only 1.0.0 is on record: `tenure forget web 1.0.0`; "), "{forget}");
        assert!(!forget.contains("restart"), "{forget}");
        assert!(of_version(&[], None, None).starts_with("no version is on record: "));
    }

    #[test]
    fn a_wait_is_told_where_it_is_known() {
        let remedy = of_wait(Duration::from_millis(2500), Some(&web()));
        assert!(remedy.ends_with("`tenure ensure web` tries again in 3 s"), "{remedy}");
    }
}
