//! `inject [--who WHO] [--road ROAD] [--kind KIND] [--first N] [--step N] [--last N]`: faults at system calls, and the table
//! of what came of them; exit 1 unless all is well. Without a choice: everything, every call.
//!
//! WHO: launcher, host, family. ROAD: cold, takeover, upgrade, overlap, force, stop, hold, pin. KIND: kill:CALL or CALL:ERRNO.

use std::process::ExitCode;
use std::str::FromStr;

use tenure_test::inject::fault::{self, Road, Who};
use tenure_test::inject::report::Report;
use tenure_test::inject::run::{self, Pace};
use tenure_test::inject::trial::Tools;
use tenure_test::usual;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().skip_while(|arg| *arg != name).nth(1);
    let number =
        |name: &str, default: usize| value(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let Some(strace) = usual::tool("strace") else { return ExitCode::FAILURE };
    let own = std::env::current_exe().unwrap_or_default();
    let beside = |name: &str| own.with_file_name(name).display().to_string();
    let tools = Tools { tenure: beside("tenure-faulted"), program: beside("fixture-program"), strace };
    let chosen = (
        chosen(value("--who"), &Who::ALL),
        chosen(value("--road"), &Road::ALL),
        chosen(value("--kind"), &fault::kinds()),
    );
    let (Ok(whos), Ok(roads), Ok(kinds)) = chosen else {
        print("usage: inject [--who WHO] [--road ROAD] [--kind KIND] [--first N] [--step N] [--last N]\n");
        return ExitCode::from(2);
    };
    let pace = Pace { first: number("--first", 1), step: number("--step", 1), last: number("--last", 2_000) };
    let mut report = Report::default();
    for who in &whos {
        for road in roads.iter().filter(|road| *who == Who::Launcher || road.starts()) {
            for kind in &kinds {
                let before = report.notes.len();
                run::row(&tools, (*who, *road, kind), pace, &mut report);
                for note in &report.notes[before..] {
                    print(&format!("{note}\n"));
                }
            }
            print(&format!("{who} {road}: done\n"));
        }
    }
    print(&format!("\n{} faults\n\n{}", report.struck(), report.table()));
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was chosen, or all there is.
fn chosen<T: FromStr + Clone>(word: Option<&String>, all: &[T]) -> Result<Vec<T>, T::Err> {
    word.map_or_else(|| Ok(all.to_vec()), |word| word.parse().map(|one| vec![one]))
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print(text: &str) {
    print!("{text}");
}
