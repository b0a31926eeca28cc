//! Traces of the model, replayed by real processes: every single kill of a takeover, and kills in the rollback.
//!
//! Each process is killed as soon as it comes to its fault point; everything else is left to chance, as in the model.
//! What the launcher is told and who serves then must be one of the ends to which the model comes.

use tenure_core::fault::Point;
use tenure_model::Task;
use tenure_model::takeover::Outcome;
use tenure_model::takeover::replay::{Blow, Replay, ReplayEnd, Standing, all};
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::fixtures::call::{Call, Output};
use tenure_test::fixtures::limits::{Limits, PATIENCE};
use tenure_test::fixtures::meeting::Meeting;
use tenure_test::fixtures::sandbox::Sandbox;

use crate::BINARIES;

fn sandbox(Limits { boot, .. }: Limits) -> Sandbox {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let oracle = sandbox.oracle().directory().display().to_string();
    let text = format!(
        "[worker.w]\nscope = \"user\"\nversion = \"1.0.0\"\ncommand = {:?}\n\
         listen = [{{ name = \"http\", tcp = \"127.0.0.1:0\" }}]\nready = {{ http = \"/\" }}\n\
         start_timeout = {boot:?}\nstop = {{ grace = \"1s\" }}\nbake = \"500ms\"\n",
        [BINARIES.program, &oracle, "1.0.0"]
    );
    std::fs::write(sandbox.work().join("tenure.toml"), text).expect("a sandbox takes files");
    sandbox
}

fn call<'sandbox>(sandbox: &'sandbox Sandbox, words: &[&str], limits: Limits) -> Call<'sandbox> {
    let words = words.iter().chain(&["--json", "--config", "tenure.toml"]);
    sandbox.tenure(words).env("TENURE_WEDGED_AFTER", limits.silence).env("TENURE_TIMEOUT", "40s")
}

/// What is to be said in `TENURE_FAULT` of the worker that serves at first, and of the launcher and what it starts.
fn armed(replay: &Replay, meeting: &Meeting) -> (String, String) {
    let named = |incumbent: bool| {
        let of = replay.blows.iter().filter(|(point, _)| point.name().starts_with("incumbent.") == incumbent);
        of.map(|(point, _)| meeting.armed(*point)).collect::<Vec<_>>().join(",")
    };
    (named(true), named(false))
}

/// Meets the process that is next, at its point, and strikes.
fn strike(meeting: &Meeting, (point, blow): (Point, Blow)) {
    let met = meeting.meet();
    assert_eq!(met.point, point.name());
    let handle = ProcessHandle::open(met.pid).expect("a process that waits at a point lives");
    match blow {
        Blow::Kill => {
            handle.signal(Signal::Kill).expect("our own process can be killed");
            assert!(
                handle.wait_ended(Some(PATIENCE)).expect("it can be waited for"),
                "a killed process ends"
            );
        }
        Blow::Stop => {
            handle.signal(Signal::Stop).expect("our own process can be stopped");
        }
    }
    met.release();
}

/// What the launcher was told.
fn outcome(task: Task, output: &Output) -> Option<Outcome> {
    if output.status.signal == Some(9) {
        return None;
    }
    Some(match (task == Task::Restart, output.code()) {
        (true, 0) => Outcome::Verified,
        (true, _) => Outcome::Unproved,
        (false, 0) => Outcome::Serving,
        (false, _) => Outcome::SpawnFailed,
    })
}

/// How many workers launchers have started, by their own account.
fn spawned(sandbox: &Sandbox) -> usize {
    let events = std::fs::read_to_string(sandbox.scope("w").join("events.jsonl")).expect("a worker ran");
    events.matches("\"what\":\"spawned\"").count()
}

