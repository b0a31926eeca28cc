//! `tenure demo`: the whole life of a worker in a few seconds, with real processes in a throw-away state directory.
//!
//! Each act starts processes of this very executable, looks at what they say, and fails when what was promised does not
//! hold. What was measured is told at the end. Nothing of it is left, also after a failure or Ctrl-C.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tenure_core::deadline::monotonic;
use tenure_sys::process::ProcessHandle;

use crate::answer::AnswerState;
use crate::cmd::call::{Call, Run};
use crate::output::account;
use crate::output::failure::Failure;
use crate::output::render::{self, printable};
use crate::output::table::{Cell, columns};

pub mod load;
mod show;
mod stage;
mod upgrade;
pub(crate) mod worker;

use load::request;
use show::{Measured, Show, failed, promise};
use stage::{DemoAnswer, Launcher, StageError, io};

/// Launchers that race; each is a process.
const LAUNCHERS: usize = 50;

/// Calls of two versions in turn.
const TURNS: usize = 20;

#[derive(Debug, Serialize)]
struct DemoDocument {
    state: AnswerState,
    measured: Vec<Measured>,
}

/// Show the whole life of a worker in half a minute, with real processes.
///
/// Everything happens in a directory of its own under TMPDIR.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure demo  leaves nothing behind")]
pub(crate) struct Demo {}

impl Run for Demo {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let mut show = Show::open(call).map_err(failed)?;
        show.print_step(
            "A worker is a program that many others need once. Each line below is done by real processes.\n",
        )?;
        let acts = [
            Show::race,
            Show::take_turns,
            Show::lose_the_host,
            Show::lose_the_program,
            Show::upgrade,
            Show::roll_back,
            Show::fail_to_boot,
        ];
        for act in acts {
            act(&mut show)?;
        }
        show.end()?;
        let Show { measured, stage, .. } = show;
        drop(stage);
        if call.screen.wants_json() {
            render::document(&DemoDocument { state: AnswerState::Stopped, measured })?;
        } else {
            render::text(&table(&measured))?;
        }
        Ok(0)
    }
}

