//! A world of one scope: its record, its worker, launchers that call one after the other, and all that may go wrong.
//!
//! What decides is what ships: the record, the judge and the errand. What is written anew here is the order in which
//! `ensure` and `pin` carry their acts out, and the reactions of the world. Concurrency is not here; the model has it.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use tenure::Spec;
use tenure::amount::Span;
use tenure::deadline::Moment;
use tenure::desired::{Desired, Target};
use tenure::errand::{Act, Errand};
use tenure::judge::{Aim, Fault, Goal, Known, Verdict, Want, judge};
use tenure::probe::Observation;
use tenure::wire::{App, AppState, Asker, Hello, PROTOCOL, Role};
use tenure_sys::identity::Identity;

/// Versions that there are, from 1.
pub(crate) const VERSIONS: u64 = 4;

/// The first quarantine, by the protocol.
const QUARANTINE_MS: u64 = 30_000;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// What ships.
    Shipped,
    /// A launcher replaces whatever is not of its own version.
    StrictEquality,
    /// A launcher starts its own version.
    OwnVersion,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A launcher of a version calls, from one of its installations.
    Ensure(u64, u64),
    Pin(u64),
    Unpin,
    Stop,
    /// The worker is killed.
    Dies,
    /// Its app fails for good.
    AppFails,
    /// Time passes, in milliseconds.
    Passes(u64),
    /// A version fails to boot so many times from now on.
    Breaks(u64, u32),
    /// A version's app says from now on that it is another one, or says nothing.
    Says(u64, Option<u64>),
    /// A version's program is removed, or comes back.
    Removed(u64, bool),
    /// The files of the build are changed.
    Edited(u64),
}

#[derive(Debug, Clone)]
struct Worker {
    spec: Spec,
    says: Option<Version>,
    failed: bool,
    /// What the files of the build were when it was started, and whether they were touched since.
    content: u64,
    touched: bool,
}

/// What happened since a person's last word.
#[derive(Debug, Default)]
pub(crate) struct Epoch {
    /// Versions on record at its beginning, and offered since.
    pub(crate) versions: BTreeSet<Version>,
    /// Workers ended by launchers to make room.
    pub(crate) replaced: usize,
    /// Starts that failed, apps that failed, programs removed, and new disagreements.
    pub(crate) faults: usize,
    /// Workers ended because the build had changed.
    pub(crate) rebuilt: usize,
    /// Times that the build was changed.
    pub(crate) edits: usize,
}

/// The scope.
pub(crate) struct World {
    rule: Rule,
    /// Installations of versions that call in a round.
    callers: BTreeSet<(u64, u64)>,
    record: Desired,
    worker: Option<Worker>,
    now: u64,
    breaks: BTreeMap<u64, u32>,
    says: BTreeMap<u64, u64>,
    removed: BTreeSet<u64>,
    content: u64,
    /// Until when each spec that failed must not cost a healthy worker its place.
    quarantined: BTreeMap<(u64, String), u64>,
    /// What each spec was replaced for saying.
    disagreed: BTreeSet<(String, Version)>,
    pub(crate) epoch: Epoch,
    /// Rules that did not hold.
    pub(crate) broken: Vec<String>,
}

/// One call of `ensure`.
struct Call<'spec> {
    spec: &'spec Spec,
    want: Want,
    errand: Errand,
    has_failed: bool,
}

pub(crate) fn spec(version: u64, installation: u64) -> Spec {
    let mut spec = Spec::of_command(vec!["/bin/server".into(), version.to_string()], "/".into());
    spec.version = Version::new(version, 0, 0);
    spec.start_timeout = Span::secs(30 + installation);
    spec
}

