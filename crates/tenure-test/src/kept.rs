//! One worker named `w`, kept from the fixture program in as many versions as a test offers.
//!
//! Each version has a configuration file of its own, as launchers of different installations have; the first one offered
//! is also the user's own description, or the `tenure.toml` of the working directory where `w` is a project's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenure_core::Scope;
use tenure_core::record::desired::Desired;
use tenure_core::record::ledger::Ledger;
use tenure_core::store::event::{Event, What};
use tenure_sys::dir::Dir;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::watch::Watch;

use crate::meeting::PATIENCE;
use crate::sandbox::{Call, Output, Running, Sandbox};

/// Name of the worker.
pub const NAME: &str = "w";

/// A sandbox in which `w` can be kept.
#[derive(Debug)]
pub struct Kept {
    /// Where it happens.
    pub sandbox: Sandbox,
    program: PathBuf,
    of_project: bool,
}

/// What a version of `w` is described as.
#[derive(Debug, Clone)]
pub struct Offer<'kept> {
    kept: &'kept Kept,
    version: String,
    words: Vec<String>,
    lines: Vec<String>,
    listen: Option<String>,
    ready: Option<String>,
}

impl Kept {
    /// A fresh sandbox whose workers run `program` under `tenure`.
    #[must_use]
    pub fn new(tenure: &str, program: &str) -> Self {
        Self { sandbox: Sandbox::new(tenure), program: PathBuf::from(program), of_project: false }
    }

    /// A fresh sandbox whose workers are those of the project in its working directory.
    #[must_use]
    pub fn in_project(tenure: &str, program: &str) -> Self {
        Self { of_project: true, ..Self::new(tenure, program) }
    }

    /// A fresh sandbox in which version 1.0.0 was offered with these words for the program.
    #[must_use]
    pub fn with(tenure: &str, program: &str, words: &[&str]) -> Self {
        let kept = Self::new(tenure, program);
        kept.offer("1.0.0").words(words).write();
        kept
    }

