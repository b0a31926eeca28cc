//! Which version runs, and at whose word.

mod build;
mod command;
mod disagree;
mod failed_upgrades;
mod offers;
mod pin;
mod pin_trouble;
mod tenures;
