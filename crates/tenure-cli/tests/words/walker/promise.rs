//! What a printed command promises, by its first words. A command that is not known here fails the walk.

use serde_json::Value;

use super::exit_of;
use super::world::{Line, World};

/// What a command does when it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// It shows something, ends with one of these codes, and changes nothing.
    Shows(&'static [i32]),
    /// It shows lines until it is ended.
    Follows,
    /// It changes something, so that afterwards this holds.
    Makes(After),
    /// It changes the shell that it is typed in.
    Sets,
    /// It leads to the user's own state directory, which no test may touch: it is not typed.
    LeadsAway,
}

/// What holds after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The worker is up.
    Up,
    /// Nothing of the worker runs.
    Down,
    /// No version is pinned.
    Unpinned,
    /// This is all that is promised: the call that was refused goes on now.
    Done,
}

/// The promise of a command.
pub(super) fn of(command: &str) -> Promise {
    let mut words: Vec<&str> = command.split(' ').collect();
    if words.get(1) == Some(&"-C") {
        // Before the command: the verb is the last word.
        words = vec!["tenure", words.last().copied().unwrap_or_default()];
    }
    let has = |flag: &str| words.contains(&flag);
    match (words[0], words.get(1).copied().unwrap_or_default()) {
        ("tenure", _) if has("--help") => Promise::Shows(&[0]),
        ("tenure", "status") => Promise::Shows(&[0, 3, 7]),
        ("tenure", "logs") if has("-f") => Promise::Follows,
        ("tenure", "logs" | "events" | "list" | "version") => Promise::Shows(&[0]),
        ("tenure", "config") => Promise::Shows(&[0, 6]),
        ("tenure", "doctor") if !has("--fix") => Promise::Shows(&[0, 7]),
        ("tenure", "ensure" | "start" | "restart") => Promise::Makes(After::Up),
        ("tenure", "stop") => Promise::Makes(After::Down),
        ("tenure", "unpin") => Promise::Makes(After::Unpinned),
        ("tenure", "trust" | "pin" | "forget" | "prune" | "doctor" | "init" | "signal") => {
            Promise::Makes(After::Done)
        }
        ("ulimit", _) if words.len() == 2 => Promise::Shows(&[0]),
        ("curl", _) => Promise::Shows(&[0, 7, 52, 56]),
        ("mv" | "mkdir" | "chmod", _) => Promise::Makes(After::Done),
        ("unset", "TENURE_STATE_DIR") => Promise::LeadsAway,
        ("unset" | "export" | "ulimit" | "cd", _) => Promise::Sets,
        _ => unreachable!("`{command}` is printed, and what it promises is not known to this test"),
    }
}

/// Whether the words claim that the call which ended in the state goes on after this command.
fn mends(command: &str, state: &str) -> bool {
    let alternatives = ["tenure pin", "tenure stop", "tenure init", "tenure signal", "tenure prune"];
    let names_a_version = command.starts_with("tenure forget") && !command.contains("--app");
    let releases_only = command.starts_with("tenure unpin") && state == "untrusted";
    let is_another_program = command.ends_with("CMD…");
    !names_a_version
        && !releases_only
        && !is_another_program
        && !alternatives.iter().any(|other| command.starts_with(other))
}

/// The command with words for what stands for some.
pub(super) fn filled(command: &str) -> String {
    command
        .replace("COMMAND", "ensure")
        .replace(" NAME", " web")
        .replace(" DIR", " .")
        .replace("CMD…", "sleep 1000")
}

/// Types a command that shows something.
pub(super) fn show(world: &World, command: &str) {
    let line = world.line(&filled(command));
    match of(command) {
        Promise::Shows(codes) => {
            let said = world.run(&line);
            let code = said.code.unwrap_or(-1);
            assert!(codes.contains(&code), "`{command}` in {:?}: {said:?}", world.way);
            // A worker's own log is empty as long as all is well.
            let is_shown = !said.stdout.is_empty() || !said.stderr.is_empty() || command.contains("--worker");
            assert!(is_shown, "`{command}` in {:?} shows nothing: {said:?}", world.way);
        }
        Promise::Follows => {
            let mut running = world.start_in(&world.place(), &line.text);
            let shown = running.line();
            running.stop_reading();
            let said = running.end();
            assert!(!shown.is_empty(), "`{command}` in {:?} shows nothing: {said:?}", world.way);
        }
        Promise::Makes(_) | Promise::Sets | Promise::LeadsAway => {}
    }
}

/// Types a command that changes something, and looks whether what it promises holds. `refused` is the call that it mends,
/// where it does.
pub(super) fn keep(world: &World, command: &str, refused: Option<(&Line, &str)>) {
    let line = world.line(&filled(command));
    let about = || format!("`{command}` in {:?}", world.way);
    match of(command) {
        Promise::Sets => {
            let Some((refused, state)) = refused else { return };
            let both =
                Line { text: format!("{} && {}", line.text, as_json(&refused.text)), ..refused.clone() };
            let again = world.run(&both);
            assert_ne!(again.document()["state"], state, "{}: {again:?}", about());
            return;
        }
        Promise::Makes(after) => {
            let said = world.run_where_it_is_meant(&line);
            if is_later(command, refused) && said.code == Some(exit_of("spawn-suppressed")) {
                assert!(said.stderr.contains("tries again in"), "{}: {said:?}", about());
                return;
            }
            assert_eq!(said.code, Some(0), "{}: {said:?}", about());
            // A remedy may be for another worker, as that for a name that nothing describes.
            let is_of_web = command.split(' ').any(|word| word.split('@').next() == Some("web"));
            let status = if is_of_web { world.status() } else { Value::Null };
            match after {
                _ if !is_of_web => {}
                After::Up => assert_eq!(status["state"], "up", "{}: {said:?}", about()),
                After::Down => assert_eq!(status["state"], "down", "{}: {said:?}", about()),
                After::Unpinned => assert_eq!(status["pinned"], Value::Null, "{}: {said:?}", about()),
                After::Done => {}
            }
        }
        Promise::Shows(_) | Promise::Follows | Promise::LeadsAway => return,
    }
    if let Some((refused, state)) = refused.filter(|(_, state)| mends(command, state)) {
        let again = world.run(&Line { text: as_json(&refused.text), ..refused.clone() });
        assert_ne!(again.document()["state"], state, "{}, and then the same call again: {again:?}", about());
    }
}

/// Whether the command was said to help after a wait, which a test does not spend.
fn is_later(command: &str, refused: Option<(&Line, &str)>) -> bool {
    command.starts_with("tenure ensure") && refused.is_some_and(|(_, state)| state == "spawn-suppressed")
}

/// The line with --json.
pub(super) fn as_json(text: &str) -> String {
    text.replacen("tenure ", "tenure --json ", 1)
}
