//! A plugin author's first hour: one plugin that two agents have installed, each in a place of its own, and another plugin
//! that asks for the same name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenure_core::store::event::{Event, What};
use tenure_test::fixtures::call::{Call, Output};
use tenure_test::fixtures::limits::Limits;
use tenure_test::fixtures::sandbox::Sandbox;

use crate::BINARIES;

mod names;
mod places;
mod recorded;

/// An installed plugin, whose hooks ask for the worker `notes`.
struct Plugin<'sandbox> {
    sandbox: &'sandbox Sandbox,
    directory: PathBuf,
}

impl<'sandbox> Plugin<'sandbox> {
    /// Installs the plugin of this app and version below the sandbox's working directory, with a program of its own.
    fn install(sandbox: &'sandbox Sandbox, place: &str, app: Option<&str>, version: &str) -> Self {
        let directory = sandbox.work().join(place);
        fs::create_dir_all(&directory).expect("a sandbox takes directories");
        let plugin = Self { sandbox, directory };
        plugin.describe(app, version, &[], "");
        plugin
    }

    /// Writes its description and its program anew, with these words for the program and these lines beside.
    fn describe(&self, app: Option<&str>, version: &str, words: &[&str], lines: &str) {
        let oracle = self.sandbox.oracle().directory().display().to_string();
        let program = self.directory.join("serve");
        let script = format!("#!/bin/sh\nexec {} {oracle} {version} \"$@\"\n", BINARIES.program);
        fs::write(&program, script).expect("a sandbox takes files");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
        let mut command = vec![program.display().to_string()];
        command.extend(words.iter().map(|&word| word.to_owned()));
        let app = app.map(|app| format!("app = {app:?}\n")).unwrap_or_default();
        let boot = Limits::GENEROUS.boot;
        let text = format!(
            "[worker.notes]\n{app}version = {version:?}\ncommand = {command:?}\nstart_timeout = {boot:?}\n\
             bake = \"0s\"\nstop = {{ grace = \"1s\" }}\nready = {{ http = \"/\" }}\n\
             listen = [{{ name = \"http\", tcp = \"127.0.0.1:0\" }}]\n{lines}"
        );
        fs::write(self.file(), text).expect("a sandbox takes files");
    }

    fn file(&self) -> PathBuf {
        self.directory.join("tenure.toml")
    }

    /// A command about `notes`, as a hook of this installation types it.
    fn call(&self, command: &str, words: &[&str]) -> Call<'sandbox> {
        let file = self.file().display().to_string();
        let fixed = [command, "notes", "--json", "--config", file.as_str()];
        self.sandbox.tenure(fixed.into_iter().chain(words.iter().copied()))
    }

    fn ensure(&self) -> Output {
        self.call("ensure", &["--timeout", "40s"]).run()
    }
}

/// Two installations of one plugin, in these versions.
fn two<'sandbox>(sandbox: &'sandbox Sandbox, versions: [&str; 2]) -> [Plugin<'sandbox>; 2] {
    let place = |at: usize| ["claude/notes", "codex/notes"][at];
    [0, 1].map(|at| Plugin::install(sandbox, place(at), Some("acme.notes"), versions[at]))
}

/// The answer of a call that succeeded.
fn fine(output: Output) -> Value {
    output.expect(0).json()
}

/// `tenure WORDS --json`, from a directory that describes nothing.
fn call(sandbox: &Sandbox, words: &[&str]) -> Output {
    sandbox.tenure(words.iter().copied().chain(["--json"])).run()
}

fn warnings(answer: &Value) -> Vec<&str> {
    let warnings = answer["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    warnings.iter().filter_map(|warning| warning["kind"].as_str()).collect()
}

/// The versions of the programs that were started, in their order.
fn started(sandbox: &Sandbox) -> Vec<String> {
    let lines = sandbox.oracle().lines();
    let starts = lines.iter().filter(|line| line.what == "start");
    starts.filter_map(|line| line.detail.split(' ').next().map(str::to_owned)).collect()
}

/// How often a worker of this scope made room for another.
fn replaced(scope: &Path) -> usize {
    let text = fs::read_to_string(scope.join("events.jsonl")).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
    events.filter(|event| event.what == What::Replacing).count()
}
