//! One worker takes the place of another.

mod counts;
mod dead_ends;
mod fence;
mod kinds;
mod probation;
mod replay;
mod rollback;
mod stop;
mod trouble;
