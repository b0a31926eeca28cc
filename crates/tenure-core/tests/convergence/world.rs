//! A world of one scope: its record, its worker, launchers that call one after the other, and all that may go wrong.
//!
//! What decides is what ships: the record, the tally, `decide` and `Attempt`. What is written anew here is the order in which
//! calls carry their acts out, and the reactions of the world. Concurrency is not here; the model has it.

#[path = "call.rs"]
mod call;
#[path = "person.rs"]
mod person;

use std::collections::{BTreeMap, BTreeSet};

use tenure_core::Spec;
use tenure_core::Version;
use tenure_core::deadline::Moment;
use tenure_core::policy::decide::Observation;
use tenure_core::protocol::wire::{AppState, Hello, Role};
use tenure_core::record::desired::{Desired, Offer};
use tenure_core::record::ledger::{Ledger, Proved, RolledBack};
use tenure_core::spec::amount::Span;
use tenure_core::spec::app::AppId;
use tenure_core::spec::origin::Origin;
use tenure_sys::identity::Identity;

use person::origin;

/// Versions that there are, from 1.
pub(crate) const VERSIONS: u64 = 4;

/// The installation of another app, which asks for the same name.
pub(crate) const STRANGE: u64 = 2;

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
    /// The target is chosen among all offers, those included whose trust is gone.
    RevokedCounts,
    /// `restart` starts what it was typed beside, whatever is described elsewhere.
    RestartBelow,
    /// Another app is compared by its version.
    AppIgnored,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A launcher of a version calls, from one of its installations. The installation [`STRANGE`] is another app's.
    Ensure(u64, u64),
    /// A person gives the name up.
    GiveUp,
    Pin(u64),
    Unpin,
    Stop,
    /// A person takes the offer of a version back.
    Forget(u64),
    /// A person restarts the worker as it is described in an installation of a version.
    Restart(u64, u64),
    /// The content of an installation's file is trusted, or not any more.
    Trusts(u64, u64, bool),
    /// The file of an installation states its version, or another one.
    Describes(u64, u64, bool),
    /// The worker is killed.
    Dies,
    /// Its app fails for good.
    AppFails,
    /// It fails in its probation, and the one before it takes the scope back.
    FailsInProbation,
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
    /// Versions on record or running at its beginning, and offered since.
    pub(crate) versions: BTreeSet<Version>,
    /// Workers ended by launchers to make room.
    pub(crate) replaced: usize,
    /// Starts that failed, apps that failed, programs removed, trust taken back, and new disagreements.
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
    ledger: Ledger,
    worker: Option<Worker>,
    /// Who can still take the scope back from it, and since when it has made room.
    before: Option<(Worker, Moment)>,
    now: u64,
    breaks: BTreeMap<u64, u32>,
    says: BTreeMap<u64, u64>,
    removed: BTreeSet<u64>,
    /// Installations whose file nobody trusts any more, and those whose file states another version.
    revoked: BTreeSet<(u64, u64)>,
    undescribed: BTreeSet<(u64, u64)>,
    content: u64,
    /// Until when each spec that failed must not cost a healthy worker its place.
    quarantined: BTreeMap<(u64, String), u64>,
    /// What each spec was replaced for saying.
    disagreed: BTreeSet<(String, Version)>,
    pub(crate) epoch: Epoch,
    /// Rules that did not hold.
    pub(crate) broken: Vec<String>,
}

pub(crate) fn spec(version: u64, installation: u64) -> Spec {
    let mut spec = Spec::of_command(vec!["/bin/server".into(), version.to_string()], "/".into());
    spec.version = Version::new(version, 0, 0);
    spec.start_timeout = Span::secs(30 + installation);
    spec.app = Some(if installation == STRANGE { "strange" } else { "own" }.to_owned());
    spec
}

impl World {
    pub(crate) fn new(rule: Rule) -> Self {
        let callers = (1..=VERSIONS).map(|version| (version, 0)).collect();
        Self {
            rule,
            callers,
            record: Desired::default(),
            ledger: Ledger::default(),
            worker: None,
            before: None,
            now: 1_000_000,
            breaks: BTreeMap::new(),
            says: BTreeMap::new(),
            removed: BTreeSet::new(),
            revoked: BTreeSet::new(),
            undescribed: BTreeSet::new(),
            content: 0,
            quarantined: BTreeMap::new(),
            disagreed: BTreeSet::new(),
            epoch: Epoch::default(),
            broken: Vec::new(),
        }
    }

    pub(crate) fn happen(&mut self, event: Event) {
        if event != Event::FailsInProbation {
            self.passes_probation();
        }
        match event {
            Event::Ensure(version, installation) => {
                self.callers.insert((version, installation));
                self.calls(version, installation);
            }
            Event::Pin(version) => self.pin(&Version::new(version, 0, 0)),
            Event::Unpin => self.unpin(),
            Event::GiveUp => self.give_up(),
            Event::Forget(version) => self.forget(&Version::new(version, 0, 0)),
            Event::Restart(version, installation) => self.restart(version, installation),
            Event::Trusts(version, installation, true) => drop(self.revoked.remove(&(version, installation))),
            Event::Trusts(version, installation, false) => {
                self.epoch.faults += usize::from(self.revoked.insert((version, installation)));
            }
            Event::Describes(version, installation, true) => {
                self.undescribed.remove(&(version, installation));
            }
            Event::Describes(version, installation, false) => {
                self.undescribed.insert((version, installation));
            }
            Event::Stop | Event::Dies => self.worker = None,
            Event::FailsInProbation => self.fails_in_probation(),
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
            self.calls(version, installation);
        }
        self.epoch.replaced + self.epoch.rebuilt - before
    }

