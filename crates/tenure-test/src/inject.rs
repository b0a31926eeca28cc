//! Faults at system calls: one call of a launcher, a host or a successor fails, or kills its process; then the scope must
//! serve or heal, nothing may be left, and no answer may be untrue.
//!
//! `strace` injects the fault into the Nth call of a kind, and the trial is repeated for each N until the run has no Nth
//! call any more. The faults are those that a machine produces by itself: no descriptor left, no space, a broken disk, an
//! interrupted call, SIGKILL. What is judged afterwards does not come from the product alone: an oracle's lock tells two
//! programs at once, the kernel tells which processes are left.

pub mod fault;
pub mod report;
pub mod run;
pub mod trial;
