//! One trial: a worker is set up, a command runs with a fault in it, and then everything is held against what must be
//! so.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure_sys::process::Signal;
use tenure_sys::tree::CookieCarrier;

use crate::fixtures::call::{Call, Output};
use crate::fixtures::limits::PATIENCE;
use crate::fixtures::oracle::Oracle;
use crate::fixtures::sandbox::Sandbox;
use crate::inject::fault::{Course, Fault, Kind, Road, Who};

/// Where the executables are.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The `tenure` executable.
    pub tenure: String,
    /// The fixture program.
    pub program: String,
    /// `strace`.
    pub strace: PathBuf,
}

/// What a trial showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The fault was really injected: a run that is shorter than the number has none.
    pub struck: bool,
    /// The answer of the call, in a word.
    pub state: String,
    /// What must not be; empty where all is well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrongs: Vec<String>,
}

/// What a call may take beside its budget: on a machine under load, under `strace`.
const SLACK: Duration = Duration::from_secs(20);

/// The budget of the call with the fault in it.
const BUDGET: &str = "8s";

/// How often the next call is made before a scope counts as one that does not heal: a failed start may hold back the
/// next one for a moment.
const CALLS: usize = 6;

impl Fault {
    /// Injects it, and looks at what came of it.
    #[must_use]
    pub fn run(&self, tools: &Tools) -> Finding {
        let Course { road, .. } = self.course;
        let sandbox = Sandbox::new(&tools.tenure);
        let mut wrongs = Vec::new();
        describe(&sandbox, tools, road);
        if road != Road::Cold {
            if road == Road::Pin {
                // The lower version is on record before the higher one serves, and that one has proved itself: in its
                // probation the one before would come back, and nothing would be started.
                setup(&sandbox, ("ensure", "1"), &mut wrongs);
                setup(&sandbox, ("restart", "2"), &mut wrongs);
            } else {
                setup(&sandbox, ("ensure", "1"), &mut wrongs);
            }
        }
        let output = self.strike(&sandbox, tools);
        let log = fs::read_to_string(log_file(&sandbox)).unwrap_or_default();
        wrongs.extend(self.judge_answer(&output));
        wrongs.extend(self.judge_truth(&sandbox, &output));
        wrongs.extend(heal(&sandbox, road));
        wrongs.extend(leave(&sandbox));
        if !wrongs.is_empty() {
            wrongs.push(format!("answer: {} {} {}", output.status, output.stdout, output.stderr));
            wrongs.push(sandbox.story());
            sandbox.end_all();
        }
        Finding { struck: self.kind.has_struck(&log), state: output.state(), wrongs }
    }

    /// The command of the road, with the fault armed.
    fn strike(&self, sandbox: &Sandbox, tools: &Tools) -> Output {
        let words = self.words(sandbox);
        let strace = self.strace(sandbox);
        if self.course.who == Who::Launcher {
            let tenure = sandbox.executable().display().to_string();
            let words = strace.into_iter().chain([tenure]).chain(words);
            return timed(sandbox.command(&tools.strace, words)).run();
        }
        let wrapper = wrapper(sandbox, tools, &strace);
        timed(sandbox.tenure(words)).env("TENURE_HOST", &wrapper).run()
    }

    fn strace(&self, sandbox: &Sandbox) -> Vec<String> {
        let mut words = vec!["-qq".to_owned(), "-o".to_owned(), log_file(sandbox).display().to_string()];
        if self.course.who == Who::Family {
            // Only the calls that are struck stop at the tracer: a shim that looks through all processes would else be
            // so slow that it counts as one that hangs.
            words.extend(["-f", "--seccomp-bpf"].map(str::to_owned));
        }
        // A worker keeps its own pid: the tracer is a child of it.
        words.extend((self.course.who != Who::Launcher).then(|| "-D".to_owned()));
        words.extend(self.kind.words(self.nth));
        words
    }

    fn words(&self, sandbox: &Sandbox) -> Vec<String> {
        let words: &[&str] = match self.course.road {
            Road::Cold => &["ensure", "w", "--config", "1"],
            Road::Takeover => &["restart", "w", "--config", "1"],
            Road::Upgrade | Road::Overlap => &["ensure", "w", "--config", "2"],
            Road::Force => &["restart", "w", "--force", "--config", "1"],
            Road::Stop => &["stop", "w"],
            Road::Hold => &["stop", "w", "--hold"],
            Road::Pin => &["pin", "w", "1.0.0"],
        };
        let named = |word: &&str| match *word {
            version @ ("1" | "2") => file(sandbox, version).display().to_string(),
            word => word.to_owned(),
        };
        words.iter().map(named).chain(["--json", "--timeout", BUDGET].map(str::to_owned)).collect()
    }

