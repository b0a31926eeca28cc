//! One trial: blows, then peace, then the verdict.

use std::fs;

use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::tree;

use super::blow::{Blow, Part, pick, strike};
use super::dice::Dice;
use super::verdict::{Excuses, Verdict};
use crate::sandbox::{Call, Running, Sandbox};

/// What a trial is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The `tenure` executable.
    pub tenure: String,
    /// The fixture program.
    pub program: String,
    /// Blows a trial.
    pub blows: usize,
    /// Versions that launchers offer.
    pub versions: usize,
}

struct Trial<'plan> {
    plan: &'plan Plan,
    sandbox: Sandbox,
    dice: Dice,
    launchers: Vec<(Running, bool)>,
    stopped: Vec<ProcessHandle>,
    excuses: Excuses,
    verdict: Verdict,
    faults: usize,
}

/// Runs the trial of one seed.
#[must_use]
pub fn run(plan: &Plan, seed: u64) -> Verdict {
    let mut trial = Trial {
        plan,
        sandbox: Sandbox::new(&plan.tenure),
        dice: Dice::new(seed),
        launchers: Vec::new(),
        stopped: Vec::new(),
        excuses: Excuses::default(),
        verdict: Verdict { trials: 1, ..Verdict::default() },
        faults: 0,
    };
    trial.configure();
    for _ in 0..plan.blows {
        let blow = Blow::choose(&mut trial.dice);
        trial.land(blow);
    }
    trial.make_peace();
    trial.judge(seed);
    trial.verdict
}

