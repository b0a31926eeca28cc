//! The words of `tenure`, as people and programs see them: the real binary in a sandbox of its own for each test.

mod answers;
mod config;
mod help;
mod kit;
mod life;
mod streams;
