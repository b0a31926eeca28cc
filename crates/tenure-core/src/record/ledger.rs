//! The record of who the worker is: `ledger.json`, written by the lease holder.
//!
//! Data only. The lease decides whether a worker lives; the ledger names the processes to verify.

use std::path::PathBuf;
use std::time::Duration;

use crate::spec::version::Version;
use serde::{Deserialize, Serialize};
use tenure_sys::identity::Identity;
use tenure_sys::process::Signal;

use crate::deadline::{Moment, millis};
use crate::os_text;
use crate::protocol::ends::{self, UnaskedEnd, UnaskedEndKind};
use crate::protocol::wire::{Asker, Endpoint};
use crate::spec::{Address, Kind, Spec, StopPolicy, USUAL_BAKE};

/// Newest format version of the record. A reader of format 1 knows semantic versions only.
pub const SCHEMA: u32 = 2;

/// Format version of a record with semantic versions only.
pub(super) const SEMANTIC: u32 = 1;

/// Longest boot by a record without a budget. An hour is beyond any start that a person waits for: only the clock of
/// another time namespace can say more.
const LONGEST_BOOT: Duration = Duration::from_hours(1);

/// The record `ledger.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The format that it was written in.
    pub schema_version: u32,
    /// Last generation that was opened, whether or not its worker ever served. It never goes back.
    pub generation: u64,
    /// Version of that generation.
    pub version: Option<Version>,
    /// Processes that hold, or held, the lease of that generation.
    pub lineage: Vec<Identity>,
    /// What the command of that generation is. An older `tenure` does not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The wrapped program of that generation, where there is one: its host writes it before it starts it.
    pub program: Option<ProgramRecord>,
    /// Until this moment a silent worker counts as booting, not as wedged.
    pub booting_until: Option<Moment>,
    /// Longest boot of this generation when it began, in milliseconds. A `booting_until` that lies further ahead was
    /// written by another clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_budget_ms: Option<u64>,
    /// Longest polite end of this generation, in milliseconds, by the spec that it was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_budget_ms: Option<u64>,
    /// The executable and version of the code that keeps the worker.
    pub host: Option<HostRecord>,
    /// Addresses of the last generation. A listener with port 0 gets its port from here again.
    pub endpoints: Vec<Endpoint>,
    /// Who started it.
    pub started_by: Option<Asker>,
    /// The last successor of this worker that failed. Whoever chooses the next version counts it, because the
    /// successor's own launcher may have died before it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<RolledBack>,
    /// This worker has passed its probation. Whoever chooses the next version clears the tally of this one, because the
    /// launcher had its answer before the probation ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved: Option<Proved>,
    /// The last ends that nobody asked for, across generations, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<UnaskedEnd>,
}

/// A worker that passed its probation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proved {
    /// Its version.
    pub version: Version,
    /// When it passed. Later failures count.
    pub at: Moment,
}

/// A successor that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// Its version.
    pub version: Version,
    /// [`Spec::digest`] of what it was started from.
    pub spec: String,
    /// When it asked for the place. A failure that its launcher has counted has a later moment.
    pub at: Moment,
    /// Why it failed.
    pub why: String,
}

/// A wrapped program. The record is written before the program runs, and completed once shim and program are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRecord {
    /// Marks every process of its tree.
    pub cookie: String,
    /// Command, for people.
    pub command: String,
    /// The shim, which is the program's parent, once it exists.
    pub shim: Option<Identity>,
    /// The program, once it runs.
    pub identity: Option<Identity>,
    /// How to end it where its shim is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopPolicy>,
    /// The signal by which it reads its configuration again, where its description names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Signal>,
    /// Name of the lock that its tree inherits, once the lock is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
}

impl ProgramRecord {
    /// A program before it runs: only its cookie is known.
    #[must_use]
    pub fn of_cookie(cookie: String) -> Self {
        Self {
            cookie,
            command: String::new(),
            shim: None,
            identity: None,
            stop: None,
            reload: None,
            lock: None,
        }
    }
}

/// The code that keeps the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// Path of its executable.
    pub exe: String,
    /// Version of `tenure` in it.
    pub version: String,
    /// Whether it is the command `tenure`, which can host programs. Otherwise it is a program that embeds the worker.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hosts: bool,
}