    /// A call that was not killed answers, in its time, and never that it is at a loss.
    fn judge_answer(&self, output: &Output) -> Vec<String> {
        let mut wrongs = Vec::new();
        let was_killed = self.course.who == Who::Launcher && matches!(self.kind, Kind::Kill { .. });
        if !was_killed && output.state().is_empty() && output.json()["error"].is_null() {
            wrongs.push("no answer".to_owned());
        }
        if output.state() == "bug" {
            wrongs.push("the answer is a bug".to_owned());
        }
        if !was_killed && output.status.signal.is_some() {
            wrongs.push(format!("the call ended with {}", output.status));
        }
        if output.stderr.contains("panicked") {
            wrongs.push("a panic".to_owned());
        }
        wrongs
    }

    /// What an answer says is so: who serves by it answers, and who is stopped by it is gone. Where the worker itself
    /// is struck it may have ended since.
    fn judge_truth(&self, sandbox: &Sandbox, output: &Output) -> Option<String> {
        let status = || timed(sandbox.tenure(["status", "w", "--json"])).run();
        match output.state().as_str() {
            "started" | "replaced" | "restarted" | "up" if self.course.who == Who::Launcher => {
                let now = status();
                let same =
                    now.json()["version"] == output.json()["version"] || output.json()["version"].is_null();
                (now.code() != 0 || !same).then(|| format!("it says that a worker serves; {}", now.stdout))
            }
            "stopped" => {
                let left: Vec<CookieCarrier> = workers(sandbox);
                (!left.is_empty()).then(|| format!("it says stopped; {}", told(&left)))
            }
            _ => None,
        }
    }
}

