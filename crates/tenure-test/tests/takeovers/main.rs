//! One worker takes the place of another.

use tenure_test::fixtures::executables::Binaries;

mod counts;
mod dead_ends;
mod fence;
mod kinds;
mod preflight;
mod probation;
mod replay;
mod rollback;
mod stop;
mod trouble;

/// The executables under test.
const BINARIES: Binaries<'_> = tenure_test::binaries!();
