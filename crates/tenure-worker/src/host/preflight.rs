//! A spec's `preflight`: the command that looks whether a new program could serve, while the old one still does.
//!
//! It gets what the program would get: directory, environment, umask, limits and listeners. The listeners are sockets
//! that stand in for the real ones (`stand_ins`). How the program tells its readiness is left out, because a
//! preflight is not ready for anything. Its output goes to the worker's own log. It carries the cookie of the program to
//! come, by which all its processes are ended before this returns.

use std::os::fd::OwnedFd;

use tenure_core::causes;
use tenure_core::deadline::Deadline;
use tenure_core::launch::end::orphans;
use tenure_core::launch::start::handshake::Handshake;
use tenure_core::spec::KILL_GRACE;
use tenure_core::spec::scope::{self, COOKIE_VARIABLE};
use tenure_core::store::paths::StateDir;
use tenure_core::store::records;
use tenure_sys::poll;
use tenure_sys::spawn::Stream;

use super::command::{Command, NotStarted};
use super::resources;
use super::stand_ins::StandIns;
use super::variables::{self, Surroundings};

/// What a preflight is started with.
pub(super) struct Preflight {
    command: Command,
    /// In the place of the program's listeners.
    listeners: Vec<OwnedFd>,
}

impl Preflight {
    /// The preflight of the program that `handshake` wants; `None` where its spec has none. An error is a fragment.
    pub(super) fn of(handshake: &Handshake) -> Result<Option<Self>, String> {
        let spec = &handshake.spec;
        if spec.preflight.is_empty() {
            return Ok(None);
        }
        let state = StateDir::at(&handshake.state_dir, &handshake.scope)
            .map_err(|error| causes::in_one_line(&error))?;
        let ledger = records::read_ledger(&state).map_err(|error| causes::in_one_line(&error))?;
        let open = StandIns::open(spec, &state, &ledger)
            .map_err(|error| format!("open sockets in the place of its listeners: {error}"))?;
        let surroundings = Surroundings {
            cookie: &scope::program_cookie(&state.id(), handshake.generation),
            generation: handshake.generation,
            endpoints: &open.endpoints,
            listeners: &open.names,
            readiness: None,
        };
        let mut variables = variables::variables(resources::own_variables(), &surroundings);
        for (name, value) in open.variables {
            variables::set_variable(&mut variables, name, value);
        }
        let command = Command {
            words: spec.preflight.clone(),
            cwd: spec.cwd.clone(),
            variables,
            umask: tenure_core::umask(spec),
            nofile: handshake.nofile,
        };
        Ok(Some(Self { command, listeners: open.listeners }))
    }

    /// Runs it until `limit`. An error is a fragment that names the command.
    pub(super) fn run(&self, limit: Deadline) -> Result<(), String> {
        let shown = self.command.shown();
        let started = self.command.start_with(Stream::Inherit, &self.listeners);
        let child = started.map_err(|NotStarted { why, .. }| format!("`{shown}`: {why}"))?;
        let ended = poll::wait_readable([child.handle().as_fd()], Some(limit.remaining()));
        let in_time = matches!(ended, Ok([true]));
        if !in_time {
            Command::kill_group(&child);
        }
        // A process in an uninterruptible sleep is not waited for: it ends when its device answers.
        let status = child.wait_within(KILL_GRACE);
        let left = variables::value(&self.command.variables, COOKIE_VARIABLE).map(orphans::sweep);
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
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tenure_sys::tree;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn run(cookie: &str, words: &[&str], limit: Duration) -> Result<(), String> {
        let variables = [("PATH", "/usr/bin:/bin"), (COOKIE_VARIABLE, cookie)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let command = Command { words, cwd: "/".into(), variables, umask: 0o022, nofile: 1024 };
        Preflight { command, listeners: Vec::new() }.run(Deadline::start(limit))
    }

    fn outcome(cookie: &str, script: &str, limit: Duration) -> Result<(), String> {
        run(cookie, &["sh", "-c", script], limit)
    }

    fn cookie(name: &str) -> String {
        format!("preflight-{name}-{}/1/-/program", std::process::id())
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
        let missing = run(&cookie("missing"), &["no-such-command"], LONG).expect_err("it is missing");
        assert!(missing.starts_with("`no-such-command`: find the program"), "{missing}");
    }
}