impl Trial<'_> {
    fn land(&mut self, blow: Blow) {
        *self.verdict.blows.entry(format!("{blow:?}")).or_default() += 1;
        self.excuses.failed_starts |= blow.excuses_failed_starts();
        match blow {
            Blow::Launch => self.launch(),
            Blow::KillLauncher => self.strike_launcher(Signal::Kill),
            Blow::StopLauncher => self.strike_launcher(Signal::Stop),
            Blow::KillHost => self.strike_part(Part::Host, Signal::Kill),
            Blow::KillShim => self.strike_part(Part::Shim, Signal::Kill),
            Blow::KillProgram => self.strike_part(Part::Program, Signal::Kill),
            Blow::StopHost => self.strike_part(Part::Host, Signal::Stop),
            Blow::Continue => self.go_on(),
            // Short: a stopped launcher may hold the gate, and only a later blow lets it go on.
            Blow::Retire => drop(self.call(["stop", "storm", "--timeout", "2s"]).run()),
            Blow::ToggleFailure => self.toggle_failure(),
            Blow::Settle => self.settle(),
        }
    }

    fn call<const N: usize>(&self, args: [&str; N]) -> Call<'_> {
        self.sandbox.tenure(args).env("TENURE_WEDGED_AFTER", "1s")
    }

    fn launch(&mut self) {
        let version = format!("{}.0.0", 1 + self.dice.below(self.plan.versions));
        let call = self.call(["ensure", "storm", "--json", "--timeout", "20s", "--version", &version]);
        let running = call.start();
        self.launchers.push((running, false));
    }

    /// The same command for every launcher: the hand decides whether it boots.
    fn configure(&self) {
        let (program, oracle) = (&self.plan.program, self.sandbox.oracle().directory().display().to_string());
        let once = format!("once={}:3", self.failure_file().display());
        let text = format!(
            "[worker.storm]\nscope = \"user\"\ncommand = [\"{program}\", \"{oracle}\", \"any\", \"{once}\", \"escapee\"]\n\
             listen = [{{ name = \"http\", tcp = \"127.0.0.1:0\" }}]\nready = {{ http = \"/\" }}\n\
             start_timeout = \"3s\"\nstop = {{ grace = \"1s\" }}\n"
        );
        drop(fs::write(self.sandbox.work().join("tenure.toml"), text));
    }

    fn failure_file(&self) -> std::path::PathBuf {
        self.sandbox.path().join("fail")
    }

    fn toggle_failure(&mut self) {
        let file = self.failure_file();
        if fs::remove_file(&file).is_err() {
            drop(fs::write(&file, "fail"));
            self.faults += self.plan.versions;
        }
    }

    fn strike_launcher(&mut self, signal: Signal) {
        if self.launchers.is_empty() {
            return;
        }
        let chosen = self.dice.below(self.launchers.len());
        let (running, killed) = &mut self.launchers[chosen];
        *killed |= signal == Signal::Kill;
        strike(running.child().handle(), signal);
        if signal == Signal::Stop {
            self.excuses.stopped = true;
            self.stopped.extend(running.child().handle().try_clone());
        }
        self.faults += 1;
    }

    fn strike_part(&mut self, part: Part, signal: Signal) {
        let marked = tree::with_cookie("storm:")
            .into_iter()
            .filter(|found| self.is_ours(found.handle.pid()))
            .collect();
        let Some(handle) = pick(marked, part, &mut self.dice) else { return };
        strike(&handle, signal);
        self.faults += 1;
        if signal == Signal::Stop {
            self.excuses.stopped = true;
            self.stopped.push(handle);
        }
    }

    /// Other trials run beside this one: only processes of this sandbox are struck.
    fn is_ours(&self, pid: u32) -> bool {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let root = format!("TENURE_STATE_DIR={}", self.sandbox.state_root().display());
        environ.split(|&byte| byte == 0).any(|entry| entry == root.as_bytes())
    }

    fn go_on(&mut self) {
        for handle in self.stopped.drain(..) {
            strike(&handle, Signal::Cont);
        }
    }

    fn settle(&mut self) {
        // One that is stopped would never end by itself.
        self.go_on();
        if let Some((running, killed)) = self.launchers.pop() {
            self.verdict.launcher(&running.wait(), killed, &self.excuses);
        }
    }

    fn make_peace(&mut self) {
        self.go_on();
        drop(fs::remove_file(self.failure_file()));
        while let Some((running, killed)) = self.launchers.pop() {
            self.verdict.launcher(&running.wait(), killed, &self.excuses);
        }
    }

    /// After peace: the scope heals, serves alone, and leaves nothing when it is stopped.
    fn judge(&mut self, seed: u64) {
        let oracle = self.sandbox.oracle();
        let top = format!("{}.0.0", self.plan.versions);
        let healed = self.call(["restart", "storm", "--json", "--timeout", "30s", "--version", &top]).run();
        self.verdict.starts += oracle.count("start");
        let doubles = oracle.count("double");
        self.verdict.doubles += doubles;
        let replaced = count_events(&self.sandbox, "\"replacing\"");
        let excess = replaced > self.plan.versions - 1 + self.faults;
        self.verdict.excess_replacements += usize::from(excess);
        let served = healed.code() == 0 && oracle.is_held("program");
        self.verdict.unhealed += usize::from(!served);
        let stopped = self.call(["stop", "storm", "--timeout", "30s"]).run();
        let left = self.sandbox.processes().len();
        self.verdict.leftovers += left;
        if !served || left > 0 || doubles > 0 || excess || stopped.code() != 0 || self.verdict.unexplained > 0
        {
            let note = format!(
                "seed {seed}: restart {} {} {}; stop {} {}; doubles {doubles}, left {left}, replaced {replaced}\n{}",
                healed.status,
                healed.stdout,
                healed.stderr,
                stopped.status,
                stopped.stderr,
                self.sandbox.story()
            );
            self.verdict.notes.push(note);
            self.sandbox.end_all();
        }
    }
}

fn count_events(sandbox: &Sandbox, what: &str) -> usize {
    let text = fs::read_to_string(sandbox.scope("storm").join("events.jsonl")).unwrap_or_default();
    text.lines().filter(|line| line.contains(what)).count()
}
