//! `inject`: faults at system calls, and the table of what came of them; exit 1 unless all is well. `--help` names its
//! arguments. Without a choice: everything, every call.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use tenure_test::args::{self, RecordArgs};
use tenure_test::fixtures::system;
use tenure_test::inject::fault::{self, Course, Kind, Road, Who};
use tenure_test::inject::report::{self, Report, Struck};
use tenure_test::inject::run::{self, Known, Pace};
use tenure_test::inject::trial::Tools;
use tenure_test::page;
use tenure_test::record::{self, Line, Record, RecordError};

/// One system call at a time fails or kills its process; then the scope must serve or heal
#[derive(Parser)]
struct Args {
    /// Whose calls: launcher, host, family (the host with shim and program)
    #[arg(long)]
    who: Vec<Who>,
    /// On which road: cold, takeover, upgrade, overlap, force, stop, hold, pin
    #[arg(long)]
    road: Vec<Road>,
    /// Which fault: kill:CALL or CALL:ERRNO
    #[arg(long)]
    kind: Vec<Kind>,
    /// The first call that is struck
    #[arg(long, default_value_t = 1)]
    first: usize,
    /// Every how many-th after it
    #[arg(long, default_value_t = 1)]
    step: usize,
    /// The last one
    #[arg(long, default_value_t = 2_000)]
    last: usize,
    #[command(flatten)]
    recording: RecordArgs,
}

fn main() -> ExitCode {
    args::exit_code(run(&Args::parse()))
}

/// Whether all is well.
fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    if let Some(into) = args.recording.file_to_tell() {
        return tell(&args.recording, &record::read(into)?);
    }
    let Some(into) = &args.recording.into else {
        let mut report = Report::default();
        strike_all(args, &mut Known::default(), |struck| {
            report.add(&struck);
            Ok(())
        })?;
        args::print(&format!("\n{} faults\n\n{}", report.struck(), report.table()));
        return Ok(report.is_clean());
    };
    let mut record: Record<Struck> =
        Record::open(into, args.recording.origin(String::new()), args.recording.mix)?;
    let mut known = Known::default();
    for Line { found, .. } in record.lines() {
        known.add(&found.fault, found.finding.struck);
    }
    strike_all(args, &mut known, |struck| record.add(struck))?;
    tell(&args.recording, record.lines())
}

/// Strikes all that was chosen and is not known yet; `keep` takes each fault with what was found after it.
fn strike_all(
    args: &Args,
    known: &mut Known,
    mut keep: impl FnMut(Struck) -> Result<(), RecordError>,
) -> Result<(), Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let beside = |name: &str| own.with_file_name(name).display().to_string();
    let strace = system::tool("strace").ok_or("faults are injected by `strace`, which is not installed")?;
    let tools = Tools { tenure: beside("tenure-faulted"), program: beside("fixture-program"), strace };
    let pace = Pace { first: args.first.max(1), step: args.step, last: args.last };
    let kinds = chosen(&args.kind, &fault::kinds());
    for course in courses(args) {
        for kind in &kinds {
            run::row((course, kind), pace, known, |fault| {
                let finding = fault.run(&tools);
                if !finding.wrongs.is_empty() {
                    args::print(&format!("{fault}:\n  {}\n", finding.wrongs.join("\n  ")));
                }
                let struck = finding.struck;
                keep(Struck { fault, finding }).map(|()| struck)
            })?;
        }
        args::print(&format!("{course}: done\n"));
    }
    Ok(())
}

/// Everybody's calls on each road; where no worker is started there is no host to strike.
fn courses(args: &Args) -> Vec<Course> {
    let (whos, roads) = (chosen(&args.who, &Who::ALL), chosen(&args.road, &Road::ALL));
    let all = whos.into_iter().flat_map(|who| roads.iter().map(move |road| Course { who, road: *road }));
    all.filter(|course| course.who == Who::Launcher || course.road.starts()).collect()
}

/// What was chosen, or all there is.
fn chosen<T: Clone>(args: &[T], all: &[T]) -> Vec<T> {
    if args.is_empty() { all.to_vec() } else { args.to_vec() }
}

/// Prints the table of a record, or adds it to a page.
fn tell(recording: &RecordArgs, lines: &[Line<Struck>]) -> Result<bool, Box<dyn Error>> {
    let sums = report::added_up(lines);
    let clean = sums.iter().all(|sum| sum.found.is_clean());
    let Some(page) = &recording.publish else {
        args::print(&report::table(&sums));
        return Ok(clean);
    };
    let all = report::published(record::read(&page::record_of(page, "inject"))?, sums);
    page::publish(page, "inject", &all, &report::table(&all))?;
    Ok(clean)
}
