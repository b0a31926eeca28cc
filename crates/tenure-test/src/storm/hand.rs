//! The hand: blows in a random order, and a person's words among them, each noted with its time.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tenure_core::deadline::wall_millis;
use tenure_core::store::paths::ROOT_VARIABLE;
use tenure_sys::identity::Identity;
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::tree::{self, CookieCarrier};

use crate::fixtures::call::{Call, Output, Running};
use crate::fixtures::sandbox::Sandbox;

use super::blow::{Blow, Part, pick, strike};
use super::cause::{Caller, Causes, Span, close};
use super::disk::Disk;
use super::shape::Shape;
use super::verdict::{Verdict, Wrong};
use crate::fixtures::dice::Dice;

/// What a trial is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The `tenure` executable.
    pub tenure: String,
    /// The fixture program.
    pub program: String,
    /// Blows a trial.
    pub blows: usize,
    /// Most versions that launchers offer; each trial has some number from two to this.
    pub versions: usize,
    /// Where disks can be mounted: in a mount namespace of this process's own.
    pub disks: bool,
}

/// A launcher that was started.
pub(super) struct Launcher {
    running: Running,
    version: usize,
    life: Span,
    killed: bool,
    /// How much a person had said when it was started.
    said: usize,
}

/// One that has ended.
pub(super) struct Ended {
    pub(super) caller: Caller,
    pub(super) killed: bool,
    pub(super) output: Output,
}

/// What a person's words have come to, as far as that is known.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    /// Words so far; begun and ended ones count apart.
    count: usize,
    pinned: Option<usize>,
    down: bool,
}

/// A trial under way.
pub(super) struct Trial<'plan> {
    plan: &'plan Plan,
    pub(super) versions: usize,
    pub(super) sandbox: Sandbox,
    dice: Dice,
    launchers: Vec<Launcher>,
    pub(super) ended: Vec<Ended>,
    /// Words that did not get the gate in their time, with what was answered: the events tell who had it.
    pub(super) kept_waiting: Vec<(Span, String)>,
    stopped: Vec<ProcessHandle>,
    pub(super) causes: Causes,
    said: Said,
    pub(super) shape: Shape,
    pub(super) disk: Option<Disk>,
    pub(super) verdict: Verdict,
}

/// The trial of one seed when its blows are over and nothing stands still or fails any more.
pub(super) fn blow(plan: &Plan, seed: u64) -> Trial<'_> {
    let mut dice = Dice::new(seed);
    let versions = 2 + dice.below(plan.versions.saturating_sub(1));
    let shape = Shape::choose(&mut dice, seed);
    let sandbox = Sandbox::new(&plan.tenure);
    let disk = if plan.disks && dice.chance(30) { Disk::mount(&sandbox) } else { None };
    let mut trial = Trial {
        plan,
        versions,
        sandbox,
        shape,
        disk,
        launchers: Vec::new(),
        ended: Vec::new(),
        kept_waiting: Vec::new(),
        stopped: Vec::new(),
        causes: Causes::default(),
        said: Said::default(),
        verdict: Verdict { trials: 1, ..Verdict::default() },
        dice,
    };
    *trial.verdict.shapes.entry(trial.shape.to_string()).or_default() += 1;
    trial.verdict.disks += usize::from(trial.disk.is_some());
    trial.configure();
    for _ in 0..plan.blows {
        let blow = Blow::choose(&mut trial.dice);
        trial.land(blow);
    }
    trial.make_peace();
    trial
}

/// The name of a version.
pub(super) fn name(version: usize) -> String {
    format!("{version}.0.0")
}

