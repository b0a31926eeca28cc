//! The walker: a worker in every state that the answer table knows, in every way in which it can come to be. Each command
//! that an answer prints is typed where it was printed, and must do what it says.
//!
//! The answer table is the command's own. A state without a case here fails the walk, and so does a command whose
//! promise is not known.

mod cases;
mod collect;
mod promise;
mod unreachable;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{panic, thread};

use crate::kit::Said;

use cases::{Case, cases};
use promise::{Promise, as_json};
use world::{Line, Place, Way, World};

/// The exit code of a state.
fn exit_of(state: &str) -> i32 {
    let found = tenure_cli::answer_table().find(|(word, _)| *word == state);
    i32::from(found.expect("a state of the table").1)
}

#[test]
fn every_state_of_the_answer_table_has_a_case_or_a_reason() {
    let has_case = |state: &str| cases().iter().any(|case| case.state == state);
    for (state, _) in tenure_cli::answer_table() {
        let reasons = unreachable::STATES.iter().filter(|(word, ..)| *word == state).count();
        assert_eq!(
            usize::from(has_case(state)) + reasons,
            1,
            "{state}: a case, or a reason why there is none"
        );
    }
    for case in cases() {
        assert!(
            tenure_cli::answer_table().any(|(word, _)| word == case.state),
            "{}: {}",
            case.state,
            case.what
        );
    }
}

#[test]
fn remedies_work_in_a_project() {
    walk(Way::Project);
}

#[test]
fn remedies_work_for_a_worker_of_the_users_files() {
    walk(Way::User);
}

#[test]
fn remedies_work_for_a_worker_of_a_file_that_is_named() {
    walk(Way::Config);
}

#[test]
fn remedies_work_for_a_description_on_stdin() {
    walk(Way::Stdin);
}

#[test]
fn remedies_work_for_a_command_line() {
    walk(Way::Call);
}

#[test]
fn remedies_work_for_a_command_line_in_a_project_that_describes_another_worker_of_the_name() {
    walk(Way::Beside);
}

#[test]
fn remedies_work_from_another_directory() {
    walk(Way::Elsewhere);
}

#[test]
fn remedies_work_for_the_name_that_list_shows() {
    walk(Way::Listed);
}

/// Cases that are walked at a time: most of a case is waiting for starts, ends and probations.
const AT_A_TIME: usize = 4;

/// Walks every case, and tells all that fail.
fn walk(way: Way) {
    let cases = cases();
    let cases: Vec<&Case> = cases.iter().filter(|case| !case.once || way == Way::Project).collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if panic::catch_unwind(|| walk_or_not(case, way)).is_err() {
                        failed
                            .lock()
                            .expect("no walk holds it")
                            .push(format!("{}: {}", case.state, case.what));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no walk holds it");
    assert!(failed.is_empty(), "in {way:?} these fail: {failed:#?}");
}

fn walk_or_not(case: &Case, way: Way) {
    match case.except.iter().find(|(excepted, _)| *excepted == way) {
        Some((_, why)) => is_another(case, way, why),
        None => walk_case(case, way),
    }
}

/// The way does not lead to that state: what is typed there ends in another one, or prints none of its remedies.
fn is_another(case: &Case, way: Way, why: &str) {
    let mut world = World::new(way);
    let line = (case.make)(&mut world);
    let said = world.run(&as_document(&line));
    let document = said.document();
    let printed = collect::commands(document["error"]["hint"].as_str().unwrap_or_default());
    let is_printed = case.prints.iter().any(|part| printed.iter().any(|one| one.contains(part)));
    let is_other = document["state"] != case.state || !case.prints.is_empty() && !is_printed;
    assert!(is_other, "{}, `{}`: {why}; and yet: {said:?}", case.what, line.text);
}

fn walk_case(case: &Case, way: Way) {
    let mut world = World::new(way);
    let line = (case.make)(&mut world);
    if world.is_beyond {
        // A command line has no keys; every other way has them.
        assert!(way.is_of_call(), "{}", case.what);
        return;
    }
    assert!(!case.once || !line.text.contains("web"), "{}: it depends on the way", case.what);
    let said = world.run(&line);
    assert_eq!(said.code, Some(exit_of(case.state)), "{} in {way:?}, `{}`: {said:?}", case.what, line.text);
    let text = text_of(&said);
    let printed = collect::commands(&text);
    for expected in case.prints {
        assert!(printed.iter().any(|one| one.contains(expected)), "{} in {way:?}: {said:?}", case.what);
    }
    for command in &printed {
        promise::show(&world, command);
    }
    let place = world.in_words();
    drop(world);
    let mut typed: Vec<Option<&String>> =
        printed.iter().filter(|command| changes(command)).map(Some).collect();
    if typed.is_empty() {
        typed.push(None);
    }
    for command in typed {
        type_one(case, way, (&place, &printed, command));
    }
}

fn changes(command: &str) -> bool {
    matches!(promise::of(command), Promise::Makes(_) | Promise::Sets)
}

/// Brings a world into the state once more, with a document for an answer, and types one of the commands.
fn type_one(case: &Case, way: Way, (place, printed, command): (&Place, &[String], Option<&String>)) {
    let mut world = World::new(way);
    let here = |command: &String| world.in_words().instead_of(place, command);
    let (printed, command): (Vec<String>, _) = (printed.iter().map(here).collect(), command.map(here));
    let line = (case.make)(&mut world);
    let said = world.run(&as_document(&line));
    if !said.stdout.is_empty() {
        let document = said.document();
        let state = document.get("state").cloned().unwrap_or_else(|| case.state.into());
        assert_eq!(state, case.state, "{} in {way:?}, `{}`: {said:?}", case.what, line.text);
        let hint = document["error"]["hint"].as_str().unwrap_or_default();
        let missing = collect::commands(hint).into_iter().find(|one| !printed.contains(one));
        assert_eq!(missing, None, "{} in {way:?}: the document has another remedy: {said:?}", case.what);
    }
    let Some(command) = command else { return };
    if let Some(repair) = case.repair {
        repair(&mut world);
        if world.is_beyond {
            return;
        }
    }
    let is_failure = exit_of(case.state) != 0;
    promise::keep(&world, &command, is_failure.then_some((&line, case.state)));
}

fn as_document(line: &Line) -> Line {
    Line { text: as_json(&line.text), ..line.clone() }
}

fn text_of(said: &Said) -> String {
    format!("{}{}", said.stdout, said.stderr)
}
