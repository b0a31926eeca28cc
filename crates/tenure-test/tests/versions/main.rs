//! Which version runs, and at whose word.

use tenure_test::fixtures::executables::Binaries;

mod build;
mod command;
mod disagree;
mod failed_upgrades;
mod grammars;
mod offers;
mod pin;
mod pin_trouble;
mod plugins;
mod tenures;

/// The executables under test.
const BINARIES: Binaries<'_> = tenure_test::binaries!();
