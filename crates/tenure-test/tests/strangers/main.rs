//! Other users, other machines, containers, and input that nobody asked for.

use tenure_test::fixtures::executables::Binaries;

mod addresses;
mod bad_input_disk;
mod bad_input_identity;
mod bad_input_process;
mod bad_input_program;
mod bad_input_records;
mod bad_input_socket;
mod bad_input_state;
mod bad_input_wire;
mod bad_input_words;
mod containers;
mod crowds;
mod machines;
mod odd_files;
mod other_users;

/// The executables under test.
const BINARIES: Binaries<'_> = tenure_test::binaries!();