impl World {
    pub(crate) fn new(rule: Rule) -> Self {
        let callers = (1..=VERSIONS).map(|version| (version, 0)).collect();
        Self {
            rule,
            callers,
            record: Desired::default(),
            worker: None,
            now: 1_000_000,
            breaks: BTreeMap::new(),
            says: BTreeMap::new(),
            removed: BTreeSet::new(),
            content: 0,
            quarantined: BTreeMap::new(),
            disagreed: BTreeSet::new(),
            epoch: Epoch::default(),
            broken: Vec::new(),
        }
    }

    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Ensure(version, installation) => {
                self.callers.insert((version, installation));
                self.ensure(&spec(version, installation));
            }
            Event::Pin(version) => self.pin(&Version::new(version, 0, 0)),
            Event::Unpin => {
                self.record.hold = None;
                self.begin_epoch();
            }
            Event::Stop | Event::Dies => self.worker = None,
            Event::AppFails => {
                if let Some(worker) = self.worker.as_mut().filter(|worker| !worker.failed) {
                    worker.failed = true;
                    self.epoch.faults += 1;
                }
            }
            Event::Passes(ms) => self.now += ms,
            Event::Breaks(version, times) => drop(self.breaks.insert(version, times)),
            Event::Says(version, Some(says)) => drop(self.says.insert(version, says)),
            Event::Says(version, None) => drop(self.says.remove(&version)),
            Event::Removed(version, true) => {
                self.epoch.faults += usize::from(self.removed.insert(version));
            }
            Event::Removed(version, false) => drop(self.removed.remove(&version)),
            Event::Edited(content) => {
                self.content = content;
                self.epoch.edits += 1;
                self.worker.iter_mut().for_each(|worker| worker.touched = true);
            }
        }
    }

    /// Every version calls once, from each installation that ever called; how many workers that cost.
    pub(crate) fn round(&mut self) -> usize {
        let before = self.epoch.replaced + self.epoch.rebuilt;
        for (version, installation) in self.callers.clone() {
            self.ensure(&spec(version, installation));
        }
        self.epoch.replaced + self.epoch.rebuilt - before
    }

    /// The version that stands, as it was started.
    pub(crate) fn version(&self) -> Option<&Version> {
        self.worker.as_ref().map(|worker| &worker.spec.version)
    }

    /// The version that is held.
    pub(crate) fn held(&self) -> Option<&Version> {
        self.record.hold.as_ref()
    }

    fn begin_epoch(&mut self) {
        let versions = self.record.offers.iter().map(|offer| offer.spec.version.clone()).collect();
        let worker = self.worker.as_ref();
        // What it has not yet been replaced for belongs to the new epoch.
        let faults = usize::from(worker.is_some_and(|worker| worker.failed));
        let edits = usize::from(worker.is_some_and(|worker| worker.touched));
        self.epoch = Epoch { versions, faults, edits, ..Epoch::default() };
    }

    fn moment(&self) -> Moment {
        Moment { boot: "world".into(), ms: self.now }
    }

    fn can_run(&self, spec: &Spec) -> bool {
        !self.removed.contains(&spec.version.major)
    }

    fn ensure(&mut self, spec: &Spec) {
        self.epoch.versions.insert(spec.version.clone());
        let mut call = Call { spec, want: Want::of(spec), errand: Errand::default(), has_failed: false };
        for _ in 0..4 * VERSIONS {
            if self.looks_well(&mut call) || self.act(&mut call) {
                return;
            }
        }
        self.broken.push(format!("a call of {} does not end", spec.version));
    }

    /// The look without a lock, with the second one by the record; whether it ends the call.
    fn looks_well(&mut self, call: &mut Call<'_>) -> bool {
        let seen = self.observe();
        let mut verdict = self.judge(call, &Aim::Unknown, &seen);
        let known = self.record.offers.iter().any(|offer| offer.spec == *call.spec);
        if known && matches!(verdict, Verdict::Replace(_, Fault::Older { .. })) {
            let (_, aim) = self.plan(call, &self.record);
            verdict = self.judge(call, &aim, &seen);
        }
        matches!(verdict, Verdict::Use(_) | Verdict::Refuse(_))
    }

    /// What is done under the gate; whether it ends the call.
    fn act(&mut self, call: &mut Call<'_>) -> bool {
        let mut record = self.record.clone();
        if !record.offers.iter().any(|offer| offer.spec == *call.spec) {
            record.offer(call.spec, &self.moment());
        }
        let (target, aim) = self.plan(call, &record);
        let seen = self.observe();
        let act = call.errand.step(self.judge(call, &aim, &seen));
        if !matches!(act, Act::Refuse(_)) {
            self.record = record;
        }
        let startable = match target {
            Target::Offer { spec, .. } if call.errand.may_start(&spec.version) => Some(spec),
            Target::Offer { .. } | Target::Suppressed { .. } | Target::Missing { .. } => None,
        };
        let own = (self.rule == Rule::OwnVersion).then(|| Box::new(call.spec.clone()));
        let startable = startable.map(|spec| own.unwrap_or(spec));
        match (act, startable) {
            (Act::Answer(..) | Act::Refuse(_) | Act::GiveUp(..), _) | (Act::Start, None) => true,
            (Act::Await(_) | Act::AwaitEnd(_) | Act::Suspect, _) => {
                self.broken.push("a worker that neither boots nor drains is waited for".into());
                true
            }
            (Act::Replace(hello, fault), None) => {
                let of_use = !matches!(fault, Fault::Failed { .. }) && !call.has_failed;
                if of_use {
                    self.broken.push(format!("{} serves, and a caller is turned away", hello.version));
                }
                true
            }
            (Act::Start, Some(spec)) => self.start(call, &spec),
            (Act::Replace(_, fault), Some(spec)) => {
                self.replace(&fault, &spec);
                call.errand.retired();
                self.start(call, &spec)
            }
        }
    }

    /// As `plan.rs` makes it.
    fn plan(&self, call: &Call<'_>, record: &Desired) -> (Target, Aim) {
        let has_failed =
            |spec: &Spec| !call.errand.may_start(&spec.version) && record.failure(spec).is_some();
        let target = record.target(&self.moment(), &|spec| self.can_run(spec) && !has_failed(spec));
        let (goal, tried) = match &target {
            Target::Offer { retry: Some(failure), .. } => (Goal::Nothing(failure.error.clone()), Vec::new()),
            Target::Offer { spec, .. } => (Goal::Start(spec.version.clone()), record.observed_for(spec)),
            Target::Suppressed { .. } | Target::Missing { .. } => (Goal::Nothing(String::new()), Vec::new()),
        };
        let touched = self.worker.as_ref().is_some_and(|worker| worker.touched);
        let content = touched.then(|| Ok(self.content.to_string()));
        (target, Aim::Known(Known { goal, held: record.hold.is_some(), tried, content }))
    }

    fn judge(&self, call: &Call<'_>, aim: &Aim, seen: &Observation) -> Verdict {
        let Observation::Answered(hello) = seen else { return judge(&call.want, aim, seen) };
        if self.rule != Rule::StrictEquality {
            return judge(&call.want, aim, seen);
        }
        if hello.version == call.spec.version {
            judge(&call.want, &Aim::Unknown, seen)
        } else {
            let target = call.spec.version.clone();
            Verdict::Replace(hello.clone(), Fault::Older { target })
        }
    }

    /// A worker makes room for `successor`. What must never be the reason is told here.
    fn replace(&mut self, fault: &Fault, successor: &Spec) {
        let Some(old) = self.worker.take() else { return };
        // Its own word counts downward: a worker that says it is older than what it was started as is that old.
        let started_as = &old.spec.version;
        let (from, to) = (old.says.as_ref().unwrap_or(started_as).min(started_as), &successor.version);
        let healthy = !old.failed;
        if healthy && to < from {
            self.broken.push(format!("{to} takes the place of a healthy {from} ({fault:?})"));
        }
        let key = (to.major, successor.digest());
        if healthy && self.quarantined.get(&key).is_some_and(|until| *until > self.now) {
            self.broken.push(format!("a healthy {from} makes room for {to}, which failed a moment ago"));
        }
        match fault {
            Fault::SourceChanged => self.epoch.rebuilt += 1,
            Fault::Disagrees { says, .. } => {
                self.record.disagreed(successor, says);
                self.epoch.replaced += 1;
                self.epoch.faults += 1;
                if !self.disagreed.insert((successor.digest(), says.clone())) {
                    self.broken.push(format!("{to} is started a third time to say that it is {says}"));
                }
            }
            Fault::Older { .. } | Fault::Failed { .. } | Fault::Stalled { .. } => self.epoch.replaced += 1,
        }
    }

    /// Starts a worker; whether that ends the call.
    fn start(&mut self, call: &mut Call<'_>, spec: &Spec) -> bool {
        if !self.boots(spec) {
            call.has_failed = true;
            call.errand.start_failed(&spec.version);
            return false;
        }
        call.errand.started();
        let seen = self.observe();
        let (goal, held) = (Goal::Start(spec.version.clone()), self.record.hold.is_some());
        let aim = Aim::Known(Known { goal, held, tried: Vec::new(), content: None });
        matches!(judge(&call.want, &aim, &seen), Verdict::Use(_))
    }

    /// Whether a worker of `spec` boots; it stands then, and the record knows how it went.
    fn boots(&mut self, spec: &Spec) -> bool {
        let version = spec.version.major;
        let key = (version, spec.digest());
        let left = self.breaks.entry(version).or_default();
        if *left > 0 {
            *left -= 1;
            self.epoch.faults += 1;
            self.quarantined.insert(key, self.now + QUARANTINE_MS);
            self.record.failed(spec, "it broke", &self.moment());
            return false;
        }
        // What one installation starts, another one may try again.
        self.quarantined.retain(|(one, _), _| *one != version);
        self.record.succeeded(&spec.version);
        let says = self.says.get(&version).map(|says| Version::new(*says, 0, 0));
        let (spec, content) = (spec.clone(), self.content);
        self.worker = Some(Worker { spec, says, failed: false, content, touched: false });
        true
    }

    /// As `pin.rs` does it; a person's word, and the beginning of an epoch.
    fn pin(&mut self, version: &Version) {
        let Some(to) = self.record.offered(version).cloned() else { return };
        self.begin_epoch();
        let stands = self.version().cloned();
        if stands.is_some_and(|stands| stands != *version) {
            if !self.can_run(&to) {
                return;
            }
            self.worker = None;
            if !self.boots(&to) {
                let again = self.record.target(&self.moment(), &|spec| self.can_run(spec));
                if let Target::Offer { spec, .. } = again {
                    self.boots(&spec);
                }
                return;
            }
        }
        self.record.hold = Some(version.clone());
    }

    fn observe(&self) -> Observation {
        self.worker.as_ref().map_or(Observation::Nobody, |worker| Observation::Answered(hello(worker)))
    }
}

fn hello(worker: &Worker) -> Box<Hello> {
    let state = if worker.failed { AppState::Failed } else { AppState::Ready };
    Box::new(Hello {
        scope: "world".into(),
        directory: None,
        generation: 1,
        role: Role::Active,
        version: worker.spec.version.clone(),
        build: "0.1.0".into(),
        protocol: PROTOCOL,
        identity: Identity { boot: "b".into(), pidns: 1, pid: 2, start: 3, inode: None },
        instance: "i".into(),
        worker_path: "/bin/tenure".into(),
        uptime_ms: 1,
        started_by: Asker::default(),
        endpoints: Vec::new(),
        app: App { state, version: worker.says.clone(), ..App::default() },
        draining: false,
        spec: worker.spec.summary(),
        program: None,
        content: Some(worker.content.to_string()),
        hands_over: false,
        probation: None,
        source_changed: worker.touched,
    })
}