    /// Describes a version: an inherited port, ready when it answers, a short grace.
    #[must_use]
    pub fn offer(&self, version: &str) -> Offer<'_> {
        Offer {
            kept: self,
            version: version.to_owned(),
            words: Vec::new(),
            lines: vec![
                format!("scope = {:?}", if self.of_project { "project" } else { "user" }),
                format!("version = {version:?}"),
                format!("cwd = {:?}", self.sandbox.work()),
                "start_timeout = \"30s\"".to_owned(),
                "stop = { grace = \"1s\" }".to_owned(),
                "bake = \"0s\"".to_owned(),
            ],
            listen: Some("{ name = \"http\", tcp = \"127.0.0.1:0\" }".to_owned()),
            ready: Some("{ http = \"/\" }".to_owned()),
        }
    }

    /// Runs the fixture from another file from now on.
    pub fn move_program(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
    }

    /// The fixture's file.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The configuration file of a version.
    #[must_use]
    pub fn file(&self, version: &str) -> PathBuf {
        self.sandbox.work().join(format!("v{version}.toml"))
    }

    /// `tenure COMMAND w --json` as the installation of `version` types it.
    #[must_use]
    pub fn launcher(&self, command: &str, version: &str) -> Call<'_> {
        let file = self.file(version).display().to_string();
        self.sandbox.tenure([command, NAME, "--json", "--timeout", "40s", "--config", &file])
    }

    /// `tenure ensure w --json` of version 1.0.0.
    #[must_use]
    pub fn ensure(&self) -> Call<'_> {
        self.launcher("ensure", "1.0.0")
    }

    /// `tenure restart w --json` of version 1.0.0.
    #[must_use]
    pub fn restart(&self) -> Call<'_> {
        self.launcher("restart", "1.0.0")
    }

    /// `tenure pin w VERSION --json`.
    #[must_use]
    pub fn pin(&self, version: &str) -> Call<'_> {
        self.sandbox.tenure(["pin", NAME, version, "--json", "--timeout", "40s"])
    }

    /// `tenure unpin w --json`.
    #[must_use]
    pub fn unpin(&self) -> Call<'_> {
        self.sandbox.tenure(["unpin", NAME, "--json", "--timeout", "40s"])
    }

    /// `ensure` by launchers of these versions, all at once.
    #[must_use]
    pub fn crowd<'version>(&self, versions: impl IntoIterator<Item = &'version str>) -> Vec<Running> {
        versions.into_iter().map(|version| self.launcher("ensure", version).start()).collect()
    }

    /// `tenure status w --json`.
    #[must_use]
    pub fn status(&self) -> Output {
        self.sandbox.tenure(["status", NAME, "--json"]).run()
    }

    /// `tenure stop w --json`.
    #[must_use]
    pub fn stop(&self) -> Call<'_> {
        self.sandbox.tenure(["stop", NAME, "--json", "--timeout", "40s"])
    }

    /// The scope's state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        if !self.of_project {
            return self.sandbox.scope(NAME);
        }
        let work = std::fs::canonicalize(self.sandbox.work()).unwrap_or_default();
        self.sandbox.scope(&format!("{NAME}@{}", Scope::project_key(&work)))
    }

    /// Names of all files below the scope's directory, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.state(), "", &mut names);
        names.sort();
        names
    }

    /// Every event of the scope.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let text = std::fs::read_to_string(self.state().join("events.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many events say `what`.
    #[must_use]
    pub fn count(&self, what: What) -> usize {
        self.events().iter().filter(|event| event.what == what).count()
    }

    /// The record of what was offered, held and failed.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn desired(&self) -> Desired {
        let text = std::fs::read(self.state().join("desired.json")).expect("a launcher leaves a record");
        serde_json::from_slice(&text).expect("a record is JSON")
    }

    /// The ledger.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let text = std::fs::read(self.state().join("ledger.json")).expect("a worker leaves a ledger");
        serde_json::from_slice(&text).expect("a ledger is JSON")
    }

    /// Waits until the worker has recorded that its boot is over, which it does after it has told its launcher: from then
    /// on its silence is no boot.
    ///
    /// # Panics
    /// If it does not within [`PATIENCE`].
    pub fn settled(&self) {
        self.until(|ledger| ledger.booting_until.is_none());
    }

    /// Waits until the ledger says something.
    ///
    /// # Panics
    /// If it does not within [`PATIENCE`].
    pub fn until(&self, says: impl Fn(&Ledger) -> bool) {
        let directory = Dir::open_private(&self.state()).expect("a worker has a directory");
        let watch = Watch::of(&directory).expect("it can be watched");
        loop {
            watch.drain();
            if says(&self.ledger()) {
                return;
            }
            let mut change = [Interest::new(watch.as_fd(), Readiness::Read)];
            let changed = poll::wait(&mut change, Some(PATIENCE)).expect("a watch can be waited for");
            assert!(changed > 0, "what is waited for is recorded");
        }
    }

    /// Changes the ledger by hand, as a crash, a restored backup or another machine may.
    ///
    /// # Panics
    /// If there is none, or it cannot be written.
    pub fn forge(&self, change: impl FnOnce(&mut Ledger)) {
        let mut ledger = self.ledger();
        change(&mut ledger);
        let text = serde_json::to_vec(&ledger).expect("a ledger can be written");
        std::fs::write(self.state().join("ledger.json"), text).expect("ours");
    }
}

fn collect(directory: &Path, before: &str, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), names);
        } else {
            names.push(name);
        }
    }
}

