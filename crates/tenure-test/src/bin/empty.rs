//! The floor of every whole-process figure: a static program that does nothing.

fn main() {}
