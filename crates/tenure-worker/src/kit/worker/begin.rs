//! What a worker begins with: its account of itself, its deadlines, and its record where its launcher died.

use std::io;
use std::os::unix::net::UnixListener;

use tenure_core::deadline::Moment;
use tenure_core::launch::start::handshake::Handshake;
use tenure_core::protocol::wire::{Endpoint, Hello, Role};
use tenure_core::spec::Kind;
use tenure_core::store::records::RecordError;
use tenure_sys::identity::Identity;
use tenure_sys::random;

use crate::kit::adopt::{AdoptError, StartingPoint, broken};
use crate::ownership::Ownership;
use crate::status::TimeLimits;
use crate::takeover::context::{self, KeptDescriptors, NamedListeners, TakeoverContext, duplicates};
use crate::takeover::successor::StandbyPhase;

/// The account with which a worker begins.
pub(super) fn hello(ownership: &Ownership) -> io::Result<Hello> {
    let handshake = &ownership.handshake;
    let (scope, spec) = (ownership.state.by_path(), &handshake.spec);
    let mut hello = Hello::booting(scope, handshake.generation, spec, Identity::current()?);
    hello.directory = ownership.state.own_id();
    hello.instance = random::hex(16)?;
    hello.worker_path = context::own_path();
    hello.started_by = handshake.started_by.clone();
    hello.whose.clone_from(&handshake.whose);
    Ok(hello)
}

/// What bounds its boot, and a runtime that stands still.
pub(super) fn time_limits(handshake: &Handshake) -> TimeLimits {
    // The host has no runtime that could stall; its program has its health check.
    let is_embedded = handshake.spec.kind == Kind::Embedded;
    let stall = is_embedded.then_some(handshake.spec.stall_timeout.duration());
    TimeLimits { boot: handshake.booting_until.ahead_of(&Moment::now()), stall }
}

/// Records this worker in the place of its launcher, which died and may have recorded it before or not.
pub(super) fn record_self(
    ownership: &Ownership,
    own: Identity,
    endpoints: &[Endpoint],
) -> Result<(), RecordError> {
    let host = context::host_record(ownership.handshake.spec.kind);
    ownership.write_ledger(|ledger| {
        ledger.lineage = vec![own];
        ledger.endpoints = endpoints.to_vec();
        ledger.host = Some(host);
    })
}

/// Takes the sockets that a worker begins with, and keeps what a successor would need: all of them where it is alone,
/// none where it stands by.
pub(super) fn take_sockets(
    place: StartingPoint,
    context: &TakeoverContext,
) -> Result<(Option<StandbyPhase>, Vec<Endpoint>, NamedListeners), AdoptError> {
    let (control, listeners, endpoints) = match place {
        StartingPoint::Alone { control, listeners, endpoints } => (control, listeners, endpoints),
        StartingPoint::Beside(standby) => {
            context.status.set_takeover_role(Some(Role::Standby));
            return Ok((Some(standby), Vec::new(), Vec::new()));
        }
    };
    let kept = duplicates(&listeners)
        .and_then(|listeners| Ok(KeptDescriptors { control: control.try_clone()?, listeners }));
    context.keep(kept.map_err(broken("the listeners"))?, endpoints.clone());
    context.status.set_activation(context.ownership.generation(), endpoints.clone());
    context.ownership.control_listener.open(UnixListener::from(control));
    Ok((None, endpoints, listeners))
}
