//! Real programs, run from the very files of `examples/programs`.

use tenure_test::fixtures::executables::Binaries;

mod described;
mod five;

/// The executables under test.
const BINARIES: Binaries<'_> = tenure_test::binaries!();
