//! How workers start, run, end and are started again, whoever dies when.

mod contracts;
mod ends;
mod examples;
mod health;
mod hidden;
mod holders;
mod inherited;
mod leftovers;
mod paths;
mod race;
mod unasked_ends;
mod version_order;
mod words;
mod zombie;