impl HostRecord {
    /// This code, in the executable `exe`, as the keeper of workers of `kind`.
    #[must_use]
    pub fn of(exe: Option<PathBuf>, kind: Kind) -> Self {
        Self {
            exe: exe.map(|path| os_text::text(path.as_os_str())).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hosts: kind == Kind::Program,
        }
    }

    /// Whether it can host programs and is newer than the code that asks.
    #[must_use]
    pub fn is_newer_host(&self) -> bool {
        let read = |text: &str| text.parse::<Version>().ok();
        self.hosts && read(&self.version) > read(env!("CARGO_PKG_VERSION"))
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            schema_version: SEMANTIC,
            generation: 0,
            version: None,
            lineage: Vec::new(),
            kind: None,
            program: None,
            booting_until: None,
            boot_budget_ms: None,
            end_budget_ms: None,
            host: None,
            endpoints: Vec::new(),
            started_by: None,
            rolled_back: None,
            proved: None,
            ends: Vec::new(),
        }
    }
}

impl Ledger {
    /// Opens the next generation, of `spec`, with an empty lineage. The former program's record is dropped, because
    /// callers have proved that program gone.
    #[must_use]
    pub fn next_generation(self, spec: &Spec, booting_until: Moment, by: Asker) -> Self {
        // A successor also waits until the incumbent has made room, and may have its probation before it is ready.
        let room =
            self.end_budget(spec.end_budget()).saturating_add(spec.bake.unwrap_or(USUAL_BAKE).duration());
        let boot_budget = spec.start_timeout.duration().saturating_add(room);
        Self {
            schema_version: SEMANTIC,
            generation: self.generation.saturating_add(1),
            version: Some(spec.version.clone()),
            lineage: Vec::new(),
            booting_until: Some(booting_until),
            boot_budget_ms: Some(millis(boot_budget)),
            end_budget_ms: Some(millis(spec.end_budget())),
            host: None,
            started_by: Some(by),
            kind: Some(spec.kind),
            program: None,
            rolled_back: None,
            proved: None,
            endpoints: self.endpoints,
            ends: self.ends,
        }
    }

    /// The ledger as it counts in a copy of its directory: the generation goes on, and it names no process and no
    /// address.
    #[must_use]
    pub fn of_a_copy(self) -> Self {
        let Self { schema_version, generation, version, host, .. } = self;
        Self { schema_version, generation, version, host, ..Self::default() }
    }

    /// The ledger of a scope whose worker is on record no more: the generation goes on, and nothing else.
    #[must_use]
    pub fn cleared(self) -> Self {
        Self { generation: self.generation, ..Self::default() }
    }