/// Like `Call::env`, for what every call of a trial gets.
fn timed(call: Call<'_>) -> Call<'_> {
    call.env("TENURE_WEDGED_AFTER", "1s")
}

fn log_file(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("strace.log")
}

fn file(sandbox: &Sandbox, version: &str) -> PathBuf {
    sandbox.work().join(format!("v{version}.toml"))
}

/// Two versions of the usual worker, a file each.
fn describe(sandbox: &Sandbox, tools: &Tools, road: Road) {
    let oracle = sandbox.oracle().directory().display().to_string();
    let cwd = sandbox.work().display().to_string();
    for version in ["1", "2"] {
        let number = format!("{version}.0.0");
        let overlap = road == Road::Overlap;
        // Two programs beside each other would both want the lock by which the oracle tells doubles.
        let words = if overlap {
            vec![number.clone(), "beside".to_owned(), "notify".to_owned()]
        } else {
            vec![number.clone(), "escapee".to_owned()]
        };
        let command = [vec![tools.program.clone(), oracle.clone()], words].concat();
        let ready =
            if overlap { "overlap = true\nready = { notify = true }" } else { "ready = { http = \"/\" }" };
        let text = format!(
            "[worker.w]\napp = \"inject.w\"\nversion = {number:?}\ncommand = {command:?}\ncwd = {cwd:?}\n\
             listen = [{{ name = \"http\", tcp = \"127.0.0.1:0\" }}]\n{ready}\n\
             start_timeout = \"4s\"\nbake = \"50ms\"\nstop = {{ grace = \"500ms\" }}\n"
        );
        fs::write(file(sandbox, version), text).expect("a sandbox takes files");
    }
}

fn setup(sandbox: &Sandbox, (word, version): (&str, &str), wrongs: &mut Vec<String>) {
    let ensured = ensure(sandbox, word, version);
    if ensured.code() != 0 {
        wrongs.push(format!("setup: {} {}", ensured.stdout, ensured.stderr));
    }
}

fn ensure(sandbox: &Sandbox, word: &str, version: &str) -> Output {
    let file = file(sandbox, version).display().to_string();
    timed(sandbox.tenure([word, "w", "--config", &file, "--json", "--timeout", "20s"])).run()
}

/// A `tenure` whose hosts run below `strace`.
fn wrapper(sandbox: &Sandbox, tools: &Tools, strace: &[String]) -> String {
    use std::os::unix::fs::PermissionsExt as _;

    let path = sandbox.path().join("traced-tenure");
    let (strace_path, words) = (tools.strace.display(), strace.join(" "));
    let script = format!("#!/bin/sh\nexec {strace_path} {words} {} \"$@\"\n", sandbox.executable().display());
    fs::write(&path, script).expect("a sandbox takes files");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    path.display().to_string()
}

/// The next call brings a worker; a start that failed a moment ago may hold it back for the time that it names.
fn heal(sandbox: &Sandbox, road: Road) -> Option<String> {
    let version = if matches!(road, Road::Upgrade | Road::Overlap) { "2" } else { "1" };
    let mut last = String::new();
    for _ in 0..CALLS {
        let healed = ensure(sandbox, "start", version);
        if healed.code() == 0 {
            return None;
        }
        let state = healed.state();
        let wait = healed.json()["error"]["retry_after_ms"].as_u64().unwrap_or(0);
        last = format!("{} {}", healed.stdout, healed.stderr);
        if !["spawn-suppressed", "spawn-failed", "gate-held", "timed-out", "warming"]
            .contains(&state.as_str())
        {
            break;
        }
        wait_for_nothing(sandbox, Duration::from_millis(wait.min(3_000)));
    }
    Some(format!("it does not heal: {last}"))
}

/// Waits as long as the answer said: for a connection that nobody makes.
fn wait_for_nothing(sandbox: &Sandbox, limit: Duration) {
    use std::os::fd::AsFd as _;
    use tenure_sys::poll::{self, Interest, Readiness};

    let path = sandbox.path().join("nobody.sock");
    drop(fs::remove_file(&path));
    let listener = std::os::unix::net::UnixListener::bind(path).expect("a sandbox takes sockets");
    drop(poll::wait(&mut [Interest::new(listener.as_fd(), Readiness::Read)], Some(limit)));
}

/// After a stop nothing is left, no program was ever double, and no generation was used twice or went back.
fn leave(sandbox: &Sandbox) -> Vec<String> {
    let mut wrongs = Vec::new();
    let stopped = timed(sandbox.tenure(["stop", "w", "--json", "--timeout", "15s"])).run();
    if stopped.code() != 0 {
        wrongs.push(format!("stop: {} {}", stopped.stdout, stopped.stderr));
    }
    // The tracer of a worker ends with it.
    for tracer in sandbox.processes().iter().filter(|found| found.command.contains("strace")) {
        drop(tracer.handle.wait_ended(Some(SLACK.min(PATIENCE))));
    }
    let left = sandbox.processes();
    if !left.is_empty() {
        wrongs.push(format!("left: {}", told(&left)));
        for process in &left {
            drop(process.handle.signal(Signal::Kill));
        }
    }
    wrongs.extend(judge_oracle(&sandbox.oracle()));
    let state = sandbox.scope("w");
    // Under their temporary names only: what a worker had where it was killed is removed by the next one.
    let entries = fs::read_dir(&state).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let temporary: Vec<String> =
        names.filter(|name| *name != "control.sock" && name.starts_with("control.")).collect();
    if !temporary.is_empty() {
        wrongs.push(format!("sockets are left: {temporary:?}"));
    }
    for log in ["worker.log", "output.log"] {
        let text = fs::read_to_string(state.join("logs").join(log)).unwrap_or_default();
        if text.contains("panicked") {
            wrongs.push(format!("a panic in {log}"));
        }
    }
    wrongs
}

fn judge_oracle(oracle: &Oracle) -> Vec<String> {
    let mut wrongs = Vec::new();
    let doubles = oracle.count("double");
    if doubles > 0 {
        wrongs.push(format!("{doubles} programs were double"));
    }
    let mut highest = (0, String::new());
    for line in oracle.lines().iter().filter(|line| line.what == "start") {
        let mut words = line.detail.split(' ');
        let version = words.next().unwrap_or_default().to_owned();
        let generation: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        if generation < highest.0 {
            wrongs.push(format!("generation {generation} of {version} came after {}", highest.0));
        }
        if generation == highest.0 && version != highest.1 {
            wrongs.push(format!("generation {generation} was of {} and of {version}", highest.1));
        }
        highest = (generation, version);
    }
    wrongs
}

/// Everything of a worker that lives: all of the sandbox but tracers.
fn workers(sandbox: &Sandbox) -> Vec<CookieCarrier> {
    sandbox.processes().into_iter().filter(|found| !found.command.contains("strace")).collect()
}

fn told(left: &[CookieCarrier]) -> String {
    let each = left.iter().map(|found| format!("pid {} ({})", found.handle.pid(), found.command));
    each.collect::<Vec<_>>().join(", ")
}