impl Show<'_> {
    /// Many launchers at once: all wait at one line, are let go together, and get one worker.
    fn race(&mut self) -> Result<(), Failure> {
        self.print_step(&format!("{LAUNCHERS} launchers start at the same moment, and no worker runs …"))?;
        let spec = self.server(1, &[]);
        let race = || -> Result<(Duration, Vec<DemoAnswer>), StageError> {
            let waiting = (0..LAUNCHERS).map(|_| self.stage.ensure(&self.web));
            let waiting: Vec<Launcher> = waiting.collect::<Result<_, _>>()?;
            let began = monotonic();
            let running: Vec<Launcher> =
                waiting.into_iter().map(|one| one.release(&spec)).collect::<Result<_, _>>()?;
            let answers = running.into_iter().map(|one| one.answer(&self.stage));
            let answers = answers.collect::<Result<_, _>>()?;
            Ok((monotonic().saturating_sub(began), answers))
        };
        let (elapsed, answers) = race().map_err(failed)?;
        let pids: BTreeSet<Option<u32>> = answers.iter().map(|answer| answer.pid).collect();
        let served = answers.iter().filter(|answer| answer.endpoints.len() == 1).count();
        promise(pids.len() == 1 && served == LAUNCHERS, || {
            format!("{served} of {LAUNCHERS} launchers were served, by {} workers", pids.len())
        })?;
        let pid = pids.into_iter().flatten().next().unwrap_or_default();
        self.print_result(&format!("all {served} were served by one worker, pid {pid}"), elapsed)?;
        self.measure("launchers at once", format!("{served} served by 1 worker"), elapsed);
        Ok(())
    }

    /// Two versions in turn: the newer one replaces the older one once, and stays.
    fn take_turns(&mut self) -> Result<(), Failure> {
        self.print_step(&format!("Launchers of version 1 and of version 2 take turns, {TURNS} times …"))?;
        let first = self.stage.hello(&self.web).map_err(failed)?.identity.pid;
        let first = ProcessHandle::open(first);
        let began = monotonic();
        let specs = [self.server(2, &[]), self.server(1, &[])];
        let turns = specs.iter().cycle().take(TURNS).map(|spec| self.stage.call(&self.web, spec));
        let answers: Vec<DemoAnswer> = turns.collect::<Result<_, _>>().map_err(failed)?;
        let elapsed = monotonic().saturating_sub(began);
        let replaced = answers.iter().filter(|answer| answer.state == "replaced").count();
        let newest = answers.iter().filter(|answer| answer.version.as_deref() == Some("2.0.0")).count();
        promise(replaced == 1 && newest == TURNS, || {
            format!("{replaced} replacements, {newest} of {TURNS} calls got version 2")
        })?;
        self.print_result("one replacement, and everybody has version 2 since", elapsed)?;
        self.measure("two versions in turn", format!("{TURNS} calls, 1 replacement"), elapsed);
        // Until it has ended it would come back if version 2 failed: that is shown later.
        if let Ok(first) = first {
            self.stage.await_end(&first).map_err(failed)?;
        }
        let mut warm: Vec<u64> =
            answers.iter().filter(|answer| answer.state == "up").map(|answer| answer.took_us).collect();
        warm.sort_unstable();
        let median = Duration::from_micros(warm.get(warm.len() / 2).copied().unwrap_or_default());
        self.measure("ensure of a worker that is up", "median of its own account".to_owned(), median);
        Ok(())
    }

    /// The host dies: the program goes with it, and the next call starts both anew.
    fn lose_the_host(&mut self) -> Result<(), Failure> {
        self.print_step("kill -9 of the worker …")?;
        let heal = || -> Result<(u32, DemoAnswer, Duration), StageError> {
            let hello = self.stage.hello(&self.web)?;
            self.stage.kill(&hello.identity)?;
            let began = monotonic();
            let answer = self.stage.call(&self.web, &self.server(2, &[]))?;
            Ok((hello.identity.pid, answer, monotonic().saturating_sub(began)))
        };
        let (old, answer, elapsed) = heal().map_err(failed)?;
        promise(answer.state == "started" && answer.pid != Some(old), || {
            format!("after the end of pid {old} the answer is {:?} from {:?}", answer.state, answer.pid)
        })?;
        let pid = answer.pid.unwrap_or_default();
        self.print_result(
            &format!("the next launcher found it dead, ended what it had left, started pid {pid}"),
            elapsed,
        )?;
        self.measure("kill -9 of the worker", "served again by the next call".to_owned(), elapsed);
        Ok(())
    }

    /// The program dies: its listener stays open, so a request waits for the next one instead of failing.
    fn lose_the_program(&mut self) -> Result<(), Failure> {
        self.print_step("kill -9 of the program under it, and a request at the same moment …")?;
        let heal = || -> Result<(String, Duration), StageError> {
            let hello = self.stage.hello(&self.web)?;
            let program = hello.program.as_ref().and_then(|program| program.identity.as_ref());
            let nothing = || StageError::Promise("the worker names no program and no address".to_owned());
            let address = hello.endpoints.first().and_then(|endpoint| endpoint.address.tcp());
            let (program, address) = program.zip(address).ok_or_else(nothing)?;
            self.stage.kill(program)?;
            let began = monotonic();
            let body = request(address).map_err(io("ask the server"))?;
            Ok((body, monotonic().saturating_sub(began)))
        };
        let (body, elapsed) = heal().map_err(failed)?;
        promise(body == "2", || format!("the server answered {body:?}"))?;
        self.print_result(
            "the request waited in the open listener and was answered by the next program",
            elapsed,
        )?;
        self.measure("kill -9 of the program", "no request lost, back-off included".to_owned(), elapsed);
        Ok(())
    }

    /// A program that cannot boot is reported at once, with the last lines that it wrote.
    fn fail_to_boot(&mut self) -> Result<(), Failure> {
        self.print_step("A program that ends while it boots …")?;
        let began = monotonic();
        let answer =
            self.stage.call(&self.broken, &self.server(1, &["--fail-after", "0"])).map_err(failed)?;
        let elapsed = monotonic().saturating_sub(began);
        let words = answer.error.as_ref().and_then(|error| error.last_words.first());
        promise(answer.state == "spawn-failed" && words.is_some(), || {
            format!("the answer is {:?} with the last words {words:?}", answer.state)
        })?;
        if let Some(error) = &answer.error {
            self.print_result(
                &format!("reported at once: failed to {}", printable(&error.message)),
                elapsed,
            )?;
            for line in &error.last_words {
                self.print_step(&format!("     │ {}", printable(line)))?;
            }
        }
        self.measure("a boot that fails", "reported with its last words".to_owned(), elapsed);
        Ok(())
    }

    /// A stop ends all of it, and nothing is left.
    fn end(&mut self) -> Result<(), Failure> {
        self.print_step("tenure stop …")?;
        let began = monotonic();
        let stop = self.stage.launch(&["stop", &self.web.to_string(), "--json"]).map_err(failed)?;
        let status = stop.end(&self.stage).map_err(failed)?;
        let elapsed = monotonic().saturating_sub(began);
        let left = self.stage.left(&self.web).and_then(|web| Ok(web + self.stage.left(&self.broken)?));
        let left = left.map_err(failed)?;
        promise(status.success() && left == 0, || {
            format!("`tenure stop` ended with {status}, and {left} processes are left")
        })?;
        self.print_result("the worker, its program and everything they started are gone", elapsed)?;
        self.measure("stop", "0 processes left".to_owned(), elapsed);
        Ok(())
    }
}

fn table(measured: &[Measured]) -> String {
    let head = ["WHAT", "RESULT", "TOOK"].map(Cell::from);
    let rows = measured.iter().map(|one| {
        let elapsed = account::measured(Duration::from_micros(one.took_us));
        [one.what.into(), one.result.clone().into(), elapsed.into()]
    });
    format!("\n{}", columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), None))
}
