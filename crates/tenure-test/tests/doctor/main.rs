//! What `doctor` finds, and what it mends.

use tenure_test::fixtures::executables::Binaries;

mod findings;
mod fix;

/// The executables under test.
const BINARIES: Binaries<'_> = tenure_test::binaries!();
