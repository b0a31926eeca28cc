//! How workers start, run, end and are started again, whoever dies when.

use tenure_test::fixtures::executables::Binaries;

mod before_start;
mod contracts;
mod depends;
mod ends;
mod env_file;
mod examples;
mod forking;
mod health;
mod hidden;
mod holders;
mod idle;
mod inherited;
mod leftovers;
mod local_sockets;
mod paths;
mod prune;
mod race;
mod signals;
mod unasked_ends;
mod version_order;
mod words;
mod zombie;

/// The executables under test.
const BINARIES: Binaries<'_> = tenure_test::binaries!();
