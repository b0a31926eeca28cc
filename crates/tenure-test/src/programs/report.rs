//! What trials of real programs showed: a table for a page, or a JSON document for each program.

use std::time::Duration;

use serde::Serialize;

use super::catalog::Program;
use super::trial::Trial;

/// Where the examples are, for a page in `docs/guides`.
const EXAMPLES: &str = "../../examples/programs";

/// What became of one program.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Its name in the catalog.
    pub name: &'static str,
    /// What was measured; none where it was skipped or failed.
    pub measured: Option<Measured>,
    /// Why it was not run.
    pub skipped: Option<String>,
    /// What went wrong: the program did not start, a restart was not proved, or something was left.
    pub broken: Option<String>,
}

/// What was measured of one program.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// The version that it told.
    pub version: String,
    /// Whose listener it is.
    pub mode: String,
    /// How many restarts there were.
    pub restarts: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that got no answer, or another one.
    pub failed: u64,
    /// The longest time in which a client got no answer.
    pub longest_wait_ms: u64,
    /// The first troubles of clients.
    pub notes: Vec<String>,
}

impl Outcome {
    /// A program that ran.
    #[must_use]
    pub fn measured(program: &'static Program, trial: &Trial) -> Self {
        let measured = Measured {
            version: trial.version.clone(),
            mode: trial.mode.clone(),
            restarts: trial.restarts,
            answered: trial.load.fresh.answered,
            failed: trial.failed(),
            longest_wait_ms: whole_ms(trial.longest_wait()),
            notes: trial.load.notes.clone(),
        };
        Self { measured: Some(measured), ..Self::of(program) }
    }

    /// A program that was not run.
    #[must_use]
    pub fn skipped(program: &'static Program, why: &str) -> Self {
        Self { skipped: Some(why.to_owned()), ..Self::of(program) }
    }

    /// A program with which something went wrong.
    #[must_use]
    pub fn broken(program: &'static Program, what: &str) -> Self {
        Self { broken: Some(what.to_owned()), ..Self::of(program) }
    }

    fn of(program: &'static Program) -> Self {
        Self { name: program.name, measured: None, skipped: None, broken: None }
    }

    /// One row of the table.
    fn row(&self) -> String {
        let name = self.name;
        let rest = match (&self.measured, &self.skipped, &self.broken) {
            (Some(Measured { version, mode, answered, failed, longest_wait_ms, .. }), ..) => {
                let asked = answered + failed;
                format!("{version} | `{mode}` | {failed} of {} | {longest_wait_ms} ms", thousands(asked))
            }
            (None, Some(why), _) => format!("| | skipped: {why} |"),
            (None, None, Some(_)) => "| | failed |".to_owned(),
            (None, None, None) => "| | |".to_owned(),
        };
        format!("| [{name}]({EXAMPLES}/{name}/tenure.toml) | {rest} |\n")
    }
}

/// The table of many.
#[must_use]
pub fn table(outcomes: &[Outcome], clients: usize, restarts: u64) -> String {
    let head = format!("failed requests of {restarts} restarts under {clients} clients");
    let mut table = format!("| program | version | mode | {head} | longest wait |\n|---|---|---|---|---|\n");
    table.extend(outcomes.iter().map(Outcome::row));
    table
}

fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// `12345` as `12,345`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_what_was_measured_or_why_not() {
        let program = Program::named("redis");
        let skipped = Outcome::skipped(program, "not in Debian").row();
        assert_eq!(
            skipped,
            "| [redis](../../examples/programs/redis/tenure.toml) | | | skipped: not in Debian | |\n"
        );
        let measured = Measured {
            version: "7.0".to_owned(),
            mode: "proxy".to_owned(),
            restarts: 5,
            answered: 12_345,
            failed: 0,
            longest_wait_ms: 80,
            notes: Vec::new(),
        };
        let row = Outcome { measured: Some(measured), ..Outcome::of(program) }.row();
        assert!(row.ends_with("| 7.0 | `proxy` | 0 of 12,345 | 80 ms |\n"), "{row}");
        assert_eq!([thousands(7), thousands(1_000_000)], ["7", "1,000,000"]);
    }
}
