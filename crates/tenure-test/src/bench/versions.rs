//! The warm path with versions that are not literals, and the commands that look a description or an installation over.

use std::fmt::Write;
use std::fs;

use crate::fixtures::sandbox::Sandbox;

use super::figure::{Row, difference, median, ratio, show};
use super::warm::timed;

/// Files in the build that is measured.
const BUILD_FILES: usize = 1000;

/// Each variant in turn with a literal version, all up, from one file of three workers.
///
/// # Panics
/// If a worker does not start.
#[must_use]
pub fn warm(sandbox: &Sandbox, program: &str, runs: usize) -> Vec<Row> {
    let names = ["literal", "command", "build"];
    configure(sandbox, program);
    let file = sandbox.work().join("versions.toml").display().to_string();
    let call = |name: &str| sandbox.tenure(["ensure", name, "--json", "--config", &file]);
    for name in names {
        drop(call(name).run().expect(0));
    }
    let mut samples = [const { Vec::new() }; 3];
    for run in 0..runs + 5 {
        for (name, samples) in names.iter().zip(&mut samples) {
            let sample = timed(|| drop(call(name).run()));
            if run >= 5 {
                samples.push(sample);
            }
        }
    }
    for name in names {
        drop(sandbox.tenure(["stop", name, "--config", &file]).run());
    }
    let [literal, command, build] = samples;
    let row = |what: &str, ours: &[std::time::Duration]| Row {
        what: format!("warm `tenure ensure --json`, {what}"),
        median: show(median(ours)),
        against: format!("a literal version: {}", show(median(&literal))),
        pair: format!("{:+.0} µs, ratio {:.2}", difference(ours, &literal), ratio(ours, &literal)),
        promise: "ratio ≤ 1.10",
    };
    vec![row("a version command, cached", &command), row("a build of 1,000 files", &build)]
}

/// `config check` and `doctor`, with the worker `one` up.
#[must_use]
pub fn care(sandbox: &Sandbox, runs: usize) -> Vec<Row> {
    let commands = [["config", "check"].as_slice(), &["doctor", "one"], &["doctor"]];
    let rows = commands.map(|words| {
        let mut samples = Vec::new();
        for _ in 0..runs {
            let words = words.iter().copied().chain(["--json"]);
            samples.push(timed(|| drop(sandbox.tenure(words).run())));
        }
        Row {
            what: format!("`tenure {} --json`, whole process, three workers", words.join(" ")),
            median: show(median(&samples)),
            against: "–".to_owned(),
            pair: "–".to_owned(),
            promise: "≤ 50 ms",
        }
    });
    rows.into()
}

fn configure(sandbox: &Sandbox, program: &str) {
    let oracle = sandbox.oracle().directory().display().to_string();
    let work = sandbox.work();
    fs::create_dir_all(work.join("dist")).expect("a sandbox takes directories");
    for file in 0..BUILD_FILES {
        fs::write(work.join(format!("dist/{file}.js")), format!("export default {file};\n"))
            .expect("a sandbox takes files");
    }
    fs::write(work.join("VERSION"), "1.0.0\n").expect("a sandbox takes files");
    let mut text = String::new();
    for (name, version) in [
        ("literal", "version = \"1.0.0\""),
        ("command", "version = { command = [\"cat\", \"VERSION\"], inputs = [\"VERSION\"] }"),
        ("build", "version = \"1.0.0\"\nscope = \"project\"\nbuild = [\"dist/**\"]"),
    ] {
        writeln!(
            text,
            "[worker.{name}]\n{version}\ncommand = [\"{program}\", \"{oracle}\", \"1.0.0\", \"notify\"]\n\
             listen = [{{ name = \"http\", tcp = \"127.0.0.1:0\" }}]\nready = \"notify\"\n"
        )
        .expect("a string takes text");
    }
    fs::write(work.join("versions.toml"), text).expect("a sandbox takes files");
}
