//! The addresses of a worker and who listens on them, by the tables of the kernel. Nobody is connected to.

use std::path::Path;

use tenure_core::launch::start::listen::{self, local_socket};
use tenure_core::protocol::wire::Hello;
use tenure_core::record::desired::Target;
use tenure_core::spec::{Address, Listen, Spec};
use tenure_sys::census;
use tenure_sys::socket::ListeningSocket;

use crate::facts::{Port, WantedFacts};

/// The addresses that a worker says it serves on. Its own processes, which were verified, are asked first, so
/// that nobody else has to be looked at in the usual case.
pub(crate) fn of_worker(hello: &Hello, own: &[u32]) -> Vec<Port> {
    hello.endpoints.iter().map(|endpoint| port(&endpoint.name, endpoint.address.clone(), own)).collect()
}

/// The fixed addresses of the spec that would be started now; a port of 0 takes any that is free.
pub(crate) fn of_target(directory: &Path, target: &Target) -> Vec<Port> {
    match target {
        Target::Offer { spec, .. } => of_spec(directory, spec),
        Target::Suppressed { .. } | Target::Missing { .. } => Vec::new(),
    }
}

/// The addresses of the highest offer, where what would be started cannot be told.
pub(crate) fn of_highest(directory: &Path, wanted: &WantedFacts) -> Vec<Port> {
    wanted.record.offers.last().map_or_else(Vec::new, |offer| of_spec(directory, &offer.spec))
}

fn of_spec(directory: &Path, spec: &Spec) -> Vec<Port> {
    let is_fixed = |listen: &&Listen| listen.address.tcp().is_none_or(|tcp| tcp.port() != 0);
    let fixed = spec.listen.iter().filter(is_fixed);
    fixed.map(|listen| port(&listen.name, local_socket::address(directory, spec, listen), &[])).collect()
}

fn port(name: &str, address: Address, own: &[u32]) -> Port {
    let sockets = listen::listening(&address);
    let inodes: Vec<u64> = inodes(&sockets);
    let is_ours = !inodes.is_empty() && own.iter().any(|pid| census::has_socket(*pid, &inodes));
    Port { name: name.to_owned(), address, sockets, is_ours }
}

/// The numbers by which descriptors lead to these sockets.
pub(crate) fn inodes(sockets: &[ListeningSocket]) -> Vec<u64> {
    sockets.iter().map(|socket| socket.inode).collect()
}