    /// Whether it says no more than [`Ledger::cleared`] leaves.
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        *self == self.clone().cleared()
    }

    /// Every process that it names.
    pub fn named(&self) -> impl Iterator<Item = &Identity> {
        let programs = self.program.iter().flat_map(|program| program.shim.iter().chain(&program.identity));
        self.lineage.iter().chain(programs)
    }

    /// Whether it names a process of another pid namespace: writer and reader are not in the same container. No process
    /// that it names can be verified here.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.named().any(Identity::is_foreign)
    }

    /// How long its worker may still boot. A moment further ahead than the longest boot was written in another time
    /// namespace, whose clock says nothing here.
    #[must_use]
    pub fn booting_for(&self, now: &Moment) -> Duration {
        let left = self.booting_until.as_ref().map_or(Duration::ZERO, |until| until.ahead_of(now));
        let longest = self.boot_budget_ms.map_or(LONGEST_BOOT, Duration::from_millis);
        if left > longest { Duration::ZERO } else { left }
    }

    /// How the worker of this generation ended; `None` where it lives, or its end is not known.
    #[must_use]
    pub fn last_end(&self) -> Option<&UnaskedEnd> {
        self.ends.last().filter(|end| end.generation == self.generation && end.is_final())
    }

    /// Notes that the worker of this generation was found dead. `false`: nothing was noted, because the end is known
    /// already or the worker never served.
    pub fn found_dead(&mut self, at: Moment, at_ms: u64, last_words: Vec<String>) -> bool {
        if self.last_end().is_some() || self.booting_until.is_some() || self.lineage.is_empty() {
            return false;
        }
        let end = UnaskedEnd {
            at,
            at_ms,
            generation: self.generation,
            version: self.version.clone(),
            spec: None,
            pid: self.lineage.first().map(|identity| identity.pid),
            how: UnaskedEndKind::FoundDead,
            why: "its process was gone without a word, as after SIGKILL".to_owned(),
            served_ms: None,
            last_words,
        };
        ends::push(&mut self.ends, end);
        true
    }

    /// Longest polite end of this generation; `otherwise` where the record has none.
    #[must_use]
    pub fn end_budget(&self, otherwise: Duration) -> Duration {
        self.end_budget_ms.map_or(otherwise, Duration::from_millis)
    }

    /// The address that listener `name` had the last time.
    #[must_use]
    pub fn last_address(&self, name: &str) -> Option<&Address> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name).map(|endpoint| &endpoint.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_never_goes_back_and_forgets_the_old_lineage() {
        let id = Identity { boot: "b".into(), pidns: 1, pid: 2, start: 3, inode: None };
        let ledger = Ledger { generation: 7, lineage: vec![id], ..Ledger::default() };
        let spec = Spec::of_command(vec!["/bin/cat".into()], "/".into());
        let until = Moment { boot: "b".into(), ms: 9 };
        let next = ledger.next_generation(&spec, until, Asker::default());
        assert_eq!((next.generation, next.lineage.len()), (8, 0));
    }

    #[test]
    fn a_boot_that_would_end_after_its_own_budget_is_not_believed() {
        let at = |ms| Moment { boot: "b".into(), ms };
        let until =
            |ms, boot_budget_ms| Ledger { booting_until: Some(at(ms)), boot_budget_ms, ..Ledger::default() };
        assert_eq!(until(5_010, Some(5_000)).booting_for(&at(10)), Duration::from_secs(5));
        assert_eq!(until(5_011, Some(5_000)).booting_for(&at(10)), Duration::ZERO);
        assert_eq!(until(60_000, None).booting_for(&at(0)), Duration::from_mins(1));
        assert_eq!(until(u64::MAX, None).booting_for(&at(0)), Duration::ZERO);
    }

    #[test]
    fn a_copy_names_nobody_and_goes_on_from_the_generation() {
        let id = Identity { boot: "b".into(), pidns: 1, pid: 2, start: 3, inode: None };
        let until = Some(Moment { boot: "b".into(), ms: 9 });
        let copied = Ledger { generation: 7, lineage: vec![id], booting_until: until, ..Ledger::default() };
        assert_eq!(copied.of_a_copy(), Ledger { generation: 7, ..Ledger::default() });
    }

    #[test]
    fn ends_are_read_as_they_were_first_written() {
        let golden = include_str!("../../formats/ledger-1-ends.json");
        let ledger: Ledger = serde_json::from_str(golden).expect("golden reads");
        assert_eq!(ledger.last_end().map(|end| end.how), Some(UnaskedEndKind::GaveUp));
        let again = serde_json::to_string_pretty(&ledger).expect("writes");
        assert_eq!(again.trim(), golden.trim());
    }

    #[test]
    fn who_died_without_a_word_is_noted_once_and_only_if_it_had_served() {
        let id = Identity { boot: "b".into(), pidns: 1, pid: 2, start: 3, inode: None };
        let at = || Moment { boot: "b".into(), ms: 9 };
        let served = Ledger { generation: 7, lineage: vec![id], ..Ledger::default() };
        let mut booting = Ledger { booting_until: Some(at()), ..served.clone() };
        assert!(!booting.found_dead(at(), 0, Vec::new()));
        let mut served = served;
        assert!(served.found_dead(at(), 0, Vec::new()) && !served.found_dead(at(), 0, Vec::new()));
        assert_eq!(served.ends.len(), 1);
    }

    #[test]
    fn format_1_is_read_as_it_was_first_written() {
        let golden = include_str!("../../formats/ledger-1.json");
        let ledger: Ledger = serde_json::from_str(golden).expect("golden reads");
        assert_eq!(ledger.generation, 7);
        let again = serde_json::to_string_pretty(&ledger).expect("writes");
        assert_eq!(again.trim(), golden.trim());
    }
}
