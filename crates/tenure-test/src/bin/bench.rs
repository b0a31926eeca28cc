//! `bench --tenure PATH [--musl PATH] [--quick] [--only takeover|proxy|peers|cold]`: measures and prints the table of
//! `docs/performance.md`, or the part of it that is about restarts under load, the proxy, crowds at a control socket, or
//! cold starts and healing.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tenure_test::bench::{cold, figure, herd, idle, peers, proxy, takeover, versions, warm};
use tenure_test::fixtures::sandbox::Sandbox;

/// What the proxy's rows take.
const FULL: proxy::Effort = proxy::Effort { runs: 9, span: Duration::from_secs(3) };

/// The same, to see that it works.
const QUICK: proxy::Effort = proxy::Effort { runs: 1, span: Duration::from_secs(1) };

fn main() -> ExitCode {
    proxy::relay_if_asked();
    let args: Vec<String> = std::env::args().collect();
    let value = |flag: &str| args.iter().skip_while(|arg| *arg != flag).nth(1);
    let Some(tenure) = value("--tenure") else {
        print("usage: bench --tenure PATH [--musl PATH] [--quick] [--only takeover|proxy|peers|cold]\n");
        return ExitCode::from(2);
    };
    let quick = args.iter().any(|arg| arg == "--quick");
    let own = std::env::current_exe().unwrap_or_default();
    let beside = |name: &str| own.with_file_name(name);
    let server = beside("fixture-server").display().to_string();
    let executables = takeover::Executables { tenure, server: &server };
    let takeovers = || takeover::rows(executables, if quick { 3 } else { 20 });
    if value("--only").is_some_and(|room| room == "takeover") {
        print(&figure::table(&takeovers()));
        return ExitCode::SUCCESS;
    }
    let sandbox = Sandbox::new(tenure);
    sandbox.be_this_machine();
    let effort = if quick { QUICK } else { FULL };
    if value("--only").is_some_and(|room| room == "proxy") {
        print(&figure::table(&proxy::rows(&sandbox, &own, effort)));
        return ExitCode::SUCCESS;
    }
    configure(&sandbox, &beside("fixture-program"));
    drop(sandbox.tenure(["trust"]).run().expect(0));
    if value("--only").is_some_and(|room| room == "cold") {
        print(&figure::table(&cold::rows(&sandbox, &beside("fixture-program"), if quick { 5 } else { 100 })));
        drop(sandbox.stop("one"));
        return ExitCode::SUCCESS;
    }
    let newcomers = if quick { 20 } else { 200 };
    if value("--only").is_some_and(|room| room == "peers") {
        drop(sandbox.tenure(["ensure", "one"]).run().expect(0));
        print(&figure::table(&peers::rows(&sandbox, "one", newcomers)));
        drop(sandbox.stop("one"));
        return ExitCode::SUCCESS;
    }
    let less = if quick { 10 } else { 1 };
    let mut rows = measure(&sandbox, &beside("fixture-program"), &beside("empty"), less);
    if let Some(musl) = value("--musl") {
        rows.push(warm::other_build(&sandbox, Path::new(musl), 1000 / less));
    }
    rows.extend(peers::rows(&sandbox, "one", newcomers));
    drop(sandbox.stop("one"));
    rows.extend(takeovers());
    rows.extend(proxy::rows(&sandbox, &own, effort));
    print(&figure::table(&rows));
    ExitCode::SUCCESS
}

/// Each room of the bench in turn; `less` divides the number of runs.
fn measure(sandbox: &Sandbox, program: &Path, empty: &Path, less: usize) -> Vec<figure::Row> {
    let answer = sandbox.tenure(["ensure", "one", "--json"]).run().expect(0).json();
    let mut rows = warm::whole(sandbox, empty, 1000 / less);
    rows.push(in_process(sandbox, 5000 / less));
    rows.extend(versions::warm(sandbox, &program.display().to_string(), 500 / less));
    rows.extend(versions::care(sandbox, 200 / less));
    let host = answer["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default();
    rows.push(idle::row(host, Duration::from_secs(65) / u32::try_from(less).unwrap_or(1)));
    rows.extend(cold::rows(sandbox, program, 100 / less));
    rows.push(herd::row(sandbox, 1000 / less, 5));
    rows
}

/// In process needs this process's own view of the state root, so it runs as a child of itself.
fn in_process(sandbox: &Sandbox, runs: usize) -> figure::Row {
    let own = std::env::current_exe().unwrap_or_default();
    let probe = own.with_file_name("bench-in-process");
    let output = sandbox.command(&probe, [runs.to_string()]).run();
    let mut fields = output.stdout.trim().split('\t').map(str::to_owned);
    let mut next = || fields.next().unwrap_or_default();
    figure::Row { what: next(), median: next(), against: next(), pair: next(), promise: "≤ 60 µs" }
}

/// A file of three workers, as the warm path is promised for.
fn configure(sandbox: &Sandbox, program: &Path) {
    let (program, oracle) = (program.display(), sandbox.oracle().directory().display().to_string());
    let worker = |name: &str| {
        format!(
            "[worker.{name}]\nscope = \"user\"\nversion = \"1.0.0\"\n\
             command = [\"{program}\", \"{oracle}\", \"1.0.0\", \"notify\"]\n\
             listen = [{{ name = \"http\", tcp = \"127.0.0.1:0\" }}]\nready = \"notify\"\n\n"
        )
    };
    let text: String = ["one", "two", "three"].into_iter().map(worker).collect();
    std::fs::write(sandbox.work().join("tenure.toml"), text).expect("a sandbox takes files");
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print(text: &str) {
    print!("{text}");
}
