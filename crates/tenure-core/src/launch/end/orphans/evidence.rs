//! Which processes belong to a former program, by every kind of evidence. Nothing is signalled here.
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
    /// The living shims; each ends its tree by itself. The program of a successor may be on no record: its shim is
    /// known by its name.
    pub(super) fn shims(&self) -> io::Result<Vec<ProcessHandle>> {
        let mut shims: Vec<ProcessHandle> = self.recorded_shim().into_iter().collect();
        let is_shim = |handle: &ProcessHandle| {
            process::command_line(handle.pid()).is_some_and(|line| line.split(' ').next() == Some(SHIM))
        };
        add(&mut shims, self.carriers_and_heirs()?.into_iter().filter(is_shim));
        Ok(shims)
    }

    fn recorded_shim(&self) -> Option<ProcessHandle> {
        self.record?.shim.as_ref().and_then(verified)
    }

    /// The program itself, where it is recorded and verified.
    pub(super) fn program(&self) -> Option<ProcessHandle> {
        self.record?.identity.as_ref().and_then(verified)
    }

    /// All processes that are found now, except shims.
    pub(super) fn all(&self, shims: &[ProcessHandle]) -> io::Result<Vec<ProcessHandle>> {
        let mut found: Vec<ProcessHandle> = self.program().into_iter().collect();
        add(&mut found, self.carriers_and_heirs()?);
        add(&mut found, self.of_the_session()?);
        let roots: Vec<ProcessHandle> =
            found.iter().chain(shims).filter_map(|handle| handle.try_clone().ok()).collect();
        add(&mut found, below(&roots));
        found.retain(|handle| shims.iter().all(|shim| shim.identity() != handle.identity()));
        Ok(found)
    }

    fn carriers_and_heirs(&self) -> io::Result<Vec<ProcessHandle>> {
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

    /// The processes that inherited this lock, where it is held; `None` where its holder is another program of this
    /// scope. The lock is exclusive, so all its holders are of one tree. Once a tree has let go of it, the next program
    /// may hold it.
    fn heirs(&self, name: &str) -> io::Result<Option<Vec<ProcessHandle>>> {
        // Finding the holders takes a look at all descriptors of all processes, which a free lock does not need.
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

    /// The processes with a cookie of this scope that is not one of this program. None where no cookie of this program
    /// is known, because then the two cannot be told apart.
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

    /// The members of the session that the recorded program has begun. Once that program is gone, its pid may have
    /// begun another session. Then only those members count that this process may not look into, and only while no
    /// visible process holds the lock.
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

    /// Pids of the processes that are seen to hold this lock, inherited or not.
    pub(super) fn holders(&self, name: &str) -> io::Result<Vec<u32>> {
        match self.state.dir().open_read(name) {
            Ok(file) => Ok(lock::holders(&file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// All descendants of these. A worker of another scope that was started from inside a program has lost its parent, so
/// the subreaper of the tree becomes its parent. That worker and its descendants are left alone.
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
