//! Where an offer comes from decides whether it is started: what nobody trusts any more starts nothing, what nobody describes
//! any more makes room for what is described, and what was offered by mistake can be taken back.

use std::fs;
use std::path::{Path, PathBuf};

use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::limits::Limits;
use tenure_test::fixtures::sandbox::Sandbox;

use crate::BINARIES;

mod described;
mod edited;
mod trust;

/// A description of `w` in this version, whose program tells the oracle which it is.
fn text(sandbox: &Sandbox, version: &str, lines: &str) -> String {
    let oracle = sandbox.oracle().directory().display().to_string();
    let command = [BINARIES.program, oracle.as_str(), version];
    format!(
        "[worker.w]\napp = \"fixture.w\"\nversion = {version:?}\ncommand = {command:?}\nstart_timeout = {:?}\nbake = \"0s\"\n\
         stop = {{ grace = \"1s\" }}\n{lines}",
        Limits::GENEROUS.boot
    )
}

/// A project that describes `w` for the whole user.
fn project(sandbox: &Sandbox, name: &str, version: &str) -> PathBuf {
    let directory = sandbox.work().join(name);
    fs::create_dir_all(&directory).expect("a sandbox takes directories");
    fs::write(directory.join("tenure.toml"), text(sandbox, version, "scope = \"user\"\n"))
        .expect("and files");
    directory
}

/// Two projects that describe `w`, both trusted: the first one in version 9.9.9, the second one in 1.0.0.
fn two_projects() -> (Sandbox, [PathBuf; 2]) {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let projects = [project(&sandbox, "first", "9.9.9"), project(&sandbox, "second", "1.0.0")];
    for directory in &projects {
        call(&sandbox, directory, &["trust"]).expect(0);
    }
    (sandbox, projects)
}

fn user(sandbox: &Sandbox, version: &str) {
    fs::write(sandbox.config().join("w.toml"), text(sandbox, version, "")).expect("a sandbox takes files");
}

/// A sandbox in which the user's own `w` serves in this version, and its working directory.
fn serving(version: &str) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    user(&sandbox, version);
    call(&sandbox, &work, &["ensure", "w"]).expect(0);
    (sandbox, work)
}

fn call(sandbox: &Sandbox, directory: &Path, words: &[&str]) -> Output {
    let words = words.iter().copied().chain(["--json"]);
    sandbox.tenure(words).cwd(directory).run()
}

/// The versions of all programs that were started.
fn started(sandbox: &Sandbox) -> Vec<String> {
    let lines = sandbox.oracle().lines();
    let starts = lines.iter().filter(|line| line.what == "start");
    starts.filter_map(|line| line.detail.split(' ').next().map(str::to_owned)).collect()
}

/// What `status` and `list` tell of the offers of `w`.
fn told(sandbox: &Sandbox) -> [serde_json::Value; 2] {
    let work = sandbox.work();
    let status = call(sandbox, &work, &["status", "w"]).json();
    let listed = call(sandbox, &work, &["list"]).json();
    [status["offers"].clone(), listed["workers"][0]["offers"].clone()]
}
