//! A spec's `preflight`: the command that looks whether a new program could serve, while the old one still does.
//!
//! It runs like a check, with the program's directory and environment and without listeners; its output goes to the
//! worker's own log. It carries the cookie of the program to come, by which all its processes are ended before this
//! returns.

use tenure_core::causes;
use tenure_core::deadline::Deadline;
use tenure_core::launch::end::orphans;
use tenure_core::launch::start::handshake::Handshake;
use tenure_core::spec::scope::{self, COOKIE_VARIABLE};
use tenure_core::spec::{KILL_GRACE, Spec};
use tenure_core::store::paths::StateDir;
use tenure_sys::poll;
use tenure_sys::spawn::Stream;

use super::command::{Command, NotStarted};
use super::resources;
use super::variables::{self, Surroundings};

/// The environment of the program that `handshake` wants, as far as it is known before there are listeners.
pub(super) fn variables(handshake: &Handshake) -> Vec<(String, String)> {
    // As the program that comes after it. A directory that cannot be used is told where that is started.
    let scope_id = StateDir::at(&handshake.state_dir, &handshake.scope)
        .map_or_else(|_| handshake.scope.id(&handshake.state_dir), |state| state.id());
    let cookie = scope::program_cookie(&scope_id, handshake.generation);
    let surroundings = Surroundings {
        cookie: &cookie,
        generation: handshake.generation,
        endpoints: &[],
        listeners: &[],
        readiness: None,
    };
    variables::variables(resources::own_variables(), &surroundings)
}

/// Runs the preflight of `spec`, where it has one, until `limit`. An error is a fragment that names the command.
pub(super) fn run(spec: &Spec, variables: &[(String, String)], limit: Deadline) -> Result<(), String> {
    if spec.preflight.is_empty() {
        return Ok(());
    }
    let (words, cwd) = (spec.preflight.clone(), spec.cwd.clone());
    let command = Command { words, cwd, variables: variables.to_vec(), umask: tenure_core::umask(spec) };
    let shown = command.shown();
    let child =
        command.start(Stream::Inherit).map_err(|NotStarted { why, .. }| format!("`{shown}`: {why}"))?;
    let ended = poll::wait_readable([child.handle().as_fd()], Some(limit.remaining()));
    let in_time = matches!(ended, Ok([true]));
    if !in_time {
        Command::kill_group(&child);
    }
    // A process in an uninterruptible sleep is not waited for: it ends when its device answers.
    let status = child.wait_within(KILL_GRACE);
    let left = variables::value(variables, COOKIE_VARIABLE).map(orphans::sweep);
    match status {
        Ok(_) if !in_time => Err(format!("`{shown}` did not end in time")),
        Ok(Some(status)) if !status.success() => Err(format!("`{shown}` ended with {status}")),
        Ok(Some(_)) => match left {
            Some(Err(error)) => Err(format!("`{shown}` left something: {}", causes::in_one_line(&error))),
            Some(Ok(_)) | None => Ok(()),
        },
        Ok(None) => Err(format!("`{shown}` does not end")),
        Err(error) => Err(format!("`{shown}`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tenure_sys::tree;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn outcome(cookie: &str, script: &str, limit: Duration) -> Result<(), String> {
        let mut spec = Spec::of_command(vec!["/bin/true".to_owned()], "/".into());
        spec.preflight = ["sh", "-c", script].map(str::to_owned).to_vec();
        let variables = [("PATH", "/usr/bin:/bin"), (COOKIE_VARIABLE, cookie)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        run(&spec, &variables, Deadline::start(limit))
    }

    fn cookie(name: &str) -> String {
        format!("preflight-{name}-{}/1/-/program", std::process::id())
    }

    #[test]
    fn a_spec_without_one_passes() {
        let spec = Spec::of_command(vec!["/bin/true".to_owned()], "/".into());
        assert_eq!(run(&spec, &[], Deadline::start(Duration::ZERO)), Ok(()));
    }

    #[test]
    fn its_exit_status_is_the_answer() {
        assert_eq!(outcome(&cookie("passes"), "exit 0", LONG), Ok(()));
        let refused = outcome(&cookie("fails"), "exit 3", LONG).expect_err("it failed");
        assert_eq!(refused, "`sh -c exit 3` ended with exit status 3");
    }

    #[test]
    fn one_that_takes_too_long_is_ended_with_its_tree() {
        let cookie = cookie("late");
        let late = outcome(&cookie, "setsid sleep 1000 & sleep 1000", Duration::from_millis(100));
        assert_eq!(late, Err("`sh -c setsid sleep 1000 & sleep 1000` did not end in time".to_owned()));
        assert!(tree::with_cookie(&cookie).is_empty());
    }

    #[test]
    fn what_it_leaves_behind_is_ended() {
        let cookie = cookie("leaves");
        assert_eq!(outcome(&cookie, "setsid sleep 1000 & exit 0", LONG), Ok(()));
        assert!(tree::with_cookie(&cookie).is_empty());
    }

    #[test]
    fn a_command_that_is_not_there_is_named() {
        let mut spec = Spec::of_command(vec!["/bin/true".to_owned()], "/".into());
        spec.preflight = vec!["no-such-command".to_owned()];
        let missing = run(&spec, &[], Deadline::start(LONG)).expect_err("it is missing");
        assert!(missing.starts_with("`no-such-command`: find the program"), "{missing}");
    }
}
