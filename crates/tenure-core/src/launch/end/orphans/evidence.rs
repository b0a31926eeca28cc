//! Who belongs to a former program, by every kind of evidence that there is; nobody is signalled here.
//!
//! The record names its shim and the program itself, each verified through a handle. The cookie in the environment, and
//! the lock that the tree inherits, are asked of the kernel about each process, again after its handle was opened. What
//! descends from any of these, or lives in the session that the recorded program has begun, belongs to it too. No kind
//! of evidence makes up for the absence of another: a free lock proves only that a lock is free.

use std::io::{self, ErrorKind};

use tenure_sys::identity::Identity;
use tenure_sys::process::{self, ProcessHandle, Verified};
use tenure_sys::{lock, tree};

use crate::record::ledger::ProgramRecord;
use crate::spec::program::SHIM;
use crate::spec::scope;
use crate::store::paths::StateDir;

/// A program whose time is over, and where it is to be looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Former<'a> {
    pub(super) state: &'a StateDir,
    /// What its cookie may begin with.
    pub(super) cookie_prefixes: &'a [String],
    /// What is recorded of it.
    pub(super) record: Option<&'a ProgramRecord>,
    /// The locks that its tree, and nobody else, may have inherited.
    pub(super) locks: &'a [&'static str],
}

impl Former<'_> {
    /// The shims that live: each ends its tree by itself. One of a program that is on no record, because it was to take
    /// another's place, is known by its name.
    pub(super) fn shims(&self) -> io::Result<Vec<ProcessHandle>> {
        let mut shims: Vec<ProcessHandle> = self.recorded_shim().into_iter().collect();
        let is_shim = |handle: &ProcessHandle| {
            process::command_line(handle.pid()).is_some_and(|line| line.split(' ').next() == Some(SHIM))
        };
        add(&mut shims, self.marked_and_heirs()?.into_iter().filter(is_shim));
        Ok(shims)
    }

    fn recorded_shim(&self) -> Option<ProcessHandle> {
        self.record?.shim.as_ref().and_then(verified)
    }

    /// The program itself, where it is recorded and verified.
    pub(super) fn program(&self) -> Option<ProcessHandle> {
        self.record?.identity.as_ref().and_then(verified)
    }

    /// All that is found now and is no shim.
    pub(super) fn all(&self, shims: &[ProcessHandle]) -> io::Result<Vec<ProcessHandle>> {
        let mut found: Vec<ProcessHandle> = self.program().into_iter().collect();
        add(&mut found, self.marked_and_heirs()?);
        add(&mut found, self.of_the_session()?);
        let roots: Vec<ProcessHandle> =
            found.iter().chain(shims).filter_map(|handle| handle.try_clone().ok()).collect();
        add(&mut found, below(&roots));
        found.retain(|handle| shims.iter().all(|shim| shim.identity() != handle.identity()));
        Ok(found)
    }

    fn marked_and_heirs(&self) -> io::Result<Vec<ProcessHandle>> {
        let mut found: Vec<ProcessHandle> = self
            .cookie_prefixes
            .iter()
            .flat_map(|prefix| tree::with_cookie(prefix))
            .map(|carrier| carrier.handle)
            .collect();
        for name in self.locks {
            add(&mut found, self.heirs(name)?.unwrap_or_default());
        }
        Ok(found)
    }

    /// Who inherited this lock, where somebody holds it; `None` where that is another program of this scope. The lock
    /// is exclusive, so that all who hold it are of one tree: as soon as a tree has let go of it, the next program may
    /// have it.
    fn heirs(&self, name: &str) -> io::Result<Option<Vec<ProcessHandle>>> {
        // Who holds a lock is a look at all descriptors of all processes: a free one needs none.
        if !self.state.is_locked(name)? {
            return Ok(Some(Vec::new()));
        }
        let heirs = tree::heirs_of(&self.state.dir().open_read(name)?);
        let others = self.others();
        let is_another =
            |heir: &ProcessHandle| others.iter().any(|other| other.identity() == heir.identity());
        Ok((!heirs.iter().any(is_another)).then_some(heirs))
    }

    /// Whether another program of this scope, or its host, is seen to hold this lock.
    pub(super) fn is_anothers(&self, name: &str) -> io::Result<bool> {
        Ok(self.heirs(name)?.is_none())
    }

    /// All that carries a cookie of this scope and not of this program. Without a prefix there is nobody to tell it
    /// from.
    fn others(&self) -> Vec<ProcessHandle> {
        if self.cookie_prefixes.is_empty() {
            return Vec::new();
        }
        let prefixes = self.state.cookie_scopes().into_iter().map(|scope_id| scope::cookie_prefix(&scope_id));
        let carriers = prefixes.flat_map(|prefix| tree::with_cookie(&prefix));
        let other = carriers
            .filter(|found| !self.cookie_prefixes.iter().any(|prefix| found.cookie.starts_with(prefix)));
        other.map(|found| found.handle).collect()
    }

    /// Who lives in the session that the recorded program has begun. Once that program is gone its pid may have begun
    /// another session. Then only members count that we may not look into, and only while the lock is held by nobody we
    /// can see.
    fn of_the_session(&self) -> io::Result<Vec<ProcessHandle>> {
        let Some(leader) = self.record.and_then(|record| record.identity.as_ref()) else {
            return Ok(Vec::new());
        };
        if verified(leader).is_some() {
            return Ok(tree::in_session_of(leader));
        }
        for name in self.locks {
            if self.state.is_locked(name)? && self.holders(name)?.is_empty() {
                let members = tree::in_session_of(leader).into_iter();
                return Ok(members.filter(|handle| process::is_hidden(handle.pid())).collect());
            }
        }
        Ok(Vec::new())
    }

    /// Pids of those who are seen to hold this lock, however they came by it.
    pub(super) fn holders(&self, name: &str) -> io::Result<Vec<u32>> {
        match self.state.dir().open_read(name) {
            Ok(file) => Ok(lock::holders(&file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// All that descends from these. A worker of another scope that was started from inside a program is nobody's child,
/// but a subreaper inherits it: it and what lives below it are left alone.
fn below(roots: &[ProcessHandle]) -> Vec<ProcessHandle> {
    let mut found = Vec::new();
    for root in roots {
        add(&mut found, tree::handles_below(root));
    }
    if found.is_empty() {
        return found;
    }
    for carrier in tree::with_cookie("") {
        let is_worker = carrier.cookie.ends_with(scope::WORKER);
        if is_worker && roots.iter().all(|root| root.identity() != carrier.handle.identity()) {
            let spared = tree::handles_below(&carrier.handle);
            found.retain(|handle| {
                spared.iter().chain([&carrier.handle]).all(|other| other.identity() != handle.identity())
            });
        }
    }
    found
}

fn verified(identity: &Identity) -> Option<ProcessHandle> {
    match process::verify(identity) {
        Verified::Same(handle) => Some(handle),
        Verified::Gone(_) | Verified::Unverifiable(_) => None,
    }
}

/// Each process once.
pub(super) fn add(found: &mut Vec<ProcessHandle>, more: impl IntoIterator<Item = ProcessHandle>) {
    for handle in more {
        if found.iter().all(|known| known.identity() != handle.identity()) {
            found.push(handle);
        }
    }
}