impl Offer<'_> {
    /// Words for the fixture program.
    #[must_use]
    pub fn words(mut self, words: &[&str]) -> Self {
        self.words = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// A line of its table; replaces what this module would say for the same key.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        self.lines.retain(|known| key(known) != key(line));
        self.lines.push(line.to_owned());
        self
    }

    /// What it listens on, as an inline table; nothing listens and nothing is asked without one.
    #[must_use]
    pub fn listen(mut self, listen: Option<&str>) -> Self {
        self.listen = listen.map(str::to_owned);
        if self.listen.is_none() {
            self.ready = None;
        }
        self
    }

    /// How it is ready; the product's default without one.
    #[must_use]
    pub fn ready(mut self, ready: Option<&str>) -> Self {
        self.ready = ready.map(str::to_owned);
        self
    }

    /// Writes the description.
    ///
    /// # Panics
    /// If the sandbox takes no files.
    pub fn write(self) {
        let oracle = self.kept.sandbox.oracle().directory().display().to_string();
        let program = self.kept.program.display().to_string();
        let mut command = vec![program, oracle, self.version.clone()];
        command.extend(self.words);
        let mut text = format!("[worker.{NAME}]\n");
        if !self.lines.iter().any(|line| line.starts_with("command = ")) {
            text.extend([format!("command = {command:?}\n")]);
        }
        text.extend(self.listen.map(|listen| format!("listen = [{listen}]\n")));
        text.extend(self.ready.map(|ready| format!("ready = {ready}\n")));
        text.extend(self.lines.iter().map(|line| format!("{line}\n")));
        let sandbox = &self.kept.sandbox;
        let here = if self.kept.of_project {
            sandbox.work().join("tenure.toml")
        } else {
            sandbox.config().join("w.toml")
        };
        if !here.exists() {
            std::fs::write(&here, &text).expect("a sandbox takes files");
        }
        std::fs::write(self.kept.file(&self.version), &text).expect("a sandbox takes files");
    }
}

/// The worker's pid in an answer.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn pid(answer: &Output) -> u32 {
    number(&answer.json()["pid"])
}

/// A handle of the worker of an answer.
///
/// # Panics
/// If it does not live.
#[must_use]
pub fn host(answer: &Output) -> ProcessHandle {
    ProcessHandle::open(pid(answer)).expect("a worker that answered lives")
}

/// A handle of the program in an answer of `status`.
///
/// # Panics
/// If it does not live.
#[must_use]
pub fn program(status: &Output) -> ProcessHandle {
    ProcessHandle::open(number(&status.json()["program"]["identity"]["pid"])).expect("a program lives")
}

/// Kills a process and waits for its end.
///
/// # Panics
/// If it does not end.
pub fn kill(process: &ProcessHandle) {
    process.signal(Signal::Kill).expect("our own process can be killed");
    assert!(process.wait_ended(Some(PATIENCE)).expect("it can be waited for"), "a killed process ends");
}

/// Stops a process and returns when none of its threads runs. The kernel wakes nobody for the stop of a stranger, and a
/// thread on another processor runs on for a moment, so this looks until it is over.
///
/// # Panics
/// If it ends meanwhile.
pub fn freeze(process: &ProcessHandle) {
    process.signal(Signal::Stop).expect("our own process can be stopped");
    while !is_frozen(process.pid()) {
        assert!(!process.has_ended(), "a process that is to be stopped has ended");
        std::thread::yield_now();
    }
}

fn is_frozen(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let state = |stat: String| Some(stat.rsplit_once(')')?.1.trim_start().starts_with('T'));
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok())
        .all(|stat| state(stat).unwrap_or(false))
}

/// The answers of a crowd, in its order.
#[must_use]
pub fn answers(crowd: Vec<Running>) -> Vec<Output> {
    crowd.into_iter().map(Running::wait).collect()
}

/// The version in an answer.
#[must_use]
pub fn version(answer: &Output) -> String {
    answer.json()["version"].as_str().unwrap_or_default().to_owned()
}

/// The kinds of the warnings in an answer.
#[must_use]
pub fn warnings(answer: &Output) -> Vec<String> {
    let json = answer.json();
    let warnings = json["warnings"].as_array().into_iter().flatten();
    warnings.filter_map(|warning| Some(warning["kind"].as_str()?.to_owned())).collect()
}

/// The message of a failure.
#[must_use]
pub fn message(answer: &Output) -> String {
    answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

/// A loopback address that nobody listens on.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("an answer has a pid")
}
