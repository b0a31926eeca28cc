//! Every kind of use that is asked at the deadline of a worker that ends without use, in the order in which it is
//! asked: first what costs nothing, last the tables of the kernel.
//!
//! A further kind of use is one more row of [`KINDS`], or a source that its thread adds to the status. Calls of
//! launchers are not asked here: the control thread notes each of them when it answers.

use tenure_core::policy::idle::Use;
use tenure_core::spec::Address;
use tenure_core::store::paths::file;
use tenure_sys::socket;

use crate::takeover::context::TakeoverContext;

type Kind = fn(&TakeoverContext) -> Use;

const KINDS: &[Kind] = &[engaged, clients];

/// What the kinds of use say, each asked when it is its turn.
pub(super) fn of(context: &TakeoverContext) -> impl Iterator<Item = Use> {
    let told = context.status.uses().into_iter().map(|source| source());
    told.chain(KINDS.iter().map(|kind| kind(context)))
}

/// Something is done with this worker: a takeover or a probation goes on, or somebody holds the gate, who may be about
/// to begin one. Whether somebody does cannot be told where the file of the lock cannot be opened.
fn engaged(context: &TakeoverContext) -> Use {
    let held = || context.ownership.state.is_locked(file::GATE).unwrap_or(true);
    if context.is_engaged() || context.status.is_on_probation() || held() { Use::Now } else { Use::None }
}

/// Somebody is connected to one of its listeners, or waits there. Whoever has come and gone since is not seen.
fn clients(context: &TakeoverContext) -> Use {
    let has_clients = |address: &Address| match address {
        Address::Tcp(address) => socket::has_clients(*address),
        Address::Unix(path) => socket::has_clients_at(path),
        _ => Ok(true),
    };
    let endpoints = context.endpoints();
    // Where the kernel does not tell, somebody may be connected.
    let used = endpoints.iter().any(|endpoint| has_clients(&endpoint.address).unwrap_or(true));
    if used { Use::Now } else { Use::None }
}
