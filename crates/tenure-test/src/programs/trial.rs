//! Restarts of one program under load, and what its clients saw.

use std::time::Duration;

use crate::load::Load;

use super::catalog::Program;
use super::example::{self, Example};

/// How often, between two restarts, the clients have as many answers as show that the load flows: some hundred requests,
/// so that each restart meets clients at every point of their exchange.
const TURNS: u32 = 10;

/// What a trial showed.
#[derive(Debug)]
pub struct Trial {
    /// The version that the program told.
    pub version: String,
    /// Whose listener it is: `inherit`, `proxy` or `self`.
    pub mode: String,
    /// How many restarts there were.
    pub restarts: u64,
    /// What clients saw.
    pub load: Load,
}

impl Trial {
    /// Starts the example, and restarts it so many times while so many clients ask, each time on a new connection.
    ///
    /// # Panics
    /// If the program does not start, or a restart is not proved.
    #[must_use]
    pub fn run(example: &Example, program: &Program, clients: usize, restarts: u64) -> Self {
        let first = example.ensured();
        let version = first.json()["version"].as_str().unwrap_or_default().to_owned();
        let mode = example.shown("listen")[0]["mode"].as_str().unwrap_or("inherit").to_owned();
        let load = program.clients(clients).load(example::endpoint(&first));
        for count in 1..=restarts {
            let answer = example.call("restart");
            assert_eq!(answer.code(), 0, "{}{}\n{}", answer.stdout, answer.stderr, example.sandbox.story());
            let generation = answer.json()["generation"].as_u64();
            assert_eq!(generation, Some(count + 1), "{}\n{}", answer.stdout, example.sandbox.story());
            for _ in 0..TURNS {
                load.flows_on();
            }
        }
        Self { version, mode, restarts, load: load.stop() }
    }

    /// Requests that got no answer, or another one.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let fresh = &self.load.fresh;
        fresh.refused + fresh.reset + fresh.timed_out + fresh.wrong
    }

    /// The longest time in which a client that went on trying got no answer.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.load.fresh.longest_with_retries
    }
}
