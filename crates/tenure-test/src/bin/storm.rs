//! `storm`: runs the trials of the storm and prints their table; exit 1 unless all are clean. `--help` names its arguments.
//!
//! As root it gives itself a mount namespace first, so that some trials have a disk that the hand can fill; elsewhere
//! there are no disks.

use std::collections::BTreeSet;
use std::error::Error;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::Parser;
use tenure_test::args::{self, RecordArgs};
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system;
use tenure_test::page;
use tenure_test::record::{self, Record, RecordError};
use tenure_test::storm::campaign::{self, Campaign};
use tenure_test::storm::trial::{self, Plan};
use tenure_test::storm::verdict::Verdict;

/// Set in the process that has a mount namespace of its own.
const PRIVATE: &str = "STORM_HAS_MOUNTS";

/// Launchers of several versions on one scope, and a seeded hand that kills and stops what it meets
#[derive(Parser)]
struct Args {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 1000)]
    trials: u64,
    /// Blows a trial
    #[arg(long, default_value_t = 60)]
    blows: usize,
    /// Most versions that the launchers of a trial offer
    #[arg(long, default_value_t = 4)]
    versions: usize,
    #[command(flatten)]
    recording: RecordArgs,
}

fn main() -> ExitCode {
    args::exit_code(run(&Args::parse()))
}

/// Whether all is clean.
fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let settings = format!("{} blows, up to {} versions", args.blows, args.versions);
    if let Some(into) = args.recording.file_to_tell() {
        let lines = record::read(into)?;
        return tell(&args.recording, lines);
    }
    let plan = plan(args);
    let seeds = args.seed..args.seed.saturating_add(args.trials);
    let origin = args.recording.origin(settings);
    let Some(into) = &args.recording.into else {
        let mut sum = Verdict::default();
        for seed in seeds {
            sum.add(told(trial::run(&plan, seed)));
        }
        args::print(&format!("seeds from {}, {origin}\n\n{}", args.seed, sum.table()));
        return Ok(sum.is_clean());
    };
    let mut record = Record::open(into, origin, args.recording.mix)?;
    resume(&plan, seeds, &mut record)?;
    tell(&args.recording, record.lines().to_vec())
}

/// Runs the trials of the seeds that are not on record.
fn resume(
    plan: &Plan,
    seeds: std::ops::Range<u64>,
    record: &mut Record<Campaign>,
) -> Result<(), RecordError> {
    let done: BTreeSet<u64> =
        record.lines().iter().flat_map(|line| line.found.from..=line.found.to).collect();
    let left: Vec<u64> = seeds.filter(|seed| !done.contains(seed)).collect();
    args::print(&format!("{} trials are on record, {} are to run\n", done.len(), left.len()));
    for seed in left {
        record.add(Campaign::of(seed, told(trial::run(plan, seed))))?;
    }
    Ok(())
}

/// Prints the table of a record, or adds it to a page.
fn tell(recording: &RecordArgs, lines: Vec<record::Line<Campaign>>) -> Result<bool, Box<dyn Error>> {
    let clean = lines.iter().all(|line| line.found.sum.is_clean());
    let Some(page) = &recording.publish else {
        args::print(&campaign::table(&campaign::added_up(lines)));
        return Ok(clean);
    };
    let published = record::read(&page::record_of(page, "storm"))?;
    let all = campaign::added_up([published, lines].concat());
    page::publish(page, "storm", &all, &campaign::table(&all))?;
    Ok(clean)
}

/// Says at once what was wrong in a trial.
fn told(verdict: Verdict) -> Verdict {
    for note in &verdict.notes {
        args::print(&format!("{note}\n"));
    }
    verdict
}

fn plan(args: &Args) -> Plan {
    let own = std::env::current_exe().unwrap_or_default();
    let beside = |name: &str| own.with_file_name(name).display().to_string();
    let plan = Plan {
        tenure: beside("tenure-faulted"),
        program: beside("fixture-program"),
        blows: args.blows,
        versions: args.versions,
        disks: std::env::var_os(PRIVATE).is_some(),
    };
    if !plan.disks && mounts_are_permitted(&plan.tenure) {
        // It returns only if that fails, and then the storm has no disks.
        let again = ["-m", "--propagation", "private"];
        let args = std::env::args_os().skip(1);
        drop(Command::new("unshare").args(again).arg(&own).args(args).env(PRIVATE, "1").exec());
    }
    plan
}

/// Whether this process may have mounts that nobody else sees.
fn mounts_are_permitted(tenure: &str) -> bool {
    let Some(unshare) = system::tool("unshare").filter(|_| system::is_root()) else { return false };
    let sandbox = Sandbox::new(tenure);
    sandbox.command(&unshare, ["-m", "--propagation", "private", "true"]).run().code() == 0
}
