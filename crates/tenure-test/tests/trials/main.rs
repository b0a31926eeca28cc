//! Short runs of what has long ones: faults at each point, storms, loads, and the formats that they write.

use tenure_test::fixtures::executables::Binaries;

mod crash_matrix;
mod formats;
mod inject;
mod load;
mod long_runs;
mod storm;

/// The executables under test.
const BINARIES: Binaries<'_> = tenure_test::binaries!();
