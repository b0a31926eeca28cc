//! The words of `tenure`, as people and programs see them: the real binary in a sandbox of its own for each test.

mod answers;
mod any_bytes;
mod config;
mod doctor;
mod help;
mod kit;
mod life;
mod logs;
mod not_ready;
mod prune;
mod schema;
mod settings;
mod streams;
mod trust;
mod walker;