impl Trial<'_> {
    fn land(&mut self, blow: Blow) {
        self.note_ends();
        // While the worker is held down most launches would only be refused: some become a start instead.
        let blow =
            if self.said.down && blow == Blow::Launch && self.dice.chance(15) { Blow::Start } else { blow };
        *self.verdict.blows.entry(format!("{blow:?}")).or_default() += 1;
        match blow {
            Blow::Launch => self.launch(),
            Blow::KillLauncher => self.strike_launcher(Signal::Kill),
            Blow::StopLauncher => self.strike_launcher(Signal::Stop),
            Blow::KillHost => self.strike_part(Part::Host, Signal::Kill),
            Blow::KillShim => self.strike_part(Part::Shim, Signal::Kill),
            Blow::KillProgram => self.strike_part(Part::Program, Signal::Kill),
            Blow::KillBoth => self.strike_both(),
            Blow::StrikeUpgrade => self.strike_upgrade(),
            Blow::ToggleDisk => self.toggle_disk(),
            Blow::StopHost => self.strike_part(Part::Host, Signal::Stop),
            Blow::Continue => self.go_on(),
            Blow::Retire => self.retire(),
            Blow::ToggleFailure => self.toggle_failure(),
            Blow::Pin => self.pin(),
            Blow::Unpin => self.unpin(),
            Blow::HoldDown => self.hold_down(),
            Blow::Start => self.start(),
            Blow::Settle => self.settle(),
        }
    }

    pub(super) fn call<const N: usize>(&self, args: [&str; N]) -> Call<'_> {
        self.sandbox.tenure(args).env("TENURE_WEDGED_AFTER", "1s")
    }

    /// A launcher as the installation of `version` types it.
    pub(super) fn launcher(&self, word: &str, version: usize) -> Call<'_> {
        let file = self.file(version).display().to_string();
        self.call([word, "storm", "--json", "--timeout", "20s", "--config", &file])
    }

    fn random_version(&mut self) -> usize {
        1 + self.dice.below(self.versions)
    }

    fn launch(&mut self) {
        let version = self.random_version();
        self.launch_of(version);
    }

    fn launch_of(&mut self, version: usize) {
        let life = Span::since(wall_millis());
        let running = self.launcher("ensure", version).start();
        let said = self.said.count;
        self.launchers.push(Launcher { running, version, life, killed: false, said });
    }

    /// Each version has a file of its own, as installations have; the hand decides whether it boots. In some trials one
    /// version says that it is the one below it.
    fn configure(&mut self) {
        if self.dice.chance(35) {
            let version = 2 + self.dice.below(self.versions - 1);
            self.causes.disagrees = Some((version, version - 1));
        }
        let oracle = self.sandbox.oracle().directory().display().to_string();
        for version in 1..=self.versions {
            let says = self.causes.disagrees.filter(|(one, _)| *one == version).map(|(_, says)| name(says));
            let once = format!("once={}:3", self.failure_file(version).display());
            let words = [self.plan.program.clone(), oracle.clone(), name(version), once];
            let text = self.shape.describe(&name(version), words.to_vec(), says.as_deref());
            drop(fs::write(self.file(version), &text));
            if version == 1 {
                drop(fs::write(self.sandbox.config().join("storm.toml"), text));
            }
        }
    }

    fn file(&self, version: usize) -> PathBuf {
        self.sandbox.work().join(format!("v{version}.toml"))
    }

    fn failure_file(&self, version: usize) -> PathBuf {
        self.sandbox.path().join(format!("fail-{version}"))
    }

    fn toggle_failure(&mut self) {
        let version = self.random_version();
        let file = self.failure_file(version);
        if file.exists() {
            self.mend(version);
        } else {
            self.causes.failing.push((version, Span::since(wall_millis())));
            drop(fs::write(&file, "fail"));
        }
    }

    fn mend(&mut self, version: usize) {
        drop(fs::remove_file(self.failure_file(version)));
        let spans = self.causes.failing.iter_mut().filter(|(one, _)| *one == version);
        close(spans.map(|(_, span)| span), wall_millis());
    }

    fn strike_launcher(&mut self, signal: Signal) {
        if self.launchers.is_empty() {
            return;
        }
        let chosen = self.dice.below(self.launchers.len());
        let Launcher { running, killed, .. } = &mut self.launchers[chosen];
        let handle = running.child().handle();
        *killed |= signal == Signal::Kill;
        if signal == Signal::Stop && !handle.has_ended() {
            self.causes.stopped.push(Span::since(wall_millis()));
            self.stopped.extend(handle.try_clone());
        }
        strike(handle, signal);
    }

    fn strike_part(&mut self, part: Part, signal: Signal) {
        let Some(handle) = pick(self.with_cookie(), part, &mut self.dice) else { return };
        let now = wall_millis();
        strike(&handle, signal);
        if signal == Signal::Stop {
            self.causes.stopped.push(Span::since(now));
            self.stopped.push(handle);
        } else {
            self.causes.ended.push(Span { from: now, to: wall_millis() });
        }
    }

    /// Host and shim of one worker end together: what is left has nobody to end it.
    fn strike_both(&mut self) {
        let from = wall_millis();
        for part in [Part::Host, Part::Shim] {
            if let Some(handle) = pick(self.with_cookie(), part, &mut self.dice) {
                strike(&handle, Signal::Kill);
            }
        }
        self.causes.ended.push(Span { from, to: wall_millis() });
    }

    /// Somewhere in an upgrade, a process of it dies. The wait ends early where the launcher does.
    fn strike_upgrade(&mut self) {
        self.launch_of(self.versions);
        let delay = Duration::from_millis(2 + self.dice.below(399) as u64);
        if let Some(launcher) = self.launchers.last() {
            drop(launcher.running.child().handle().wait_ended(Some(delay)));
        }
        match self.dice.below(4) {
            0 => {
                if let Some(Launcher { running, killed, .. }) = self.launchers.last_mut() {
                    *killed = true;
                    strike(running.child().handle(), Signal::Kill);
                }
            }
            1 => self.strike_part(Part::Host, Signal::Kill),
            2 => self.strike_part(Part::Shim, Signal::Kill),
            _ => self.strike_part(Part::Program, Signal::Kill),
        }
    }

    /// The disk is filled to its last block, or has room again.
    fn toggle_disk(&mut self) {
        let Some(disk) = &mut self.disk else { return };
        if disk.is_full() {
            disk.free();
            close(&mut self.causes.full, wall_millis());
        } else {
            self.causes.full.push(Span::since(wall_millis()));
            disk.fill();
        }
    }

    /// What carries the cookie of this trial's scope. Other trials run beside this one: only processes of this sandbox
    /// are struck.
    fn with_cookie(&self) -> Vec<CookieCarrier> {
        let root = self.sandbox.state_root().display().to_string();
        let ours: Vec<Identity> = tree::with_environ(ROOT_VARIABLE, &root)
            .into_iter()
            .filter(|found| found.cookie == root)
            .map(|found| found.handle.identity().clone())
            .collect();
        let carriers = tree::with_cookie("storm:").into_iter();
        carriers.filter(|found| ours.contains(found.handle.identity())).collect()
    }

    fn go_on(&mut self) {
        for handle in self.stopped.drain(..) {
            strike(&handle, Signal::Cont);
        }
        close(&mut self.causes.stopped, wall_millis());
    }

    fn settle(&mut self) {
        // One that is stopped would never end by itself.
        self.go_on();
        if let Some(launcher) = self.launchers.pop() {
            self.hear(launcher);
        }
    }

    fn note_ends(&mut self) {
        let now = wall_millis();
        for launcher in &mut self.launchers {
            if launcher.life.to == u64::MAX && launcher.running.child().handle().has_ended() {
                launcher.life.to = now;
            }
        }
    }

    /// A launcher's answer, held against what a person had said before it began, where nothing was said since.
    fn hear(&mut self, launcher: Launcher) {
        let Launcher { running, version, mut life, killed, said } = launcher;
        let output = running.wait();
        life.to = life.to.min(wall_millis());
        let state = output.state();
        let serves = matches!(state.as_str(), "up" | "started" | "replaced");
        if said == self.said.count && serves {
            let answered = output.json()["version"].as_str().unwrap_or_default().to_owned();
            if self.said.down {
                self.verdict.wrong(Wrong::StartedWhileDown, output.stdout.clone());
            } else if let Some(pinned) = self.said.pinned.map(name).filter(|pinned| *pinned != answered) {
                self.verdict.wrong(Wrong::NotPinned, format!("{pinned} is pinned: {}", output.stdout));
            }
        }
        self.ended.push(Ended { caller: Caller { version, life }, killed, output });
    }

    /// A person's word; whether it was done, and when it was said.
    fn say(&mut self, word: &str, version: usize, call: impl FnOnce(&Self) -> Output) -> (bool, Span) {
        self.said.count += 1;
        let from = wall_millis();
        let output = call(self);
        let life = Span { from, to: wall_millis() };
        self.said.count += 1;
        let state = if output.state().is_empty() { "no answer".to_owned() } else { output.state() };
        *self.verdict.words.entry(format!("{word}: {state}")).or_default() += 1;
        if word == "start" {
            self.ended.push(Ended {
                caller: Caller { version, life },
                killed: false,
                output: output.clone(),
            });
        } else if !self.causes.explain_word(Caller { version, life }, &state) {
            let told = format!("{word} {version}: {} {} {}", output.status, output.stdout, output.stderr);
            if state == "gate-held" {
                self.kept_waiting.push((life, told));
            } else {
                self.verdict.wrong(Wrong::FailedWord, told);
            }
        }
        (output.code() == 0, life)
    }

    /// Short: a stopped launcher may hold the gate, and only a later blow lets it go on.
    fn retire(&mut self) {
        let from = wall_millis();
        drop(self.call(["stop", "storm", "--timeout", "2s"]).run());
        self.causes.ended.push(Span { from, to: wall_millis() });
    }

    fn pin(&mut self) {
        let version = self.random_version();
        let call =
            |trial: &Self| trial.call(["pin", "storm", &name(version), "--json", "--timeout", "8s"]).run();
        let (done, life) = self.say("pin", version, call);
        self.causes.ended.push(life);
        // One that fails leaves what was pinned before.
        self.said.pinned = if done { Some(version) } else { self.said.pinned };
    }

    fn unpin(&mut self) {
        self.said.pinned = None;
        self.say("unpin", 0, |trial| trial.call(["unpin", "storm", "--json", "--timeout", "4s"]).run());
    }

    fn hold_down(&mut self) {
        let call = |trial: &Self| trial.call(["stop", "storm", "--hold", "--json", "--timeout", "8s"]).run();
        self.causes.down.push(Span::since(wall_millis()));
        let (done, life) = self.say("stop --hold", 0, call);
        self.causes.ended.push(life);
        self.said.down |= done;
    }

    fn start(&mut self) {
        let version = self.random_version();
        self.said.down = false;
        let (done, life) = self.say("start", version, |trial| trial.launcher("start", version).run());
        if done {
            close(&mut self.causes.down, life.to);
        }
    }

    fn make_peace(&mut self) {
        self.go_on();
        if let Some(disk) = &mut self.disk {
            disk.free();
            close(&mut self.causes.full, wall_millis());
        }
        (1..=self.versions).for_each(|version| self.mend(version));
        while let Some(launcher) = self.launchers.pop() {
            self.hear(launcher);
        }
    }
}