/// Who serves in the end; `first` is who served at first. An `ensure` that finds a worker tells whose it is. One that
/// had to start a worker has put that on record; `started` is also the answer of a call that waited for somebody
/// else's.
#[expect(clippy::panic, reason = "an answer that is none of these has failed the test")]
fn standing(sandbox: &Sandbox, first: u64, launcher_lives: bool, limits: Limits) -> Standing {
    // Where the launcher was killed, the two go on by themselves, and whoever wants the gate waits for them.
    let newer: &[&str] =
        if launcher_lives { &["ensure", "w"] } else { &["ensure", "w", "--version", "2.0.0"] };
    let before = spawned(sandbox);
    let seen = call(sandbox, newer, limits).run();
    match (seen.state().as_str(), seen.json()["pid"].as_u64()) {
        // Where the one that failed is the only version, nobody is started for a while either.
        ("spawn-suppressed", _) => Standing::Nobody,
        ("replaced", _) => Standing::Old,
        (_, pid) if pid == Some(first) => Standing::Old,
        ("started", _) if spawned(sandbox) > before => Standing::Nobody,
        ("up" | "started", _) => Standing::New,
        (_, _) => panic!("it serves or says why not: {}{}", seen.stdout, seen.stderr),
    }
}

/// Runs one replay; what was seen, if the model does not know it.
fn run(replay: &Replay) -> Option<String> {
    let stands_still = replay.blows.iter().any(|(_, blow)| *blow == Blow::Stop);
    let limits = if stands_still { Limits::SHORT } else { Limits::GENEROUS };
    let sandbox = sandbox(limits);
    let meeting = sandbox.meeting("points");
    let (incumbent, others) = armed(replay, &meeting);
    let first = call(&sandbox, &["ensure", "w"], limits).fault(&incumbent).run().expect(0);
    let first = first.json()["pid"].as_u64().expect("a worker has a pid");
    let words: &[&str] =
        if replay.task == Task::Restart { &["restart", "w"] } else { &["ensure", "w", "--version", "2.0.0"] };
    let launcher = call(&sandbox, words, limits).fault(&others).start();
    for blow in &replay.blows {
        strike(&meeting, *blow);
    }
    let output = launcher.wait();
    let outcome = outcome(replay.task, &output);
    let end = ReplayEnd { outcome, standing: standing(&sandbox, first, outcome.is_some(), limits) };
    // A restart whose launcher was killed leaves two workers of one version: who of them it is, an `ensure` cannot wait
    // for.
    let told =
        |known: &ReplayEnd| known.outcome == outcome && outcome.is_none() && replay.task == Task::Restart;
    let known = replay.ends.iter().any(|known| *known == end || told(known));
    let seen = format!("{:?}: {end:?}, not in {:?}: {}", replay.blows, replay.ends, output.stdout);
    let doubles = sandbox.oracle().count("double");
    sandbox.stop("w").expect(0);
    assert_eq!(doubles, 0, "{:?}: never two at once", replay.blows);
    assert!(sandbox.processes().is_empty(), "{:?}: something is left\n{}", replay.blows, sandbox.story());
    (!known).then_some(seen)
}

/// Those of one kind; a launcher that is stopped is not in this model.
fn of_kind(task: Task, kind: Blow) -> Vec<Replay> {
    let of_kind = |replay: &Replay| replay.blows.iter().all(|(_, blow)| *blow == kind);
    let chosen: Vec<Replay> =
        all(task).into_iter().filter(|replay| of_kind(replay) && !replay.ends.is_empty()).collect();
    assert!(chosen.len() >= 10, "every point of both sides");
    chosen
}

fn every_blow_ends_as_in_the_model(task: Task, kind: Blow) {
    let strange: Vec<String> = of_kind(task, kind).iter().filter_map(run).collect();
    assert!(strange.is_empty(), "the model knows no such end: {strange:#?}");
}

#[test]
fn every_kill_in_an_upgrade_ends_as_in_the_model() {
    every_blow_ends_as_in_the_model(Task::Ensure, Blow::Kill);
}

#[test]
fn every_kill_in_a_restart_ends_as_in_the_model() {
    every_blow_ends_as_in_the_model(Task::Restart, Blow::Kill);
}

#[test]
fn every_process_that_stands_still_in_an_upgrade_ends_as_in_the_model() {
    every_blow_ends_as_in_the_model(Task::Ensure, Blow::Stop);
}

#[test]
fn a_trace_names_the_points_at_which_real_processes_are_met() {
    for replay in of_kind(Task::Ensure, Blow::Kill) {
        for (point, _) in &replay.blows {
            let named = format!("KILLED [{}]", point.name());
            assert!(replay.steps.iter().any(|step| step.contains(&named)), "{named}: {:#?}", replay.steps);
        }
    }
}