    /// The version that stands, as it was started.
    pub(crate) fn version(&self) -> Option<&Version> {
        self.worker.as_ref().map(|worker| &worker.spec.version)
    }

    /// The version that is pinned.
    pub(crate) fn pinned(&self) -> Option<&Version> {
        self.record.pin.as_ref()
    }

    fn begin_epoch(&mut self) {
        let worker = self.worker.as_ref();
        let offered = self.record.offers.iter().map(|offer| &offer.spec.version);
        // What runs may have been forgotten.
        let versions = offered.chain(worker.map(|worker| &worker.spec.version)).cloned().collect();
        // What it has not yet been replaced for belongs to the new epoch.
        let faults = usize::from(worker.is_some_and(|worker| worker.failed || self.is_strange(worker)));
        let edits = usize::from(worker.is_some_and(|worker| worker.touched));
        self.epoch = Epoch { versions, faults, edits, ..Epoch::default() };
    }

    /// Whether a worker runs whose app has given the name up: it makes room once.
    fn is_strange(&self, worker: &Worker) -> bool {
        self.record.app.as_ref().is_none_or(|app| app.name != worker.spec.app)
    }

    fn moment(&self) -> Moment {
        Moment::of("world", self.now)
    }

    fn can_run(&self, spec: &Spec) -> bool {
        !self.removed.contains(&spec.version.major())
    }

    fn calls(&mut self, version: u64, installation: u64) {
        self.passes_probation();
        if self.may_call(version, installation) {
            self.ensure(&spec(version, installation), &origin(version, installation));
        }
    }

    /// Nobody can take the scope back any more, which the worker itself puts on record.
    fn passes_probation(&mut self) {
        if self.before.take().is_some()
            && let Some(worker) = &self.worker
        {
            self.ledger.proved = Some(Proved { version: worker.spec.version.clone(), at: self.moment() });
        }
    }

    /// What runs goes on, whether anybody trusts it or not. The next call that enters the gate counts the failure.
    fn fails_in_probation(&mut self) {
        let Some((before, at)) = self.before.take() else { return };
        // What it was replaced for is still true of it, and costs one more replacement.
        self.epoch.edits += usize::from(before.touched);
        self.epoch.faults += usize::from(before.failed);
        let Some(Worker { spec, .. }) = self.worker.replace(before) else { return };
        self.epoch.faults += 1;
        let (digest, version) = (spec.digest(), spec.version);
        self.quarantined.insert((version.major(), digest.clone()), at.ms + QUARANTINE_MS);
        let failed = RolledBack { version, spec: digest, at, why: "it failed".into() };
        self.ledger = Ledger { rolled_back: Some(failed), ..Ledger::default() };
    }

    /// Whether a worker of `spec` boots; it stands then, and the record knows how it went.
    fn boots(&mut self, spec: &Spec) -> bool {
        let version = spec.version.major();
        let key = (version, spec.digest());
        let trusted = |offer: &&Offer| offer.spec == *spec && self.trusts(&offer.origin);
        if !self.record.offers.iter().any(|offer| trusted(&offer)) {
            self.broken.push(format!("{} is started, and nobody trusts it", spec.version));
        }
        // Its generation opens.
        self.ledger = Ledger::default();
        let left = self.breaks.entry(version).or_default();
        if *left > 0 {
            *left -= 1;
            self.epoch.faults += 1;
            self.quarantined.insert(key, self.now + QUARANTINE_MS);
            self.record.failed(spec, "it broke", &self.moment());
            self.before = None;
            return false;
        }
        // What one installation starts, another one may try again.
        self.quarantined.retain(|(one, _), _| *one != version);
        if self.before.is_none() {
            self.record.succeeded(&spec.version);
        }
        let says = self.says.get(&version).map(|says| Version::new(*says, 0, 0));
        let (spec, content) = (spec.clone(), self.content);
        self.worker = Some(Worker { spec, says, failed: false, content, touched: false });
        true
    }

    fn observe(&self) -> Observation {
        self.worker.as_ref().map_or(Observation::Nobody, |worker| Observation::Answered(self.hello(worker)))
    }

    fn hello(&self, worker: &Worker) -> Box<Hello> {
        let state = if worker.failed { AppState::Failed } else { AppState::Ready };
        let identity = Identity { boot: "b".into(), pidns: 1, pid: 2, start: 3, inode: None };
        let mut hello = Hello::booting("world".into(), 1, &worker.spec, identity);
        hello.role = Role::Active;
        hello.whose = (self.rule != Rule::AppIgnored).then(|| AppId::of(&worker.spec, &Origin::Call));
        hello.app.state = state;
        hello.app.version.clone_from(&worker.says);
        hello.content = Some(worker.content.to_string());
        hello.source_changed = worker.touched;
        Box::new(hello)
    }
}
